//! Requests at the domains of tenants: their names, as they go in and come out.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use raft::catalog::View;
use raft::directory::Elsewhere;
use raft::policy::{NamespacePolicy, Quota};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::callers::{LOCAL, Rules, Ward, basic};
use super::regions::{IMAGE, Operator, Two, US};
use super::{Reply, Rig, sha256};
use crate::login::testing::CLUSTER;
use crate::serve::Client;

const ACME: &str = "registry.acme.example";
const BETA: &str = "registry.beta.example";

/// Everybody's keeper, and one who writes for each of two tenants with a domain.
fn rules() -> Rules {
    Rules::default()
        .allow("keeper", "maintainer", "")
        .allow("ann", "writer", "acme")
        .allow("bob", "writer", "beta")
        .domain(ACME, "acme")
        .domain(BETA, "beta")
        .domain("registry.example.org", "")
}

/// A client who asks by a name.
fn at(host: &str) -> Client {
    Client { host: Some(format!("{host}:5000")), secure: true, ..Client::at(LOCAL) }
}

impl Rig {
    /// A request by a name of the registry.
    async fn at(&self, host: &str, who: &str, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let credentials = if who.starts_with("Bearer") { who.to_owned() } else { basic(who) };
        let headers = [("authorization", credentials.as_str())];
        self.send_from(&at(host), method.parse().unwrap(), path, &headers, body).await
    }

    /// Pushes a blob at a name of the registry.
    async fn give(&self, host: &str, who: &str, repository: &str, content: &'static str) -> Reply {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(content.as_bytes()));
        self.at(host, who, "POST", &path, content).await.expect(201)
    }

    /// What the token service answers somebody at a name of the registry.
    async fn token_at(&self, host: &str, who: &str, scope: &str) -> (StatusCode, Value) {
        let uri = format!("/token?service=regnode%3A{CLUSTER}&scope={scope}");
        let request = Request::get(uri).header("authorization", basic(who)).extension(at(host));
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

fn names(reply: &Reply) -> Vec<String> {
    serde_json::from_value(reply.json()["repositories"].clone()).unwrap()
}

#[tokio::test]
async fn a_tenants_names_go_in_and_come_out_without_its_namespace() {
    let rig = Rig::guarded(rules().rights()).await;
    let begun = rig.at(ACME, "ann", "POST", "/v2/app/blobs/uploads/", "").await.expect(202);
    let location = begun.header("location").to_owned();
    assert!(location.starts_with("/v2/app/blobs/uploads/"), "{location}");
    let sent = rig.at(ACME, "ann", "PATCH", &location, "{}").await.expect(202);
    assert!(sent.header("location").starts_with("/v2/app/blobs/uploads/"));
    rig.at(ACME, "ann", "GET", &location, "").await.expect(204);
    // As some clients append it.
    let finished = rig.at(ACME, "ann", "PUT", &format!("{location}&digest={}", sha256(b"{}")), "").await.expect(201);
    assert_eq!(finished.header("location"), format!("/v2/app/blobs/{}", sha256(b"{}")));

    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}").to_string(), "size": 2 },
        "layers": [],
    });
    let headers = [("authorization", &*basic("ann")), ("content-type", IMAGE)];
    let put = async |tag: &str| {
        let path = format!("/v2/app/manifests/{tag}");
        rig.send_from(&at(ACME), Method::PUT, &path, &headers, manifest.to_string()).await.expect(201)
    };
    let digest = put("v1").await.header("docker-content-digest").to_owned();
    assert_eq!(put("v2").await.header("location"), format!("/v2/app/manifests/{digest}"));

    let tags = rig.at(ACME, "ann", "GET", "/v2/app/tags/list?n=1", "").await.expect(200);
    assert_eq!(tags.json(), json!({ "name": "app", "tags": ["v1"] }));
    assert_eq!(tags.header("link"), "</v2/app/tags/list?last=v1&n=1>; rel=\"next\"");
    let history = rig.at(ACME, "ann", "GET", "/v2/_regnode/history/app/v1", "").await.expect(200);
    assert_eq!(history.json()["repository"], "app");

    // Under the registry's other names it is what it is.
    for host in ["registry.example.org", "node1.example.org", "127.0.0.1"] {
        let tags = rig.at(host, "ann", "GET", "/v2/acme/app/tags/list", "").await.expect(200);
        assert_eq!(tags.json(), json!({ "name": "acme/app", "tags": ["v1", "v2"] }));
        rig.at(host, "keeper", "GET", "/v2/app/tags/list", "").await.expect_error(404, "NAME_UNKNOWN");
    }
    rig.at(ACME, "keeper", "GET", "/v2/acme/app/tags/list", "").await.expect_error(404, "NAME_UNKNOWN");
    for events in ["push", "tag"].map(|action| rig.ward.events(action)) {
        assert!(!events.is_empty());
        for event in events {
            assert_eq!((event.repository.as_str(), event.domain.as_str()), ("acme/app", ACME));
        }
    }
}

