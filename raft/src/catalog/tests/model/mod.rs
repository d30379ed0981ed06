//! Random commands against a simple model of what a registry is, with all invariants checked after each.
//!
//! The model knows sets of names and what clients were promised, and nothing of counts, indexes or queues: those are the
//! invariants' matter. In the end everything is deleted and collected, and nothing may be left. The same history, applied
//! again as one transaction, must end with the same bytes.

mod copies;
mod garbage;
mod names;
mod step;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use self::copies::Owed;
use self::step::{Rules, Step, step};
use super::shards;
use super::store::*;
use crate::catalog::*;
use crate::machine::{Machine, Transaction};
use crate::policy::Role;
use crate::time::Timestamp;

const REPOSITORIES: [&str; 2] = ["app", "lib/base"];
/// A prefix of the second repository, of which regions may be something else than the home.
const ROLED: &str = "lib";
const TAGS: [&str; 3] = ["latest", "v1", "v2"];

/// An upload as a client knows it.
#[derive(Clone, Debug)]
struct Upload {
    repository: usize,
    length_bytes: u64,
    changes: u64,
    finished: Option<u8>,
}

/// A manifest: what it names.
#[derive(Clone, Debug)]
struct Manifest {
    blobs: BTreeSet<u8>,
    children: BTreeSet<u8>,
    subject: Option<u8>,
}

/// A deleted manifest.
#[derive(Clone, Debug)]
struct Tombstone {
    manifest: Manifest,
    tags: Vec<usize>,
    until: Timestamp,
}

/// A deleted tag.
#[derive(Clone, Debug)]
struct Deletion {
    target: u8,
    time: Timestamp,
    kept_until: Timestamp,
}

/// What clients can see, and what they were promised.
#[derive(Clone, Debug)]
struct Model {
    uploads: BTreeMap<u8, Upload>,
    /// Length of each blob whose bytes may be there.
    blobs: BTreeMap<u8, u64>,
    links: BTreeSet<(usize, u8)>,
    /// Until when a link must stay that no manifest uses, as clients were told.
    promised: BTreeMap<(usize, u8), Timestamp>,
    /// Until when a link must stay, so that a deleted manifest can be restored.
    kept: BTreeMap<(usize, u8), Timestamp>,
    manifests: BTreeMap<(usize, u8), Manifest>,
    tags: BTreeMap<(usize, usize), u8>,
    tombstones: BTreeMap<(usize, u8), Tombstone>,
    deletions: BTreeMap<(usize, usize), Deletion>,
    rules: Rules,
    /// What is owed of [`ROLED`]; none where nothing is copied.
    owed: Option<Owed>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            uploads: BTreeMap::new(),
            blobs: BTreeMap::new(),
            links: BTreeSet::new(),
            promised: BTreeMap::new(),
            kept: BTreeMap::new(),
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            deletions: BTreeMap::new(),
            owed: None,
            rules: Rules { deletes: true, immutable: false, untagged: None, grace: 86400, restore: 86400, role: None },
        }
    }
}

impl Model {
    /// Length that blob `number` has; of the first upload, whatever that had.
    pub(super) fn target(blob: u8) -> u64 {
        u64::from(blob) * EXTENT_BYTES
    }

    /// What nobody writes in this region is answered with: no step is replication's.
    pub(super) fn foreign(&self, name: usize) -> Option<Response> {
        let roled = REPOSITORIES[name].starts_with(ROLED);
        let foreign = matches!(self.rules.role, Some(Role::Replica | Role::Foreign | Role::Fenced));
        (roled && foreign).then(|| Response::Foreign { namespace: ROLED.to_owned() })
    }

    fn compare(&self, store: &Store) {
        let view = store.view();
        let names = |number: usize| repository(REPOSITORIES[number]);
        for (number, text) in REPOSITORIES.iter().enumerate() {
            let content =
                self.links.iter().any(|(of, _)| *of == number) || self.manifests.keys().any(|(of, _)| *of == number);
            let listed = view.repositories(None, usize::MAX).unwrap().contains(&repository(text));
            assert_eq!(listed, content);
            let mut tags: Vec<_> =
                self.tags.keys().filter(|(of, _)| *of == number).map(|(_, set)| TAGS[*set]).collect();
            tags.sort_unstable();
            let found = view.tags(&repository(text), None, usize::MAX).unwrap();
            assert_eq!(found.iter().map(Tag::as_str).collect::<Vec<_>>(), tags);
            for blob in 1..4 {
                let found = view.linked_blob(&names(number), &digest(blob)).unwrap();
                assert_eq!(found.is_some(), self.links.contains(&(number, blob)));
                if let Some(found) = found {
                    assert_eq!(found.length_bytes, self.blobs[&blob]);
                }
            }
            for manifest in 10..15 {
                let found = view.manifest(&names(number), &digest(manifest)).unwrap();
                let blobs = found.map(|found| found.blobs.into_iter().collect::<BTreeSet<_>>());
                let expected = self.manifests.get(&(number, manifest));
                let expected =
                    expected.map(|known| known.blobs.iter().map(|blob| digest(*blob)).collect::<BTreeSet<_>>());
                assert_eq!(blobs, expected);
            }
        }
        for ((of, set), manifest) in &self.tags {
            let found = view.tag(&names(*of), &tag(TAGS[*set])).unwrap().unwrap();
            assert_eq!(found.digest, digest(*manifest));
        }
        for number in 1..5 {
            let found = view.upload(session(number)).unwrap();
            let found = found.map(|found| (found.position.offset_bytes, found.position.epoch, found.finished));
            let expected = self.uploads.get(&number);
            let expected = expected.map(|upload| (upload.length_bytes, upload.changes, upload.finished.map(digest)));
            assert_eq!(found, expected);
        }
    }

