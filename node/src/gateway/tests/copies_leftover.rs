//! What stands where a copy is made, and what a source has no more: what goes, and what must stay.

use raft::catalog::Tag;
use raft::directory::{Aside, Moving, Replication as Policy};
use raft::id::RegionId;
use raft::policy::Role;
use raft::time::Timestamp;

use super::world_copy::*;
use super::world_source::*;

/// A region that had copies of `acme`, is to have none any more, and becomes one again: what it has is what was left there.
async fn left_over() -> Copy {
    let mut copy = Copy::begun().await;
    copy.far.push("acme/app", "v1", &[b"one"]);
    copy.far.push("acme/app", "v2", &[b"two"]);
    copy.far.push("acme/late", "v1", &[b"late"]);
    copy.until_in_sync().await;
    copy.until("all is here", |copy| copy.tags("acme/app").len() == 2 && copy.tags("acme/late").len() == 1).await;
    copy.stop().await;
    copy.in_force(2, Some(Role::Fenced)).await;
    copy.far.change(|far| {
        far.content.remove(&name("acme/late"));
        let tag: Tag = "v2".parse().unwrap();
        let app = far.content.get_mut(&name("acme/app")).unwrap();
        let digest = app.tags.remove(&tag).unwrap();
        app.manifests.remove(&digest);
        far.policy_version = 3;
        far.forgotten = far.events.len() as u64;
    });
    copy
}

#[tokio::test(start_paused = true)]
async fn what_was_left_where_a_copy_is_made_goes_with_the_first_survey() {
    let mut copy = left_over().await;
    copy.in_force(3, Some(Role::Replica)).await;
    copy.begin();
    copy.until("the repository has gone", |copy| copy.tags("acme/late").is_empty()).await;
    copy.until_in_sync().await;
    assert_eq!(copy.tags("acme/app"), ["v1"]);
    // Now it is a copy, and deletions are not followed.
    copy.far.delete_tag("acme/app", "v1");
    copy.far.push("acme/app", "v3", &[b"three"]);
    copy.far.change(|far| far.except.clear());
    copy.until("what came after it", |copy| copy.points_to("acme/app", "v3").is_some()).await;
    copy.until_in_sync().await;
    assert_eq!(copy.tags("acme/app"), ["v1", "v3"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_left_stays_while_a_former_home_is_not_settled_and_where_it_was_written_by_clients() {
    for written in [false, true] {
        let mut copy = left_over().await;
        if written {
            copy.in_force(3, Some(Role::Home)).await;
        }
        let aside = Aside { region: RegionId(9), since: Timestamp(1) };
        copy.far.change(|far| {
            far.aside = if written { Vec::new() } else { vec![aside] };
            far.policy_version = 4;
        });
        copy.in_force(4, Some(Role::Replica)).await;
        copy.begin();
        copy.far.push("acme/app", "v3", &[b"three"]);
        copy.until("what came since", |copy| copy.points_to("acme/app", "v3").is_some()).await;
        copy.until_in_sync().await;
        assert_eq!((copy.tags("acme/app").len(), copy.tags("acme/late").len()), (3, 1), "written: {written}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_the_source_has_no_more_goes_where_deletions_are_followed() {
    let mut copy = Copy::new().await;
    copy.far.change(|far| far.replication = Policy { deletes: true, ..Policy::default() });
    for number in 0..20 {
        copy.far.push(&format!("acme/r{number}"), "v1", &[b"shared"]);
    }
    copy.begin();
    copy.until_in_sync().await;
    copy.until("all is here", |copy| copy.tags("acme/r19").len() == 1).await;
    copy.stop().await;
    copy.far.change(|far| {
        far.content.retain(|name, _| name.as_str() == "acme/r7");
    });
    copy.far.push("acme/r7", "v2", &[b"nobody heard of it"]);
    copy.far.change(|far| {
        far.forgotten = far.events.len() as u64;
    });
    copy.begin();
    copy.until("all but one has gone", |copy| {
        (0..20).filter(|number| !copy.tags(&format!("acme/r{number}")).is_empty()).eq([7])
    })
    .await;
    copy.until_in_sync().await;
}

#[tokio::test(start_paused = true)]
async fn what_goes_is_enlisted_some_at_a_time() {
    let mut copy = Copy::new().await;
    for repository in 0..12 {
        for tag in 0..100 {
            copy.far.push(&format!("acme/r{repository}"), &format!("v{tag}"), &[b"shared"]);
        }
    }
    copy.begin();
    copy.until("all is here", |copy| (0..12).all(|number| copy.tags(&format!("acme/r{number}")).len() == 100)).await;
    copy.until_in_sync().await;
    let surveyed = copy.far.state().surveyed;
    copy.far.change(|far| {
        far.content.clear();
        far.policy_version = 2;
        far.moving = Some(Moving { to: OWN, fenced: false });
    });
    copy.in_force(2, Some(Role::Replica)).await;
    copy.until("all of it goes", |copy| (0..12).all(|number| copy.tags(&format!("acme/r{number}")).is_empty())).await;
    copy.until_in_sync().await;
    assert_eq!(copy.far.state().surveyed, surveyed + 2, "more than a thousand debts are two pages");
}
