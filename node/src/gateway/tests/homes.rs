//! The home of a namespace changes at once while nothing is below it, and waits for its content otherwise.

use std::sync::Arc;

use raft::catalog::Response;
use raft::directory::{Command, Moving, NamespaceRecord};
use raft::id::{RegionId, RequestId};
use raft::policy::Role;

use super::world::*;
use super::world_images::*;
use crate::admin::{ForceLookRequest, ForceRequest, MoveProgress, MoveStage, SettleRequest};
use crate::deletion::testing::directory;
use crate::deletion::{Applied, Deletion, DeletionError, DirectoryRecords, HomeChange};
use crate::gateway::Gateway;

const MAIN: RegionId = RegionId(1);
const US: RegionId = RegionId(2);

/// A directory with a second region, without a node.
async fn two_regions() -> Arc<dyn DirectoryRecords> {
    let directory = directory();
    let command = Command::AddRegion { name: "us".to_owned() };
    let response = directory.propose(RequestId([2; 16]), command).await.unwrap();
    assert_eq!(response, raft::directory::Response::Done);
    directory
}

fn record(directory: &Arc<dyn DirectoryRecords>, prefix: &str) -> Option<NamespaceRecord> {
    directory.view().namespace(prefix).unwrap()
}

fn places(directory: &Arc<dyn DirectoryRecords>, prefix: &str) -> (RegionId, Option<Moving>) {
    let place = directory.view().place_at(prefix).unwrap().unwrap();
    (place.home, place.moving)
}

#[expect(clippy::unnecessary_wraps, reason = "as a place has it")]
const fn moving(to: RegionId, fenced: bool) -> Option<Moving> {
    Some(Moving { to, fenced })
}

async fn applied(deletion: &Deletion, prefix: &str, home: Option<RegionId>) -> Applied {
    match deletion.set_home(prefix, home).await.unwrap() {
        HomeChange::Applied(applied) => applied,
        HomeChange::Moving(progress) => panic!("{progress:?}"),
    }
}

