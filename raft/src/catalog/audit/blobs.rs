//! References to blobs and their visibility: counts that decide what may be removed.

use super::Audit;
use crate::catalog::garbage::GarbageItem;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::{BlobRecord, LinkRecord, ObjectState};
use crate::catalog::table::{BlobLinks, Blobs, GarbageDeadlines, Links, ManifestUses, Objects, Repositories};
use crate::machine::State;
use crate::table::StateError;

const REFERENCES: &str = "reference counts are exact";
const LINKS: &str = "links are symmetrical";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<Links>(|audit, (repository, digest), record| link(audit, repository, digest, &record))?;
    audit.each::<BlobLinks>(|audit, (digest, repository), ()| {
        let linked = audit.contains::<Links>((&repository, &digest))?;
        audit.expect(linked, LINKS, || format!("{digest} knows of {repository}, which does not link it"));
        Ok(())
    })?;
    audit.each::<Blobs>(|audit, digest, record| blob(audit, digest, &record))
}

fn link<S: State>(
    audit: &mut Audit<'_, S>,
    repository: RepositoryName,
    digest: Digest,
    record: &LinkRecord,
) -> Result<(), StateError> {
    let uses = audit.count::<ManifestUses, (RepositoryName, Digest)>((&repository, &digest))?;
    audit.expect(record.uses == uses, REFERENCES, || {
        format!("the link of {repository} to {digest} counts {} uses, there are {uses}", record.uses)
    });
    let there = audit.contains::<Blobs>(&digest)?;
    audit.expect(there, "no link dangles", || format!("{repository} links {digest}, which is not there"));
    let back = audit.contains::<BlobLinks>((&digest, &repository))?;
    audit.expect(back, LINKS, || format!("{digest} does not know of its link in {repository}"));
    let known = audit.contains::<Repositories>(&repository)?;
    audit.expect(known, "a repository's counts are exact", || format!("{repository} is not there and links {digest}"));
    audit.expect(record.counted || record.uses == 0, "a link counts while it is used", || {
        format!("{repository} uses {digest} {} times and does not count it", record.uses)
    });
    let item = GarbageItem::Link { repository, digest };
    let early = audit.get::<GarbageDeadlines>(&item)?.is_some_and(|due| due < record.touched.max(record.keep_until));
    audit.expect(!early, "nothing goes before its time", || format!("{item:?} of {record:?}"));
    audit.expect_queued(&item, record.uses == 0)
}

fn blob<S: State>(audit: &mut Audit<'_, S>, digest: Digest, record: &BlobRecord) -> Result<(), StateError> {
    let (mut references, mut links) = (0, 0);
    audit.each_of::<BlobLinks, Digest>(&digest, |audit, (_, repository), ()| {
        links += 1;
        references += audit.get::<Links>((&repository, &digest))?.map_or(0, |link| link.uses);
        Ok(())
    })?;
    audit.expect((record.references, record.links) == (references, links), REFERENCES, || {
        let (counted, linked) = (record.references, record.links);
        format!("{digest} counts {counted} uses and {linked} links, there are {references} and {links}")
    });
    let next = audit.clock.next_generation;
    audit.expect(record.generation < next, "generations are given out once", || {
        format!("{digest} has {}, the next one is {next}", record.generation)
    });
    let object = audit.get::<Objects>(&record.object)?;
    let own = object.as_ref().is_some_and(|object| {
        object.state == ObjectState::Published(digest) && object.length_bytes == record.length_bytes
    });
    audit.expect(own, "a blob has its bytes", || {
        format!("{digest} of {} bytes is object {}: {object:?}", record.length_bytes, record.object)
    });
    audit.expect_queued(&GarbageItem::Blob { digest, generation: record.generation }, record.links == 0)
}
