//! A page of what the source has, held against what is here: what differs is owed.
//!
//! What changes at the source while pages are compared comes again with its feed, which is followed from where it ended
//! when the survey began. So nothing here has to be of one moment.

use std::collections::{BTreeMap, BTreeSet};

use raft::catalog::{
    DEBTS_PER_COMMAND, DebtItem, Digest, NewDebt, ReplicationStage, RepositoryName, StateError, Tag, View,
};
use raft::machine::State;
use raft::time::Timestamp;

use super::scope::Wanted;
use super::{Stretch, SurveyAnswer, SurveyCursor, SurveyPart, SurveyedManifest, SurveyedRepository, SurveyedTag};

/// Rows of this region that are read at once.
const PAGE: usize = 512;
/// Rows of one list of this region that are compared at once.
const ROWS_MAX: usize = 8 * PAGE;

/// Where a survey goes on that only knows the repository that was compared last.
pub(super) fn resumed(after: Option<&RepositoryName>) -> Option<SurveyCursor> {
    after.map(|repository| SurveyCursor { repository: repository.clone(), part: SurveyPart::Whole })
}

/// Where the replication stands once a page is taken in. A repository of which only a part was compared is compared anew
/// when another node goes on.
pub(super) fn stage_after(before: Option<&RepositoryName>, page: &SurveyAnswer) -> ReplicationStage {
    let Some(next) = &page.next else { return ReplicationStage::Following };
    if next.part == SurveyPart::Whole {
        return ReplicationStage::Surveying { after: Some(next.repository.clone()) };
    }
    let whole = page.repositories.iter().rev().map(|surveyed| &surveyed.name).find(|name| **name < next.repository);
    ReplicationStage::Surveying { after: whole.or(before).cloned() }
}

/// What is owed by a page that begins behind `after`, in order. Where that is more than is to be taken in at once, the page
/// is cut short: what comes behind is asked for again.
pub(super) fn owed<S: State>(
    wanted: &Wanted,
    view: &View<S>,
    after: Option<&SurveyCursor>,
    page: &mut SurveyAnswer,
) -> Result<Vec<NewDebt>, StateError> {
    let wanted = wanted.clone().clearing(view)?;
    let mut owed = Owed { wanted: &wanted, view, time: page.clock, debts: Vec::new() };
    let mut last = after.map(|after| &after.repository);
    let mut cut = None;
    for surveyed in &page.repositories {
        cut = owed.absent(last, Some(&surveyed.name))?;
        if cut.is_none() && wanted.holds(&surveyed.name) {
            cut = owed.next(last, surveyed)?;
        }
        if cut.is_some() {
            break;
        }
        last = Some(&surveyed.name);
    }
    if cut.is_none() {
        cut = owed.absent(last, page.next.as_ref().map(|next| &next.repository))?;
    }
    let debts = owed.debts;
    if cut.is_some() {
        page.next = cut;
    }
    Ok(debts)
}

/// Where a stretch of a list ends.
enum End<K> {
    /// Before it begins.
    Nowhere,
    /// With this one.
    At(K),
    /// With the list.
    List,
}

fn end_of<K: Clone, V>(stretch: &Stretch<K, V>) -> End<K> {
    match stretch.items.last() {
        _ if stretch.to_end => End::List,
        Some((key, _)) => End::At(key.clone()),
        None => End::Nowhere,
    }
}

/// What is here of a stretch.
struct Here<K, V> {
    rows: BTreeMap<K, V>,
    /// The last one, where there are more than are compared at once.
    cut: Option<K>,
}

impl<K: Ord, V> Here<K, V> {
    fn covers(&self, key: &K) -> bool {
        self.cut.as_ref().is_none_or(|cut| key <= cut)
    }
}

/// What is here of a stretch that begins behind `after`.
fn read<K: Ord + Clone, V>(
    mut after: Option<K>,
    end: &End<K>,
    mut page: impl FnMut(Option<&K>) -> Result<Vec<(K, V)>, StateError>,
) -> Result<Here<K, V>, StateError> {
    let mut here = Here { rows: BTreeMap::new(), cut: None };
    if matches!(end, End::Nowhere) {
        return Ok(here);
    }
    loop {
        let rows = page(after.as_ref())?;
        let is_last = rows.len() < PAGE;
        after = rows.last().map(|(key, _)| key.clone()).or(after);
        for (key, value) in rows {
            if matches!(end, End::At(last) if key > *last) {
                return Ok(here);
            }
            here.rows.insert(key, value);
        }
        if is_last {
            return Ok(here);
        }
        if here.rows.len() >= ROWS_MAX {
            here.cut = after;
            return Ok(here);
        }
    }
}

/// What is found to be owed.
struct Owed<'a, S> {
    wanted: &'a Wanted,
    view: &'a View<S>,
    time: Timestamp,
    debts: Vec<NewDebt>,
}