async fn waiting(deletion: &Deletion, prefix: &str, home: Option<RegionId>) -> MoveProgress {
    match deletion.set_home(prefix, home).await.unwrap() {
        HomeChange::Moving(progress) => *progress,
        HomeChange::Applied(applied) => panic!("{applied:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_namespace_moves_and_its_old_home_takes_nothing_more() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    let deletion = &office.deletion;
    assert_eq!(deletion.region_named("us").await.unwrap(), US);
    assert!(deletion.region_named("asia").await.unwrap_err().to_string().contains("there are main, us"));

    let moved = applied(deletion, "acme", Some(US)).await;
    assert!(!moved.in_force, "the new home does not answer");
    assert_eq!(places(&directory, "acme/app"), (US, None));
    assert_eq!(world.view().role(&repository()).unwrap(), Role::Foreign);
    let begun = gateway.start_upload(&repository(), raft::catalog::Algorithm::Sha256, None).await;
    assert!(begun.unwrap_err().to_string().contains("home of namespace \"acme\" is changing"));
    assert_eq!(applied(deletion, "acme", Some(US)).await.version, moved.version, "it is done");

    // Nobody of the region that is its home now can say that nothing is there: it waits, and can be taken back.
    let progress = waiting(deletion, "acme", Some(MAIN)).await;
    assert_eq!((progress.from.as_str(), progress.to.as_str(), progress.stage), ("us", "main", MoveStage::Copying));
    assert!(progress.waits_for.unwrap().contains("region us"));
    assert_eq!(places(&directory, "acme/app"), (US, moving(MAIN, false)));
    applied(deletion, "acme", Some(US)).await;
    assert_eq!(places(&directory, "acme/app"), (US, None), "the move is taken back");
}

#[tokio::test(start_paused = true)]
async fn what_holds_something_stays_until_it_has_arrived() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    let deletion = &office.deletion;
    push_image(&gateway, &repository(), b"layer", "v1").await;
    for prefix in ["", "acme", "acme/app"] {
        let progress = waiting(deletion, prefix, Some(US)).await;
        assert!(progress.waits_for.unwrap().contains("region us does not answer"));
        assert_eq!(places(&directory, prefix), (MAIN, moving(US, false)));
        assert_eq!(world.view().role(&repository()).unwrap(), Role::Home, "pushes go on meanwhile");
        applied(deletion, prefix, Some(MAIN)).await;
        assert_eq!(places(&directory, prefix), (MAIN, None));
    }
    // Its own home stays, so that it does not count for what is around it.
    applied(deletion, "acme", Some(US)).await;
    assert_eq!((places(&directory, "acme/other").0, places(&directory, "acme/app").0), (US, MAIN));
    // Forgetting that would move it, too.
    waiting(deletion, "acme/app", None).await;
    assert!(deletion.remove_namespace("acme/app").await.is_err());
    assert_eq!(places(&directory, "acme/app").0, MAIN);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_blob_holds_a_namespace() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    push(&gateway, &content(5_000)).await.unwrap();
    waiting(&office.deletion, "acme", Some(US)).await;
    assert_eq!(places(&directory, "acme"), (MAIN, moving(US, false)));
}

/// A change of the directory as an operator elsewhere would make it, or the part of a move before a crash.
async fn interrupted(directory: &Arc<dyn DirectoryRecords>, number: u8, prefix: &str, moving: Option<Moving>) {
    let made_from = directory.view().policy_version().unwrap();
    let record = NamespaceRecord { moving, ..NamespaceRecord::default() };
    let command = Command::SetNamespace { prefix: prefix.to_owned(), record, made_from };
    let response = directory.propose(RequestId([number; 16]), command).await.unwrap();
    assert_eq!(response, raft::directory::Response::Done);
}

#[tokio::test(start_paused = true)]
async fn a_move_that_was_interrupted_at_any_point_is_ended_either_way() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    let deletion = &office.deletion;
    for (number, fenced) in [(10, false), (20, true)] {
        let at = |name: &str| format!("{name}{number}");
        interrupted(&directory, number, &at("one"), moving(US, fenced)).await;
        let shown = deletion.namespace(&at("one")).await.unwrap();
        assert_eq!((shown.placed.place.home, shown.placed.place.moving), (MAIN, moving(US, fenced)));
        applied(deletion, &at("one"), Some(US)).await;
        assert_eq!(places(&directory, &at("one")), (US, None));
        interrupted(&directory, number + 1, &at("two"), moving(US, fenced)).await;
        applied(deletion, &at("two"), Some(MAIN)).await;
        assert_eq!(places(&directory, &at("two")), (MAIN, None));
        assert_eq!(record(&directory, &at("two")).unwrap().home, Some(MAIN));
        interrupted(&directory, number + 2, &at("three"), moving(US, fenced)).await;
        applied(deletion, &at("three"), None).await;
        assert_eq!(record(&directory, &at("three")), Some(NamespaceRecord::default()));
        // What inherits a home that changes waits for it.
        interrupted(&directory, number + 3, &at("four"), moving(US, fenced)).await;
        let error = deletion.set_home(&format!("{}/inner", at("four")), Some(US)).await.unwrap_err();
        assert!(error.to_string().contains("shorter prefix"), "{error}");
    }
    assert!(deletion.set_home("", None).await.unwrap_err().to_string().contains("always has a home"));
}

