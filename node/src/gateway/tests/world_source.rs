//! A region to copy from, as tests like it: what it has, what has happened there, and how it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use raft::catalog::{DebtItem, Digest, RepositoryName, Tag};
use raft::directory::{Aside, Elsewhere, Moving, Place, PlaceSources, Replication, Residency};
use raft::id::RegionId;
use raft::time::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

use super::world::sha256;
use crate::environment::BoxFuture;
use crate::regions::{Region, Scope, Scopes};
use crate::registry::media_type::{IMAGE, INDEX};
use crate::replication::testing::{FetchError, FetchedBlob, FetchedManifest, Upstream};
use crate::replication::{
    FeedAnswer, FeedEvent, FeedQuestion, PositionAnswer, PositionQuestion, QuestionError, Stretch, SurveyAnswer,
    SurveyCursor, SurveyPart, SurveyQuestion, SurveyedManifest, SurveyedRepository, SurveyedTag,
};

/// The region that copies.
pub(super) const OWN: RegionId = RegionId(1);
/// The region that is copied from.
pub(super) const FAR: RegionId = RegionId(7);

/// Content of one repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) tags: BTreeMap<Tag, Digest>,
    pub(super) manifests: BTreeMap<Digest, Bytes>,
    pub(super) blobs: BTreeMap<Digest, Bytes>,
}

#[derive(Debug, Default)]
pub(super) struct FarState {
    pub(super) content: BTreeMap<RepositoryName, Content>,
    pub(super) events: Vec<FeedEvent>,
    /// Events up to this one are forgotten.
    pub(super) forgotten: u64,
    pub(super) clock: u64,
    pub(super) silent: bool,
    /// Blobs of which a line brings so many bytes at most before it breaks.
    pub(super) broken: BTreeMap<Digest, u64>,
    /// Blobs that cannot be read there.
    pub(super) unreadable: BTreeSet<Digest>,
    /// Blobs whose bytes are wrong.
    pub(super) wrong: BTreeSet<Digest>,
    /// Blobs that were asked for, from which byte on.
    pub(super) fetched: Vec<(Digest, u64)>,
    /// Pages of surveys that were asked for.
    pub(super) surveyed: usize,
    pub(super) replication: Replication,
    pub(super) moving: Option<Moving>,
    pub(super) aside: Vec<Aside>,
    /// Nothing is to be copied any more.
    pub(super) unwanted: bool,
    pub(super) policy_version: u64,
    /// Longer prefixes that do not belong to the scope.
    pub(super) except: Vec<String>,
    /// Most items of a page of a survey.
    pub(super) page: usize,
}

/// The region that is copied from.
#[derive(Debug)]
pub(super) struct Far {
    state: Mutex<FarState>,
    /// Closed gates hold blobs back.
    pub(super) gate: Semaphore,
    /// Pages of surveys that are answered.
    pub(super) pages: Semaphore,
}

