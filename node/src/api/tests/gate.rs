//! Who gets through the gate, route by route, and what those see who do not.

use axum::body::Body;
use raft::directory::Action;

use super::callers::{Rules, Ward, basic};
use super::{Reply, Rig, sha256};
use crate::access::Rights;
use crate::limit::{Metrics, Rates, Throttle, ThrottleOptions};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const SESSION: &str = "00000000-0000-0000-0000-000000000001";

/// What an endpoint needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Pull,
    PullOrAudit,
    Push,
    PushAndTag,
    Delete,
}

impl Needs {
    const fn scope(self) -> &'static str {
        match self {
            Self::Pull | Self::PullOrAudit => "pull",
            Self::Push | Self::PushAndTag => "pull,push",
            Self::Delete => "delete",
        }
    }

    fn met_by(self, has: &[Action]) -> bool {
        let has = |action| has.contains(&action);
        match self {
            Self::Pull => has(Action::Pull),
            Self::PullOrAudit => has(Action::Pull) || has(Action::Audit),
            Self::Push => has(Action::Push),
            Self::PushAndTag => has(Action::Push) && has(Action::Tag),
            Self::Delete => has(Action::Delete),
        }
    }
}

/// Everything that can be asked of a repository.
fn routes(repository: &str) -> Vec<(&'static str, String, Needs)> {
    let digest = sha256(b"{}");
    let image = sha256(manifest().as_bytes());
    let at = |path: &str| format!("/v2/{repository}/{path}");
    let mut routes = vec![
        ("PUT", at("manifests/v2"), Needs::PushAndTag),
        ("PUT", at(&format!("manifests/{image}")), Needs::Push),
        ("PUT", at(&format!("manifests/{image}?tag=v3&ns=x")), Needs::PushAndTag),
        ("POST", at("blobs/uploads/"), Needs::Push),
        ("POST", at(&format!("blobs/uploads/?digest={digest}")), Needs::Push),
        ("POST", at(&format!("blobs/uploads/?mount={digest}&from=acme/app")), Needs::Push),
        ("PATCH", at(&format!("blobs/uploads/{SESSION}")), Needs::Push),
        ("PUT", at(&format!("blobs/uploads/{SESSION}?digest={digest}")), Needs::Push),
        ("GET", at(&format!("blobs/uploads/{SESSION}")), Needs::Push),
        ("HEAD", at(&format!("blobs/uploads/{SESSION}")), Needs::Push),
        ("DELETE", at(&format!("blobs/uploads/{SESSION}")), Needs::Push),
    ];
    for method in ["GET", "HEAD"] {
        for path in ["tags/list", "tags/list?n=1", "manifests/v1", &format!("manifests/{image}"), "manifests/none"] {
            routes.push((method, at(path), Needs::Pull));
        }
        for path in [format!("blobs/{digest}"), format!("referrers/{image}")] {
            routes.push((method, at(&path), Needs::Pull));
        }
        routes.push((method, format!("/v2/_regnode/history/{repository}/v1"), Needs::PullOrAudit));
        routes.push((method, format!("/v2/_regnode/usage/{repository}"), Needs::PullOrAudit));
    }
    // What is deleted is asked for last.
    routes.push(("DELETE", at("manifests/v1"), Needs::Delete));
    routes.push(("DELETE", at(&format!("manifests/{image}")), Needs::Delete));
    routes.push(("DELETE", at(&format!("blobs/{digest}")), Needs::Delete));
    routes
}

fn manifest() -> String {
    let digest = sha256(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"application/x","digest":"{digest}","size":2}},"layers":[]}}"#
    )
}

fn rules() -> Rules {
    Rules::default()
        .allow("anonymous", "reader", "public")
        .allow("reader", "reader", "acme")
        .allow("writer", "writer", "acme")
        .allow("keeper", "maintainer", "")
        .allow("auditor", "auditor", "acme")
        .role("loader", &[Action::Push])
        .allow("loader", "loader", "acme")
        .allow("fallen", "maintainer", "acme")
        .deny("fallen", &[Action::Pull, Action::Push, Action::Delete], "acme/app")
        .robot("stranger")
}

/// A registry, with an image in a repository.
async fn with_image(rights: Rights, repository: &str) -> Rig {
    let rig = Rig::guarded(rights).await;
    push(&rig, repository, &basic("keeper")).await;
    rig
}

async fn push(rig: &Rig, repository: &str, credentials: &str) {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(b"{}"));
    rig.ask("POST", &path, Some(credentials), "{}").await.expect(201);
    put(rig, &format!("/v2/{repository}/manifests/v1"), Some(credentials)).await.expect(201);
}

