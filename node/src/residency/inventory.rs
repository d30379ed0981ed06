//! The inventory: every file on this node's disks, and what its region's catalog knows of it.
//!
//! Files are listed and their headers read first, then the replica catches up with everything that was acknowledged, and
//! only then is the catalog asked: an object is in the catalog before its first file is written, so one that is unknown
//! then is none of this region's. A question is answered in pieces of bounded time and size; whoever asks says how fast.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use storage::disk::{Disk, SurveyedFile};
use storage::shard::{DiskId, ObjectId};
use tokio::time::Instant;

use super::answer::{AnswerError, Answerer, Catalog, KnownObject, Owners};
use super::judge::{Known, Verdict, judge};
use super::question::{
    ForeignFile, ITEMS_MAX, InventoryAnswer, InventoryCursor, InventoryQuestion, LocatedPath, LookedDisk,
    NAMESPACES_MAX, NamespaceFiles, StrayFile, Tally,
};

/// Files looked at together, behind one barrier.
const FILES_AT_ONCE: usize = 500;
/// Parts of a disk looked at together.
const PARTS_AT_ONCE: u16 = 16;
/// An answer is given after so long. The asker waits some times longer.
const ANSWER_AFTER: Duration = Duration::from_secs(3);
/// Files that are no shards of which the paths are told.
const OTHERS_TOLD: usize = 16;

/// A file with what it says that it is.
#[derive(Clone, Debug)]
struct Seen {
    file: SurveyedFile,
    /// By its header, or by its name where that cannot be read.
    object: Option<ObjectId>,
}

/// Some files of a disk, and where the next ones begin.
#[derive(Debug, Default)]
struct Batch {
    files: Vec<Seen>,
    errors: Vec<String>,
    /// Part and path to go on behind; `None` at the end of the disk.
    next: Option<(u16, Option<String>)>,
}

impl Answerer {
    /// Answers with the next files.
    pub(crate) async fn inventory(&self, question: InventoryQuestion) -> Result<InventoryAnswer, AnswerError> {
        let answer = self.files(question).await?;
        self.without_discarded(answer).await
    }

    async fn files(&self, question: InventoryQuestion) -> Result<InventoryAnswer, AnswerError> {
        let places = self.places(question.policy_version).await?;
        let owners = Arc::new(Owners { places, region: self.parts.region, namespace: question.namespace });
        let mut answer = InventoryAnswer::default();
        let (mut at, mut place) = match &question.after {
            None => {
                answer.disks = self.looked_disks();
                answer.foreign_groups = self.foreign_groups(&mut answer.errors).await;
                (None, (0, None))
            }
            Some(cursor) => {
                let disk: DiskId = cursor.disk.parse().map_err(|_| AnswerError::Invalid("no disk".to_owned()))?;
                (Some(disk), (cursor.part, cursor.path.clone()))
            }
        };
        let begun = Instant::now();
        let mut disks = self.parts.disks.all();
        disks.sort_unstable_by_key(|disk| disk.id());
        let from = at;
        for disk in disks.into_iter().filter(|disk| from.is_none_or(|from| disk.id() >= from)) {
            if at != Some(disk.id()) {
                (at, place) = (Some(disk.id()), (0, None));
            }
            loop {
                let (part, path) = std::mem::take(&mut place);
                let batch = self.batch(&disk, part, path).await;
                answer.errors.extend(batch.errors);
                if !batch.files.is_empty() {
                    let view = self.catalog().await?;
                    answer = self.judged(&owners, &disk, view, batch.files, answer).await?;
                }
                let Some(next) = batch.next else { break };
                place = next;
                if begun.elapsed() >= ANSWER_AFTER || is_full(&answer) {
                    let (part, path) = place;
                    answer.next = Some(InventoryCursor { disk: disk.id().to_string(), part, path });
                    return Ok(answer);
                }
            }
            // Where the next disk begins is known to the next question by this one's last part.
            if begun.elapsed() >= ANSWER_AFTER || is_full(&answer) {
                let part = Disk::SURVEY_PARTS;
                answer.next = Some(InventoryCursor { disk: disk.id().to_string(), part, path: None });
                return Ok(answer);
            }
        }
        Ok(answer)
    }

    fn looked_disks(&self) -> Vec<LookedDisk> {
        let path = |path: &Path| path.display().to_string();
        let present = self.parts.disks.all().into_iter();
        let present =
            present.map(|disk| LookedDisk { id: disk.id().to_string(), path: path(disk.path()), error: None });
        let absent = self.parts.disks.absent().into_iter().map(|disk| LookedDisk {
            id: disk.id.to_string(),
            path: path(&disk.path),
            error: Some(disk.reason),
        });
        present.chain(absent).collect()
    }

    /// Directories in which groups are kept that are not this node's.
    async fn foreign_groups(&self, errors: &mut Vec<String>) -> Vec<String> {
        let (files, groups) = (Arc::clone(&self.parts.files), self.parts.groups.clone());
        let own = [raft::id::GroupId::Directory.to_string(), raft::id::GroupId::Catalog(self.parts.region).to_string()];
        match self.parts.exec.run(move || files.list(&groups)).await {
            Ok(entries) => {
                let others = entries.into_iter().filter(|entry| !own.contains(&entry.name));
                others.map(|entry| self.parts.groups.join(entry.name).display().to_string()).take(ITEMS_MAX).collect()
            }
            Err(error) => {
                errors.push(format!("{}: {error}", self.parts.groups.display()));
                Vec::new()
            }
        }
    }

    async fn batch(&self, disk: &Arc<Disk>, part: u16, path: Option<String>) -> Batch {
        let disk = Arc::clone(disk);
        self.parts.exec.run(move || gather(&disk, part, path)).await
    }

