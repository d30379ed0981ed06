//! Clients that hang up before they are answered: what they have changed is in the audit log.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, poll, stream};
use http::Method;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::callers::{Rules, basic};
use super::regions::until;
use super::{Rig, sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// After how many polls a client hangs up: at the gate, in the middle of a change, and not before its answer.
const POLLS: [u32; 17] = [1, 2, 3, 4, 6, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16_384, 65_536];

/// Asks, and hangs up after some polls. Whether it did so without an answer.
async fn hang_up(polls: u32, asking: impl Future) -> bool {
    let mut asking = Box::pin(asking);
    for _ in 0..polls {
        if poll!(asking.as_mut()).is_ready() {
            return false;
        }
        yield_now().await;
    }
    true
}

/// Pushes a blob with this body, and hangs up once all of it was taken: its commit is under way then, however busy the
/// machine is. Whether it did so without an answer.
async fn hang_up_behind<F: Future>(content: &'static [u8], ask: impl FnOnce(Body) -> F) -> bool {
    let taken = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&taken);
    let end = stream::poll_fn(move |_| {
        seen.store(true, Ordering::SeqCst);
        Poll::Ready(None)
    });
    let content = stream::iter([Ok::<_, Infallible>(Bytes::from_static(content))]);
    let mut asking = Box::pin(ask(Body::from_stream(content.chain(end))));
    while !taken.load(Ordering::SeqCst) {
        if poll!(asking.as_mut()).is_ready() {
            return false;
        }
        yield_now().await;
    }
    true
}

async fn rig() -> Rig {
    Rig::guarded(Rules::default().allow("keeper", "maintainer", "").rights()).await
}

/// Whether something is there in the end, when the log agrees with that.
async fn agreed(rig: &Rig, path: &str, is_recorded: impl Fn() -> bool, there_if_recorded: bool) -> bool {
    // What was begun has an end by now, or nearly.
    sleep(Duration::from_millis(100)).await;
    for _ in 0..200 {
        let is_there = rig.ask("HEAD", path, Some(&basic("keeper")), "").await.status == 200;
        if (is_there == there_if_recorded) == is_recorded() {
            return is_there;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} and the audit log do not agree");
}

#[tokio::test]
async fn what_a_client_has_changed_before_it_hung_up_is_recorded() {
    let (rig, keeper) = (rig().await, basic("keeper"));
    let (mut pushed, mut deleted) = (0, 0);
    for polls in POLLS {
        let (tag, headers) = (format!("v{polls}"), [("content-type", INDEX), ("authorization", keeper.as_str())]);
        let path = format!("/v2/acme/app/manifests/{tag}");
        let recorded = |action: &str| rig.ward.events(action).iter().any(|event| event.target == tag);
        let hung_up = hang_up(polls, rig.send(Method::PUT, &path, &headers, MANIFEST)).await;
        pushed += u32::from(agreed(&rig, &path, || recorded("push"), true).await && hung_up);
        rig.send(Method::PUT, &path, &headers, MANIFEST).await.expect(201);
        let hung_up = hang_up(polls, rig.ask("DELETE", &path, Some(&keeper), "")).await;
        deleted += u32::from(!agreed(&rig, &path, || recorded("delete"), false).await && hung_up);
    }
    assert!(pushed > 0 && deleted > 0, "{pushed} {deleted}: nobody hung up in the middle of a change");
}

#[tokio::test]
async fn a_blob_that_was_published_without_its_client_is_recorded() {
    let (rig, keeper) = (rig().await, basic("keeper"));
    let mut published = 0;
    for polls in POLLS {
        let content = format!("layer {polls}");
        let digest = sha256(content.as_bytes());
        let path = format!("/v2/acme/app/blobs/uploads/?digest={digest}");
        let recorded = || rig.ward.events("push").iter().any(|event| event.target == digest.to_string());
        let hung_up = hang_up(polls, rig.ask("POST", &path, Some(&keeper), content.clone())).await;
        let is_there = agreed(&rig, &format!("/v2/acme/app/blobs/{digest}"), recorded, true).await;
        published += u32::from(is_there && hung_up);
    }
    let content = b"the last layer";
    let digest = sha256(content);
    let path = format!("/v2/acme/app/blobs/uploads/?digest={digest}");
    let recorded = || rig.ward.events("push").iter().any(|event| event.target == digest.to_string());
    let hung_up = hang_up_behind(content, |body| rig.ask("POST", &path, Some(&keeper), body)).await;
    until(recorded).await;
    published += u32::from(agreed(&rig, &format!("/v2/acme/app/blobs/{digest}"), recorded, true).await && hung_up);
    assert!(published > 0, "nobody hung up in the middle of a commit");
}