async fn put(rig: &Rig, path: &str, credentials: Option<&str>) -> Reply {
    let mut headers = vec![("content-type", IMAGE)];
    headers.extend(credentials.map(|shown| ("authorization", shown)));
    rig.send(http::Method::PUT, path, &headers, manifest()).await
}

/// Sends a request of the table.
async fn ask(rig: &Rig, method: &str, path: &str, credentials: Option<&str>) -> Reply {
    match method {
        "PUT" if path.contains("/manifests/") => put(rig, path, credentials).await,
        "POST" if path.contains("?digest=") => rig.ask(method, path, credentials, "{}").await,
        _ => rig.ask(method, path, credentials, Body::empty()).await,
    }
}

fn challenge(scope: &str, error: Option<&str>) -> String {
    let error = error.map(|error| format!(",error=\"{error}\"")).unwrap_or_default();
    let service = format!("regnode:{}", crate::login::testing::CLUSTER);
    format!("Bearer realm=\"https://registry.example/token\",service=\"{service}\",scope=\"{scope}\"{error}")
}

#[track_caller]
fn challenged(reply: &Reply, scope: &str, error: Option<&str>, context: &str) {
    assert_eq!(reply.status, 401, "{context}: {reply:?}");
    assert_eq!(reply.header("www-authenticate"), challenge(scope, error), "{context}");
    if !reply.body.is_empty() {
        assert_eq!(reply.json()["errors"][0]["code"], "UNAUTHORIZED", "{context}");
    }
}

#[track_caller]
fn denied(reply: &Reply, context: &str) {
    assert_eq!(reply.status, 403, "{context}: {reply:?}");
    assert!(!reply.headers.contains_key("www-authenticate"), "{context}");
    if !reply.body.is_empty() {
        assert_eq!(reply.json()["errors"][0]["code"], "DENIED", "{context}");
    }
}

#[tokio::test]
async fn every_route_asks_for_its_right_of_everybody() {
    use Action::{Audit, Delete, Pull, Push, Tag};
    let rig = with_image(rules().rights(), "acme/app").await;
    let robots: [(&str, &[Action]); 7] = [
        ("reader", &[Pull]),
        ("auditor", &[Audit]),
        ("loader", &[Push]),
        ("stranger", &[]),
        ("fallen", &[Tag]),
        ("writer", &[Pull, Push, Tag]),
        ("keeper", &[Pull, Push, Tag, Delete]),
    ];
    let pull_token = rig.token(Some("writer"), &["repository:acme/app:pull"]).await;
    let push_token = rig.token(Some("writer"), &["repository:acme/app:pull,push"]).await;
    let other_token = rig.token(Some("keeper"), &["repository:acme/other:pull,push,delete"]).await;
    let anonymous_token = rig.token(None, &["repository:acme/app:pull,push,delete"]).await;
    for (method, path, needs) in routes("acme/app") {
        let scope = format!("repository:acme/app:{}", needs.scope());
        let context = |who: &str| format!("{who}: {method} {path}");
        challenged(&ask(&rig, method, &path, None).await, &scope, None, &context("nobody"));
        let insufficient = Some("insufficient_scope");
        for (who, token) in [("other token", &other_token), ("anonymous token", &anonymous_token)] {
            challenged(&ask(&rig, method, &path, Some(token)).await, &scope, insufficient, &context(who));
        }
        // The writer has no right to delete, which no token could give him.
        for (token, within) in [(&pull_token, &[Pull][..]), (&push_token, &[Pull, Push, Tag])] {
            let reply = ask(&rig, method, &path, Some(token)).await;
            match (needs.met_by(within), needs) {
                (true, _) => assert!(![401, 403].contains(&reply.status.as_u16()), "{}: {reply:?}", context("token")),
                (false, Needs::Delete) => denied(&reply, &context("token")),
                (false, _) => challenged(&reply, &scope, insufficient, &context("token")),
            }
        }
        for (robot, has) in robots {
            let reply = ask(&rig, method, &path, Some(&basic(robot))).await;
            if needs.met_by(has) {
                assert!(![401, 403].contains(&reply.status.as_u16()), "{}: {reply:?}", context(robot));
            } else {
                denied(&reply, &context(robot));
            }
        }
    }
}

#[tokio::test]
async fn usage_of_a_namespace_is_told_to_whom_no_part_of_it_is_denied() {
    let rules = rules().deny("reader", &[Action::Pull], "acme/secret");
    let rig = with_image(rules.rights(), "acme/app").await;
    for (robot, prefix, status) in [
        ("reader", "acme", 403),
        ("reader", "acme/secret", 403),
        ("reader", "acme/app", 200),
        ("writer", "acme", 200),
        ("auditor", "acme", 200),
    ] {
        let path = format!("/v2/_regnode/usage/{prefix}");
        let reply = rig.ask("GET", &path, Some(&basic(robot)), Body::empty()).await;
        assert_eq!(reply.status.as_u16(), status, "{robot} {prefix}: {reply:?}");
    }
    // The history of a repository is not about what is below its name.
    let history = "/v2/_regnode/history/acme/app/v1";
    rig.ask("GET", history, Some(&basic("reader")), Body::empty()).await.expect(200);
}

