//! Everything that must hold in a catalog at any time, found out by reading all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use storage::kv::Engine;
use storage::shard::{ExtentIndex, ObjectId, ShardIndex};

use crate::catalog::table::*;
use crate::catalog::*;
use crate::table::{Rows, Table};

/// A whole catalog in memory.
struct Whole {
    blobs: BTreeMap<Digest, BlobRecord>,
    objects: BTreeMap<ObjectId, ObjectRecord>,
    extents: BTreeMap<(ObjectId, ExtentIndex), ExtentRecord>,
    links: BTreeMap<(RepositoryName, Digest), LinkRecord>,
    manifests: BTreeMap<(RepositoryName, Digest), ManifestRecord>,
    tags: BTreeMap<(RepositoryName, Tag), TagRecord>,
    uploads: BTreeMap<SessionId, UploadRecord>,
    shortfalls: BTreeMap<(ObjectId, ExtentIndex), ShortfallRecord>,
    clock: ClockRecord,
}

fn all<T: Table>(engine: &Arc<dyn Engine>) -> Rows<T> {
    T::scan::<()>(engine, (), None, usize::MAX).unwrap()
}

fn keys<T: Table>(engine: &Arc<dyn Engine>) -> BTreeSet<T::Key>
where
    T::Key: Ord,
{
    all::<T>(engine).into_iter().map(|(key, _)| key).collect()
}

/// Panics where an invariant does not hold.
pub(super) fn check(engine: &Arc<dyn Engine>) {
    let whole = Whole {
        blobs: all::<Blobs>(engine).into_iter().collect(),
        objects: all::<Objects>(engine).into_iter().collect(),
        extents: all::<Extents>(engine).into_iter().collect(),
        links: all::<Links>(engine).into_iter().collect(),
        manifests: all::<Manifests>(engine).into_iter().collect(),
        tags: all::<Tags>(engine).into_iter().collect(),
        uploads: all::<Uploads>(engine).into_iter().collect(),
        shortfalls: all::<Shortfalls>(engine).into_iter().collect(),
        clock: CatalogClock::get(engine, ()).unwrap().unwrap(),
    };
    whole.every_object_has_its_extents_and_its_purpose();
    whole.placements_are_those_of_the_extents(engine);
    whole.shortfalls_speak_of_present_extents(engine);
    whole.blob_counts_are_exact(engine);
    whole.no_manifest_lacks_a_blob(engine);
    whole.edges_are_symmetrical(engine);
    whole.tags_point_to_manifests(engine);
    whole.uploads_expire(engine);
    whole.the_queue_holds_exactly_what_nothing_holds(engine);
    whole.discards_are_not_in_use(engine);
    whole.the_feed_is_gapless(engine);
    whole.counts_are_exact(engine);
    whole.remembered_requests_have_their_time(engine);
}

impl Whole {
    fn every_object_has_its_extents_and_its_purpose(&self) {
        let mut offsets: BTreeMap<ObjectId, (u32, u64)> = BTreeMap::new();
        for ((object, index), extent) in &self.extents {
            let (count, offset) = offsets.entry(*object).or_default();
            assert_eq!((index.0, extent.offset_bytes), (*count, *offset), "extents follow each other");
            *count += 1;
            *offset += extent.body.length_bytes();
            assert!(self.objects.contains_key(object), "an extent without object");
        }
        for (id, object) in &self.objects {
            let sums = offsets.get(id).copied().unwrap_or_default();
            assert_eq!(sums, (object.extents, object.length_bytes), "an object is the sum of its extents");
            match &object.state {
                ObjectState::Published(digest) => assert_eq!(self.blobs[digest].object, *id),
                ObjectState::Uploading => {
                    let users =
                        self.uploads.values().filter(|upload| upload.object == *id && upload.finished.is_none());
                    assert_eq!(users.count(), 1, "an unpublished object belongs to one session");
                }
            }
        }
    }

    fn placements_are_those_of_the_extents(&self, engine: &Arc<dyn Engine>) {
        let mut expected = BTreeMap::new();
        for ((object, index), extent) in &self.extents {
            if let ExtentBody::Coded(coded) = &extent.body {
                assert_eq!(coded.shards.len(), coded.geometry.profile.shards());
                for (shard, location) in (0..).map(ShardIndex).zip(&coded.shards) {
                    let record = PlacementRecord { attempt: coded.attempt };
                    expected.insert((location.node, location.disk, *object, *index, shard), record);
                }
            }
        }
        assert_eq!(all::<ShardPlacements>(engine).into_iter().collect::<BTreeMap<_, _>>(), expected);
    }

