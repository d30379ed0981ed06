//! Copies while two nodes lead for a moment, or one of them goes by an old directory.

use std::time::Duration;

use raft::catalog::{
    AdvanceReplication, Command, ReplicationPosition, ReplicationStage, Response, SettleDebts, SettledDebt,
};
use raft::policy::Role;
use raft::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::world_copy::*;
use super::world_source::*;

/// Another node begins to copy: it surveys anew, and forgets what was owed before.
async fn begun_by_another(copy: &Copy) {
    let record = copy.record().unwrap();
    let next =
        ReplicationPosition { stage: ReplicationStage::Surveying { after: None }, round: 0, ..record.position() };
    let advance = AdvanceReplication {
        source: FAR,
        prefix: "acme".to_owned(),
        expected: Some(record.position()),
        next,
        policy_version: 1,
        heard: Timestamp(1),
        debts: Vec::new(),
    };
    let core = copy.gateway.core();
    assert_eq!(core.propose(Command::AdvanceReplication(advance)).await.unwrap(), Response::Done);
    let round = copy.record().unwrap().round;
    let debts = copy.world.view().debts(FAR, "acme", None, 1000).unwrap();
    assert!(!debts.is_empty());
    let settled = debts.into_iter().map(|(number, _)| SettledDebt { number, bytes: 0 }).collect();
    let settle = SettleDebts { source: FAR, prefix: "acme".to_owned(), round, settled, failed: Vec::new() };
    assert!(matches!(core.propose(Command::SettleDebts(settle)).await.unwrap(), Response::Count { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_was_compared_before_another_node_began_anew_is_compared_again() {
    let mut copy = Copy::new().await;
    let tags = ["a", "b", "c", "d", "e", "f"];
    for tag in tags {
        copy.far.push("acme/app", tag, &[tag.as_bytes()]);
    }
    copy.far.change(|far| far.page = 2);
    copy.far.gate.forget_permits(Semaphore::MAX_PERMITS);
    copy.far.pages.forget_permits(Semaphore::MAX_PERMITS);
    copy.far.pages.add_permits(2);
    copy.begin();
    copy.until("two pages are compared", |copy| copy.record().is_some_and(|record| record.debts >= 4)).await;
    begun_by_another(&copy).await;
    copy.far.pages.add_permits(1000);
    copy.far.gate.add_permits(1000);
    copy.until_in_sync().await;
    assert_eq!(copy.tags("acme/app"), tags);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_copied_by_a_directory_that_is_older_than_the_catalog() {
    let copy = Copy::begun().await;
    copy.until_in_sync().await;
    let before = copy.record().unwrap();
    // The namespace may have another home by now, of which this node has not heard.
    copy.in_force(5, Some(Role::Replica)).await;
    sleep(Duration::from_secs(5)).await;
    copy.far.push("acme/app", "late", &[b"of a former home"]);
    sleep(Duration::from_mins(1)).await;
    assert!(copy.tags("acme/app").is_empty() && copy.report().is_none());
    assert_eq!((copy.record().unwrap().round, copy.record().unwrap().debts), (before.round, 0));
    copy.far.change(|far| far.policy_version = 5);
    copy.until("it is the home still", |copy| copy.tags("acme/app") == ["late"]).await;
    assert_eq!(copy.record().unwrap().round, before.round, "nothing is compared anew for that");
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_is_struck_off_with_it() {
    let copy = Copy::begun().await;
    copy.until_in_sync().await;
    let image = copy.far.push("acme/app", "v1", &[b"one"]);
    copy.until("it is here", |copy| {
        let (here, record) = (copy.points_to("acme/app", "v1") == Some(image), copy.record().unwrap());
        assert!(!here || record.debts == 0, "{record:?}");
        here
    })
    .await;
    let record = copy.record().unwrap();
    assert!(record.arrived_items >= 2 && record.arrived_bytes > 0, "{record:?}");
}
