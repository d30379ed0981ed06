//! What a home tells regions with a copy, and what it keeps to itself.

use std::sync::Arc;

use raft::catalog::{
    Command, DebtItem, Digest, EventKind, ManifestRecord, NamespaceCopy, PULLS_PER_COMMAND, RepositoryName, Response,
    TagRecord,
};
use raft::directory::{self, Moving, NamespaceRecord, Residency};
use raft::id::{RegionId, RequestId};
use raft::policy::Role;
use storage::exec::Exec;

use super::world::*;
use super::world_images::*;
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::gateway::Gateway;
use crate::regions::testing::alone;
use crate::registry::Pulls;
use crate::replication::{
    FeedAnswer, FeedQuestion, PositionQuestion, PullsTold, QuestionError, Source, SurveyCursor, SurveyPart,
    SurveyQuestion, SurveyedManifest, SurveyedRepository, SurveyedTag,
};

const MAIN: RegionId = RegionId(1);
const US: RegionId = RegionId(2);
const ASIA: RegionId = RegionId(3);

/// The first region of three, with what it holds.
struct Home {
    world: Arc<World>,
    gateway: Gateway,
    directory: Arc<dyn DirectoryRecords>,
}

impl Home {
    async fn new() -> Self {
        let world = World::new(&[1]);
        let home = Self { gateway: world.gateway(1, small()), world, directory: directory() };
        for name in ["us", "asia"] {
            home.order(directory::Command::AddRegion { name: name.to_owned() }).await;
        }
        home
    }

    async fn order(&self, command: directory::Command) {
        let request = RequestId(self.gateway.core.entropy.id());
        let response = self.directory.propose(request, command).await.unwrap();
        assert_eq!(response, directory::Response::Done);
    }

    async fn set(&self, prefix: &str, record: NamespaceRecord) {
        let made_from = self.version();
        self.order(directory::Command::SetNamespace { prefix: prefix.to_owned(), record, made_from }).await;
    }

    /// A copy of a prefix in the second region.
    async fn copy(&self, prefix: &str) {
        self.set(prefix, residency(Residency::Replicated(vec![US]))).await;
    }

    fn version(&self) -> u64 {
        self.directory.view().policy_version().unwrap()
    }

    async fn sync(&self, prefix: &str, role: Role, version: u64) {
        let changes = vec![(prefix.to_owned(), Some(NamespaceCopy { role: Some(role), ..NamespaceCopy::default() }))];
        let command = Command::SyncPolicies { version, changes, complete: true };
        assert_eq!(self.gateway.core.propose(command).await.unwrap(), Response::Done);
    }

    async fn push(&self, repository: &str, tag: &str) -> Digest {
        push_image(&self.gateway, &name(repository), tag.as_bytes(), tag).await
    }

    fn pulls(&self) -> Pulls {
        let core = &self.gateway.core;
        Pulls::new(Arc::clone(&core.records), Arc::clone(&core.entropy), Exec::inline())
    }

    /// What answers, by the directory as it is now.
    fn source(&self) -> Source {
        Source::new(&self.gateway, alone(&self.directory, Exec::inline()), self.pulls())
    }

    fn question(&self, prefix: &str, except: &[&str], cursor: u64) -> FeedQuestion {
        let except = except.iter().map(|text| (*text).to_owned()).collect();
        FeedQuestion {
            prefix: prefix.to_owned(),
            except,
            policy_version: self.version(),
            blobs: false,
            cursor,
            limit: 1000,
        }
    }

    async fn feed(&self, asking: RegionId, prefix: &str, except: &[&str]) -> Result<FeedAnswer, QuestionError> {
        self.source().feed(asking, self.question(prefix, except, 1)).await
    }

