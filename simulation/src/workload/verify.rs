//! The final reading: what must exist is read through every node byte by byte, what must not exist is looked for, and
//! all nodes are asked for every tag; and new work, which must succeed in a world that has healed.
//!
//! What must exist and what must not is the judge of durability's to say. Every answer about existence enters the
//! history too, so that linearizability is judged to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::ask::Ask;
use super::client::is_worth_another_try;
use super::content::{Blob, Manifest, artifact};
use super::http::{Answer, Manner};
use super::line::Line;
use super::work::Workload;
use crate::history::{Acknowledged, Subject};
use crate::judge::durability::{must_exist, must_not_exist};

/// The judge of what was lost or came back.
const DURABILITY: &str = "durability";
/// The judge of a world that has healed.
const LIVENESS: &str = "liveness";
/// Number of the client that reads at the end.
const READER: usize = 1000;
/// Pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest time of one request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(20);

/// What was read at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Blobs and manifests that exist, counted once per node.
    pub contents: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// Things that must not exist and do not, counted once per node.
    pub absent: usize,
    /// Tags on which all nodes agree.
    pub tags: usize,
}

/// Reads everything through every node, and accuses what is not as it must be. A node that does not answer is asked
/// again until `deadline` has passed. Returns at the first accusation.
pub async fn verify_all(work: &Workload, deadline: Duration) -> Verified {
    let mut reading = Reading { until: Instant::now() + deadline, line: Line::new(work.clone(), READER, true) };
    let mut verified = Verified::default();
    let (existing, missing) = (must_exist(&work.certain()), must_not_exist(&work.certain()));
    for node in work.serving() {
        // The bytes of a digest are the same in every repository.
        let mut whole = BTreeSet::new();
        for push in &existing {
            let is_first = whole.insert(Arc::clone(&push.digest));
            let Some(bytes) = reading.existing(node, push, is_first).await else { return verified };
            verified.contents += 1;
            verified.bytes += bytes;
        }
        for subject in &missing {
            if !reading.missing(node, subject).await {
                return verified;
            }
            verified.absent += 1;
        }
    }
    for (repository, tag) in tags(work) {
        let Some(held) = reading.agreed(&repository, &tag).await else { return verified };
        if !work.terms.are_none() && !held.is_empty() {
            let Some((contents, bytes)) = reading.whole(&repository, &tag, &held).await else { return verified };
            verified.contents += contents;
            verified.bytes += bytes;
        }
        verified.tags += 1;
    }
    verified
}

/// Pushes an image of its own through every node and pulls it through every other one. Accuses when it does not succeed
/// before `deadline` has passed.
pub async fn new_work(work: &Workload, deadline: Duration) {
    let mut reading = Reading { until: Instant::now() + deadline, line: Line::new(work.clone(), READER, true) };
    let library = Arc::clone(&work.library);
    let (Some(repository), Some(subject)) = (library.repositories.first(), library.images.first()) else { return };
    // A tag of its own: what was under way to the others may still arrive.
    let tag: Arc<str> = "healed".into();
    let nodes = work.serving();
    for node in nodes.iter().copied() {
        // The same image again, should this be asked for twice: then it is there already.
        let image = Arc::new(artifact(subject, &format!("new work through node {node}")));
        work.announce(&image);
        let mut asks: Vec<Ask> = image.blobs.iter().map(|blob| Ask::push_at_once(repository, blob)).collect();
        asks.push(Ask::push_manifest(repository, &image, std::slice::from_ref(&tag)));
        if !reading.pushed(node, &asks).await {
            return;
        }
        for other in nodes.iter().copied() {
            let read = Ask::read_tag(repository, &tag, true);
            let answer = reading.definite(other, &read).await;
            let held = answer.as_ref().map(|answer| answer.header("docker-content-digest")).unwrap_or_default();
            if held != &*image.digest {
                let text = format!("the tag holds {held:?}, {} was pushed through node {node} just now", image.digest);
                reading.line.accuse(LIVENESS, other, &read, &text);
                return;
            }
            for blob in &image.blobs {
                if !reading.succeeds(other, &Ask::get_blob(repository, blob, None), 200).await {
                    return;
                }
            }
        }
    }
}

/// Every tag that anybody asked about.
fn tags(work: &Workload) -> BTreeSet<(Arc<str>, Arc<str>)> {
    let subjects = work.history.operations().into_iter().map(|operation| operation.subject);
    subjects
        .filter_map(|subject| match subject {
            Subject::Tag { repository, tag } => Some((repository, tag)),
            _ => None,
        })
        .collect()
}

struct Reading {
    until: Instant,
    line: Line,
}

impl Reading {
    /// An answer that is not worth another try; `None`, and an accusation, when there is none before the deadline.
    async fn definite(&mut self, node: usize, ask: &Ask) -> Option<Answer> {
        loop {
            if self.line.work.court.first().is_some() {
                return None;
            }
            let manner = Manner { deadline: REQUEST_DEADLINE, hang_up: None, linger: Duration::ZERO };
            let reply = self.line.ask(node, ask, manner).await;
            let last = match reply {
                reply if !is_worth_another_try(&reply) => return reply.ok(),
                Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
                Err(failure) => format!("{:?}", failure.cause),
            };
            if Instant::now() >= self.until {
                self.line.accuse(LIVENESS, node, ask, &format!("no good answer, although all is healed: {last}"));
                return None;
            }
            sleep(PAUSE).await;
        }
    }

