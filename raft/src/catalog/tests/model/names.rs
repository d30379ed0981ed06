//! Links, manifests and tags in the model: pushed, deleted, restored.

use std::collections::BTreeSet;

use storage::kv::Bytes;

use super::super::store::*;
use super::step::Step;
use super::{Deletion, Manifest, Model, REPOSITORIES, TAGS, Tombstone};
use crate::catalog::*;

impl Model {
    pub(super) fn blob(&mut self, store: &mut Store, step: &Step) {
        match *step {
            Step::Mount { repository: name, blob, from } => {
                let source = |of: usize| self.links.contains(&(of, blob));
                let visible = from.map_or_else(|| (0..REPOSITORIES.len()).any(source), source);
                let response = store.apply(mount(REPOSITORIES[name], blob, from.map(|of| REPOSITORIES[of])));
                if let Some(foreign) = self.foreign(name) {
                    assert_eq!(response, foreign);
                } else if visible {
                    assert_eq!(response, Response::Mounted { length_bytes: self.blobs[&blob] });
                    self.links.insert((name, blob));
                    self.told(store, (name, blob));
                } else {
                    assert_eq!(response, Response::BlobUnknown);
                }
            }
            Step::Touch { repository: name, blob } => {
                let response = store.apply(touch(REPOSITORIES[name], blob));
                if self.links.contains(&(name, blob)) {
                    assert_eq!(response, Response::Done);
                    self.told(store, (name, blob));
                } else {
                    assert_eq!(response, Response::BlobUnknown);
                }
            }
            Step::Unlink { repository: name, blob } => {
                let response = store.apply(unlink(REPOSITORIES[name], blob));
                let user = self.manifests.iter().find(|((of, _), known)| *of == name && known.blobs.contains(&blob));
                if let Some(foreign) = self.foreign(name) {
                    assert_eq!(response, foreign);
                } else if !self.rules.deletes {
                    assert_eq!(response, Response::DeletesOff { namespace: String::new() });
                } else if !self.links.contains(&(name, blob)) {
                    assert_eq!(response, Response::BlobUnknown);
                } else if let Some(((_, manifest), _)) = user {
                    assert_eq!(response, Response::BlobInUse { manifest: digest(*manifest) });
                } else {
                    assert_eq!(response, Response::Done);
                    self.links.remove(&(name, blob));
                    self.promised.remove(&(name, blob));
                    self.kept.remove(&(name, blob));
                }
            }
            _ => unreachable!("only blob steps come here"),
        }
    }

    /// Blobs of this list that are not visible in a repository, each once.
    fn unknown(&self, name: usize, blobs: &[u8]) -> Vec<Digest> {
        let repeated = |at: usize| blobs[..at].contains(&blobs[at]);
        let missing = |(at, blob): &(usize, &u8)| !self.links.contains(&(name, **blob)) && !repeated(*at);
        blobs.iter().enumerate().filter(missing).map(|(_, blob)| digest(*blob)).collect()
    }

    /// What an immutable tag that exists and points elsewhere is answered with.
    fn immutable(&self, name: usize, set: usize) -> Option<Response> {
        let present = self.tags.get(&(name, set)).filter(|_| self.rules.immutable && TAGS[set].starts_with('v'))?;
        let (namespace, pattern) = (String::new(), "v*".to_owned());
        Some(Response::Immutable { tag: tag(TAGS[set]), digest: digest(*present), namespace, pattern })
    }