    fn shortfalls_speak_of_present_extents(&self, engine: &Arc<dyn Engine>) {
        let mut order = BTreeSet::new();
        for ((object, index), shortfall) in &self.shortfalls {
            let ExtentBody::Coded(coded) = &self.extents[&(*object, *index)].body else { panic!("inline") };
            assert_eq!(coded.attempt, shortfall.attempt);
            assert!(shortfall.missing.windows(2).all(|pair| pair[0] < pair[1]));
            let spare = coded.geometry.profile.parity().checked_sub(shortfall.missing.len());
            let spare = spare.map_or(ShortfallKey::LOST, |spare| u8::try_from(spare).unwrap());
            order.insert((spare, shortfall.since, *object, *index));
        }
        assert_eq!(keys::<ShortfallOrder>(engine), order);
    }

    fn blob_counts_are_exact(&self, engine: &Arc<dyn Engine>) {
        let mut uses: BTreeMap<(RepositoryName, Digest), u64> = BTreeMap::new();
        for (repository, blob, _) in keys::<ManifestUses>(engine) {
            *uses.entry((repository, blob)).or_default() += 1;
        }
        for (key, link) in &self.links {
            assert_eq!(link.uses, uses.get(key).copied().unwrap_or_default(), "uses of {key:?}");
            assert!(self.blobs.contains_key(&key.1), "a link to nothing");
        }
        for (digest, blob) in &self.blobs {
            let references: u64 = uses.iter().filter(|((_, used), _)| used == digest).map(|(_, count)| count).sum();
            let links = self.links.keys().filter(|(_, linked)| linked == digest).count() as u64;
            assert_eq!((blob.references, blob.links), (references, links), "counts of {digest}");
            assert!(blob.generation < self.clock.next_generation);
            let object = &self.objects[&blob.object];
            assert_eq!(object.state, ObjectState::Published(*digest));
            assert_eq!(object.length_bytes, blob.length_bytes);
        }
        let back: BTreeSet<_> = self.links.keys().map(|(repository, digest)| (*digest, repository.clone())).collect();
        assert_eq!(keys::<BlobLinks>(engine), back);
    }

    fn no_manifest_lacks_a_blob(&self, engine: &Arc<dyn Engine>) {
        let contents = all::<ManifestContents>(engine);
        assert_eq!(contents.len(), self.manifests.len());
        for (key, bytes) in contents {
            assert_eq!(self.manifests[&key].length_bytes, bytes.len() as u64);
        }
        for ((repository, digest), manifest) in &self.manifests {
            assert!(manifest.generation < self.clock.next_generation);
            for blob in &manifest.blobs {
                assert_eq!(self.blobs[blob].state, BlobState::Live, "{digest} uses {blob}");
                assert!(self.links.contains_key(&(repository.clone(), *blob)), "{digest} uses {blob}");
            }
        }
    }

