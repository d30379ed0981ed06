//! Regions in one process: founded by their first node, cut off from the directory, given up.

use raft::group::Role;
use raft::id::{GroupId, RegionId};
use tokio::time::timeout;

use super::Node;
use super::tests::{DEADLINE, environment, settings, start, wait_for};
use crate::admin::{RegionState, Status, Verdict};
use crate::cluster::{Certificates, DepartureError, InitAccess, RegionError, SetupError, init, join};
use crate::config::Settings;
use crate::environment::Environment;

/// Joins a node to a region, by a token of `inviting`.
async fn join_region(environment: &Environment, inviting: &Node, own: &Settings, region: &str, founds: bool) -> Node {
    let token = inviting.create_token(600).await.unwrap();
    let joining = || join(environment, own, &token.addresses, &token.token, region, Certificates::Issued, None);
    let joined = joining().await.unwrap();
    assert_eq!((joined.founds, &joined), (founds, &joining().await.unwrap()), "a repetition changes nothing");
    start(environment, own).await
}

fn states(status: &Status) -> Vec<(&str, RegionState)> {
    status.regions.iter().map(|region| (region.name.as_str(), region.state)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_cut_off_goes_on_and_starts_again() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let [first, second] = ["n1", "n2"].map(|name| settings(directory.path(), name));
    init(&environment, &first, "eu", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let eu = start(&environment, &first).await;
    let added = eu.admin().region_changes.add("us").await.unwrap();
    assert_eq!(added, RegionId(2));
    let status = eu.status().await;
    assert_eq!(states(&status), [("eu", RegionState::Serves), ("us", RegionState::Empty)]);
    assert_eq!(status.verdict, Verdict::Healthy, "{status:#?}");

    // In a cluster of several regions it has to be said which one.
    let token = eu.create_token(600).await.unwrap();
    assert_eq!(token.region.as_deref(), Some("eu"));
    let unsaid = join(&environment, &second, &token.addresses, &token.token, "", Certificates::Issued, None).await;
    let Err(SetupError::Refused { message, .. }) = unsaid else { panic!("{unsaid:?}") };
    assert!(message.contains("--region: eu, us"), "{message}");

    let us = join_region(&environment, &eu, &second, "us", true).await;
    let status = wait_for(&us, "both regions vote", |status| {
        status.groups.iter().all(|group| group.voters.len() as u64 == group.seats)
            && states(status) == [("eu", RegionState::Serves), ("us", RegionState::Serves)]
    })
    .await;
    assert_eq!(status.groups[0].voters, ["n1", "n2"], "{status:#?}");
    assert_eq!(status.groups[0].regions_borne, Some(0));
    let groups = us.group_statuses();
    assert_eq!((groups[1].group, groups[1].role), (GroupId::Catalog(RegionId(2)), Role::Leader));

    drop(eu);
    let is_cut_off = |status: &Status| {
        !status.directory.confirmed && states(status) == [("eu", RegionState::Silent), ("us", RegionState::Serves)]
    };
    let status = wait_for(&us, "the cut is noticed", is_cut_off).await;
    assert!(status.confirmed, "the region's own quorum is there");
    assert_eq!(status.verdict, Verdict::NeedsAttention, "{status:#?}");
    assert!(status.findings[0].starts_with("the directory has no quorum (1 of 2 voters answer"), "{status:#?}");
    assert!(status.findings[1].starts_with("region eu does not answer"), "{status:#?}");
    assert!(us.readiness().is_ready(), "{:?}", us.readiness());
    let refused = us.admin().departures.drain("n2").await;
    assert!(matches!(refused, Err(DepartureError::NoQuorum(_))), "{refused:?}");
    let refused = us.admin().region_changes.retire("eu").await;
    assert!(matches!(refused, Err(RegionError::NoQuorum(_))), "{refused:?}");

    // The region's catalog stands in for the directory when a node starts.
    timeout(DEADLINE, us.shutdown()).await.unwrap();
    let us = start(&environment, &second).await;
    assert!(us.members.is_confirmed() && us.members.is_sole());
    wait_for(&us, "it knows that it is cut off", is_cut_off).await;

    let eu = start(&environment, &first).await;
    for node in [&eu, &us] {
        wait_for(node, "the regions have found each other", |status| {
            status.directory.confirmed && status.verdict == Verdict::Healthy
        })
        .await;
    }
    for node in [eu, us] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_is_given_up_node_by_node() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let all = ["n1", "n2", "n3", "n4"].map(|name| settings(directory.path(), name));
    init(&environment, &all[0], "eu", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let eu = start(&environment, &all[0]).await;
    eu.admin().region_changes.add("us").await.unwrap();
    let two = join_region(&environment, &eu, &all[1], "eu", false).await;
    let three = join_region(&environment, &eu, &all[2], "us", true).await;
    let four = join_region(&environment, &three, &all[3], "us", false).await;
    let status = wait_for(&eu, "all vote", |status| {
        status.groups.iter().all(|group| group.voters.len() as u64 == group.seats) && status.nodes.len() == 4
    })
    .await;
    assert_eq!(status.groups[0].voters.len(), 3, "two of the primary, one of the other: {status:#?}");
    assert_eq!(status.groups[1].voters, ["n1", "n2"], "each region has its own catalog");

    let held = eu.admin().region_changes.retire("us").await.unwrap_err().to_string();
    assert!(held.contains("is in region \"us\""), "{held}");
    let elsewhere = eu.admin().departures.leave("n4", true).await.unwrap_err().to_string();
    assert_eq!(elsewhere, "node n4 is in region us: ask a node there, which knows what it holds");

    // One goes in order, the other one is lost with its region.
    three.admin().departures.leave("n4", true).await.unwrap();
    timeout(DEADLINE, four.failed()).await.unwrap();
    drop(four);
    wait_for(&three, "it votes alone", |status| status.groups[1].voters == ["n3"]).await;
    drop(three);
    wait_for(&eu, "the region is silent", |status| states(status)[1].1 == RegionState::Silent).await;
    let gone = eu.admin().departures.leave("n3", true).await.unwrap();
    assert_eq!((gone.state, gone.loss), (raft::directory::NodeState::Removed, None));
    eu.admin().region_changes.retire("us").await.unwrap();
    let status = wait_for(&eu, "one region is left", |status| {
        status.regions.len() == 1 && status.groups[0].voters == ["n1", "n2"]
    })
    .await;
    assert_eq!(status.nodes.len(), 2);
    for node in [eu, two] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

#[tokio::test]
async fn a_region_with_a_wrong_name_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let own = settings(directory.path(), "n1");
    let refused = init(&environment(), &own, "EU west", Certificates::Issued, InitAccess::open("owner")).await;
    assert!(matches!(refused, Err(SetupError::RegionName(_))), "{refused:?}");
    init(&environment(), &own, "eu", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
}
