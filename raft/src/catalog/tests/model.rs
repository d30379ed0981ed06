//! Random commands against a simple model of what a registry is, with all invariants checked after each.
//!
//! The model knows sets of names and nothing of counts, indexes or queues: those are the invariants' matter. The same
//! history, applied again as one transaction, must end with the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use storage::kv::Bytes;
use storage::shard::ExtentIndex;

use super::shards;
use super::store::*;
use crate::catalog::*;
use crate::machine::{Machine, Transaction};

const REPOSITORIES: [&str; 2] = ["app", "lib/base"];
const TAGS: [&str; 3] = ["latest", "v1", "v2"];

/// Something that happens. Numbers pick names out of small sets, so that commands meet each other.
#[derive(Clone, Debug)]
enum Step {
    Start {
        session: u8,
        repository: usize,
    },
    Advance {
        session: u8,
        extents: u64,
        stale: bool,
        degraded: bool,
    },
    Rewrite {
        session: u8,
        extent: u32,
    },
    Finish {
        session: u8,
        blob: u8,
        more: bool,
    },
    Cancel {
        session: u8,
        repository: usize,
    },
    Expire {
        limit: u32,
    },
    Mount {
        repository: usize,
        blob: u8,
        from: Option<usize>,
    },
    Touch {
        repository: usize,
        blob: u8,
    },
    Unlink {
        repository: usize,
        blob: u8,
    },
    Put {
        repository: usize,
        manifest: u8,
        tags: Vec<usize>,
        blobs: Vec<u8>,
        children: Vec<u8>,
        subject: Option<u8>,
        typed: bool,
    },
    DeleteTag {
        repository: usize,
        tag: usize,
    },
    DeleteManifest {
        repository: usize,
        manifest: u8,
    },
    Replace {
        object: u8,
        extent: u32,
        current: bool,
    },
    Report {
        object: u8,
        extent: u32,
        missing: Vec<u8>,
    },
    Move {
        object: u8,
        extent: u32,
        shards: Vec<u8>,
        current: bool,
    },
    Accept {
        object: u8,
        extent: u32,
    },
    ReportLocation {
        node: u8,
        page: u32,
    },
    ForgiveLocation {
        node: u8,
        page: u32,
    },
    Sweep {
        count: usize,
    },
    Wait {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let session = || 1..5_u8;
    let repository = || 0..REPOSITORIES.len();
    let blob = || 1..4_u8;
    let manifest = || 10..15_u8;
    let node = || 1..7_u8;
    prop_oneof![
        3 => (session(), repository()).prop_map(|(session, repository)| Step::Start { session, repository }),
        3 => (session(), 0..3_u64, prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(session, extents, stale, degraded)| Step::Advance { session, extents, stale, degraded }),
        1 => (session(), 0..2_u32).prop_map(|(session, extent)| Step::Rewrite { session, extent }),
        5 => (session(), blob(), prop::bool::weighted(0.9))
            .prop_map(|(session, blob, more)| Step::Finish { session, blob, more }),
        1 => (session(), repository()).prop_map(|(session, repository)| Step::Cancel { session, repository }),
        1 => (1..4_u32).prop_map(|limit| Step::Expire { limit }),
        2 => (repository(), blob(), prop::option::of(repository()))
            .prop_map(|(repository, blob, from)| Step::Mount { repository, blob, from }),
        2 => (repository(), blob()).prop_map(|(repository, blob)| Step::Touch { repository, blob }),
        1 => (repository(), blob()).prop_map(|(repository, blob)| Step::Unlink { repository, blob }),
        8 => (
            (repository(), manifest(), vec(0..TAGS.len(), 0..3), vec(blob(), 0..3)),
            (vec(manifest(), 0..3), prop::option::of(manifest()), prop::bool::weighted(0.9)),
        )
            .prop_map(|((repository, manifest, tags, blobs), (children, subject, typed))| Step::Put {
                repository,
                manifest,
                tags,
                blobs,
                children,
                subject,
                typed,
            }),
        2 => (repository(), 0..TAGS.len()).prop_map(|(repository, tag)| Step::DeleteTag { repository, tag }),
        2 => (repository(), manifest()).prop_map(|(repository, manifest)| Step::DeleteManifest { repository, manifest }),
        2 => (session(), 0..3_u32, prop::bool::weighted(0.8))
            .prop_map(|(object, extent, current)| Step::Replace { object, extent, current }),
        2 => (session(), 0..3_u32, vec(0..3_u8, 0..3))
            .prop_map(|(object, extent, missing)| Step::Report { object, extent, missing }),
        3 => (session(), 0..3_u32, vec(0..3_u8, 0..3), prop::bool::weighted(0.8))
            .prop_map(|(object, extent, shards, current)| Step::Move { object, extent, shards, current }),
        1 => (session(), 0..3_u32).prop_map(|(object, extent)| Step::Accept { object, extent }),
        1 => (node(), 1..4_u32).prop_map(|(node, page)| Step::ReportLocation { node, page }),
        1 => (node(), 1..4_u32).prop_map(|(node, page)| Step::ForgiveLocation { node, page }),
        1 => (0..4_usize).prop_map(|count| Step::Sweep { count }),
        2 => prop_oneof![1..100_u64, Just(3600), Just(8 * 86400)].prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// An upload as a client knows it.
#[derive(Clone, Debug)]
struct Upload {
    repository: usize,
    length_bytes: u64,
    changes: u64,
    finished: Option<u8>,
}

/// What clients can see.
#[derive(Clone, Debug, Default)]
struct Model {
    uploads: BTreeMap<u8, Upload>,
    /// Length of each blob that ever was.
    blobs: BTreeMap<u8, u64>,
    links: BTreeSet<(usize, u8)>,
    /// Blobs that each manifest uses.
    manifests: BTreeMap<(usize, u8), BTreeSet<u8>>,
    tags: BTreeMap<(usize, usize), u8>,
}

impl Model {
    /// Length that blob `number` has; of the first upload, whatever that had.
    fn target(blob: u8) -> u64 {
        u64::from(blob) * EXTENT_BYTES
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
                let expected = expected.map(|blobs| blobs.iter().map(|blob| digest(*blob)).collect::<BTreeSet<_>>());
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
            Step::DeleteTag { repository: name, tag: set } => {
                let known = self.tags.remove(&(name, set)).is_some();
                let command = Command::DeleteTag { repository: repository(REPOSITORIES[name]), tag: tag(TAGS[set]) };
                assert_eq!(store.apply(command), if known { Response::Done } else { Response::TagUnknown });
            }
            Step::DeleteManifest { repository: name, manifest } => {
                let known = self.manifests.remove(&(name, manifest)).is_some();
                self.tags.retain(|(of, _), target| !(*of == name && *target == manifest));
                let command =
                    Command::DeleteManifest { repository: repository(REPOSITORIES[name]), digest: digest(manifest) };
                assert_eq!(store.apply(command), if known { Response::Done } else { Response::ManifestUnknown });
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
        }
    }

    fn start(&mut self, store: &mut Store, number: u8, name: usize) {
        // The object of a session's number may be in use as a blob's while the session is gone.
        let taken = store.view().object(object(number)).unwrap().is_some();
        let response = store.start(number, REPOSITORIES[name]);
        match self.uploads.get(&number) {
            Some(upload) if upload.repository == name => {
                assert!(matches!(response, Response::Uploaded { .. }), "{response:?}");
            }
            None if !taken => {
                assert!(matches!(response, Response::Uploaded { .. }), "{response:?}");
                let upload = Upload { repository: name, length_bytes: 0, changes: 0, finished: None };
                self.uploads.insert(number, upload);
            }
            _ => assert_eq!(response, Response::Stale),
        }
    }

    fn advance(&mut self, store: &mut Store, number: u8, count: u64, stale: bool, degraded: bool) {
        let mut position = store.position(number);
        if stale {
            position.epoch += 1;
        }
        let mut extents = store.extents(count);
        if degraded {
            for extent in &mut extents {
                let reason = ShortfallReason::DegradedWrite;
                extent.shortfall = Some(Shortfall { missing: Vec::new(), reason });
            }
        }
        let command = Command::AdvanceUpload { session: session(number), advance: advance(position, extents) };
        let response = store.apply(command.clone());
        match self.uploads.get_mut(&number).filter(|upload| upload.finished.is_none()) {
            None => assert_eq!(response, Response::UploadUnknown),
            Some(_) if stale => assert!(matches!(response, Response::UploadMoved { .. })),
            Some(upload) => {
                upload.length_bytes += count * EXTENT_BYTES;
                upload.changes += 1;
                assert_eq!(response, Response::Uploaded { position: store.position(number) });
                assert_eq!(store.repeat(command), response);
            }
        }
    }

    fn rewrite(&mut self, store: &mut Store, number: u8, extent: u32) {
        let Some(upload) = self.uploads.get_mut(&number).filter(|upload| upload.finished.is_none()) else { return };
        let known = u64::from(extent) * EXTENT_BYTES < upload.length_bytes;
        let replaced = ReplacedExtent { extent: ExtentIndex(extent), body: store.coded(), shortfall: None };
        let advance = Advance { replaced: vec![replaced], ..advance(store.position(number), Vec::new()) };
        let response = store.apply(Command::AdvanceUpload { session: session(number), advance });
        if known {
            upload.changes += 1;
            assert!(matches!(response, Response::Uploaded { .. }), "{response:?}");
        } else {
            assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
        }
    }

    fn finish(&mut self, store: &mut Store, number: u8, blob: u8, more: bool) {
        let held = self.uploads.get(&number).map_or(0, |upload| upload.length_bytes);
        let missing = if more { Self::target(blob).saturating_sub(held) } else { 0 };
        let extents = store.extents(missing / EXTENT_BYTES);
        let whole = store.view().blob(&digest(blob)).unwrap().is_some_and(|found| {
            store.view().shortfalls(None, usize::MAX).unwrap().iter().all(|(key, _)| key.object != found.object)
        });
        let response = store.finish(number, extents, blob);
        let Some(upload) = self.uploads.get_mut(&number) else {
            assert_eq!(response, Response::UploadUnknown);
            return;
        };
        if let Some(finished) = upload.finished {
            if finished == blob && self.links.contains(&(upload.repository, blob)) {
                let length_bytes = self.blobs[&blob];
                assert_eq!(response, Response::Published { new_object: false, length_bytes });
            } else {
                assert_eq!(response, Response::UploadUnknown);
            }
            return;
        }
        let length_bytes = held + missing;
        if self.blobs.get(&blob).is_some_and(|known| *known != length_bytes) {
            assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
            return;
        }
        assert_eq!(response, Response::Published { new_object: !whole, length_bytes });
        upload.length_bytes = length_bytes;
        upload.changes += 1;
        upload.finished = Some(blob);
        self.blobs.insert(blob, length_bytes);
        self.links.insert((upload.repository, blob));
    }

    fn expire(&mut self, store: &mut Store, limit: u32) {
        let before: BTreeSet<u8> = self.uploads.keys().copied().collect();
        let Response::Count { count } = store.apply(Command::ExpireUploads { limit }) else { panic!() };
        assert!(count <= u64::from(limit));
        let now = store.view().clock().unwrap();
        let left = |number: &u8| store.view().upload(session(*number)).unwrap();
        let overdue = before.iter().filter(|number| left(number).is_some_and(|upload| upload.expires <= now)).count();
        assert!(overdue == 0 || count == u64::from(limit), "expired sessions are left");
        self.uploads.retain(|number, _| left(number).is_some());
        assert_eq!(before.len() - self.uploads.len(), usize::try_from(count).unwrap());
    }

    fn blob(&mut self, store: &mut Store, step: &Step) {
        match *step {
            Step::Mount { repository: name, blob, from } => {
                let source = |of: usize| self.links.contains(&(of, blob));
                let visible = from.map_or_else(|| (0..REPOSITORIES.len()).any(source), source);
                let from = from.map(|of| repository(REPOSITORIES[of]));
                let command =
                    Command::MountBlob { repository: repository(REPOSITORIES[name]), digest: digest(blob), from };
                let response = store.apply(command);
                if visible {
                    assert_eq!(response, Response::Mounted { length_bytes: self.blobs[&blob] });
                    self.links.insert((name, blob));
                } else {
                    assert_eq!(response, Response::BlobUnknown);
                }
            }
            Step::Touch { repository: name, blob } => {
                let known = self.links.contains(&(name, blob));
                let command = Command::TouchBlob { repository: repository(REPOSITORIES[name]), digest: digest(blob) };
                assert_eq!(store.apply(command), if known { Response::Done } else { Response::BlobUnknown });
            }
            Step::Unlink { repository: name, blob } => {
                let command = Command::UnlinkBlob { repository: repository(REPOSITORIES[name]), digest: digest(blob) };
                let response = store.apply(command);
                let user = self.manifests.iter().find(|((of, _), blobs)| *of == name && blobs.contains(&blob));
                if !self.links.contains(&(name, blob)) {
                    assert_eq!(response, Response::BlobUnknown);
                } else if let Some(((_, manifest), _)) = user {
                    assert_eq!(response, Response::BlobInUse { manifest: digest(*manifest) });
                } else {
                    assert_eq!(response, Response::Done);
                    self.links.remove(&(name, blob));
                }
            }
            _ => unreachable!("only blob steps come here"),
        }
    }

    fn put(&mut self, store: &mut Store, step: Step) {
        let Step::Put { repository: name, manifest: number, tags, blobs, mut children, mut subject, typed } = step
        else {
            unreachable!("only puts come here");
        };
        // Digests have no cycles: a manifest names smaller ones only.
        children.retain(|child| *child < number);
        subject = subject.filter(|subject| *subject < number);
        let unknown: Vec<Digest> = blobs
            .iter()
            .enumerate()
            .filter(|(at, blob)| !self.links.contains(&(name, **blob)) && !blobs[..*at].contains(blob))
            .map(|(_, blob)| digest(*blob))
            .collect();
        let media_type = if typed { "application/a" } else { "application/b" };
        let tag_names: Vec<_> = tags.iter().map(|set| TAGS[*set]).collect();
        let response = store.put(PutManifest {
            media_type: media_type.to_owned(),
            bytes: Bytes::from(vec![number; usize::from(number)]),
            children: children.iter().map(|child| digest(*child)).collect(),
            subject: subject.map(digest),
            ..manifest(REPOSITORIES[name], number, &tag_names, &blobs)
        });
        if !unknown.is_empty() {
            assert_eq!(response, Response::ManifestBlobsUnknown { digests: unknown });
            return;
        }
        let created = self.manifests.insert((name, number), blobs.into_iter().collect()).is_none();
        assert_eq!(response, Response::ManifestStored { created });
        for set in tags {
            self.tags.insert((name, set), number);
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
        for step in steps {
            model.step(&mut store, step);
            model.compare(&store);
        }
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
