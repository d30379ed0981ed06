//! Pulls: a tag is resolved, and everything that its manifest names is read; and parts of blobs.
//!
//! A visible manifest never lacks a blob: while a manifest stands, its blobs cannot be deleted. So a blob that is not
//! there accuses, if nobody had a deletion of the manifest under way since the tag was resolved, and the manifest is
//! still there afterwards.

use std::ops::Range;
use std::sync::Arc;

use rand::Rng as _;

use super::ask::Ask;
use super::client::Client;
use super::content::{Blob, Manifest};
use super::record::Reply;
use crate::history::{Action, Microseconds, Operation, Outcome, Subject};

/// The judge of manifests without their blobs.
const JUDGE: &str = "manifest_lacks_blob";

impl Client {
    /// Pulls what a tag holds.
    pub(super) async fn pull(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(tag)) = (self.any(&library.repositories), self.any(&library.tags)) else {
            return false;
        };
        let resolved_at = self.work().surroundings.now();
        let reply = self.insist(&Ask::read_tag(&repository, &tag, true)).await;
        let Some(manifest) = resolved(self, &reply) else { return reply.is_ok_and(|answer| answer.status == 404) };
        let mut whole = self.pull_blobs(&repository, &manifest, resolved_at).await;
        for child in &manifest.children {
            let resolved_at = self.work().surroundings.now();
            let reply = self.insist(&Ask::get_manifest(&repository, child)).await;
            match reply.map(|answer| answer.status) {
                // Read by its digest it may be known no more to anyone but this replica.
                Ok(200) if self.is_present(&repository, child).await => {
                    whole &= self.pull_blobs(&repository, child, resolved_at).await;
                }
                // An index may be sparse.
                Ok(200 | 404) => {}
                _ => whole = false,
            }
        }
        whole
    }

    /// Reads parts of a blob, as clients do that pull in parallel or go on after a failure.
    pub(super) async fn pull_range(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(blob)) = (self.any(&library.repositories), self.any(&library.layers)) else {
            return false;
        };
        let length = blob.content.len();
        let parts = self.random.random_range(1..=4);
        for _ in 0..parts {
            let start = self.random.random_range(0..=length);
            let end = start + self.random.random_range(1..=(length / 2).max(1));
            let reply = self.insist(&Ask::get_blob(&repository, &blob, Some(start..end))).await;
            match reply.map(|answer| answer.status) {
                Ok(404) => return true,
                Ok(200 | 206 | 416) => {}
                _ => return false,
            }
        }
        true
    }

    async fn pull_blobs(&mut self, repository: &Arc<str>, manifest: &Arc<Manifest>, resolved_at: Microseconds) -> bool {
        for blob in &manifest.blobs {
            if self.work().is_stopped() {
                return false;
            }
            let ask = Ask::get_blob(repository, blob, None);
            let reply = self.read_on(repository, blob, &ask).await;
            match reply.map(|answer| answer.status) {
                Ok(200 | 206) => {}
                Ok(404) => {
                    self.look_into(repository, manifest, blob, resolved_at).await;
                    return false;
                }
                _ => return false,
            }
        }
        true
    }

    /// Reads a blob; when it breaks off, goes on where it did, through another node.
    async fn read_on(&mut self, repository: &Arc<str>, blob: &Arc<Blob>, whole: &Ask) -> Reply {
        let mut tries = self.tries();
        let mut ask = whole.clone();
        let mut have = 0;
        loop {
            let reply = self.ask(&ask).await;
            if let Err(failure) = &reply
                && let Some(partial) = &failure.partial
                && matches!(partial.status, 200 | 206)
            {
                have += partial.body.len();
                if have < blob.content.len() {
                    ask = Ask::get_blob(repository, blob, Some(Range { start: have, end: blob.content.len() }));
                }
            }
            if !self.again(&mut tries, &reply).await {
                return reply;
            }
        }
    }

    async fn is_present(&mut self, repository: &Arc<str>, manifest: &Manifest) -> bool {
        let reply = self.insist(&Ask::head_manifest(repository, &manifest.digest)).await;
        reply.is_ok_and(|answer| answer.status == 200)
    }

    /// A blob is missing: is that allowed?
    async fn look_into(
        &mut self,
        repository: &Arc<str>,
        manifest: &Manifest,
        blob: &Arc<Blob>,
        resolved_at: Microseconds,
    ) {
        if !self.is_present(repository, manifest).await {
            return;
        }
        let subject = Subject::Manifest { repository: Arc::clone(repository), digest: Arc::clone(&manifest.digest) };
        if self.work().terms.span(&subject).is_some() {
            // It may have gone by itself and have been pushed again.
            return;
        }
        let operations = self.work().history.operations();
        if !operations.iter().any(|operation| may_have_removed(operation, &subject, resolved_at)) {
            let ask = Ask::get_blob(repository, blob, None);
            let node = self.next_node();
            let text = format!("manifest {} stood all the time and lacks the blob", manifest.digest);
            self.line.accuse(JUDGE, node, &ask, &text);
        }
    }
}

/// Whether an operation may have removed the subject after `since`.
fn may_have_removed(operation: &Operation, subject: &Subject, since: Microseconds) -> bool {
    let is_over = operation.outcome != Outcome::Unknown && operation.returned_at.is_some_and(|at| at < since);
    let is_harmless =
        operation.returned_at.is_some() && matches!(operation.outcome, Outcome::Refused | Outcome::Absent);
    operation.subject == *subject && operation.action == Action::Delete && !is_over && !is_harmless
}

/// The manifest that a tag was resolved to.
fn resolved(client: &Client, reply: &Reply) -> Option<Arc<Manifest>> {
    let answer = reply.as_ref().ok().filter(|answer| answer.status == 200)?;
    client.work().manifest(answer.header("docker-content-digest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_deletion_that_can_matter_excuses() {
        let subject = Subject::Manifest { repository: "a".into(), digest: "sha256:aa".into() };
        let operation = |action, returned_at: Option<u64>, outcome| Operation {
            client: 0,
            node: 1,
            subject: subject.clone(),
            action,
            invoked_at: 10,
            invoked_order: 1,
            returned_order: returned_at.map(|_| 2),
            returned_at,
            outcome,
        };
        let excuses = |operation: &Operation| may_have_removed(operation, &subject, 100);
        assert!(excuses(&operation(Action::Delete, Some(150), Outcome::Done)));
        assert!(excuses(&operation(Action::Delete, None, Outcome::Unknown)));
        assert!(excuses(&operation(Action::Delete, Some(50), Outcome::Unknown)));
        assert!(!excuses(&operation(Action::Delete, Some(50), Outcome::Done)));
        assert!(!excuses(&operation(Action::Delete, Some(150), Outcome::Absent)));
        assert!(!excuses(&operation(Action::Read, Some(150), Outcome::Absent)));
    }
}