    async fn survey(&self, limit: u32, blobs: bool, after: Option<SurveyCursor>) -> Vec<Vec<SurveyedRepository>> {
        let (mut pages, mut after) = (Vec::new(), after);
        loop {
            let question = SurveyQuestion {
                prefix: "acme".to_owned(),
                except: vec!["acme/pinned".to_owned()],
                policy_version: self.version(),
                blobs,
                after,
                limit,
            };
            let answer = self.source().survey(US, question).await.unwrap();
            pages.push(answer.repositories);
            after = answer.next;
            if after.is_none() {
                return pages;
            }
        }
    }
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn residency(residency: Residency) -> NamespaceRecord {
    NamespaceRecord { residency: Some(residency), ..NamespaceRecord::default() }
}

fn said(answer: &FeedAnswer) -> Vec<(&str, &str)> {
    let item = |item: &DebtItem| match item {
        DebtItem::Tag { .. } => "tag",
        DebtItem::Manifest { .. } => "manifest",
        DebtItem::Blob { .. } => "blob",
        DebtItem::TagGone { .. } => "tag gone",
        DebtItem::ManifestGone { .. } => "manifest gone",
    };
    answer.events.iter().map(|event| (event.repository.as_str(), item(&event.item))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_told_what_happens_below_its_prefix_in_order() {
    let home = Home::new().await;
    home.copy("acme").await;
    home.push("other", "v1").await;
    let digest = home.push("acme/app", "v1").await;
    home.push("acmex", "v1").await;
    delete(&home.gateway, &name("acme/app"), digest).await;
    let all = home.feed(US, "acme", &[]).await.unwrap();
    let expected = ["manifest", "tag", "tag gone", "manifest gone"].map(|item| ("acme/app", item));
    assert_eq!(said(&all), expected);
    let end = home.world.view().event_sequences().unwrap().end;
    assert_eq!((all.cursor_next, all.end, all.lost), (end, end, false));
    assert_eq!(all.clock, home.world.view().clock().unwrap());
    let manifest = all.events.iter().find(|event| matches!(event.item, DebtItem::Manifest { .. })).unwrap();
    assert_eq!(manifest.length_bytes, format!("{{\"layer\":\"{}\"}}", sha256(b"v1")).len() as u64);

    // In small pages nothing is passed over.
    let (mut events, mut cursor) = (Vec::new(), 1);
    while cursor < end {
        let question = FeedQuestion { limit: 1, ..home.question("acme", &[], cursor) };
        let page = home.source().feed(US, question).await.unwrap();
        assert!(page.events.len() <= 1 && page.cursor_next > cursor);
        events.extend(page.events);
        cursor = page.cursor_next;
    }
    assert_eq!(events, all.events);
    let numbers: Vec<u64> = home
        .world
        .view()
        .events(1, 100)
        .unwrap()
        .into_iter()
        .filter_map(|(number, event)| {
            let is_told = |repository: &RepositoryName| repository.as_str() == "acme/app";
            match &event.kind {
                EventKind::ManifestStored { repository, .. }
                | EventKind::ManifestDeleted { repository, .. }
                | EventKind::TagSet { repository, .. }
                | EventKind::TagDeleted { repository, .. } => is_told(repository).then_some(number),
                EventKind::BlobLinked { .. } | EventKind::BlobUnlinked { .. } => None,
            }
        })
        .collect();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), numbers);
}

#[tokio::test(start_paused = true)]
async fn events_that_are_not_kept_are_lost_and_so_are_those_that_never_were() {
    let home = Home::new().await;
    home.copy("acme").await;
    home.push("acme/app", "v1").await;
    let end = home.world.view().event_sequences().unwrap().end;
    for cursor in [0, end + 1] {
        let answer = home.source().feed(US, home.question("acme", &[], cursor)).await.unwrap();
        assert_eq!((answer.lost, answer.cursor_next, answer.events.len()), (true, cursor, 0));
    }
    let answer = home.source().feed(US, home.question("acme", &[], end)).await.unwrap();
    assert_eq!((answer.lost, answer.cursor_next), (false, end));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_what_a_region_is_not_to_have() {
    let home = Home::new().await;
    home.copy("acme").await;
    home.set("acme/pinned", residency(Residency::Pinned)).await;
    home.push("acme/app", "v1").await;
    home.push("acme/pinned/app", "v1").await;
    home.push("other", "v1").await;
    let told = home.feed(US, "acme", &["acme/pinned"]).await.unwrap();
    assert!(said(&told).iter().all(|(repository, _)| *repository == "acme/app"), "{told:?}");
    for (asking, prefix) in [(US, ""), (US, "acme/pinned"), (US, "other"), (ASIA, "acme"), (RegionId(9), "acme")] {
        let refused = home.feed(asking, prefix, &[]).await;
        assert!(matches!(refused, Err(QuestionError::Refused(_))), "{asking} {prefix}: {refused:?}");
        let question = PositionQuestion { prefix: prefix.to_owned(), policy_version: 1 };
        assert!(home.source().position(asking, question).await.is_err());
    }
    // Who has not heard of the pinning asks for more than it may have: nothing is left out, nothing is named.
    let behind = home.feed(US, "acme", &[]).await;
    let Err(QuestionError::Behind(message)) = behind else { panic!("{behind:?}") };
    assert!(!message.contains("pinned"), "{message}");
    let question = SurveyQuestion {
        prefix: "acme".to_owned(),
        except: Vec::new(),
        policy_version: 1,
        blobs: false,
        after: None,
        limit: 1000,
    };
    assert!(matches!(home.source().survey(US, question.clone()).await, Err(QuestionError::Behind(_))));
    let after = Some(SurveyCursor { repository: name("other"), part: SurveyPart::Whole });
    let invalid = home.source().survey(US, SurveyQuestion { after, ..question }).await;
    assert!(matches!(invalid, Err(QuestionError::Invalid(_))), "{invalid:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_knows_less_than_the_other_one_tells_nothing() {
    let home = Home::new().await;
    home.copy("acme").await;
    home.push("acme/app", "v1").await;
    let newer = FeedQuestion { policy_version: home.version() + 1, ..home.question("acme", &[], 1) };
    assert!(matches!(home.source().feed(US, newer).await, Err(QuestionError::Behind(_))));
    // The catalog has taken up a change that this node has not heard of.
    home.sync("acme", Role::Home, home.version() + 1).await;
    assert!(matches!(home.feed(US, "acme", &[]).await, Err(QuestionError::Behind(_))));
    home.copy("other").await;
    let answer = home.feed(US, "acme", &[]).await.unwrap();
    assert_eq!(answer.policy_version, home.version());
    // A catalog that does not go by it yet that it is the home may lack what the home has.
    home.copy("another").await;
    home.sync("acme", Role::Replica, home.version()).await;
    assert!(matches!(home.feed(US, "acme", &[]).await, Err(QuestionError::Behind(_))));
}

#[tokio::test(start_paused = true)]
async fn a_fenced_home_tells_its_successor_and_a_former_one_tells_the_home() {
    let home = Home::new().await;
    home.set("acme", residency(Residency::Pinned)).await;
    home.push("acme/app", "v1").await;
    assert!(home.feed(US, "acme", &[]).await.is_err());
    let moving = Some(Moving { to: US, fenced: true });
    home.set("acme", NamespaceRecord { moving, ..residency(Residency::Pinned) }).await;
    home.sync("acme", Role::Fenced, home.version()).await;
    assert_eq!(said(&home.feed(US, "acme", &[]).await.unwrap()).len(), 2);
    assert!(home.feed(ASIA, "acme", &[]).await.is_err());

    let made_from = home.version();
    home.order(directory::Command::ForceHome { prefix: "acme".to_owned(), to: US, made_from }).await;
    assert_eq!(home.directory.view().place_at("acme").unwrap().unwrap().role(MAIN), Role::Fenced);
    home.sync("acme", Role::Fenced, home.version()).await;
    assert_eq!(said(&home.feed(US, "acme", &[]).await.unwrap()).len(), 2, "what it has kept");
    let refused = home.feed(ASIA, "acme", &[]).await;
    assert!(matches!(&refused, Err(QuestionError::Refused(text)) if text.contains("region us is")), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_survey_names_all_that_is_there_whatever_its_pages_hold() {
    let home = Home::new().await;
    home.copy("acme").await;
    home.set("acme/pinned", residency(Residency::Pinned)).await;
    for repository in ["acme", "acme/app", "acme/pinned/x", "acme/tool", "acme-x", "zulu"] {
        for tag in ["v1", "v2", "v3"] {
            home.push(repository, tag).await;
        }
    }
    let whole = home.survey(1000, false, None).await;
    assert_eq!(whole.len(), 1);
    let names: Vec<&str> = whole[0].iter().map(|repository| repository.name.as_str()).collect();
    assert_eq!(names, ["acme", "acme/app", "acme/tool"]);
    for repository in &whole[0] {
        let (tags, manifests) = (repository.tags.as_ref().unwrap(), repository.manifests.as_ref().unwrap());
        assert!(tags.to_end && manifests.to_end && tags.after.is_none() && manifests.after.is_none());
        assert_eq!((tags.items.len(), manifests.items.len()), (3, 3));
        let expected = home.world.view().tag_records(&repository.name, None, 9).unwrap();
        let set = |record: &TagRecord| SurveyedTag { digest: record.digest, updated: record.updated };
        let expected: Vec<_> = expected.iter().map(|(tag, record)| (tag.clone(), set(record))).collect();
        assert_eq!(tags.items, expected);
        let expected = home.world.view().manifests_of(&repository.name, None, 9).unwrap();
        let stored =
            |record: ManifestRecord| SurveyedManifest { length_bytes: record.length_bytes, pushed: record.pushed };
        let expected: Vec<_> = expected.into_iter().map(|(digest, record)| (digest, stored(record))).collect();
        assert_eq!(manifests.items, expected);
    }
    for limit in 1..12 {
        let mut joined: Vec<SurveyedRepository> = Vec::new();
        for part in home.survey(limit, false, None).await.into_iter().flatten() {
            let Some(last) = joined.last_mut().filter(|last| last.name == part.name) else {
                joined.push(part);
                continue;
            };
            for (whole, part) in last.tags.iter_mut().zip(part.tags) {
                assert_eq!(part.after.as_ref(), whole.items.last().map(|(tag, _)| tag));
                whole.items.extend(part.items);
                whole.to_end = part.to_end;
            }
            match (&mut last.manifests, part.manifests) {
                (Some(whole), Some(part)) => {
                    assert_eq!(part.after.as_ref(), whole.items.last().map(|(digest, _)| digest));
                    whole.items.extend(part.items);
                    whole.to_end = part.to_end;
                }
                (whole @ None, part) => *whole = part,
                (Some(_), None) => panic!("back to the tags"),
            }
        }
        assert_eq!(joined, whole[0], "{limit}");
    }
    let behind = SurveyCursor { repository: name("acme/bar"), part: SurveyPart::Whole };
    let rest = home.survey(1000, false, Some(behind)).await.concat();
    assert_eq!(rest.iter().map(|repository| repository.name.as_str()).collect::<Vec<_>>(), ["acme/tool"]);
    // One that has gone since is gone as a whole.
    let gone = SurveyCursor { repository: name("acme/gone"), part: SurveyPart::Tags(Some(tag("v1"))) };
    let rest = home.survey(1000, false, Some(gone)).await.concat();
    let (tags, manifests) = (rest[0].tags.as_ref().unwrap(), rest[0].manifests.as_ref().unwrap());
    assert_eq!((rest[0].name.as_str(), tags.items.len(), tags.to_end), ("acme/gone", 0, true));
    assert_eq!((tags.after.as_ref(), manifests.items.len(), manifests.to_end), (Some(&tag("v1")), 0, true));
}

#[tokio::test(start_paused = true)]
async fn pulls_are_taken_from_who_has_a_copy_and_of_it_alone() {
    let home = Home::new().await;
    home.copy("acme").await;
    home.set("acme/pinned", residency(Residency::Pinned)).await;
    let mut pulls = Vec::new();
    for repository in ["acme/app", "acme/pinned/x", "other"] {
        pulls.push((name(repository), home.push(repository, "v1").await));
    }
    let noted = home.pulls();
    let source = Source::new(&home.gateway, alone(&home.directory, Exec::inline()), noted.clone());
    let told = PullsTold { pulls: pulls.clone() };
    assert_eq!(source.pulls(ASIA, &told).unwrap().noted, 0);
    assert_eq!(source.pulls(US, &told).unwrap().noted, 1);
    noted.flush().await.unwrap();
    let is_pulled = |(repository, digest): &(RepositoryName, Digest)| {
        home.world.view().pulled(repository, digest).unwrap().is_some()
    };
    assert_eq!(pulls.iter().map(is_pulled).collect::<Vec<_>>(), [true, false, false]);
    let many = PullsTold { pulls: vec![pulls[0].clone(); PULLS_PER_COMMAND + 1] };
    assert!(matches!(source.pulls(US, &many), Err(QuestionError::Invalid(_))));
}

#[tokio::test(start_paused = true)]
async fn blobs_of_pushes_under_way_are_told_to_who_asks_for_them() {
    let home = Home::new().await;
    home.copy("acme").await;
    home.push("acme/app", "v1").await;
    let mut blobs = Vec::new();
    for content in [&b"one"[..], b"two", b"three"] {
        blobs.push((push_to(&home.gateway, &name("acme/new"), content).await.unwrap(), content.len() as u64));
    }
    let question = FeedQuestion { blobs: true, ..home.question("acme", &[], 1) };
    let answer = home.source().feed(US, question).await.unwrap();
    let told: Vec<_> = answer.events.iter().filter(|event| event.repository.as_str() == "acme/new").collect();
    let expected: Vec<_> = blobs.iter().map(|(digest, length)| (DebtItem::Blob { digest: *digest }, *length)).collect();
    assert_eq!(told.iter().map(|event| (event.item.clone(), event.length_bytes)).collect::<Vec<_>>(), expected);
    assert!(said(&home.feed(US, "acme", &[]).await.unwrap()).iter().all(|(repository, _)| *repository == "acme/app"));

    blobs.sort_unstable();
    for limit in 1..9 {
        let (mut used, mut unused) = (0, Vec::new());
        for part in home.survey(limit, true, None).await.into_iter().flatten() {
            let Some(stretch) = part.blobs else { continue };
            match part.name.as_str() {
                "acme/app" => used += stretch.items.len(),
                _ => unused.extend(stretch.items),
            }
        }
        assert_eq!((used, &unused), (0, &blobs), "{limit}");
    }
    let without = home.survey(1000, false, None).await.concat();
    assert!(without.iter().all(|repository| repository.blobs.is_none()));
}
