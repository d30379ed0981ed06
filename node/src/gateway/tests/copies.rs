//! Copies of a namespace of another region: what becomes visible when, what goes on after a failure, and what is said of
//! it.

use std::time::Duration;

use raft::catalog::{DebtItem, ReplicationStage, Tag};
use raft::directory::{Moving, Replication as Policy};
use raft::policy::Role;
use tokio::time::sleep;

use super::world::*;
use super::world_copy::*;
use super::world_images::push_to;
use super::world_source::*;
use crate::replication::testing::judge;
use crate::replication::{CaughtUpQuestion, Stage};

#[tokio::test(start_paused = true)]
async fn what_was_there_before_and_what_comes_after_is_copied_with_all_that_it_needs() {
    let mut copy = Copy::new().await;
    let first = copy.far.push("acme/app", "v1", &[&content(3000), b""]);
    copy.begin();
    copy.until_in_sync().await;
    assert_eq!(copy.points_to("acme/app", "v1"), Some(first));
    assert_eq!(copy.pulled("acme/app", &sha256(&content(3000))).await, content(3000));
    assert_eq!(copy.pulled("acme/app", &sha256(b"")).await, b"");
    let second = copy.far.push("acme/app", "v2", &[&content(500)]);
    let index = copy.far.push_index("acme/app", "all", &[first, second, sha256(b"never pushed")]);
    copy.far.push("acme/own/x", "v1", &[b"of a scope of its own"]);
    copy.far.push("other/x", "v1", &[b"of nobody here"]);
    copy.until("the index", |copy| copy.points_to("acme/app", "all") == Some(index)).await;
    copy.until_in_sync().await;
    // Neither the quota nor deletes that are off matter here: they are judged at home.
    assert_eq!(copy.tags("acme/app"), ["all", "v1", "v2"]);
    assert!(copy.tags("acme/own/x").is_empty() && copy.tags("other/x").is_empty());
    let record = copy.record().unwrap();
    assert_eq!((record.stage, record.debts, record.failing), (ReplicationStage::Following, 0, 0));
    assert!(record.arrived_bytes > 3500 && record.arrived_items >= 5);
    copy.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_visible_after_its_content_and_tags_keep_their_order() {
    let copy = Copy::begun().await;
    copy.until_in_sync().await;
    let small = copy.far.push("acme/app", "v0", &[b"is here before"]);
    copy.until("it is here", |copy| copy.points_to("acme/app", "v0") == Some(small)).await;
    // Blobs are held back: the first one needs some, the second one none that are not here.
    copy.far.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let large = copy.far.push("acme/app", "v1", &[&content(5000)]);
    copy.far.push_index("acme/app", "latest", &[small]);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(copy.tags("acme/app"), ["v0"], "what came later does not overtake it");
    assert!(!copy.has_manifest("acme/app", &large));
    let report = copy.report().unwrap();
    assert!(!report.in_sync && report.debts >= 2 && report.source_answers, "{report:?}");
    copy.far.gate.add_permits(100);
    copy.until_in_sync().await;
    assert_eq!(copy.tags("acme/app"), ["latest", "v0", "v1"]);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_breaks_goes_on_where_it_was() {
    let mut copy = Copy::new().await;
    let layer = content(4 << 20);
    let digest = sha256(&layer);
    copy.far.push("acme/app", "v1", &[&layer]);
    copy.far.change(|far| {
        far.broken.insert(digest, 1_200_000);
    });
    copy.begin();
    copy.until("a part is here", |copy| copy.far.state().fetched.iter().any(|(_, at)| *at > 0)).await;
    // Another leader goes on with it.
    copy.stop().await;
    copy.begin();
    copy.until_in_sync().await;
    assert_eq!(copy.pulled("acme/app", &digest).await, layer);
    let fetched = copy.far.state().fetched.clone();
    let offsets: Vec<u64> = fetched.iter().filter(|(fetched, _)| *fetched == digest).map(|(_, at)| *at).collect();
    assert!(offsets.is_sorted() && offsets.last().unwrap() >= &3_000_000, "nothing is fetched twice: {offsets:?}");
    let zero = offsets.iter().filter(|at| **at == 0).count();
    assert_eq!(zero, 1, "{offsets:?}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_holds_nothing_up_and_is_tried_again() {
    let copy = Copy::begun().await;
    copy.until_in_sync().await;
    let (bad, wrong) = (content(2000), content(2001));
    copy.far.change(|far| {
        far.unreadable.insert(sha256(&bad));
        far.wrong.insert(sha256(&wrong));
    });
    let unreadable = copy.far.push("acme/app", "bad", &[&bad]);
    copy.far.push("acme/app", "wrong", &[&wrong]);
    let good = copy.far.push("acme/app", "good", &[b"fine"]);
    copy.until("the others go on", |copy| copy.points_to("acme/app", "good") == Some(good)).await;
    copy.until("both have failed", |copy| copy.record().unwrap().failing >= 4).await;
    assert_eq!(copy.tags("acme/app"), ["good"]);
    let report = copy.report().unwrap();
    assert!(!report.in_sync && report.errors.iter().any(|error| error.error.contains("cannot be read there")));
    assert!(report.errors.iter().any(|error| error.error.contains("is not what it should be")), "{report:?}");
    copy.far.change(|far| {
        far.unreadable.clear();
        far.wrong.clear();
    });
    copy.world.wait(700);
    copy.until_in_sync().await;
    assert_eq!(copy.points_to("acme/app", "bad"), Some(unreadable));
    assert_eq!(copy.pulled("acme/app", &sha256(&wrong)).await, wrong);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_not_owed_when_the_source_says_otherwise_by_then() {
    let copy = Copy::begun().await;
    copy.until_in_sync().await;
    let bad = content(2000);
    copy.far.change(|far| {
        far.unreadable.insert(sha256(&bad));
    });
    let old = copy.far.push("acme/app", "moved", &[&bad]);
    let gone = copy.far.push("acme/app", "gone", &[&bad, b"more"]);
    copy.until("both have failed", |copy| copy.record().unwrap().failing >= 4).await;
    let new = copy.far.push("acme/app", "moved", &[b"fine"]);
    copy.until("the tag moved on", |copy| copy.points_to("acme/app", "moved") == Some(new)).await;
    copy.far.change(|far| {
        let content = far.content.get_mut(&name("acme/app")).unwrap();
        content.tags.remove(&"gone".parse::<Tag>().unwrap());
        content.manifests.retain(|digest, _| *digest == new);
        far.unreadable.clear();
    });
    copy.world.wait(700);
    copy.until_in_sync().await;
    assert_eq!(copy.points_to("acme/app", "moved"), Some(new), "it does not go back");
    assert!(!copy.has_manifest("acme/app", &old) && !copy.has_manifest("acme/app", &gone));
    assert_eq!(copy.tags("acme/app"), ["moved"]);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_here_are_not_fetched() {
    let mut copy = Copy::new().await;
    let layer = content(3000);
    push_to(&copy.gateway, &name("local/x"), &layer).await.unwrap();
    copy.far.push("acme/app", "v1", &[&layer]);
    // The same twice at one time.
    let shared = content(2500);
    copy.far.push("acme/one", "v1", &[&shared]);
    copy.far.push("acme/two", "v1", &[&shared]);
    copy.begin();
    copy.until_in_sync().await;
    let fetched = copy.far.state().fetched.clone();
    let times = |bytes: &[u8]| fetched.iter().filter(|(digest, _)| *digest == sha256(bytes)).count();
    assert_eq!((times(&layer), times(&shared), times(b"{}")), (0, 1, 1), "{fetched:?}");
    assert_eq!(copy.pulled("acme/two", &sha256(&shared)).await, shared);
}

#[tokio::test(start_paused = true)]
async fn deletions_follow_only_where_it_is_said() {
    for deletes in [false, true] {
        let copy = Copy::new().await;
        copy.far.change(|far| far.replication = Policy { deletes, ..Policy::default() });
        let mut copy = copy;
        copy.begin();
        let app = copy.far.push("acme/app", "v1", &[b"one"]);
        let other = copy.far.push("acme/app", "v2", &[b"two"]);
        copy.until_in_sync().await;
        copy.until("both are here", |copy| copy.tags("acme/app").len() == 2).await;
        copy.far.delete_tag("acme/app", "v1");
        copy.far.delete_manifest("acme/app", app);
        copy.far.push("acme/app", "v3", &[b"three"]);
        copy.until("what came after it", |copy| copy.points_to("acme/app", "v3").is_some()).await;
        copy.until_in_sync().await;
        assert_eq!(copy.points_to("acme/app", "v1"), (!deletes).then_some(app));
        assert_eq!(copy.has_manifest("acme/app", &app), !deletes);
        assert_eq!(copy.points_to("acme/app", "v2"), Some(other));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_while_events_were_forgotten_is_found_by_a_survey() {
    let mut copy = Copy::new().await;
    copy.far.change(|far| {
        far.replication = Policy { deletes: true, ..Policy::default() };
        far.page = 2;
    });
    for number in 0..7 {
        copy.far.push("acme/app", &format!("v{number}"), &[format!("layer {number}").as_bytes()]);
        copy.far.push(&format!("acme/r{number}"), "v1", &[b"shared"]);
    }
    copy.begin();
    copy.until_in_sync().await;
    copy.until("all is here", |copy| copy.tags("acme/app").len() == 7).await;
    let surveyed = copy.far.state().surveyed;
    assert!(surveyed > 7, "page by page: {surveyed}");
    copy.stop().await;
    copy.far.delete_tag("acme/app", "v3");
    let moved = copy.far.push("acme/app", "v4", &[b"moved"]);
    copy.far.change(|far| far.forgotten = far.events.len() as u64);
    copy.begin();
    copy.until("it was moved", |copy| copy.points_to("acme/app", "v4") == Some(moved)).await;
    copy.until_in_sync().await;
    assert_eq!(copy.tags("acme/app"), ["v0", "v1", "v2", "v4", "v5", "v6"]);
    assert_eq!(copy.tags("acme/r6"), ["v1"]);
    assert!(copy.far.state().surveyed > surveyed);
}

#[tokio::test(start_paused = true)]
async fn what_is_copied_is_as_old_as_at_the_home_whether_a_survey_found_it_or_an_event_told_of_it() {
    let mut copy = Copy::new().await;
    // By their names they come the other way round.
    for tag in ["c", "b", "a"] {
        copy.far.push("acme/app", tag, &[tag.as_bytes()]);
    }
    copy.begin();
    copy.until_in_sync().await;
    for tag in ["z", "y"] {
        copy.far.push("acme/app", tag, &[tag.as_bytes()]);
    }
    copy.until("the last one", |copy| copy.points_to("acme/app", "y").is_some()).await;
    copy.until_in_sync().await;
    let (view, repository) = (copy.world.view(), "acme/app".parse().unwrap());
    let mut here: Vec<_> = view.tag_records(&repository, None, 9).unwrap();
    here.sort_by_key(|(_, record)| record.updated);
    assert_eq!(here.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(), ["c", "b", "a", "z", "y"]);
    for (tag, record) in here {
        let item = DebtItem::Tag { tag, digest: record.digest };
        let told = copy.far.state().events.iter().find(|event| event.item == item).map(|event| event.time);
        assert_eq!(Some(record.updated), told);
        assert_eq!(view.manifest(&repository, &record.digest).unwrap().map(|manifest| manifest.pushed), told);
    }
    copy.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_scope_is_surveyed_anew() {
    let mut copy = Copy::new().await;
    copy.far.change(|far| far.replication = Policy { tags: vec!["v*".parse().unwrap()], ..Policy::default() });
    let one = copy.far.push("acme/app", "v1", &[b"one"]);
    let untagged = copy.far.push("acme/app", "", &[b"untagged"]);
    let latest = copy.far.push("acme/app", "latest", &[b"latest"]);
    copy.begin();
    copy.until_in_sync().await;
    copy.until("what matches is here", |copy| copy.points_to("acme/app", "v1") == Some(one)).await;
    assert_eq!(copy.tags("acme/app"), ["v1"]);
    assert!(!copy.has_manifest("acme/app", &untagged) && !copy.has_manifest("acme/app", &latest));
    copy.far.change(|far| far.replication = Policy::default());
    copy.until("the rest comes", |copy| copy.points_to("acme/app", "latest") == Some(latest)).await;
    copy.until_in_sync().await;
    assert!(copy.has_manifest("acme/app", &untagged));
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_scope_later_is_found_though_its_events_have_passed() {
    let mut copy = Copy::new().await;
    let own = copy.far.push("acme/own/x", "v1", &[b"of its own"]);
    copy.begin();
    copy.until_in_sync().await;
    assert!(copy.tags("acme/own/x").is_empty());
    copy.far.change(|far| far.except.clear());
    copy.until("it is here", |copy| copy.points_to("acme/own/x", "v1") == Some(own)).await;
}

#[tokio::test(start_paused = true)]
async fn who_becomes_the_home_is_made_exactly_what_the_source_is() {
    let mut copy = Copy::new().await;
    copy.far.push("acme/app", "v1", &[b"one"]);
    let gone = copy.far.push("acme/app", "v2", &[b"two"]);
    copy.far.push("acme/away", "v1", &[b"away"]);
    copy.begin();
    copy.until_in_sync().await;
    copy.until("all is here", |copy| copy.tags("acme/away").len() == 1).await;
    // Deletions are not followed, so the copy has more than its source.
    copy.far.delete_tag("acme/app", "v2");
    copy.far.delete_manifest("acme/app", gone);
    copy.far.change(|far| {
        far.content.remove(&name("acme/away"));
    });
    sleep(Duration::from_secs(20)).await;
    assert_eq!((copy.tags("acme/app").len(), copy.tags("acme/away").len()), (2, 1));
    assert!(!copy.caught_up(1).await.exact);
    copy.far.change(|far| {
        far.policy_version = 2;
        far.moving = Some(Moving { to: OWN, fenced: false });
    });
    copy.in_force(2, Some(Role::Replica)).await;
    copy.until_in_sync().await;
    copy.until("what is too much has gone", |copy| copy.tags("acme/away").is_empty()).await;
    assert_eq!(copy.tags("acme/app"), ["v1"]);
    assert!(!copy.has_manifest("acme/app", &gone));
    // The fence changes nothing of it: no survey while nobody can write.
    let surveyed = copy.far.state().surveyed;
    copy.far.change(|far| {
        far.policy_version = 3;
        far.moving = Some(Moving { to: OWN, fenced: true });
    });
    let early = copy.caught_up(3).await;
    assert!(!early.in_sync && early.waits_for.is_some(), "the own catalog does not go by it yet: {early:?}");
    copy.in_force(3, Some(Role::Replica)).await;
    sleep(Duration::from_secs(5)).await;
    let judged = copy.caught_up(3).await;
    assert!(judged.in_sync && judged.exact && judged.waits_for.is_none(), "{judged:?}");
    assert_eq!(copy.far.state().surveyed, surveyed);
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_no_manifest_uses_comes_where_the_namespace_moves() {
    let mut copy = Copy::new().await;
    copy.far.change(|far| far.moving = Some(Moving { to: OWN, fenced: false }));
    copy.begin();
    copy.until_in_sync().await;
    copy.far.upload("acme/app", &content(700));
    let digest = sha256(&content(700));
    copy.until("it is here", |copy| copy.world.view().linked_blob(&name("acme/app"), &digest).unwrap().is_some()).await;
    assert_eq!(copy.pulled("acme/app", &digest).await, content(700));
}

#[tokio::test(start_paused = true)]
async fn in_sync_is_said_only_of_what_was_verified_a_moment_ago() {
    let copy = Copy::begun().await;
    let image = copy.far.push("acme/app", "v1", &[b"one"]);
    copy.until_in_sync().await;
    copy.until("it is here", |copy| copy.points_to("acme/app", "v1") == Some(image)).await;
    let judged = copy.caught_up(1).await;
    assert!(judged.in_sync && !judged.exact && judged.waits_for.is_none(), "{judged:?}");
    assert!(!copy.caught_up(2).await.in_sync, "no one goes by that version yet");
    let report = copy.report().unwrap();
    assert_eq!((report.lag_seconds, report.behind_events, report.stage), (Some(0), Some(0), Stage::Following));

    // What nobody has heard of yet: the last report may still say so, the question does not.
    copy.far.change(|far| far.silent = true);
    sleep(Duration::from_secs(5)).await;
    assert!(copy.report().unwrap().in_sync, "as of the last answer");
    sleep(Duration::from_secs(10)).await;
    let report = copy.report().unwrap();
    assert!(!report.in_sync && !report.source_answers && report.behind_events.is_none(), "{report:?}");
    assert!(report.trouble.unwrap().contains("does not answer") && report.lag_seconds > Some(0));
    let question = CaughtUpQuestion { prefix: "acme".to_owned(), source: FAR, policy_version: 1 };
    assert!(judge(copy.gateway.core(), copy.far.as_ref(), &question).await.is_err());

    // A source that does not answer is nobody's failure.
    assert_eq!(copy.record().unwrap().failing, 0);
    copy.far.change(|far| far.silent = false);
    copy.far.push("acme/app", "v2", &[b"two"]);
    let judged = copy.caught_up(1).await;
    assert!(!judged.in_sync && judged.behind_events >= 2, "{judged:?}");
    copy.until_in_sync().await;
    assert_eq!(copy.tags("acme/app"), ["v1", "v2"]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_falls_silent_in_the_middle_is_waited_for() {
    let copy = Copy::begun().await;
    copy.until_in_sync().await;
    copy.far.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    copy.far.push("acme/app", "v1", &[&content(5000)]);
    copy.until("it is owed", |copy| copy.record().unwrap().debts > 0).await;
    copy.far.change(|far| far.silent = true);
    copy.far.gate.add_permits(100);
    sleep(Duration::from_mins(1)).await;
    let record = copy.record().unwrap();
    assert!(record.debts > 0 && record.failing == 0, "{record:?}");
    copy.far.change(|far| far.silent = false);
    copy.until_in_sync().await;
    assert_eq!(copy.tags("acme/app"), ["v1"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_copied_before_the_catalog_knows_and_nothing_is_kept_in_mind_after() {
    let mut copy = Copy::new().await;
    copy.far.change(|far| far.policy_version = 2);
    copy.far.push("acme/app", "v1", &[b"one"]);
    copy.begin();
    sleep(Duration::from_secs(30)).await;
    assert!(copy.record().is_none() && copy.report().is_none(), "the catalog goes by an older version");
    copy.in_force(2, Some(Role::Replica)).await;
    copy.until_in_sync().await;
    copy.until("it is here", |copy| copy.tags("acme/app") == ["v1"]).await;
    copy.far.change(|far| {
        far.policy_version = 3;
        far.unwanted = true;
    });
    sleep(Duration::from_secs(30)).await;
    assert!(copy.record().is_some(), "the catalog has not heard of it");
    copy.in_force(3, None).await;
    copy.until("it is forgotten", |copy| copy.record().is_none() && copy.report().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_owed_before_a_survey_is_owed_only_if_it_finds_it() {
    let mut copy = Copy::new().await;
    copy.begin();
    copy.until_in_sync().await;
    let bad = content(2000);
    copy.far.change(|far| {
        far.unreadable.insert(sha256(&bad));
    });
    copy.far.push("acme/app", "bad", &[&bad]);
    copy.until("it fails", |copy| copy.record().unwrap().failing > 0).await;
    copy.stop().await;
    copy.far.push("acme/app", "other", &[b"nobody heard of it"]);
    copy.far.change(|far| {
        far.content.clear();
        far.forgotten = far.events.len() as u64;
    });
    copy.begin();
    copy.until_in_sync().await;
    let record = copy.record().unwrap();
    assert_eq!((record.debts, record.failing), (0, 0));
    assert!(copy.world.view().debts(FAR, "acme", None, 10).unwrap().is_empty());
    assert!(copy.tags("acme/app").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_here_gets_what_it_lists_and_lacks() {
    let mut copy = Copy::new().await;
    copy.far.change(|far| far.replication = Policy { tags: vec!["v*".parse().unwrap()], ..Policy::default() });
    let (late, deep) = (Far::image(&[b"late"]), Far::image(&[b"deep"]));
    let inner = copy.far.push_index("acme/app", "", &[deep]);
    let index = copy.far.push_index("acme/app", "v1", &[late, inner]);
    copy.begin();
    copy.until_in_sync().await;
    copy.until("the index is here", |copy| copy.points_to("acme/app", "v1") == Some(index)).await;
    assert!(copy.has_manifest("acme/app", &inner) && !copy.has_manifest("acme/app", &late));
    // One is pushed after the index that lists it, by events of its own.
    assert_eq!(copy.far.push("acme/app", "", &[b"late"]), late);
    copy.until("it is here", |copy| copy.has_manifest("acme/app", &late)).await;
    let other = copy.far.push("acme/app", "", &[b"listed by none"]);
    copy.until_in_sync().await;
    // One was pushed while nobody heard, and another tag is put on the index.
    copy.stop().await;
    assert_eq!(copy.far.push("acme/app", "", &[b"deep"]), deep);
    copy.far.change(|far| far.forgotten = far.events.len() as u64);
    copy.far.push_index("acme/app", "v2", &[late, inner]);
    copy.begin();
    copy.until("it is here", |copy| copy.has_manifest("acme/app", &deep)).await;
    copy.until_in_sync().await;
    assert!(!copy.has_manifest("acme/app", &other));
}
