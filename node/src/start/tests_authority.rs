//! The change of the certificate authority, in one process: held up by a node that is down, taken back, begun again, with
//! a machine that joins in the middle, and to its end.

use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use raft::directory::AuthorityId;
use serde_json::json;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::tests::{
    DEADLINE, call_over, content, digest, environment, pull_blob, push_blob, settings, start, wait_for,
};
use super::tests_deletion::{post, refused};
use crate::admin::{AuthorityAnswer, AuthorityPhase, SOCKET, Verdict};
use crate::cluster::{Certificates, InitAccess, init, join};
use crate::config::Settings;
use crate::environment::Environment;
use crate::identity::{Credentials, Store};

async fn ask(settings: &Settings) -> AuthorityAnswer {
    #[expect(clippy::disallowed_methods, reason = "a client of the node, outside of its environment")]
    let stream = UnixStream::connect(settings.data_dir.join(SOCKET)).await.unwrap();
    let answer = call_over(stream, Method::GET, "/authority", "application/json", b"").await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    serde_json::from_slice(&answer.body).unwrap()
}

async fn until(settings: &Settings, what: &str, condition: impl Fn(&AuthorityAnswer) -> bool) -> AuthorityAnswer {
    let reached = async {
        loop {
            let answer = ask(settings).await;
            if condition(&answer) {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let Ok(answer) = timeout(DEADLINE, reached).await else { panic!("{what}: {:#?}", ask(settings).await) };
    answer
}

fn is_over(answer: &AuthorityAnswer) -> bool {
    answer.phase == AuthorityPhase::Stable && answer.nodes.iter().all(|node| node.awaited.is_none())
}

fn awaited(answer: &AuthorityAnswer) -> Vec<&str> {
    answer.nodes.iter().filter(|node| node.awaited.is_some()).map(|node| node.name.as_str()).collect()
}

fn credentials(environment: &Environment, data_dir: &Path) -> Credentials {
    Store::new(environment.files.clone(), data_dir).credentials().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_is_changed_while_a_cluster_serves() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let all = ["n1", "n2", "n3", "n4"].map(|name| settings(directory.path(), name));
    let enter = async |own: &Settings, token: &str, at: &[String]| {
        join(&environment, own, at, token, "main", Certificates::Issued, None).await
    };
    init(&environment, &all[0], "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let mut nodes = vec![start(&environment, &all[0]).await];
    for own in &all[1..3] {
        let token = nodes[0].create_token(600).await.unwrap();
        enter(own, &token.token, &token.addresses).await.unwrap();
        nodes.push(start(&environment, own).await);
    }
    let whole = |status: &crate::admin::Status| {
        status.verdict == Verdict::Healthy && status.groups.iter().all(|group| group.voters.len() == 3)
    };
    wait_for(&nodes[0], "the cluster is whole", whole).await;
    let before =
        until(&all[0], "all have said what they trust", |answer| answer.nodes.iter().all(|node| node.shows.is_some()));
    let old = before.await.authorities[0].fingerprint.clone();
    let spare = nodes[0].create_token(600).await.unwrap();
    let blob = content(1_000_000);
    push_blob(&nodes[0], &blob).await;

    // One is down: all others trust the new one, and nobody shows it.
    timeout(DEADLINE, nodes.pop().unwrap().shutdown()).await.unwrap();
    refused(&nodes[0], "/authority/abort", json!({}), StatusCode::CONFLICT).await;
    let begun: AuthorityAnswer = post(&nodes[0], "/authority/rotate", json!({})).await;
    let (first, phase) = (begun.authorities[1].fingerprint.clone(), AuthorityPhase::Introduced);
    assert!(begun.phase == phase && begun.authorities[0].fingerprint == old && first != old, "{begun:?}");
    let text = refused(&nodes[1], "/authority/rotate", json!({}), StatusCode::CONFLICT).await;
    assert!(text.contains("is being changed already"), "{text}");
    let held = until(&all[1], "n3 alone is awaited", |answer| awaited(answer) == ["n3"]).await;
    assert_eq!(held.nodes[0].trusts.len(), 2, "{held:?}");
    wait_for(&nodes[0], "it is told", |status| {
        status.findings.iter().any(|finding| finding.contains("held up") && finding.contains("n3 does not answer"))
    })
    .await;
    let _: AuthorityAnswer = post(&nodes[1], "/authority/abort", json!({})).await;
    let back = until(&all[0], "it is taken back", |answer| awaited(answer).is_empty()).await;
    assert_eq!((back.phase, &back.authorities[0].fingerprint), (AuthorityPhase::Stable, &old));

    // Begun again: a machine joins in the middle, with a token of before.
    let _: AuthorityAnswer = post(&nodes[0], "/authority/rotate", json!({})).await;
    until(&all[0], "n3 alone is awaited again", |answer| awaited(answer) == ["n3"]).await;
    enter(&all[3], &spare.token, &spare.addresses).await.unwrap();
    assert_eq!(credentials(&environment, &all[3].data_dir).also.len(), 1, "it is given both");
    nodes.push(start(&environment, &all[3]).await);
    until(&all[0], "n4 has followed", |answer| answer.nodes.len() == 4 && awaited(answer) == ["n3"]).await;
    let late = nodes[0].create_token(600).await.unwrap();
    let outsider = credentials(&environment, &all[2].data_dir);
    nodes.push(start(&environment, &all[2]).await);
    let over = until(&all[0], "it is over", is_over).await;
    assert!(![&old, &first].contains(&&over.authorities[0].fingerprint), "{over:?}");

    // Nobody has anything of the old one any more, and it is worth nothing.
    for own in &all {
        let held = credentials(&environment, &own.data_dir);
        assert!(held.also.is_empty() && held.authority != outsider.authority);
        assert_ne!(AuthorityId::of(&held.authority), AuthorityId::of(&outsider.authority));
    }
    for node in &nodes {
        assert_eq!(pull_blob(node, &digest(&blob)).await, blob);
    }
    let fifth = settings(directory.path(), "n5");
    let told = enter(&fifth, &late.token, &late.addresses).await.unwrap_err().to_string();
    assert!(told.contains("authority has changed since the token was made"), "{told}");
    for node in nodes {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}
