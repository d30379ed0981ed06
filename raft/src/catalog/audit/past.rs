//! What is kept of the past: the histories of tags, and deleted manifests.

use super::Audit;
use crate::catalog::garbage::GarbageItem;
use crate::catalog::history::TagChange;
use crate::catalog::limit::TAG_CHANGES_KEPT;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::table::{GarbageDeadlines, Manifests, TagHistory, Tags, TombstoneContents, Tombstones};
use crate::machine::State;
use crate::table::StateError;

const HISTORY: &str = "a tag's history ends where the tag is";
const TOMBSTONE: &str = "a tombstone stands for a manifest that is gone";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    // The rows of a tag follow each other; each is held against the one before, and the last one against the tag.
    let mut before: Option<Row> = None;
    audit.each::<TagHistory>(|audit, (repository, tag, revision), change| {
        let mut row = Row { repository, tag, revision, change, rows: 1 };
        if let Some(before) = before.take() {
            if (&before.repository, &before.tag) == (&row.repository, &row.tag) {
                row.follow(audit, &before);
            } else {
                before.end(audit)?;
            }
        }
        before = Some(row);
        Ok(())
    })?;
    if let Some(last) = before {
        last.end(audit)?;
    }
    audit.each::<Tags>(|audit, (repository, tag), _| {
        let known = audit.count::<TagHistory, (RepositoryName, Tag)>((&repository, &tag))? > 0;
        audit.expect(known, HISTORY, || format!("{repository}:{tag} has none"));
        Ok(())
    })?;
    tombstones(audit)
}

/// One change of a tag, and how many rows of its history there are up to it.
struct Row {
    repository: RepositoryName,
    tag: Tag,
    revision: u64,
    change: TagChange,
    rows: u64,
}

impl Row {
    /// It is the next change after another one of the same tag.
    fn follow<S: State>(&mut self, audit: &mut Audit<'_, S>, before: &Self) {
        self.rows = before.rows + 1;
        let follows = self.revision == before.revision + 1
            && self.change.previous == before.change.digest
            && self.change.time >= before.change.time;
        audit.expect(follows, "a tag's history has no gaps", || {
            format!(
                "{}:{}: {} {:?} follows {} {:?}",
                self.repository, self.tag, self.revision, self.change, before.revision, before.change
            )
        });
    }

    /// It is the last change of its tag.
    fn end<S: State>(self, audit: &mut Audit<'_, S>) -> Result<(), StateError> {
        let Self { repository, tag, revision, change, rows } = self;
        audit.expect(rows <= TAG_CHANGES_KEPT, "a tag's history is bounded", || {
            format!("{repository}:{tag} has {rows} changes")
        });
        let present = audit.get::<Tags>((&repository, &tag))?;
        let found = present.as_ref().map(|record| (record.revision, record.digest));
        let told = change.digest.map(|digest| (revision, digest));
        audit.expect(found == told, HISTORY, || format!("{repository}:{tag} is {found:?}, its history says {told:?}"));
        audit.expect_queued(&GarbageItem::TagHistory { repository, tag }, present.is_none())
    }
}

fn tombstones<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<Tombstones>(|audit, (repository, digest), tombstone| {
        let exists = audit.contains::<Manifests>((&repository, &digest))?;
        audit.expect(!exists, TOMBSTONE, || format!("{repository}@{digest} exists"));
        let length = audit.get::<TombstoneContents>((&repository, &digest))?.map(|bytes| bytes.len() as u64);
        audit.expect(length == Some(tombstone.record.length_bytes), "a tombstone has its bytes", || {
            format!("{repository}@{digest} of {} bytes has {length:?}", tombstone.record.length_bytes)
        });
        let due = audit.get::<GarbageDeadlines>(&item(&repository, &digest))?;
        audit.expect(due == Some(tombstone.until), TOMBSTONE, || {
            format!("{repository}@{digest} can be restored until {}, and goes at {due:?}", tombstone.until.0)
        });
        Ok(())
    })?;
    audit.each::<TombstoneContents>(|audit, (repository, digest), _| {
        let known = audit.contains::<Tombstones>((&repository, &digest))?;
        audit.expect(known, "a tombstone has its bytes", || format!("{repository}@{digest} has bytes and no record"));
        Ok(())
    })
}

fn item(repository: &RepositoryName, digest: &Digest) -> GarbageItem {
    GarbageItem::Tombstone { repository: repository.clone(), digest: *digest }
}