#[tokio::test]
async fn errors_and_challenges_speak_of_the_tenants_names() {
    let rig = Rig::guarded(rules().rights()).await;
    let unknown = rig.at(ACME, "ann", "GET", "/v2/app/tags/list", "").await.expect_error(404, "NAME_UNKNOWN");
    assert_eq!(unknown.json()["errors"][0]["detail"], json!({ "name": "app" }));
    assert!(!String::from_utf8_lossy(&unknown.body).contains("acme"), "{unknown:?}");
    let denied = rig.at(ACME, "bob", "GET", "/v2/team/app/tags/list", "").await.expect_error(403, "DENIED");
    let message = denied.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("\"team/app\"") && !message.contains("acme"), "{message}");
    assert_eq!(rig.ward.events("denied")[0].repository, "acme/team/app");

    let stranger = rig.send_from(&at(ACME), Method::GET, "/v2/app/manifests/v1", &[], "").await;
    let challenge = stranger.expect_error(401, "UNAUTHORIZED").header("www-authenticate").to_owned();
    assert!(challenge.starts_with("Bearer realm=\"https://registry.acme.example:5000/token\""), "{challenge}");
    assert!(challenge.ends_with(",scope=\"repository:app:pull\""), "{challenge}");

    rig.set_policy(
        "acme",
        NamespacePolicy { quota: Quota { tags: Some(0), ..Quota::default() }, ..NamespacePolicy::default() },
    )
    .await;
    let long = format!("/v2/{}/tags/list", "a".repeat(251));
    let refused = rig.at(ACME, "ann", "GET", &long, "").await.expect_error(400, "NAME_INVALID");
    assert!(refused.json()["errors"][0]["message"].as_str().unwrap().contains("has 256 characters"), "{refused:?}");
    // The namespace's own repository has no name there, and nothing that leads out is one.
    for path in ["/v2//tags/list", "/v2/../beta/app/tags/list", "/v2/..%2fbeta%2fapp/tags/list", "/v2/App/tags/list"] {
        rig.at(ACME, "keeper", "GET", path, "").await.expect_error(400, "NAME_INVALID");
    }
}

#[tokio::test]
async fn usage_is_told_from_the_tenants_namespace_on() {
    let rig = Rig::guarded(rules().rights()).await;
    rig.give(ACME, "ann", "team/app", "{}").await;
    let quota = |bytes| NamespacePolicy {
        quota: Quota { bytes: Some(bytes), ..Quota::default() },
        ..NamespacePolicy::default()
    };
    for (prefix, bytes) in [("", 3_000), ("acme", 2_000), ("acme/team", 1_000)] {
        rig.set_policy(prefix, quota(bytes)).await;
    }
    for (path, namespace) in [("/v2/_regnode/usage", ""), ("/v2/_regnode/usage/team", "team")] {
        let usage = rig.at(ACME, "keeper", "GET", path, "").await.expect(200).json();
        assert_eq!(usage["namespace"], namespace);
        let bounds: Vec<&str> =
            usage["bounds"].as_array().unwrap().iter().map(|bound| bound["namespace"].as_str().unwrap()).collect();
        let expected: &[&str] = if namespace.is_empty() { &[""] } else { &["", "team"] };
        assert_eq!(bounds, expected, "what is above the namespace is not told of");
    }
    let full = rig.at(ACME, "ann", "POST", "/v2/team/app/blobs/uploads/?digest=sha256:0", "x").await;
    assert_eq!(full.status.as_u16(), 400);
}