    pub(super) fn put(&mut self, store: &mut Store, step: Step) {
        let Step::Put { repository: name, manifest: number, tags, blobs, mut children, mut subject, typed } = step
        else {
            unreachable!("only puts come here");
        };
        // Digests have no cycles: a manifest names smaller ones only.
        children.retain(|child| *child < number);
        subject = subject.filter(|subject| *subject < number);
        let media_type = if typed { "application/a" } else { "application/b" };
        let tag_names: Vec<_> = tags.iter().map(|set| TAGS[*set]).collect();
        let response = store.put(PutManifest {
            media_type: media_type.to_owned(),
            bytes: Bytes::from(vec![number; usize::from(number)]),
            children: children.iter().map(|child| digest(*child)).collect(),
            subject: subject.map(digest),
            ..manifest(REPOSITORIES[name], number, &tag_names, &blobs)
        });
        if let Some(foreign) = self.foreign(name) {
            assert_eq!(response, foreign);
            return;
        }
        let unknown = self.unknown(name, &blobs);
        if !unknown.is_empty() {
            assert_eq!(response, Response::ManifestBlobsUnknown { digests: unknown });
            return;
        }
        let moved = |set: &&usize| self.tags.get(&(name, **set)).is_some_and(|target| *target != number);
        if let Some(refusal) = tags.iter().filter(moved).find_map(|set| self.immutable(name, *set)) {
            assert_eq!(response, refusal);
            return;
        }
        let known = Manifest { blobs: blobs.into_iter().collect(), children: children.into_iter().collect(), subject };
        self.store(store, name, number, known, &response);
        for set in tags {
            self.set_tag(name, set, number);
        }
    }

    /// A manifest is there as it was pushed.
    fn store(&mut self, store: &Store, name: usize, number: u8, known: Manifest, response: &Response) {
        let used = known.blobs.clone();
        let before = self.manifests.insert((name, number), known);
        if !matches!(response, Response::Restored { .. }) {
            assert_eq!(*response, Response::ManifestStored { created: before.is_none(), tags: Vec::new() });
        }
        self.tombstones.remove(&(name, number));
        for blob in &used {
            self.promised.remove(&(name, *blob));
        }
        for blob in before.into_iter().flat_map(|before| before.blobs).filter(|blob| !used.contains(blob)) {
            self.told(store, (name, blob));
        }
    }

    fn set_tag(&mut self, name: usize, set: usize, number: u8) {
        self.tags.insert((name, set), number);
        self.deletions.remove(&(name, set));
    }

    fn remove_tag(&mut self, store: &Store, name: usize, set: usize) -> Option<u8> {
        let target = self.tags.remove(&(name, set))?;
        let kept_until = store.now.plus_seconds(self.rules.grace.max(self.rules.restore));
        self.deletions.insert((name, set), Deletion { target, time: store.now, kept_until });
        Some(target)
    }

    pub(super) fn delete_tag(&mut self, store: &mut Store, name: usize, set: usize) {
        let response = store.apply(delete_tag(REPOSITORIES[name], TAGS[set]));
        if let Some(foreign) = self.foreign(name) {
            assert_eq!(response, foreign);
        } else if !self.rules.deletes {
            assert_eq!(response, Response::DeletesOff { namespace: String::new() });
        } else if let Some(refusal) = self.immutable(name, set) {
            assert_eq!(response, refusal);
        } else {
            let known = self.remove_tag(store, name, set).is_some();
            assert_eq!(response, if known { DELETED } else { Response::TagUnknown });
        }
    }

    pub(super) fn delete_manifest(&mut self, store: &mut Store, name: usize, number: u8) {
        let response = store.apply(delete_manifest(REPOSITORIES[name], number));
        if let Some(foreign) = self.foreign(name) {
            assert_eq!(response, foreign);
            return;
        }
        if !self.rules.deletes {
            assert_eq!(response, Response::DeletesOff { namespace: String::new() });
            return;
        }
        let sets: Vec<usize> = (0..TAGS.len()).filter(|set| self.tags.get(&(name, *set)) == Some(&number)).collect();
        if let Some(refusal) = sets.iter().find_map(|set| self.immutable(name, *set)) {
            assert_eq!(response, refusal);
            return;
        }
        let Some(manifest) = self.manifests.remove(&(name, number)) else {
            assert_eq!(response, Response::ManifestUnknown);
            return;
        };
        assert_eq!(response, DELETED);
        let gone = sets.iter().map(|set| (tag(TAGS[*set]), digest(number))).collect();
        assert_eq!(store.answer, Some(Response::Deleted { tags: gone }));
        for set in &sets {
            self.remove_tag(store, name, *set);
        }
        for blob in &manifest.blobs {
            self.told(store, (name, *blob));
        }
        if self.rules.restore > 0 {
            let until = store.now.plus_seconds(self.rules.restore);
            // While it can be restored, its blobs stay too.
            for blob in &manifest.blobs {
                let kept = self.kept.entry((name, *blob)).or_default();
                *kept = until.max(*kept);
            }
            self.tombstones.insert((name, number), Tombstone { manifest, tags: sets, until });
        }
    }

