//! The home of a namespace changes while nothing is below it, and not otherwise.

use std::sync::Arc;

use raft::catalog::Response;
use raft::directory::{Command, NamespaceRecord};
use raft::id::{RegionId, RequestId};
use raft::policy::Role;

use super::world::*;
use super::world_images::*;
use crate::deletion::testing::directory;
use crate::deletion::{DeletionError, DirectoryRecords};
use crate::gateway::Gateway;

const MAIN: RegionId = RegionId(1);
const US: RegionId = RegionId(2);

/// A directory with a second region, of which no node answers.
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

fn places(directory: &Arc<dyn DirectoryRecords>, prefix: &str) -> (RegionId, Option<RegionId>) {
    let place = directory.view().place_at(prefix).unwrap().unwrap();
    (place.home, place.moving)
}

#[tokio::test(start_paused = true)]
async fn an_empty_namespace_moves_and_its_old_home_takes_nothing_more() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    let deletion = &office.deletion;
    assert_eq!(deletion.region_named("us").await.unwrap(), US);
    assert!(deletion.region_named("asia").await.unwrap_err().to_string().contains("there are main, us"));

    let applied = deletion.set_home("acme", Some(US)).await.unwrap();
    assert!(!applied.in_force, "the new home does not answer");
    assert_eq!(places(&directory, "acme/app"), (US, None));
    assert_eq!(world.view().role(&repository()).unwrap(), Role::Foreign);
    let begun = gateway.start_upload(&repository(), raft::catalog::Algorithm::Sha256, None).await;
    assert!(begun.unwrap_err().to_string().contains("home of namespace \"acme\" is changing"));
    assert_eq!(deletion.set_home("acme", Some(US)).await.unwrap().version, applied.version, "it is done");

    // Nobody of the region that is its home now can say that nothing is there.
    let error = deletion.set_home("acme", Some(MAIN)).await.unwrap_err();
    assert!(matches!(&error, DeletionError::Unavailable(message) if message.contains("region us")), "{error}");
    assert_eq!(places(&directory, "acme/app"), (US, None), "the move was taken back");
}

#[tokio::test(start_paused = true)]
async fn what_holds_something_stays_where_it_is() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    let deletion = &office.deletion;
    push_image(&gateway, &repository(), b"layer", "v1").await;
    for prefix in ["", "acme", "acme/app"] {
        let error = deletion.set_home(prefix, Some(US)).await.unwrap_err();
        assert!(
            matches!(&error, DeletionError::Conflict(text) if text.contains("1 repository in region main")),
            "{error}"
        );
        assert_eq!(places(&directory, prefix), (MAIN, None));
    }
    // Its own home stays, so that it does not count for what is around it.
    deletion.set_home("acme/app", Some(MAIN)).await.unwrap();
    deletion.set_home("acme", Some(US)).await.unwrap();
    assert_eq!((places(&directory, "acme/other").0, places(&directory, "acme/app").0), (US, MAIN));
    // Forgetting that would move it, too.
    let error = deletion.set_home("acme/app", None).await.unwrap_err();
    assert!(matches!(error, DeletionError::Conflict(_)), "{error}");
    assert!(deletion.remove_namespace("acme/app").await.is_err());
    assert_eq!(places(&directory, "acme/app"), (MAIN, None));
}

#[tokio::test(start_paused = true)]
async fn a_push_under_way_holds_a_namespace() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    push(&gateway, &content(5_000)).await.unwrap();
    let error = office.deletion.set_home("acme", Some(US)).await.unwrap_err();
    assert!(error.to_string().contains("1 repository in region main"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_move_that_was_interrupted_is_ended_either_way() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    let interrupted = async |number: u8, prefix: &str| {
        let made_from = directory.view().policy_version().unwrap();
        let record = NamespaceRecord { moving: Some(US), ..NamespaceRecord::default() };
        let command = Command::SetNamespace { prefix: prefix.to_owned(), record, made_from };
        let response = directory.propose(RequestId([number; 16]), command).await.unwrap();
        assert_eq!(response, raft::directory::Response::Done);
    };
    interrupted(3, "one").await;
    let shown = office.deletion.namespace("one").await.unwrap();
    assert_eq!((shown.placed.place.home, shown.placed.place.moving), (MAIN, Some(US)));
    office.deletion.set_home("one", Some(US)).await.unwrap();
    assert_eq!(places(&directory, "one"), (US, None));
    interrupted(4, "two").await;
    office.deletion.set_home("two", Some(MAIN)).await.unwrap();
    assert_eq!((places(&directory, "two"), record(&directory, "two").unwrap().home), ((MAIN, None), Some(MAIN)));
    interrupted(5, "three").await;
    office.deletion.set_home("three", None).await.unwrap();
    assert_eq!(record(&directory, "three"), Some(NamespaceRecord::default()));
    // What inherits a home that changes waits for it.
    interrupted(6, "four").await;
    let error = office.deletion.set_home("four/inner", Some(US)).await.unwrap_err();
    assert!(error.to_string().contains("shorter prefix"), "{error}");
    assert!(office.deletion.set_home("", None).await.unwrap_err().to_string().contains("always has a home"));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_can_be_forgotten_once_nothing_hangs_on_it() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), two_regions().await);
    let office = Office::open(&gateway, &directory);
    office.deletion.set_home("acme", Some(MAIN)).await.unwrap();
    push_image(&gateway, &repository(), b"layer", "v1").await;
    office.deletion.set_home("acme", None).await.unwrap();
    office.deletion.remove_namespace("acme").await.unwrap();
    assert_eq!(record(&directory, "acme"), None);
    assert!(matches!(put_again(&gateway).await, Response::ManifestStored { .. }));
}

/// Pushes the same image again.
async fn put_again(gateway: &Gateway) -> Response {
    let blob = push(gateway, &content(10)).await.unwrap();
    put(gateway, &repository(), "{}", vec![blob], &["v2"]).await
}