impl Far {
    pub(super) fn new() -> Arc<Self> {
        let except = vec!["acme/own".to_owned()];
        let state = FarState { clock: 5_000, policy_version: 1, page: 1000, except, ..FarState::default() };
        Arc::new(Self {
            state: Mutex::new(state),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            pages: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, FarState> {
        self.state.lock().unwrap()
    }

    /// When something was pushed or set last.
    fn time(state: &FarState, repository: &RepositoryName, item: &DebtItem) -> Timestamp {
        let mut of = state.events.iter().rev().filter(|event| event.repository == *repository);
        of.find(|event| event.item == *item).map(|event| event.time).unwrap_or_default()
    }

    fn happens(state: &mut FarState, repository: &RepositoryName, item: DebtItem) {
        state.clock += 10;
        let (sequence, time) = (state.events.len() as u64 + 1, Timestamp(state.clock));
        state.events.push(FeedEvent { sequence, time, repository: repository.clone(), item, length_bytes: 0 });
    }

    /// The manifest of an image of these layers.
    fn manifest_of(layers: &[&[u8]]) -> String {
        let blob =
            |layer: &&[u8]| json!({ "mediaType": "x/y", "digest": sha256(layer).to_string(), "size": layer.len() });
        let config = json!({ "mediaType": "x/y", "digest": sha256(b"{}").to_string(), "size": 2 });
        let layers_json: Vec<_> = layers.iter().map(blob).collect();
        json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers_json }).to_string()
    }

    /// The digest of such an image.
    pub(super) fn image(layers: &[&[u8]]) -> Digest {
        sha256(Self::manifest_of(layers).as_bytes())
    }

    /// Pushes an image of these layers.
    pub(super) fn push(&self, repository: &str, tag: &str, layers: &[&[u8]]) -> Digest {
        let manifest = Self::manifest_of(layers);
        let blobs = layers.iter().copied().chain([b"{}".as_slice()]);
        self.put(repository, tag, &manifest, blobs)
    }

    /// Pushes an index of manifests.
    pub(super) fn push_index(&self, repository: &str, tag: &str, children: &[Digest]) -> Digest {
        let child = |digest: &Digest| json!({ "mediaType": IMAGE, "digest": digest.to_string(), "size": 1 });
        let children: Vec<_> = children.iter().map(child).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children }).to_string();
        self.put(repository, tag, &index, std::iter::empty())
    }

    fn put<'a>(&self, repository: &str, tag: &str, manifest: &str, blobs: impl Iterator<Item = &'a [u8]>) -> Digest {
        let repository: RepositoryName = repository.parse().unwrap();
        let digest = sha256(manifest.as_bytes());
        let mut state = self.state();
        let content = state.content.entry(repository.clone()).or_default();
        content.blobs.extend(blobs.map(|blob| (sha256(blob), Bytes::copy_from_slice(blob))));
        let is_new = content.manifests.insert(digest, Bytes::copy_from_slice(manifest.as_bytes())).is_none();
        if is_new {
            Self::happens(&mut state, &repository, DebtItem::Manifest { digest });
        }
        if !tag.is_empty() {
            // One push is one moment.
            state.clock -= if is_new { 10 } else { 0 };
            let tag: Tag = tag.parse().unwrap();
            state.content.entry(repository.clone()).or_default().tags.insert(tag.clone(), digest);
            Self::happens(&mut state, &repository, DebtItem::Tag { tag, digest });
        }
        digest
    }

    /// Uploads a blob that no manifest uses.
    pub(super) fn upload(&self, repository: &str, bytes: &[u8]) {
        let repository: RepositoryName = repository.parse().unwrap();
        let mut state = self.state();
        let content = state.content.entry(repository.clone()).or_default();
        content.blobs.insert(sha256(bytes), Bytes::copy_from_slice(bytes));
        Self::happens(&mut state, &repository, DebtItem::Blob { digest: sha256(bytes) });
    }

    /// Deletes a tag.
    pub(super) fn delete_tag(&self, repository: &str, tag: &str) {
        let (repository, tag): (RepositoryName, Tag) = (repository.parse().unwrap(), tag.parse().unwrap());
        let mut state = self.state();
        state.content.get_mut(&repository).unwrap().tags.remove(&tag);
        Self::happens(&mut state, &repository, DebtItem::TagGone { tag });
    }

    /// Deletes a manifest.
    pub(super) fn delete_manifest(&self, repository: &str, digest: Digest) {
        let repository: RepositoryName = repository.parse().unwrap();
        let mut state = self.state();
        state.content.get_mut(&repository).unwrap().manifests.remove(&digest);
        Self::happens(&mut state, &repository, DebtItem::ManifestGone { digest });
    }

    /// Something else is to be copied from now on.
    pub(super) fn change(&self, change: impl FnOnce(&mut FarState)) {
        change(&mut self.state());
    }

    fn answering(&self) -> Result<MutexGuard<'_, FarState>, QuestionError> {
        let state = self.state();
        if state.silent { Err(QuestionError::Unavailable("region far does not answer".to_owned())) } else { Ok(state) }
    }

    fn fetching(&self) -> Result<MutexGuard<'_, FarState>, FetchError> {
        self.answering().map_err(|error| FetchError::Silent(error.to_string()))
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(std::future::ready(value))
}