#[tokio::test]
async fn who_may_not_see_a_repository_cannot_tell_whether_it_exists() {
    let full = with_image(rules().rights(), "acme/app").await;
    let empty = Rig::guarded(rules().rights()).await;
    let mut callers = vec![None, Some("Bearer nonsense".to_owned())];
    callers.extend(["stranger", "fallen"].map(|robot| Some(basic(robot))));
    callers.push(Some(full.token(None, &["repository:acme/app:pull,push"]).await));
    callers.push(Some(full.token(Some("stranger"), &["repository:acme/app:pull,push"]).await));
    callers.push(Some(full.token(Some("keeper"), &["repository:acme/other:pull"]).await));
    for (method, path, _) in routes("acme/app") {
        for caller in &callers {
            let [here, nowhere] = [ask(&full, method, &path, caller.as_deref()).await, {
                ask(&empty, method, &path, caller.as_deref()).await
            }];
            assert!([401, 403].contains(&here.status.as_u16()), "{method} {path} {caller:?}: {here:?}");
            let seen = |reply: &Reply| (reply.status, reply.headers.clone(), reply.body.clone());
            assert_eq!(seen(&here), seen(&nowhere), "{method} {path} {caller:?}");
        }
    }
}

#[tokio::test]
async fn too_many_requests_are_refused_before_they_are_looked_at() {
    let identity = Rates { requests_per_second: 1, ..Rates::default() };
    let throttle = Throttle::new(ThrottleOptions { identity, ..ThrottleOptions::default() }, Metrics::default());
    let rig = Rig::behind(Ward { throttle, ..Ward::new(rules().rights()) }).await;
    let asked = async |rig: &Rig, robot: &str| {
        let credentials = basic(robot);
        for _ in 0..20 {
            let reply = rig.ask("GET", "/v2/acme/app/manifests/v1", Some(&credentials), "").await;
            if reply.status == 429 {
                return Some(reply.expect_error(429, "TOOMANYREQUESTS"));
            }
        }
        None
    };
    let refused = asked(&rig, "stranger").await.expect("refusals count too");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    rig.ask("GET", "/v2/acme/app/manifests/v1", Some(&basic("reader")), "").await.expect(404);
    assert!(asked(&rig, "reader").await.is_some());
}

#[tokio::test]
async fn a_token_that_does_not_count_is_a_record_of_nobody() {
    let rig = Rig::guarded(rules().rights()).await;
    rig.ask("GET", "/v2/acme/app/manifests/v1", Some("Bearer eyJ.forged"), "").await.expect(401);
    let events = rig.ward.events("login");
    let event = &events[0];
    assert_eq!((event.actor.as_str(), event.outcome), ("anonymous", crate::audit::Outcome::Refused));
    assert_eq!((event.address, event.detail.as_str()), (Some(super::callers::LOCAL), "the token cannot be read"));
}

#[tokio::test]
async fn what_is_open_to_everybody_needs_no_login() {
    let rig = with_image(rules().rights(), "public/app").await;
    for path in ["manifests/v1", "tags/list", &format!("blobs/{}", sha256(b"{}"))] {
        rig.ask("GET", &format!("/v2/public/app/{path}"), None, "").await.expect(200);
    }
    let token = rig.token(None, &["repository:public/app:pull,push"]).await;
    rig.ask("GET", "/v2/public/app/manifests/v1", Some(&token), "").await.expect(200);
    let reply = rig.ask("POST", "/v2/public/app/blobs/uploads/", Some(&token), "").await;
    challenged(&reply, "repository:public/app:pull,push", Some("insufficient_scope"), "a push by nobody");
    // Who is known may what everybody may.
    rig.ask("GET", "/v2/public/app/manifests/v1", Some(&basic("stranger")), "").await.expect(200);
}

