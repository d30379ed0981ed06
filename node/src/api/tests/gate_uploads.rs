//! Uploads at the gate: whose a session is, what may be mounted, and in whose name all of it is kept.

use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use raft::catalog::View;
use raft::directory::Action;
use raft::policy::{ImmutableRule, NamespacePolicy};
use serde_json::json;

use super::callers::{Rules, TOKEN_SECONDS, basic};
use super::{Reply, Rig, sha256};
use crate::access::Rights;

fn rules() -> Rules {
    Rules::default()
        .allow("anonymous", "writer", "drop")
        .allow("one", "writer", "acme")
        .allow("two", "writer", "acme")
        .allow("owner", "maintainer", "")
        .allow("partial", "writer", "team")
        .allow("partial", "reader", "shared")
        .deny("partial", &[Action::Pull], "shared/secret")
}

async fn begin(rig: &Rig, repository: &str, credentials: Option<&str>) -> String {
    let path = format!("/v2/{repository}/blobs/uploads/");
    rig.ask("POST", &path, credentials, "").await.expect(202).header("location").to_owned()
}

#[tokio::test]
async fn a_session_is_his_who_began_it_and_unknown_to_everybody_else() {
    let rig = Rig::guarded(rules().rights()).await;
    let (one, two) = (basic("one"), basic("two"));
    let location = begin(&rig, "acme/app", Some(&one)).await;
    let missing = format!("/v2/acme/app/blobs/uploads/{}", "00000000-0000-0000-0000-000000000001");
    let digest = sha256(b"abc");
    for (method, query) in [
        ("GET", String::new()),
        ("PATCH", String::new()),
        ("PUT", format!("?digest={digest}")),
        ("DELETE", String::new()),
    ] {
        for other in [&two, &basic("owner")] {
            let seen = |reply: Reply| (reply.status, reply.headers, reply.body);
            let theirs = rig.ask(method, &format!("{location}{query}"), Some(other), "abc").await;
            let theirs = theirs.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
            let none = rig.ask(method, &format!("{missing}{query}"), Some(other), "abc").await;
            assert_eq!(seen(theirs), seen(none), "{method}");
        }
    }
    rig.ask("PATCH", &location, Some(&one), "abc").await.expect(202);
    // Another way to log in, and he is the same.
    let token = rig.token(Some("one"), &["repository:acme/app:pull,push"]).await;
    assert_eq!(rig.ask("GET", &location, Some(&token), "").await.expect(204).header("range"), "0-2");
    rig.ask("PUT", &format!("{location}?digest={digest}"), Some(&token), "").await.expect(201);
    // What nobody has begun, anybody goes on with who knows of it and is nobody.
    let location = begin(&rig, "drop/app", None).await;
    rig.ask("PATCH", &location, Some(&basic("owner")), "abc").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    rig.ask("PUT", &format!("{location}?digest={digest}"), None, "abc").await.expect(201);
}

#[tokio::test]
async fn a_session_outlives_the_token_that_began_it_and_nothing_else_does() {
    let rig = Rig::guarded(rules().rights()).await;
    let token = rig.token(Some("one"), &["repository:acme/app:pull,push"]).await;
    let location = begin(&rig, "acme/app", Some(&token)).await;
    rig.ward.watch.pass(TOKEN_SECONDS + 3600);
    rig.ask("PATCH", &location, Some(&token), "abc").await.expect(202);
    rig.ask("GET", &location, Some(&token), "").await.expect(204);
    for (method, path) in [
        ("POST", "/v2/acme/app/blobs/uploads/"),
        ("GET", "/v2/acme/app/tags/list"),
        ("PUT", "/v2/acme/app/manifests/v1"),
        ("GET", "/v2/"),
    ] {
        let reply = rig.ask(method, path, Some(&token), "").await.expect_error(401, "UNAUTHORIZED");
        assert!(reply.header("www-authenticate").ends_with("error=\"invalid_token\""), "{method} {path}");
    }
    let other = rig.token(Some("one"), &["repository:acme/app:pull"]).await;
    let reply = rig.ask("PATCH", &location, Some(&other), "abc").await.expect(401);
    assert!(reply.header("www-authenticate").ends_with("error=\"insufficient_scope\""), "it never was for pushes");
    rig.ask("PUT", &format!("{location}?digest={}", sha256(b"abc")), Some(&token), "").await.expect(201);
}