    /// Does the step to both and compares the answers.
    fn step(&mut self, store: &mut Store, step: Step) {
        match step {
            Step::Start { session, repository } => self.start(store, session, repository),
            Step::Advance { session, extents, stale, degraded } => {
                self.advance(store, session, extents, stale, degraded);
            }
            Step::Rewrite { session, extent } => self.rewrite(store, session, extent),
            Step::Finish { session, blob, more } => self.finish(store, session, blob, more),
            Step::Cancel { session: number, repository: name } => {
                let open = self
                    .uploads
                    .get(&number)
                    .is_some_and(|upload| upload.repository == name && upload.finished.is_none());
                let command =
                    Command::CancelUpload { session: session(number), repository: repository(REPOSITORIES[name]) };
                let response = store.apply(command);
                assert_eq!(response, if open { Response::Done } else { Response::UploadUnknown });
                if open {
                    self.uploads.remove(&number);
                }
            }
            Step::Expire { limit } => self.expire(store, limit),
            Step::Mount { .. } | Step::Touch { .. } | Step::Unlink { .. } => self.blob(store, &step),
            Step::Put { .. } => self.put(store, step),
            Step::DeleteTag { repository, tag } => self.delete_tag(store, repository, tag),
            Step::DeleteManifest { repository, manifest } => self.delete_manifest(store, repository, manifest),
            Step::RestoreManifest { repository, manifest } => self.restore_manifest(store, repository, manifest),
            Step::RestoreTag { repository, tag } => self.restore_tag(store, repository, tag),
            Step::Collect { limit } => {
                self.collect(store, limit);
            }
            Step::SetPolicy(rules) => self.set_policy(store, rules),
            Step::Walk { limit } => {
                assert!(matches!(store.apply(Command::WalkPolicies { limit }), Response::Count { .. }));
            }
            Step::Pull { repository: name, manifest } => {
                let count = u64::from(self.manifests.contains_key(&(name, manifest)));
                let pulls = vec![(repository(REPOSITORIES[name]), digest(manifest))];
                assert_eq!(store.apply(Command::RecordPulls { pulls }), Response::Count { count });
                let pulled = store.view().pulled(&repository(REPOSITORIES[name]), &digest(manifest)).unwrap();
                assert_eq!(pulled.is_some(), count == 1);
            }
            Step::Replace { object, extent, current } => shards::replace(store, object, extent, current),
            Step::Report { object, extent, missing } => shards::report_one(store, object, extent, &missing),
            Step::Move { object, extent, shards, current } => shards::relocate(store, object, extent, shards, current),
            Step::Accept { object, extent } => shards::accept(store, object, extent),
            Step::ReportLocation { node, page } => shards::report(store, node, page),
            Step::ForgiveLocation { node, page } => shards::forgive(store, node, page),
            Step::Sweep { count } => {
                let discards: Vec<_> = store.discards().into_iter().take(count).collect();
                let swept = discards.len() as u64;
                assert_eq!(store.apply(Command::Swept { discards }), Response::Count { count: swept });
            }
            Step::Wait { seconds } => store.wait(seconds),
            Step::Evict { repository, limit } => self.evict(store, repository, limit),
            Step::Hear { debts, follow } => self.hear(store, debts, follow),
            Step::Settle { settled, failed } => self.settle(store, &settled, &failed),
            Step::Forget { limit } => self.forget(store, limit),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_agrees_with_the_model_and_keeps_all_invariants(steps in vec(step(), 1..80)) {
        let mut store = Store::new();
        let mut model = Model::default();
        store.apply(Command::Tick);
        model.set_policy(&mut store, model.rules);
        for step in steps {
            model.step(&mut store, step);
            model.compare(&store);
        }
        model.end(&mut store);
        let directory = tempfile::tempdir().unwrap();
        let again = open(directory.path());
        let mut transaction = Transaction::new(again.as_ref());
        for (command, stamp) in std::mem::take(&mut store.history) {
            Catalog::apply(&mut transaction, command, stamp).unwrap();
        }
        again.write(transaction.into_batch()).unwrap();
        prop_assert_eq!(dump(&again), dump(&store.engine));
    }
}
