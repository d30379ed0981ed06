//! All that is below a prefix at the home, page by page, as a region with a copy is told of it.

use raft::catalog::{ManifestRecord, RepositoryName, TagRecord};
use raft::policy::covers;

use super::{Reading, Told};
use crate::replication::QuestionError;
use crate::replication::question::{
    PositionAnswer, SURVEY_ITEMS_MAX, Stretch, SurveyAnswer, SurveyCursor, SurveyPart, SurveyedManifest,
    SurveyedRepository, SurveyedTag,
};

/// Most repositories that are looked at for one page, those included that the question is not about.
const EXAMINED_MAX: usize = 4096;
/// Repositories read at once.
const PAGE: usize = 256;

/// The page behind `after`.
pub(super) fn read(
    told: &Told,
    view: &Reading,
    position: PositionAnswer,
    after: Option<SurveyCursor>,
    limit: usize,
) -> Result<SurveyAnswer, QuestionError> {
    let PositionAnswer { end, clock, policy_version } = position;
    let mut page = Page { told, view, left: limit.clamp(1, SURVEY_ITEMS_MAX), repositories: Vec::new() };
    let next = page.fill(after)?;
    Ok(SurveyAnswer { end, clock, policy_version, repositories: page.repositories, next })
}

/// A page that is being filled.
struct Page<'a> {
    told: &'a Told,
    view: &'a Reading,
    /// What still finds room.
    left: usize,
    repositories: Vec<SurveyedRepository>,
}

impl Page<'_> {
    /// Fills it, and returns where the next one begins.
    fn fill(&mut self, after: Option<SurveyCursor>) -> Result<Option<SurveyCursor>, QuestionError> {
        let mut last: Option<RepositoryName> = None;
        if let Some(SurveyCursor { repository, part }) = after {
            if !covers(self.told.prefix(), &repository) {
                return Err(QuestionError::Invalid(format!("{repository} is not below {:?}", self.told.prefix())));
            }
            if part != SurveyPart::Whole
                && self.told.is_about(&repository)
                && let Some(part) = self.add(&repository, part)?
            {
                return Ok(Some(SurveyCursor { repository, part }));
            }
            last = Some(repository);
        }
        let mut examined = 0;
        loop {
            let names = self.view.repositories_below(self.told.prefix(), last.as_ref(), PAGE)?;
            let is_end = names.len() < PAGE;
            for repository in names {
                if self.left == 0 || examined >= EXAMINED_MAX {
                    return Ok(last.map(|repository| SurveyCursor { repository, part: SurveyPart::Whole }));
                }
                examined += 1;
                if self.told.is_about(&repository)
                    && let Some(part) = self.add(&repository, SurveyPart::Tags(None))?
                {
                    return Ok(Some(SurveyCursor { repository, part }));
                }
                last = Some(repository);
            }
            if is_end {
                return Ok(None);
            }
        }
    }

    /// Adds a repository from a part on, and returns where it goes on if it does not find room.
    fn add(&mut self, name: &RepositoryName, from: SurveyPart) -> Result<Option<SurveyPart>, QuestionError> {
        self.told.check(self.view, name)?;
        self.left = self.left.saturating_sub(1).max(1);
        let mut surveyed = SurveyedRepository { name: name.clone(), tags: None, manifests: None, blobs: None };
        let mut part = from;
        if let SurveyPart::Tags(after) = part {
            let set = |record: TagRecord| SurveyedTag { digest: record.digest, updated: record.updated };
            let items = self.view.tag_records(name, after.as_ref(), self.left)?;
            let items: Vec<_> = items.into_iter().map(|(tag, record)| (tag, set(record))).collect();
            part = match (items.len() < self.left, items.last()) {
                (false, Some((last, _))) => SurveyPart::Tags(Some(last.clone())),
                _ => SurveyPart::Manifests(None),
            };
            self.left -= items.len();
            surveyed.tags = Some(Stretch { after, to_end: matches!(part, SurveyPart::Manifests(_)), items });
        }
        if let SurveyPart::Manifests(after) = &part
            && self.left > 0
        {
            let after = *after;
            let stored = |record: ManifestRecord| {
                let ManifestRecord { length_bytes, pushed, .. } = record;
                SurveyedManifest { length_bytes, pushed }
            };
            let items = self.view.manifests_of(name, after.as_ref(), self.left)?;
            let items: Vec<_> = items.into_iter().map(|(digest, record)| (digest, stored(record))).collect();
            part = match (items.len() < self.left, items.last()) {
                (false, Some((last, _))) => SurveyPart::Manifests(Some(*last)),
                _ if self.told.blobs => SurveyPart::Blobs(None),
                _ => SurveyPart::Whole,
            };
            self.left -= items.len();
            surveyed.manifests = Some(Stretch { after, to_end: !matches!(part, SurveyPart::Manifests(_)), items });
        }
        if let SurveyPart::Blobs(after) = &part
            && self.left > 0
        {
            let after = *after;
            let items = self.view.links_unused(name, after.as_ref(), self.left)?;
            part = match (items.len() < self.left, items.last()) {
                (false, Some((last, _))) => SurveyPart::Blobs(Some(*last)),
                _ => SurveyPart::Whole,
            };
            self.left -= items.len();
            surveyed.blobs = Some(Stretch { after, to_end: part == SurveyPart::Whole, items });
        }
        self.repositories.push(surveyed);
        Ok((part != SurveyPart::Whole).then_some(part))
    }
}