#[tokio::test]
async fn what_he_may_not_read_is_not_mounted_but_uploaded() {
    let rig = Rig::guarded(rules().rights()).await;
    let digest = sha256(b"layer");
    for repository in ["shared/secret/app", "private/app"] {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        rig.ask("POST", &path, Some(&basic("owner")), "layer").await.expect(201);
    }
    let partial = basic("partial");
    let mount = async |from: &str, credentials: &str| {
        let path = format!("/v2/team/app/blobs/uploads/?mount={digest}{from}");
        rig.ask("POST", &path, Some(credentials), "").await
    };
    // By name, by a guess of the digest alone, and from nothing: all the same.
    let shape = |reply: Reply| {
        let names: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
        (reply.status, names, reply.header("range").to_owned(), reply.body)
    };
    let nothing = shape(mount("&from=no/such", &partial).await.expect(202));
    for from in ["&from=shared/secret/app", "&from=private/app", ""] {
        assert_eq!(shape(mount(from, &partial).await), nothing, "{from}");
    }
    rig.ask("HEAD", &format!("/v2/team/app/blobs/{digest}"), Some(&partial), "").await.expect(404);
    // Once it is where he may read it, the same requests find it there.
    rig.ask("POST", &format!("/v2/shared/app/blobs/uploads/?digest={digest}"), Some(&basic("owner")), "layer")
        .await
        .expect(201);
    mount("&from=private/app", &partial).await.expect(202);
    // A token bounds what is mounted, too.
    let narrow = rig.token(Some("partial"), &["repository:team/app:pull,push"]).await;
    mount("&from=shared/app", &narrow).await.expect(202);
    let wide = rig.token(Some("partial"), &["repository:team/app:pull,push", "repository:shared/app:pull"]).await;
    mount("&from=shared/app", &wide).await.expect(201);
    rig.ask("HEAD", &format!("/v2/team/app/blobs/{digest}"), Some(&partial), "").await.expect(200);
    let path = format!("/v2/team/other/blobs/uploads/?mount={digest}");
    rig.ask("POST", &path, Some(&partial), "").await.expect(201);
    let recorded = rig.ward.events("push").pop().unwrap();
    assert_eq!((recorded.actor.as_str(), recorded.detail.as_str()), ("robot:partial", "mounted from shared/app"));
}