    async fn succeeds(&mut self, node: usize, ask: &Ask, status: u16) -> bool {
        let Some(answer) = self.definite(node, ask).await else { return false };
        if answer.status != status {
            let text = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
            self.line.accuse(LIVENESS, node, ask, &text);
        }
        answer.status == status
    }

    /// Does all of this, a manifest last; again from the beginning if the cluster took longer than the blobs were promised.
    async fn pushed(&mut self, node: usize, asks: &[Ask]) -> bool {
        loop {
            let mut lapsed = false;
            for ask in asks {
                let Some(answer) = self.definite(node, ask).await else { return false };
                lapsed = answer.status == 400
                    && self.line.work.terms.are_short(&ask.repository)
                    && Instant::now() < self.until;
                if answer.status != 201 && !lapsed {
                    let text = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
                    self.line.accuse(LIVENESS, node, ask, &text);
                    return false;
                }
            }
            if !lapsed {
                return true;
            }
        }
    }

    /// Reads what must exist; `None` if it is not there. The bytes were compared by the line.
    async fn existing(&mut self, node: usize, push: &Acknowledged, with_bytes: bool) -> Option<u64> {
        let repository = &push.repository;
        let (head, get) = if push.manifest {
            let manifest = self.line.work.manifest(&push.digest);
            let manifest = manifest.unwrap_or_else(|| Arc::new(Manifest::bare(&push.digest, &push.content)));
            (Ask::head_manifest(repository, &push.digest), Ask::get_manifest(repository, &manifest))
        } else {
            let blob = Arc::new(Blob { digest: Arc::clone(&push.digest), content: push.content.clone() });
            (Ask::head_blob(repository, &blob), Ask::get_blob(repository, &blob, None))
        };
        let mut asks = vec![head];
        asks.extend(with_bytes.then_some(get));
        let mut bytes = 0;
        for ask in &asks {
            let answer = self.definite(node, ask).await?;
            if answer.status != 200 {
                let text = format!("{}, but it was acknowledged at {} us and never deleted", answer.status, push.at);
                self.line.accuse(DURABILITY, node, ask, &text);
                return None;
            }
            bytes += answer.body.len() as u64;
        }
        Some(bytes)
    }

    /// Looks for what must not exist.
    async fn missing(&mut self, node: usize, subject: &Subject) -> bool {
        let ask = match subject {
            Subject::Tag { repository, tag } => Ask::read_tag(repository, tag, false),
            Subject::Manifest { repository, digest } => Ask::head_manifest(repository, digest),
            Subject::Blob { repository, digest } => {
                let Some(blob) = self.blob(digest) else { return true };
                Ask::head_blob(repository, &blob)
            }
        };
        let Some(answer) = self.definite(node, &ask).await else { return false };
        if answer.status != 404 {
            let text = format!("{}, but it was deleted and never pushed again", answer.status);
            self.line.accuse(DURABILITY, node, &ask, &text);
        }
        answer.status == 404
    }

    /// A blob of the library.
    fn blob(&self, digest: &str) -> Option<Arc<Blob>> {
        let library = &self.line.work.library;
        let blobs = library.images.iter().flat_map(|image| &image.blobs).chain(&library.layers);
        blobs.into_iter().find(|blob| *blob.digest == *digest).cloned()
    }

    /// Reads what a tag holds with all that it names: nothing else says that it must be there where content goes by itself.
    /// Returns how much there is; `None` if something is missing.
    async fn whole(&mut self, repository: &Arc<str>, tag: &Arc<str>, digest: &str) -> Option<(usize, u64)> {
        let (mut contents, mut bytes) = (0, 0);
        let Some(manifest) = self.line.work.manifest(digest) else { return Some((contents, bytes)) };
        let node = self.line.work.serving().first().copied().unwrap_or(1);
        let mut asks = vec![Ask::get_manifest(repository, &manifest)];
        asks.extend(manifest.blobs.iter().map(|blob| Ask::get_blob(repository, blob, None)));
        for ask in &asks {
            let answer = self.definite(node, ask).await?;
            if answer.status != 200 {
                // Something that was under way may have deleted it by now.
                let tagged = self.definite(node, &Ask::read_tag(repository, tag, false)).await?;
                if tagged.header("docker-content-digest") == digest {
                    let text = format!("{}, but tag {tag} holds manifest {digest}, which names it", answer.status);
                    self.line.accuse(DURABILITY, node, ask, &text);
                    return None;
                }
                break;
            }
            contents += 1;
            bytes += answer.body.len() as u64;
        }
        Some((contents, bytes))
    }

    /// Asks all nodes for a tag until they agree: something that was under way may still have taken effect. What it holds;
    /// empty if it does not exist.
    async fn agreed(&mut self, repository: &Arc<str>, tag: &Arc<str>) -> Option<String> {
        let ask = Ask::read_tag(repository, tag, false);
        loop {
            let mut held: BTreeMap<String, usize> = BTreeMap::new();
            for node in self.line.work.serving() {
                let answer = self.definite(node, &ask).await?;
                held.insert(answer.header("docker-content-digest").to_owned(), node);
            }
            if held.len() <= 1 {
                return Some(held.into_keys().next().unwrap_or_default());
            }
            if Instant::now() >= self.until {
                self.line.accuse(LIVENESS, 1, &ask, &format!("the nodes do not agree on the tag: {held:?}"));
                return None;
            }
            sleep(PAUSE).await;
        }
    }
}