#[tokio::test]
async fn the_ping_sends_everybody_to_the_token_service_who_shows_nothing() {
    let rig = Rig::guarded(rules().rights()).await;
    let service = format!("regnode:{}", crate::login::testing::CLUSTER);
    let bare = format!("Bearer realm=\"https://registry.example/token\",service=\"{service}\"");
    let (robot, token, nobodys) =
        (basic("stranger"), rig.token(Some("stranger"), &[]).await, rig.token(None, &[]).await);
    for path in ["/v2/", "/v2", "/v2/?ns=docker.io"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(rig.ask(method, path, None, "").await.expect(401).header("www-authenticate"), bare);
            for good in [&robot, &token, &nobodys] {
                let reply = rig.ask(method, path, Some(good), "").await.expect(200);
                assert_eq!(reply.header("content-type"), "application/json");
                assert!(reply.body == "{}" || method == "HEAD");
            }
        }
        let wrong = rig.ask("GET", path, Some("Basic cm9ib3QrcmVhZGVyOnJuclg="), "").await;
        assert_eq!(wrong.expect_error(401, "UNAUTHORIZED").header("www-authenticate"), bare);
        let nonsense = rig.ask("GET", path, Some("Bearer nonsense"), "").await.expect_error(401, "UNAUTHORIZED");
        assert_eq!(nonsense.header("www-authenticate"), format!("{bare},error=\"invalid_token\""));
    }
}

#[tokio::test]
async fn a_node_that_does_not_know_the_rules_yet_answers_nobody() {
    let rig = Rig::guarded(Rights::default()).await;
    for path in ["/v2/", "/v2/_catalog", "/v2/acme/app/manifests/v1"] {
        for credentials in [None, Some(basic("reader"))] {
            let reply = rig.ask("GET", path, credentials.as_deref(), "").await.expect_error(503, "UNAVAILABLE");
            assert_eq!(reply.header("retry-after"), "1");
        }
    }
}

#[tokio::test]
async fn denials_and_what_is_done_are_recorded() {
    let rig = with_image(rules().rights(), "acme/app").await;
    let told = |action: &str| -> Vec<String> {
        let text = |event: &crate::audit::AuditEvent| {
            let (outcome, detail) = (event.outcome.name(), &event.detail);
            format!("{} {} {} {outcome} {detail}", event.actor, event.repository, event.target).trim().to_owned()
        };
        rig.ward.events(action).iter().map(text).collect()
    };
    let (config, image) = (sha256(b"{}"), sha256(manifest().as_bytes()));
    assert_eq!(
        told("push"),
        [format!("robot:keeper acme/app {config} done"), "robot:keeper acme/app v1 done".to_owned()]
    );
    let tags = rig.ward.events("tag");
    assert_eq!((tags.len(), &tags[0].before, tags[0].after.clone()), (1, &None, Some(image.to_string())));
    // The first words of every conversation are no denial.
    rig.ask("GET", "/v2/acme/app/manifests/v1", None, "").await.expect(401);
    assert_eq!(told("denied"), [""; 0]);
    rig.ask("GET", "/v2/acme/app/manifests/v1", Some(&basic("stranger")), "").await.expect(403);
    rig.ask("GET", "/v2/acme/app/tags/list", Some(&basic("fallen")), "").await.expect(403);
    assert_eq!(
        told("denied"),
        [
            "robot:stranger acme/app  refused GET /v2/acme/app/manifests/v1: pull: no rule allows it",
            "robot:fallen acme/app  refused GET /v2/acme/app/tags/list: pull: rule 8",
        ]
    );
    assert_eq!(rig.ward.events("denied")[0].address, Some(super::callers::LOCAL));
    rig.ask("GET", "/v2/acme/app/manifests/v1", Some(&basic("reader")), "").await.expect(200);
    rig.ask("GET", &format!("/v2/acme/app/blobs/{config}"), Some(&basic("reader")), "").await.expect(200);
    rig.ask("HEAD", "/v2/acme/app/manifests/v1", Some(&basic("reader")), "").await.expect(200);
    assert_eq!(
        told("pull"),
        ["v1".to_owned(), config.to_string()].map(|what| format!("robot:reader acme/app {what} done"))
    );
    rig.ask("DELETE", "/v2/acme/app/manifests/v1", Some(&basic("keeper")), "").await.expect(202);
    rig.ask("DELETE", "/v2/acme/app/manifests/v1", Some(&basic("keeper")), "").await.expect(404);
    let deleted = rig.ward.events("delete");
    assert_eq!((deleted.len(), &deleted[0].before, &deleted[0].after), (1, &Some(image.to_string()), &None));

    // Tags that go with their manifest are named, with what they pointed to.
    for tag in ["v1", "v2"] {
        put(&rig, &format!("/v2/acme/app/manifests/{tag}"), Some(&basic("keeper"))).await.expect(201);
    }
    let before = rig.ward.events("tag").len();
    rig.ask("DELETE", &format!("/v2/acme/app/manifests/{image}"), Some(&basic("keeper")), "").await.expect(202);
    let gone: Vec<_> = rig.ward.events("tag").split_off(before);
    let gone: Vec<_> = gone.iter().map(|tag| (tag.target.as_str(), tag.before.clone(), tag.after.clone())).collect();
    assert_eq!(gone, ["v1", "v2"].map(|tag| (tag, Some(image.to_string()), None)));
    assert_eq!(rig.ward.events("delete").last().unwrap().target, image.to_string());
}