    pub(super) fn restore_manifest(&mut self, store: &mut Store, name: usize, number: u8) {
        let response = store.apply(restore_manifest(REPOSITORIES[name], number));
        self.restored(store, name, number, None, &response);
    }

    pub(super) fn restore_tag(&mut self, store: &mut Store, name: usize, set: usize) {
        // What was collected early is found out by its own check; here it cannot be restored.
        let remembered =
            !store.view().tag_history(&repository(REPOSITORIES[name]), &tag(TAGS[set]), 1).unwrap().is_empty();
        let response = store.apply(restore_tag(REPOSITORIES[name], TAGS[set]));
        if let Some(foreign) = self.foreign(name) {
            assert_eq!(response, foreign);
            return;
        }
        let deletion = self.deletions.get(&(name, set)).filter(|deletion| {
            assert!(remembered || deletion.kept_until <= store.now, "the history of a deleted tag went early");
            remembered && store.now < deletion.time.plus_seconds(self.rules.restore)
        });
        let Some(number) = deletion.map(|deletion| deletion.target) else {
            assert_eq!(response, Response::NothingToRestore);
            return;
        };
        if self.manifests.contains_key(&(name, number)) {
            assert_eq!(response, Response::Restored { digest: digest(number), tags: vec![tag(TAGS[set])] });
            self.set_tag(name, set, number);
        } else {
            self.restored(store, name, number, Some(set), &response);
        }
    }

    /// A manifest was to be restored, with one tag or with all of its own.
    fn restored(&mut self, store: &Store, name: usize, number: u8, set: Option<usize>, response: &Response) {
        if let Some(foreign) = self.foreign(name) {
            assert_eq!(*response, foreign);
            return;
        }
        let tombstone = self.tombstones.get(&(name, number)).filter(|tombstone| store.now < tombstone.until);
        let Some(tombstone) = tombstone.cloned() else {
            assert_eq!(*response, Response::NothingToRestore);
            return;
        };
        let blobs: Vec<u8> =
            store.view().tombstone(&repository(REPOSITORIES[name]), &digest(number)).unwrap().map_or_else(
                || tombstone.manifest.blobs.iter().copied().collect(),
                |kept| kept.record.blobs.iter().map(|blob| blob.as_bytes()[0]).collect(),
            );
        let unknown: BTreeSet<Digest> = self.unknown(name, &blobs).into_iter().collect();
        if !unknown.is_empty() {
            let Response::ManifestBlobsUnknown { digests } = response else { panic!("{response:?}") };
            assert_eq!(digests.iter().copied().collect::<BTreeSet<_>>(), unknown);
            return;
        }
        let free = |set: &usize| !self.tags.contains_key(&(name, *set));
        let sets: Vec<usize> = set.map_or(tombstone.tags, |set| vec![set]).into_iter().filter(free).collect();
        let tags = sets.iter().map(|set| tag(TAGS[*set])).collect();
        assert_eq!(*response, Response::Restored { digest: digest(number), tags });
        self.store(store, name, number, tombstone.manifest, response);
        for set in sets {
            self.set_tag(name, set, number);
        }
    }
}
