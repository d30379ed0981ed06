//! The list of repositories as each one is shown it.

use serde_json::json;

use raft::directory::Action;

use super::Rig;
use super::callers::{Rules, basic};

const NAMES: [&str; 9] =
    ["acme", "acme-x/app", "acme/app", "acme/secret/a", "acme/secret/b", "acme/zoo", "b/app", "public/app", "zeta"];

async fn rig() -> Rig {
    let rules = Rules::default()
        .allow("anonymous", "reader", "public")
        .allow("keeper", "maintainer", "")
        .allow("reader", "reader", "acme")
        .deny("reader", &[Action::Pull], "acme/secret")
        .allow("reader", "reader", "zeta")
        .allow("loader", "writer", "b")
        .deny("loader", &[Action::Pull], "")
        .robot("stranger");
    let rig = Rig::guarded(rules.rights()).await;
    for name in NAMES {
        let path = format!("/v2/{name}/blobs/uploads/?digest={}", super::sha256(b"{}"));
        rig.ask("POST", &path, Some(&basic("keeper")), "{}").await.expect(201);
    }
    rig
}

/// All pages of a list, joined; no link tells more than the page does.
async fn listed(rig: &Rig, credentials: Option<&str>, n: usize) -> Vec<String> {
    let mut path = format!("/v2/_catalog?n={n}");
    let mut names: Vec<String> = Vec::new();
    loop {
        let page = rig.ask("GET", &path, credentials, "").await.expect(200);
        let here: Vec<String> = serde_json::from_value(page.json()["repositories"].clone()).unwrap();
        names.extend(here.iter().cloned());
        let Some(link) = page.headers.get("link") else { return names };
        assert_eq!(here.len(), n, "a page that is not the last one is full");
        let link = link.to_str().unwrap();
        let last = super::super::query::encode_value(here.last().unwrap());
        assert_eq!(link, format!("</v2/_catalog?last={last}&n={n}>; rel=\"next\""));
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
}

#[tokio::test]
async fn everybody_is_shown_what_he_may_read_in_exact_pages() {
    let rig = rig().await;
    let reader = ["acme", "acme/app", "acme/zoo", "public/app", "zeta"];
    for n in [1, 2, 3, 4, 5, 100] {
        assert_eq!(listed(&rig, Some(&basic("keeper")), n).await, NAMES);
        assert_eq!(listed(&rig, Some(&basic("reader")), n).await, reader);
        assert_eq!(listed(&rig, Some(&basic("stranger")), n).await, ["public/app"]);
        assert_eq!(listed(&rig, None, n).await, ["public/app"]);
        assert_eq!(listed(&rig, Some(&basic("loader")), n).await, [""; 0], "who may write alone reads nothing");
    }
    let all = rig.ask("GET", "/v2/_catalog", Some(&basic("reader")), "").await.expect(200);
    assert_eq!(all.json(), json!({ "repositories": reader }));
    // A page may begin behind what is hidden, or within.
    for last in ["acme/secret", "acme/secret/a", "acme/secret/zzz"] {
        let path = format!("/v2/_catalog?last={last}&n=1");
        let page = rig.ask("GET", &path, Some(&basic("reader")), "").await.expect(200);
        assert_eq!(page.json()["repositories"], json!(["acme/zoo"]), "{last}");
    }
}

#[tokio::test]
async fn a_token_lists_by_its_scope_or_by_none() {
    let rig = rig().await;
    let catalog = rig.token(Some("reader"), &["registry:catalog:*"]).await;
    let bare = rig.token(Some("reader"), &[]).await;
    for token in [&catalog, &bare] {
        assert_eq!(listed(&rig, Some(token), 3).await, ["acme", "acme/app", "acme/zoo", "public/app", "zeta"]);
    }
    let other = rig.token(Some("reader"), &["repository:acme/app:pull"]).await;
    let refused = rig.ask("GET", "/v2/_catalog", Some(&other), "").await.expect_error(401, "UNAUTHORIZED");
    let challenge = refused.header("www-authenticate");
    assert!(challenge.ends_with(",scope=\"registry:catalog:*\",error=\"insufficient_scope\""), "{challenge}");
}

#[tokio::test]
async fn who_shows_nothing_and_may_see_nothing_is_asked_to_log_in() {
    let closed = Rig::guarded(Rules::default().allow("reader", "reader", "acme").rights()).await;
    let reply = closed.ask("GET", "/v2/_catalog", None, "").await.expect_error(401, "UNAUTHORIZED");
    let challenge = reply.header("www-authenticate");
    assert!(challenge.ends_with(",scope=\"registry:catalog:*\""), "{challenge}");
    let nobodys = closed.token(None, &["registry:catalog:*"]).await;
    let reply = closed.ask("GET", "/v2/_catalog", Some(&nobodys), "").await.expect_error(401, "UNAUTHORIZED");
    assert!(reply.header("www-authenticate").ends_with("error=\"insufficient_scope\""));
    assert_eq!(listed(&closed, Some(&basic("reader")), 1).await, [""; 0]);
}