#[tokio::test]
async fn a_blob_is_mounted_from_the_tenants_own_alone() {
    let rig = Rig::guarded(rules().rights()).await;
    rig.give(ACME, "keeper", "base", "own").await;
    rig.give(BETA, "keeper", "base", "theirs").await;
    let mount = async |content: &str, from: &str| {
        let path = format!("/v2/app/blobs/uploads/?mount={}{from}", sha256(content.as_bytes()));
        rig.at(ACME, "keeper", "POST", &path, "").await
    };
    let mounted = mount("own", "&from=base").await.expect(201);
    assert_eq!(mounted.header("location"), format!("/v2/app/blobs/{}", sha256(b"own")));
    for from in ["&from=beta/base", "&from=beta%2Fbase", "&from=../beta/base", "&from=base", "", "&from="] {
        mount("theirs", from).await.expect(202);
    }
    // He who may read both can do so by the full names.
    let path = format!("/v2/acme/app/blobs/uploads/?mount={}&from=beta/base", sha256(b"theirs"));
    rig.at("node1.example.org", "keeper", "POST", &path, "").await.expect(201);
    mount("own", "").await.expect(201);
}

#[tokio::test]
async fn a_token_is_for_the_same_repository_wherever_it_is_shown() {
    let rules = rules().allow("both", "writer", "acme").allow("both", "writer", "beta");
    let rig = Rig::guarded(rules.rights()).await;
    for host in [ACME, BETA] {
        rig.give(host, "keeper", "app", "{}").await;
    }
    let (_, answer) = rig.token_at(ACME, "both", "repository:app:pull,push").await;
    assert_eq!(answer["scope"], "repository:app:pull,push");
    let token = format!("Bearer {}", answer["token"].as_str().unwrap());
    let path = format!("/v2/app/blobs/{}", sha256(b"{}"));
    rig.at(ACME, &token, "GET", &path, "").await.expect(200);
    rig.at("node1.example.org", &token, "GET", &path.replace("/app", "/acme/app"), "").await.expect(200);
    for (host, path) in [(BETA, path.clone()), (ACME, path.replace("/app", "/other"))] {
        let refused = rig.at(host, &token, "GET", &path, "").await.expect_error(401, "UNAUTHORIZED");
        assert!(refused.header("www-authenticate").ends_with("error=\"insufficient_scope\""), "{host} {path}");
    }
    // Under the other names it is a repository that he has no right to at all.
    rig.at("node1.example.org", &token, "GET", &path, "").await.expect_error(403, "DENIED");
    let (_, none) = rig.token_at(ACME, "bob", "repository:app:pull").await;
    assert_eq!(none["scope"], "", "who may not read acme/app gets no token for it, whatever he may at his own domain");
    let event = &rig.ward.events("login")[0];
    assert_eq!((event.domain.as_str(), event.detail.as_str()), (ACME, "a token for repository:acme/app:pull,push"));
}

#[tokio::test]
async fn the_list_of_repositories_is_the_tenants_own() {
    let rig = Rig::guarded(rules().rights()).await;
    for name in ["acme", "acme-evil/app", "acme.old", "acme/a", "acme/b/c", "acme/z", "acmex", "beta/app", "zeta"] {
        rig.give("127.0.0.1", "keeper", name, "{}").await;
    }
    for who in ["keeper", "ann"] {
        let all = rig.at(ACME, who, "GET", "/v2/_catalog", "").await.expect(200);
        assert_eq!(names(&all), ["a", "b/c", "z"]);
        assert!(!all.headers.contains_key("link"));
        let first = rig.at(ACME, who, "GET", "/v2/_catalog?n=2", "").await.expect(200);
        assert_eq!(names(&first), ["a", "b/c"]);
        assert_eq!(first.header("link"), "</v2/_catalog?last=b%2Fc&n=2>; rel=\"next\"");
        let rest = rig.at(ACME, who, "GET", "/v2/_catalog?last=b%2Fc&n=2", "").await.expect(200);
        assert_eq!(names(&rest), ["z"]);
        assert!(!rest.headers.contains_key("link"), "what is behind the namespace is no next page");
    }
    assert_eq!(names(&rig.at(ACME, "bob", "GET", "/v2/_catalog", "").await.expect(200)), [""; 0]);
    assert_eq!(names(&rig.at(BETA, "keeper", "GET", "/v2/_catalog", "").await.expect(200)), ["app"]);
    assert_eq!(
        names(&rig.at("127.0.0.1", "ann", "GET", "/v2/_catalog", "").await.expect(200)),
        ["acme", "acme/a", "acme/b/c", "acme/z"]
    );
}

