//! Artifacts that refer to an image: pushed by their digest, listed, some of them deleted again.
//!
//! Each artifact is the work of one client and is like no other one, so this client alone knows whether it exists:
//! between its acknowledged push and its deletion every list must name it, after its acknowledged deletion none may,
//! unless a push whose answer was lost may still arrive. Its subject need not exist.

use std::sync::Arc;

use serde_json::Value;

use super::ask::Ask;
use super::check::PROTOCOL;
use super::client::Client;
use super::content::artifact;
use super::dialect::Dialect;
use super::http::Answer;

/// Share of the artifacts that are deleted after they were listed, in percent.
const DELETED_PERCENT: u8 = 40;

/// Whether a list of referrers names a digest; `None` when it is no such list.
fn is_named(answer: &Answer, digest: &str) -> Option<bool> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let manifests = body.get("manifests")?.as_array()?;
    Some(manifests.iter().any(|descriptor| descriptor["digest"] == digest))
}

impl Client {
    /// Pushes an artifact and looks for it in the list.
    pub(super) async fn refer(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(subject)) = (self.any(&library.repositories), self.any(&library.images)) else {
            return false;
        };
        let mark = self.mark();
        let artifact = Arc::new(artifact(&subject, &mark));
        self.work().announce(&artifact);
        let unknown = self.line.unknown();
        if !self.push_manifest(Dialect::Containerd, &repository, &artifact, &[]).await {
            return false;
        }
        self.listed(&repository, &subject.digest, &artifact.digest, true).await;
        if !self.chance(DELETED_PERCENT) {
            return true;
        }
        let ask = Ask::delete_manifest(&repository, &artifact.digest, &library.tags);
        let deleted = self.insist(&ask).await;
        match deleted.map(|answer| answer.status) {
            // 404 after a try whose answer was lost.
            Ok(202 | 404) => {
                if self.line.unknown() == unknown {
                    self.listed(&repository, &subject.digest, &artifact.digest, false).await;
                }
                true
            }
            _ => false,
        }
    }

    /// Lists the referrers and accuses when the artifact is in the list or not, against what is certain.
    async fn listed(&mut self, repository: &Arc<str>, subject: &Arc<str>, digest: &Arc<str>, expected: bool) {
        let ask = Ask::list_referrers(repository, subject);
        let Ok(answer) = self.insist(&ask).await else { return };
        if answer.status != 200 {
            return;
        }
        let node = self.next_node();
        match is_named(&answer, digest) {
            None => self.line.accuse(PROTOCOL, node, &ask, "not a list of referrers"),
            // It may be on the next page.
            Some(false) if !answer.header("link").is_empty() => {}
            // It may have gone by itself, with its subject or since nothing held it.
            Some(false) if self.work().terms.are_short(repository) => {}
            Some(named) if named != expected => {
                let text = format!("{digest} is {} the list", if named { "still in" } else { "not in" });
                self.line.accuse(PROTOCOL, node, &ask, &text);
            }
            Some(_) => {}
        }
    }
}