/// A stretch of a list behind a key, of so many items at most.
fn stretch<K: Ord + Clone, V>(list: impl Iterator<Item = (K, V)>, after: Option<K>, room: &mut usize) -> Stretch<K, V> {
    let mut rest = list.filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let items: Vec<(K, V)> = rest.by_ref().take(*room).collect();
    *room -= items.len();
    let to_end = rest.next().is_none();
    Stretch { after, items, to_end }
}

impl Upstream for Far {
    fn own(&self) -> RegionId {
        OWN
    }

    fn scopes(&self) -> Option<Scopes> {
        let state = self.state();
        let place = Place {
            home: FAR,
            residency: Residency::Replicated(vec![OWN]),
            elsewhere: Elsewhere::Proxy,
            replication: state.replication.clone(),
            moving: state.moving,
            aside: state.aside.clone(),
            sources: PlaceSources::default(),
        };
        let source = Region { id: FAR, name: "far".to_owned(), public_url: None };
        let except = state.except.clone();
        let scope = Scope { prefix: "acme".to_owned(), source, place: Arc::new(place), except, removals_held: false };
        let scopes = if state.unwanted { Vec::new() } else { vec![scope] };
        Some(Scopes { policy_version: state.policy_version, scopes })
    }

    fn feed<'a>(
        &'a self,
        _source: &'a Region,
        question: FeedQuestion,
    ) -> BoxFuture<'a, Result<FeedAnswer, QuestionError>> {
        let answer = || {
            let state = self.answering()?;
            let end = state.events.len() as u64 + 1;
            let begin = usize::try_from(question.cursor.saturating_sub(1)).unwrap();
            let mut all = state.events.iter().skip(begin).take(question.limit as usize);
            let asked = |event: &&FeedEvent| question.blobs || !matches!(event.item, DebtItem::Blob { .. });
            let events: Vec<FeedEvent> = all.clone().filter(asked).cloned().collect();
            let cursor_next = all.next_back().map_or(end, |last| last.sequence + 1);
            Ok(FeedAnswer {
                cursor_next,
                end,
                clock: Timestamp(state.clock),
                lost: question.cursor <= state.forgotten,
                policy_version: state.policy_version,
                events,
            })
        };
        ready(answer())
    }

    fn survey<'a>(
        &'a self,
        _source: &'a Region,
        question: SurveyQuestion,
    ) -> BoxFuture<'a, Result<SurveyAnswer, QuestionError>> {
        let answer = move || {
            let mut state = self.answering()?;
            state.surveyed += 1;
            let (mut room, mut repositories, mut next) = (state.page, Vec::new(), None);
            let from = question.after.as_ref().map(|after| (&after.repository, &after.part));
            for (name, content) in &state.content {
                let (mut tags_after, mut manifests_after, mut with_tags) = (None, None, true);
                match from {
                    Some((begun, _)) if name < begun => continue,
                    Some((begun, part)) if name == begun => match part {
                        SurveyPart::Tags(after) => tags_after = after.clone(),
                        SurveyPart::Manifests(after) => (manifests_after, with_tags) = (*after, false),
                        _ => continue,
                    },
                    _ => {}
                }
                if room == 0 {
                    break;
                }
                let set = |(tag, digest): (&Tag, &Digest)| {
                    let item = DebtItem::Tag { tag: tag.clone(), digest: *digest };
                    (tag.clone(), SurveyedTag { digest: *digest, updated: Self::time(&state, name, &item) })
                };
                let all = content.tags.iter().map(set);
                let tags = with_tags.then(|| stretch(all, tags_after, &mut room));
                let tags_end = tags.as_ref().is_none_or(|tags| tags.to_end);
                let stored = |(digest, bytes): (&Digest, &Bytes)| {
                    let pushed = Self::time(&state, name, &DebtItem::Manifest { digest: *digest });
                    (*digest, SurveyedManifest { length_bytes: bytes.len() as u64, pushed })
                };
                let all = content.manifests.iter().map(stored);
                let manifests = tags_end.then(|| stretch(all, manifests_after, &mut room));
                let part = match (&tags, &manifests) {
                    (_, Some(manifests)) if manifests.to_end => SurveyPart::Whole,
                    (_, Some(manifests)) => SurveyPart::Manifests(manifests.items.last().map(|(digest, _)| *digest)),
                    (Some(tags), None) => SurveyPart::Tags(tags.items.last().map(|(tag, _)| tag.clone())),
                    (None, None) => SurveyPart::Whole,
                };
                let is_whole = part == SurveyPart::Whole;
                next = Some(SurveyCursor { repository: name.clone(), part });
                repositories.push(SurveyedRepository { name: name.clone(), tags, manifests, blobs: None });
                if !is_whole {
                    break;
                }
            }
            let last = state.content.keys().next_back();
            let is_end =
                next.as_ref().is_none_or(|next| Some(&next.repository) == last && next.part == SurveyPart::Whole);
            Ok(SurveyAnswer {
                end: state.events.len() as u64 + 1,
                clock: Timestamp(state.clock),
                policy_version: state.policy_version,
                repositories,
                next: next.filter(|_| !is_end),
            })
        };
        Box::pin(async move {
            self.pages.acquire().await.unwrap().forget();
            answer()
        })
    }

    fn position<'a>(
        &'a self,
        _source: &'a Region,
        _question: PositionQuestion,
    ) -> BoxFuture<'a, Result<PositionAnswer, QuestionError>> {
        let answer = self.answering().map(|state| PositionAnswer {
            end: state.events.len() as u64 + 1,
            clock: Timestamp(state.clock),
            policy_version: state.policy_version,
        });
        ready(answer)
    }

    fn manifest<'a>(
        &'a self,
        _source: &'a Region,
        repository: &'a RepositoryName,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>> {
        let found = self.fetching().map(|state| {
            let bytes = state.content.get(repository)?.manifests.get(digest)?.clone();
            Some(FetchedManifest { digest: *digest, media_type: String::new(), bytes })
        });
        ready(found)
    }

    fn tag<'a>(
        &'a self,
        _source: &'a Region,
        repository: &'a RepositoryName,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>> {
        ready(self.fetching().map(|state| state.content.get(repository)?.tags.get(tag).copied()))
    }

    fn blob<'a>(
        &'a self,
        _source: &'a Region,
        repository: &'a RepositoryName,
        digest: &'a Digest,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Option<FetchedBlob>, FetchError>> {
        Box::pin(async move {
            let _open = self.gate.acquire().await.unwrap();
            let mut state = self.fetching()?;
            state.fetched.push((*digest, range.start));
            if state.unreadable.contains(digest) {
                return Err(FetchError::Failed("it cannot be read there".to_owned()));
            }
            let found = state.content.get(repository).and_then(|content| content.blobs.get(digest));
            let Some(mut bytes) = found.cloned() else { return Ok(None) };
            if state.wrong.contains(digest) {
                bytes = bytes.iter().map(|byte| byte ^ 1).collect();
            }
            let length = bytes.len() as u64;
            let end = range.end.min(length);
            let breaks = state.broken.get(digest).map(|most| range.start + most).filter(|at| *at < end);
            let part = |at: u64| usize::try_from(at).unwrap();
            let rest = bytes.slice(part(range.start.min(length))..part(breaks.unwrap_or(end)));
            let frames: Vec<_> = rest.chunks(64 << 10).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect();
            let cut = breaks.map(|_| Err("the line was cut".to_owned()));
            let bytes = stream::iter(frames).chain(stream::iter(cut));
            Ok(Some(FetchedBlob { length_bytes: Some(length), bytes: Box::pin(bytes) }))
        })
    }
}
