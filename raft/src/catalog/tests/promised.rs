//! What clients were told exists, by the home of a time when this region was none.

use super::replication::{position, surveying};
use super::store::*;
use crate::catalog::*;
use crate::policy::{GRACE_SECONDS, Role};

/// Catalogs of a region that is not the home, in each role that keeps what it has, with an untagged manifest of blob 1 and
/// with blob 2, which nothing uses.
fn arrivals() -> Vec<(Role, Store)> {
    let catalog = |role| {
        let mut store = Store::collecting();
        store.push(1, "acme/app", 1);
        store.push(2, "acme/app", 2);
        store.put(manifest("acme/app", 10, &[], &[1]));
        store.sync_role("acme", Some(role));
        store.apply(Command::WalkPolicies { limit: 9 });
        (role, store)
    };
    [Role::Fenced, Role::Replica].map(catalog).into()
}

#[test]
fn what_clients_were_told_of_until_a_region_became_the_home_stays_for_a_grace() {
    for (role, mut store) in arrivals() {
        let name = repository("acme/app");
        // Past every deadline; a client asks, and the one who answers does not note it here.
        store.wait(3 * GRACE_SECONDS);
        store.sync_role("acme", Some(Role::Home));
        let whole = GRACE_SECONDS + touch_interval_seconds(GRACE_SECONDS);
        assert_eq!(store.collect(), (0, 0), "{role:?}: before it was looked at again");
        store.apply(Command::WalkPolicies { limit: 9 });
        store.wait(whole - 1);
        assert_eq!(store.collect(), (0, 0), "{role:?}");
        assert!(store.view().manifest(&name, &digest(10)).unwrap().is_some(), "{role:?}");
        assert!(store.view().link(&name, &digest(2)).unwrap().is_some(), "{role:?}");
        store.wait(1);
        store.collect();
        assert!(store.view().manifest(&name, &digest(10)).unwrap().is_none(), "{role:?}: and no longer");
        assert!(store.view().link(&name, &digest(2)).unwrap().is_none(), "{role:?}: and no longer");
    }
}

#[test]
fn a_manifest_asked_for_before_it_was_looked_at_again_stays() {
    let (_, mut store) = arrivals().remove(0);
    store.wait(3 * GRACE_SECONDS);
    store.sync_role("acme", Some(Role::Home));
    store.wait(GRACE_SECONDS);
    let (name, asked) = (repository("acme/app"), store.now);
    assert!(store.view().manifest_needs_touch(&name, &digest(10), asked).unwrap());
    store.apply(Command::TouchManifest { repository: name.clone(), digest: digest(10) });
    assert!(!store.view().manifest_needs_touch(&name, &digest(10), asked).unwrap());
    store.apply(Command::WalkPolicies { limit: 9 });
    store.wait(GRACE_SECONDS);
    store.collect();
    assert!(store.view().manifest(&name, &digest(10)).unwrap().is_some());
}

#[test]
fn a_blob_that_nothing_uses_yet_stays_while_its_repository_moves_here() {
    for exact in [true, false] {
        let (_, mut store) = arrivals().remove(1);
        let next = position(surveying(), 5);
        let scope = ReplicationScope { deletes: exact, exact, ..next.scope };
        store.hear(ReplicationPosition { scope, ..next }, 100, Vec::new());
        let link = |store: &Store| store.view().link(&repository("acme/app"), &digest(2)).unwrap();
        let collected = store.view().totals().unwrap().collected_items;
        for _ in 0..9 {
            store.wait(GRACE_SECONDS);
            store.collect();
        }
        assert_eq!(link(&store).is_some(), exact, "its home may have told clients of it");
        if exact {
            assert_eq!(store.view().totals().unwrap().collected_items, collected, "what stays was not collected");
            store.sync_role("acme", Some(Role::Home));
            store.wait(GRACE_SECONDS);
            store.collect();
            assert!(link(&store).is_some(), "a grace from the last word of the former home on");
            store.wait(GRACE_SECONDS);
            store.collect();
            assert!(link(&store).is_none());
        }
    }
}