#[tokio::test]
async fn everything_is_kept_in_the_name_of_who_did_it() {
    let rig = Rig::guarded(rules().rights()).await;
    let image = "application/vnd.oci.image.index.v1+json";
    let put = async |who: &str, tag: &str, note: &str| {
        let body =
            format!(r#"{{"schemaVersion":2,"mediaType":"{image}","manifests":[],"annotations":{{"n":"{note}"}}}}"#);
        let (path, credentials) = (format!("/v2/acme/app/manifests/{tag}"), basic(who));
        let headers = [("content-type", image), ("authorization", credentials.as_str())];
        rig.send(http::Method::PUT, &path, &headers, body).await
    };
    put("one", "v1", "a").await.expect(201);
    put("two", "v1", "b").await.expect(201);
    let tags = NamespacePolicy {
        immutable: Some(vec![ImmutableRule { tags: "v*".parse().unwrap(), except: vec!["robot:one".to_owned()] }]),
        ..NamespacePolicy::default()
    };
    rig.set_policy("acme", tags).await;
    put("two", "v1", "c").await.expect_error(403, "DENIED");
    rig.ask("DELETE", "/v2/acme/app/manifests/v1", Some(&basic("owner")), "").await.expect_error(403, "DENIED");
    put("one", "v1", "d").await.expect(201);
    put("two", "latest", "e").await.expect(201);
    rig.ask("DELETE", "/v2/acme/app/manifests/latest", Some(&basic("owner")), "").await.expect(202);
    let whose = async |tag: &str| {
        let path = format!("/v2/_regnode/history/acme/app/{tag}");
        let answer = rig.ask("GET", &path, Some(&basic("one")), "").await.expect(200).json();
        let changes = answer["changes"].as_array().unwrap().clone();
        changes.into_iter().map(|change| change["principal"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(whose("v1").await, [json!("robot:one"), json!("robot:two"), json!("robot:one")]);
    assert_eq!(whose("latest").await, [json!("robot:owner"), json!("robot:two")]);
    let refused: Vec<_> =
        rig.ward.events("push").into_iter().filter(|event| event.outcome.name() == "refused").collect();
    assert_eq!((refused.len(), refused[0].actor.as_str(), refused[0].target.as_str()), (1, "robot:two", "v1"));
    let location = begin(&rig, "acme/app", Some(&basic("two"))).await;
    let session = location.rsplit('/').next().unwrap().parse().unwrap();
    let upload = View::new(rig.catalog.state()).upload(session).unwrap().unwrap();
    assert_eq!(upload.principal.as_deref(), Some("robot:two"));
}

/// A body in two halves, between which the rules become these.
fn interrupted(rig: &Rig, text: &'static str, rights: Rights) -> Body {
    let (first, second) = text.split_at(text.len() / 2);
    let access = rig.ward.access.clone();
    let later = stream::once(async move {
        access.replace(rights);
        second
    });
    Body::from_stream(stream::iter([first]).chain(later).map(Ok::<_, std::io::Error>))
}

/// The rights once something was taken away.
type Taken = fn() -> Rights;

#[tokio::test]
async fn a_right_that_is_taken_away_while_a_body_comes_finishes_nothing() {
    const MANIFEST: &str =
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let taken: [(&str, Taken); 5] = [
        ("the rule", || Rules::default().allow("two", "writer", "acme").robot("one").version(2).rights()),
        ("denied", || rules().deny("one", &[Action::Push], "acme").version(2).rights()),
        ("disabled", || rules().change("one", |robot| robot.disabled = true).version(2).rights()),
        ("the secret", || rules().change("one", |robot| robot.secrets.clear()).version(2).rights()),
        ("the sessions", || {
            rules().change("one", |robot| robot.sessions_from = raft::time::Timestamp(1)).version(2).rights()
        }),
    ];
    for (what, taken) in taken {
        let rig = Rig::guarded(rules().rights()).await;
        let digest = sha256(b"layer");
        let token = rig.token(Some("one"), &["repository:acme/app:pull,push"]).await;
        let location = begin(&rig, "acme/app", Some(&token)).await;
        for credentials in [&basic("one"), &token] {
            for (method, path, text) in [
                ("POST", format!("/v2/acme/app/blobs/uploads/?digest={digest}"), "layer"),
                ("PATCH", location.clone(), "layer"),
                ("PUT", format!("{location}?digest={digest}"), "layer"),
                ("PUT", "/v2/acme/app/manifests/v1".to_owned(), MANIFEST),
            ] {
                rig.ward.access.replace(rules().rights());
                let reply = rig.ask(method, &path, Some(credentials), interrupted(&rig, text, taken())).await;
                reply.expect_error(403, "DENIED");
            }
        }
        assert!(rig.ward.events("denied").len() >= 8, "{what}: {:?}", rig.ward.events("denied"));
        assert!(rig.ward.events("push").is_empty(), "{what}");
        rig.ward.access.replace(rules().rights());
        assert_eq!(rig.ask("GET", &location, Some(&token), "").await.expect(204).header("range"), "0-0", "{what}");
        for path in [format!("/v2/acme/app/blobs/{digest}"), "/v2/acme/app/manifests/v1".to_owned()] {
            rig.ask("HEAD", &path, Some(&token), "").await.expect(404);
        }
    }
    // What changed for others breaks nothing off.
    let rig = Rig::guarded(rules().rights()).await;
    let path = format!("/v2/acme/app/blobs/uploads/?digest={}", sha256(b"layer"));
    let others = rules().deny("two", &[Action::Push], "acme").version(2).rights();
    rig.ask("POST", &path, Some(&basic("one")), interrupted(&rig, "layer", others)).await.expect(201);
}