impl<S: State> Owed<'_, S> {
    fn is_full(&self) -> bool {
        self.debts.len() >= DEBTS_PER_COMMAND
    }

    fn add(&mut self, repository: &RepositoryName, item: DebtItem, length_bytes: u64) {
        self.add_of(repository, item, self.time, length_bytes);
    }

    /// Something that is of its own time, and keeps it here.
    fn add_of(&mut self, repository: &RepositoryName, item: DebtItem, time: Timestamp, length_bytes: u64) {
        self.debts.push(NewDebt { repository: repository.clone(), item, time, length_bytes });
    }

    /// Enlists repositories that are here and of which the source has nothing, behind one and before another one. Returns
    /// where the page is cut, if it is.
    fn absent(
        &mut self,
        behind: Option<&RepositoryName>,
        end: Option<&RepositoryName>,
    ) -> Result<Option<SurveyCursor>, StateError> {
        if !self.wanted.clears() {
            return Ok(None);
        }
        let mut behind = behind.cloned();
        loop {
            let names = self.view.repositories_below(&self.wanted.prefix, behind.as_ref(), PAGE)?;
            let is_last = names.len() < PAGE;
            for name in names {
                if end.is_some_and(|end| name >= *end) {
                    return Ok(None);
                }
                if self.wanted.holds(&name)
                    && let Some(cut) = self.next(behind.as_ref(), &nothing_of(&name))?
                {
                    return Ok(Some(cut));
                }
                behind = Some(name);
            }
            if is_last {
                return Ok(None);
            }
        }
    }

    /// Compares a repository that comes behind another one, if there is room. Returns where the page is cut, if it is.
    fn next(
        &mut self,
        behind: Option<&RepositoryName>,
        surveyed: &SurveyedRepository,
    ) -> Result<Option<SurveyCursor>, StateError> {
        match behind {
            Some(behind) if self.is_full() => Ok(resumed(Some(behind))),
            _ => {
                let cut = self.compare(surveyed)?;
                Ok(cut.map(|part| SurveyCursor { repository: surveyed.name.clone(), part }))
            }
        }
    }

    /// Compares a repository, or the part of it that the page has. Returns up to where, if there is more.
    fn compare(&mut self, surveyed: &SurveyedRepository) -> Result<Option<SurveyPart>, StateError> {
        let (name, view) = (&surveyed.name, self.view);
        let tags = match &surveyed.tags {
            Some(there) => {
                let here = read(there.after.clone(), &end_of(there), |after| view.tags_with(name, after, PAGE))?;
                Some((there, here))
            }
            None => None,
        };
        if let Some((there, here)) = &tags
            && let Some(cut) = &here.cut
        {
            self.tags(name, there, here);
            return Ok(Some(SurveyPart::Tags(Some(cut.clone()))));
        }
        // Manifests first: those with tags come with their tags once more, and are here then.
        let mut cut = None;
        if let Some(there) = &surveyed.manifests {
            let here = read(there.after, &end_of(there), |after| {
                let page = view.manifests_of(name, after, PAGE)?;
                Ok(page.into_iter().map(|(digest, _)| (digest, ())).collect())
            })?;
            self.manifests(name, there, &here);
            cut = here.cut.map(|cut| SurveyPart::Manifests(Some(cut)));
        }
        // Links that no manifest uses go by themselves, in their time.
        for (digest, length_bytes) in surveyed.blobs.iter().flat_map(|blobs| &blobs.items) {
            if cut.is_none() && view.link(name, digest)?.is_none() {
                self.add(name, DebtItem::Blob { digest: *digest }, *length_bytes);
            }
        }
        if let Some((there, here)) = &tags {
            self.tags(name, there, here);
        }
        Ok(cut)
    }

    fn manifests(
        &mut self,
        repository: &RepositoryName,
        there: &Stretch<Digest, SurveyedManifest>,
        here: &Here<Digest, ()>,
    ) {
        if self.wanted.takes_everything() {
            let lacking = |digest: &Digest| here.covers(digest) && !here.rows.contains_key(digest);
            for (digest, manifest) in there.items.iter().filter(|(digest, _)| lacking(digest)) {
                let item = DebtItem::Manifest { digest: *digest };
                self.add_of(repository, item, manifest.pushed, manifest.length_bytes);
            }
        }
        if self.wanted.clears() {
            let there: BTreeSet<&Digest> = there.items.iter().map(|(digest, _)| digest).collect();
            for digest in here.rows.keys().filter(|digest| !there.contains(digest)) {
                self.add(repository, DebtItem::ManifestGone { digest: *digest }, 0);
            }
        }
    }

    fn tags(&mut self, repository: &RepositoryName, there: &Stretch<Tag, SurveyedTag>, here: &Here<Tag, Digest>) {
        let differs = |tag: &Tag, set: &SurveyedTag| here.covers(tag) && here.rows.get(tag) != Some(&set.digest);
        for (tag, set) in there.items.iter().filter(|(tag, set)| differs(tag, set)) {
            if self.wanted.takes_tag(tag) {
                let item = DebtItem::Tag { tag: tag.clone(), digest: set.digest };
                self.add_of(repository, item, set.updated, 0);
            }
        }
        if self.wanted.clears() {
            let there: BTreeSet<&Tag> = there.items.iter().map(|(tag, _)| tag).collect();
            for tag in here.rows.keys().filter(|tag| !there.contains(tag) && self.wanted.takes_tag(tag)) {
                self.add(repository, DebtItem::TagGone { tag: tag.clone() }, 0);
            }
        }
    }
}

/// What a source says of a repository that it does not have.
fn nothing_of(name: &RepositoryName) -> SurveyedRepository {
    let tags = Some(Stretch { after: None, items: Vec::new(), to_end: true });
    let manifests = Some(Stretch { after: None, items: Vec::new(), to_end: true });
    SurveyedRepository { name: name.clone(), tags, manifests, blobs: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_read_up_to_the_end_of_a_stretch_or_so_much_of_it() {
        let page = |after: Option<&usize>| {
            let begin = after.map_or(0, |after| after + 1);
            Ok((begin..100_000).take(PAGE).map(|key| (key, ())).collect())
        };
        let here = |after, end| read(after, &end, page).map(|here| (here.rows.len(), here.cut)).unwrap();
        assert_eq!(here(None, End::Nowhere), (0, None));
        assert_eq!(here(Some(9), End::At(1000)), (991, None));
        assert_eq!(here(None, End::List), (ROWS_MAX, Some(ROWS_MAX - 1)));
        assert_eq!(here(Some(99_000), End::List), (999, None));
    }
}