#[tokio::test]
async fn a_connection_of_one_tenant_is_not_for_another_one() {
    let rig = Rig::guarded(rules().rights()).await;
    let ask = async |greeted: &str, host: &str| {
        let client = Client { server_name: Some(greeted.into()), ..at(host) };
        let credentials = basic("keeper");
        rig.send_from(&client, Method::GET, "/v2/", &[("authorization", &credentials)], "").await
    };
    ask(ACME, ACME).await.expect(200);
    ask("node1.example.org", ACME).await.expect(200);
    ask(ACME, BETA).await.expect_error(421, "UNSUPPORTED");
    ask(ACME, "registry.example.org").await.expect_error(421, "UNSUPPORTED");
}

#[tokio::test]
async fn a_tenant_whose_home_is_another_region_sees_its_own_names_all_the_same() {
    let operator = Operator::new().await;
    operator.home("acme", US).await;
    let directory = operator.0.clone();
    // The home has not heard of the domain: what it is told is enough.
    let plain = Rules::default().allow("keeper", "maintainer", "").allow("ann", "writer", "acme");
    let two = Two::guarded(operator, directory, [Ward::new(rules().rights()), Ward::new(plain.rights())]).await;
    let (eu, us) = (&two.eu, &two.us);

    let begun = eu.at(ACME, "ann", "POST", "/v2/app/blobs/uploads/", "").await.expect(202);
    let location = begun.header("location").to_owned();
    assert!(location.starts_with("/v2/app/blobs/uploads/"), "{location}");
    let finish = format!("{location}?digest={}", sha256(b"{}"));
    let finished = eu.at(ACME, "ann", "PUT", &finish, "{}").await.expect(201);
    assert_eq!(finished.header("location"), format!("/v2/app/blobs/{}", sha256(b"{}")));
    let view = View::new(us.catalog.state());
    assert!(view.repository(&"acme/app".parse().unwrap()).unwrap().is_some());
    assert!(view.repository(&"app".parse().unwrap()).unwrap().is_none());
    let pushed = us.ward.events("push");
    assert_eq!((pushed[0].repository.as_str(), pushed[0].domain.as_str()), ("acme/app", ACME));

    // Names that begin with the namespace's own lose it once, not twice.
    let twice = eu.give(ACME, "ann", "acme/app", "{}").await;
    assert_eq!(twice.header("location"), format!("/v2/acme/app/blobs/{}", sha256(b"{}")));
    let path = format!("/v2/lib/blobs/uploads/?mount={}&from=acme%2Fapp", sha256(b"{}"));
    eu.at(ACME, "ann", "POST", &path, "").await.expect(201);
    eu.give("127.0.0.1", "keeper", "near/app", "theirs").await;

    let unknown = eu.at(ACME, "ann", "GET", "/v2/none/tags/list", "").await.expect_error(404, "NAME_UNKNOWN");
    assert_eq!(unknown.json()["errors"][0]["detail"], json!({ "name": "none" }));
    let listed = eu.at(ACME, "keeper", "GET", "/v2/_catalog", "").await.expect(200);
    assert_eq!(names(&listed), ["acme/app", "app", "lib"]);
    let page = eu.at(ACME, "keeper", "GET", "/v2/_catalog?n=1", "").await.expect(200);
    assert_eq!(
        (names(&page), page.header("link")),
        (vec!["acme/app".to_owned()], "</v2/_catalog?last=acme%2Fapp&n=1>; rel=\"next\"")
    );

    // Sent to the home's own URL he leaves the domain, and names are full there.
    two.operator.url("https://us.example.com").await;
    two.operator.set("acme", |record| record.elsewhere = Some(Elsewhere::Redirect)).await;
    let version = two.operator.0.view().policy_version().unwrap();
    super::regions::until(|| eu.regions.places().version() >= version).await;
    let path = format!("/v2/app/blobs/{}", sha256(b"{}"));
    let sent = eu.at(ACME, "ann", "GET", &path, "").await.expect(307);
    assert_eq!(sent.header("location"), format!("https://us.example.com/v2/acme/app/blobs/{}", sha256(b"{}")));
}