    fn edges_are_symmetrical(&self, engine: &Arc<dyn Engine>) {
        let (mut uses, mut parents, mut referrers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for ((repository, digest), manifest) in &self.manifests {
            uses.extend(manifest.blobs.iter().map(|blob| (repository.clone(), *blob, *digest)));
            parents.extend(manifest.children.iter().map(|child| (repository.clone(), *child, *digest)));
            referrers.extend(manifest.subject.iter().map(|subject| (repository.clone(), *subject, *digest)));
        }
        assert_eq!(keys::<ManifestUses>(engine), uses);
        assert_eq!(keys::<ManifestParents>(engine), parents);
        assert_eq!(keys::<Referrers>(engine), referrers);
        for ((repository, _, referrer), record) in all::<Referrers>(engine) {
            let manifest = &self.manifests[&(repository, referrer)];
            assert_eq!((&record.media_type, record.length_bytes), (&manifest.media_type, manifest.length_bytes));
        }
    }

    fn tags_point_to_manifests(&self, engine: &Arc<dyn Engine>) {
        let mut back = BTreeSet::new();
        for ((repository, tag), record) in &self.tags {
            assert!(self.manifests.contains_key(&(repository.clone(), record.digest)), "a tag of nothing");
            back.insert((repository.clone(), record.digest, tag.clone()));
            assert!(record.sequence < self.clock.next_sequence);
            if record.sequence >= self.clock.first_sequence {
                let event = Feed::get(engine, &record.sequence).unwrap().unwrap();
                assert!(
                    matches!(&event.kind, EventKind::TagSet { tag: set, digest, .. } if set == tag && *digest == record.digest)
                );
            }
        }
        assert_eq!(keys::<ManifestTags>(engine), back);
        for ((repository, digest), manifest) in &self.manifests {
            let tags = back.iter().filter(|(named, of, _)| named == repository && of == digest).count() as u64;
            assert_eq!(manifest.tags, tags);
        }
    }

    fn uploads_expire(&self, engine: &Arc<dyn Engine>) {
        let expiries: BTreeSet<_> = self.uploads.iter().map(|(id, upload)| (upload.expires, *id)).collect();
        assert_eq!(keys::<UploadExpiries>(engine), expiries);
        for upload in self.uploads.values().filter(|upload| upload.finished.is_none()) {
            assert_eq!(self.objects[&upload.object].length_bytes, upload.position.offset_bytes);
        }
    }

    fn the_queue_holds_exactly_what_nothing_holds(&self, engine: &Arc<dyn Engine>) {
        let queue = keys::<GarbageQueue>(engine);
        let deadlines: BTreeSet<_> =
            all::<GarbageDeadlines>(engine).into_iter().map(|(item, deadline)| (deadline, item)).collect();
        assert_eq!(queue, deadlines);
        let mut expected = BTreeSet::new();
        for (digest, blob) in self.blobs.iter().filter(|(_, blob)| blob.references == 0) {
            expected.insert(GarbageItem::Blob { digest: *digest, generation: blob.generation });
        }
        for ((repository, digest), _) in self.links.iter().filter(|(_, link)| link.uses == 0) {
            expected.insert(GarbageItem::Link { repository: repository.clone(), digest: *digest });
        }
        let parents = keys::<ManifestParents>(engine);
        for ((repository, digest), manifest) in &self.manifests {
            let listed = parents.iter().any(|(named, child, _)| named == repository && child == digest);
            let subject = manifest.subject.map(|subject| (repository.clone(), subject));
            let referring = subject.is_some_and(|subject| self.manifests.contains_key(&subject));
            if manifest.tags == 0 && !listed && !referring {
                let (repository, digest, generation) = (repository.clone(), *digest, manifest.generation);
                expected.insert(GarbageItem::Manifest { repository, digest, generation });
            }
        }
        assert_eq!(queue.into_iter().map(|(_, item)| item).collect::<BTreeSet<_>>(), expected);
    }

    fn discards_are_not_in_use(&self, engine: &Arc<dyn Engine>) {
        for (_, object, index, attempt) in keys::<Discards>(engine) {
            if let Some(ExtentRecord { body: ExtentBody::Coded(coded), .. }) = self.extents.get(&(object, index)) {
                assert_ne!(coded.attempt, attempt, "shards in use are about to be unlinked");
            }
        }
    }

    fn remembered_requests_have_their_time(&self, engine: &Arc<dyn Engine>) {
        let expiries = keys::<RequestExpiries>(engine);
        let first = expiries.first().map(|(expires, _)| *expires);
        assert_eq!(self.clock.first_request_expiry, first);
        let named: BTreeSet<_> = expiries.iter().map(|(_, request)| *request).collect();
        assert_eq!((named.len(), named), (expiries.len(), keys::<Requests>(engine)));
    }

    fn the_feed_is_gapless(&self, engine: &Arc<dyn Engine>) {
        let feed = all::<Feed>(engine);
        let sequences: Vec<u64> = feed.iter().map(|(sequence, _)| *sequence).collect();
        let expected: Vec<u64> = (self.clock.first_sequence..self.clock.next_sequence).collect();
        assert_eq!(sequences, expected);
        assert!(feed.windows(2).all(|pair| pair[0].1.time <= pair[1].1.time));
        if let Some((_, first)) = feed.first() {
            assert_eq!(first.time, self.clock.first_event);
        }
    }

    fn counts_are_exact(&self, engine: &Arc<dyn Engine>) {
        let mut repositories: BTreeMap<RepositoryName, RepositoryRecord> = BTreeMap::new();
        for (name, _) in self.manifests.keys() {
            repositories.entry(name.clone()).or_default().manifests += 1;
        }
        for (name, _) in self.tags.keys() {
            repositories.entry(name.clone()).or_default().tags += 1;
        }
        for (name, digest) in self.links.keys() {
            let record = repositories.entry(name.clone()).or_default();
            record.links += 1;
            record.linked_bytes += self.blobs[digest].length_bytes;
        }
        for (name, record) in all::<Repositories>(engine) {
            let mut expected = repositories.remove(&name).expect("a repository without content");
            expected.created = record.created;
            assert_eq!(record, expected, "counts of {name}");
        }
        assert!(repositories.is_empty(), "content without repository: {repositories:?}");

        let live = || self.blobs.values().filter(|blob| blob.state == BlobState::Live);
        let expected = TotalsRecord {
            repositories: all::<Repositories>(engine).len() as u64,
            manifests: self.manifests.len() as u64,
            tags: self.tags.len() as u64,
            blobs: live().count() as u64,
            blob_bytes: live().map(|blob| blob.length_bytes).sum(),
            uploads: self.uploads.values().filter(|upload| upload.finished.is_none()).count() as u64,
            shortfalls: self.shortfalls.len() as u64,
            discards: all::<Discards>(engine).len() as u64,
        };
        assert_eq!(Totals::get(engine, ()).unwrap().unwrap_or_default(), expected);
    }
}