    async fn judged(
        &self,
        owners: &Arc<Owners>,
        disk: &Arc<Disk>,
        view: Catalog,
        files: Vec<Seen>,
        mut answer: InventoryAnswer,
    ) -> Result<InventoryAnswer, AnswerError> {
        let (owners, disk) = (Arc::clone(owners), Arc::clone(disk));
        let known = move || {
            let mut known: Vec<(Seen, LocatedPath, Option<KnownObject>)> = Vec::with_capacity(files.len());
            for seen in files {
                let path = disk.path().join(&seen.file.path).display().to_string();
                let at = LocatedPath { disk: disk.id().to_string(), path };
                // Files of one object lie side by side.
                let before = known.last().filter(|(before, ..)| before.object == seen.object);
                let found = match (seen.object, before) {
                    (None, _) => None,
                    (Some(_), Some((_, _, before))) => before.clone(),
                    (Some(object), None) => Some(owners.known(&view, object)?),
                };
                known.push((seen, at, found));
            }
            Ok::<_, AnswerError>(known)
        };
        let mut holdings = std::mem::take(&mut answer.holdings);
        for (seen, at, known) in self.parts.exec.run(known).await? {
            let leaving = |known: &KnownObject| {
                known.repository.as_ref().map_or(Duration::ZERO, |repository| self.leaving.of(repository))
            };
            enter(&mut answer, &mut holdings, &seen, at, known.as_ref(), leaving);
        }
        answer.holdings = holdings;
        Ok(answer)
    }
}

/// Enters a file.
fn enter(
    answer: &mut InventoryAnswer,
    holdings: &mut Vec<NamespaceFiles>,
    seen: &Seen,
    at: LocatedPath,
    known: Option<&KnownObject>,
    leaving: impl Fn(&KnownObject) -> Duration,
) {
    let bytes = seen.file.length_bytes;
    let (Some(known), Some(object)) = (known, seen.object) else {
        answer.others.add(bytes);
        if answer.other_paths.len() < OTHERS_TOLD {
            answer.other_paths.push(at);
        }
        return;
    };
    if !known.asked {
        return;
    }
    answer.shards.add(bytes);
    match judge(&known.known) {
        Verdict::Upload => answer.uploads.add(bytes),
        Verdict::Unlinked => answer.unlinked.add(bytes),
        Verdict::Stray => answer.strays.push(StrayFile { at, bytes, object: object.to_string() }),
        verdict @ (Verdict::Rests | Verdict::Foreign) => {
            let Known::Linked(owners) = &known.known else { return };
            if owners.values().any(|owner| owner.pinned) {
                answer.pinned.add(bytes);
            }
            if verdict == Verdict::Rests {
                let rightly = owners.iter().filter(|(_, owner)| owner.standing != super::judge::Standing::Foreign);
                for (namespace, owner) in rightly {
                    count(holdings, namespace, owner.standing, bytes);
                }
                return;
            }
            let owner = owners.iter().find(|(_, owner)| owner.pinned).or_else(|| owners.iter().next());
            let Some((namespace, owner)) = owner else { return };
            answer.foreign.push(ForeignFile {
                at,
                bytes,
                object: object.to_string(),
                namespace: namespace.clone(),
                pinned: owner.pinned,
                leaving_seconds: leaving(known).as_secs(),
            });
        }
    }
}

fn count(holdings: &mut Vec<NamespaceFiles>, namespace: &str, standing: super::judge::Standing, bytes: u64) {
    let at = holdings.binary_search_by(|holding| holding.namespace.as_str().cmp(namespace));
    let at = at.unwrap_or_else(|at| {
        holdings.insert(at, NamespaceFiles { namespace: namespace.to_owned(), standing, files: Tally::default() });
        at
    });
    holdings[at].files.add(bytes);
}

/// Whether the answer should be given now.
fn is_full(answer: &InventoryAnswer) -> bool {
    let items = answer.strays.len() + answer.foreign.len() + answer.errors.len();
    items + FILES_AT_ONCE > ITEMS_MAX || answer.holdings.len() > NAMESPACES_MAX
}

/// The next files of a disk behind a place. Blocks.
fn gather(disk: &Disk, part: u16, path: Option<String>) -> Batch {
    let mut batch = Batch::default();
    let (mut part, mut after, end) = (part, path, part.saturating_add(PARTS_AT_ONCE));
    while part < Disk::SURVEY_PARTS && part < end && batch.files.len() < FILES_AT_ONCE {
        let survey = match disk.survey(part) {
            Ok(survey) => survey,
            Err(error) => {
                batch.errors.push(format!("{}: part {part} cannot be listed: {error}", disk.path().display()));
                (part, after) = (part + 1, None);
                continue;
            }
        };
        if survey.cut && after.is_none() {
            batch.errors.push(format!("{}: there are too many files beside the shards", disk.path().display()));
        }
        let behind = |file: &SurveyedFile| after.as_ref().is_none_or(|after| file.path > *after);
        let room = FILES_AT_ONCE - batch.files.len();
        let mut files: Vec<SurveyedFile> = survey.files.into_iter().filter(behind).take(room + 1).collect();
        let more = files.len() > room;
        files.truncate(room);
        let last = files.last().map(|file| file.path.clone());
        for file in files {
            let header = disk.survey_header(&file.path).unwrap_or_else(|error| {
                batch.errors.push(format!("{}: {error}", disk.path().join(&file.path).display()));
                None
            });
            let object = header.or(file.named).map(|name| name.object);
            batch.files.push(Seen { file, object });
        }
        (part, after) = if more { (part, last) } else { (part + 1, None) };
    }
    batch.errors.truncate(FILES_AT_ONCE);
    batch.next = (part < Disk::SURVEY_PARTS).then_some((part, after));
    batch
}