#[tokio::test(start_paused = true)]
async fn writes_are_let_in_again_when_the_rest_does_not_arrive() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    push_image(&gateway, &repository(), b"layer", "v1").await;
    interrupted(&directory, 3, "acme", moving(US, true)).await;
    let progress = waiting(&office.deletion, "acme", Some(US)).await;
    assert_eq!(progress.stage, MoveStage::Fenced);
    assert_eq!(world.view().role(&repository()).unwrap(), Role::Fenced);
    // Nobody asks any more: the task that was begun ends it.
    tokio::time::sleep(std::time::Duration::from_secs(35)).await;
    assert_eq!(places(&directory, "acme"), (MAIN, moving(US, false)), "the copy goes on");
    assert_eq!(world.view().role(&repository()).unwrap(), Role::Home);
    assert!(matches!(put_again(&gateway).await, Response::ManifestStored { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_a_crash_has_left_is_lifted() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    interrupted(&directory, 3, "acme", moving(US, true)).await;
    tokio::time::sleep(std::time::Duration::from_secs(100)).await;
    assert_eq!(places(&directory, "acme"), (MAIN, moving(US, true)), "somebody may still be at it");
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    assert_eq!(places(&directory, "acme"), (MAIN, moving(US, false)));
    office.work(&gateway, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_longer_prefix_that_says_otherwise_is_in_the_way() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    interrupted(&directory, 3, "acme/app", moving(US, false)).await;
    let error = office.deletion.set_home("acme", Some(US)).await.unwrap_err();
    assert!(error.to_string().contains("acme/app below it is being moved by itself"), "{error}");
    assert_eq!(places(&directory, "acme"), (MAIN, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_foreign_goes_and_nothing_else() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    let other: raft::catalog::RepositoryName = "tools/x".parse().unwrap();
    for repository in [&repository(), &other] {
        push_image(&gateway, repository, b"layer", "v1").await;
    }
    // By force, and settled unseen: the shortest way to be foreign with content.
    let deletion = &office.deletion;
    let look = ForceLookRequest { prefix: "acme".to_owned(), to: "us".to_owned(), after: None };
    let request = |policy_version, without_copy, although_it_answers| ForceRequest {
        prefix: "acme".to_owned(),
        to: "us".to_owned(),
        policy_version,
        without_copy,
        although_it_answers,
    };
    assert!(
        matches!(deletion.look_before_force(&look).await, Err(DeletionError::Unavailable(_))),
        "us does not answer"
    );
    let version = directory.view().policy_version().unwrap();
    let refused = deletion.force_home(&request(version, true, false)).await.unwrap_err().to_string();
    assert!(refused.contains("--although-it-answers"), "{refused}");
    let refused = deletion.force_home(&request(version - 1, true, true)).await.unwrap_err().to_string();
    assert!(refused.contains("look again"), "{refused}");
    deletion.force_home(&request(version, true, true)).await.unwrap();
    assert_eq!(places(&directory, "acme"), (US, None));

    // What is aside stays, and nobody writes there.
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    assert_eq!(world.view().role(&repository()).unwrap(), Role::Fenced);
    let tag = "v1".parse().unwrap();
    assert!(world.view().tag(&repository(), &tag).unwrap().is_some());
    let error = deletion.set_home("acme", Some(MAIN)).await.unwrap_err();
    assert!(error.to_string().contains("namespace aside acme"), "{error}");

    // After a takeover nobody knows for certain what is foreign: nothing goes until somebody has looked.
    let order = async |number: u8, command| {
        let response = directory.propose(RequestId([number; 16]), command).await.unwrap();
        assert_eq!(response, raft::directory::Response::Done);
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    };
    order(90, Command::BeginAnew { primary: MAIN }).await;
    let policy_version = directory.view().policy_version().unwrap();
    let unseen =
        |unseen| SettleRequest { prefix: "acme".to_owned(), region: "main".to_owned(), policy_version, unseen };
    deletion.settle_aside(&unseen(true)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    assert_eq!(world.view().role(&repository()).unwrap(), Role::Foreign);
    assert!(world.view().tag(&repository(), &tag).unwrap().is_some(), "it is held since the takeover");
    order(91, Command::ReleaseEvictions).await;
    assert_eq!(world.view().role(&repository()).unwrap(), Role::Foreign);
    assert!(world.view().tag(&repository(), &tag).unwrap().is_none(), "it has gone");
    assert!(world.view().evictable(None, 10).unwrap().is_empty());
    assert!(world.view().tag(&other, &tag).unwrap().is_some(), "what is at home stays");
    let metrics = office.work(&gateway, 1).await;
    assert!(metrics.evicted_items.get() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_can_be_forgotten_once_nothing_hangs_on_it() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    applied(&office.deletion, "acme", Some(MAIN)).await;
    push_image(&gateway, &repository(), b"layer", "v1").await;
    applied(&office.deletion, "acme", None).await;
    office.deletion.remove_namespace("acme").await.unwrap();
    assert_eq!(record(&directory, "acme"), None);
    assert!(matches!(put_again(&gateway).await, Response::ManifestStored { .. }));
}

/// Pushes the same image again.
async fn put_again(gateway: &Gateway) -> Response {
    let blob = push(gateway, &content(10)).await.unwrap();
    put(gateway, &repository(), "{}", vec![blob], &["v2"]).await
}
