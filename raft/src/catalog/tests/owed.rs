//! What is copied is written for debts alone, and what comes late is written no more.

use super::replication::*;
use super::store::*;
use crate::catalog::*;
use crate::policy::{REPLICATION, Role};

fn replica() -> Store {
    let mut store = Store::new();
    store.sync_role("acme", Some(Role::Replica));
    store
}

fn remove_tag(owed: Option<Owed>) -> Command {
    let (repository, tag, principal) = (repository("acme/app"), tag("v1"), Some(REPLICATION.to_owned()));
    Command::DeleteTag { repository, tag, principal, owed }
}

fn remove_manifest(number: u8, owed: Option<Owed>) -> Command {
    let (repository, principal) = (repository("acme/app"), Some(REPLICATION.to_owned()));
    Command::DeleteManifest { repository, digest: digest(number), principal, owed }
}

fn points_to(store: &Store) -> Option<Digest> {
    store.view().tag(&repository("acme/app"), &tag("v1")).unwrap().map(|record| record.digest)
}

fn begin_anew(store: &mut Store) {
    let present = store.replication().unwrap().position();
    let next = position(surveying(), present.cursor);
    assert_eq!(store.advance_copy(Some(present), next, 200, Vec::new()), Response::Done);
}

#[test]
fn what_is_paid_goes_with_what_is_written() {
    let mut store = replica();
    let image = manifest("acme/app", 10, &["v1"], &[]);
    let owed = store.owe_manifest(&image);
    let stands = store.replication().unwrap().position();
    store.hear(ReplicationPosition { stage: ReplicationStage::Following, ..stands }, 100, Vec::new());
    assert_eq!(store.put(for_debts(image, &owed)), Response::ManifestStored { created: true, tags: Vec::new() });
    let record = store.replication().unwrap();
    assert_eq!((record.debts, record.synced.map(|at| at.0)), (0, Some(100)), "in the very command");
    assert_eq!((record.arrived_items, record.arrived_bytes), (2, 10));
    let gone = store.owe("acme/app", vec![DebtItem::TagGone { tag: tag("v1") }]);
    assert_eq!(store.apply(remove_tag(Some(gone))), DELETED);
    let gone = store.owe("acme/app", vec![DebtItem::ManifestGone { digest: digest(10) }]);
    assert_eq!(store.apply(remove_manifest(10, Some(gone))), DELETED);
    assert_eq!(store.replication().unwrap().debts, 0);
}

#[test]
fn what_comes_for_an_index_names_its_debt_and_does_not_strike_it_off() {
    let mut store = replica();
    let all = index("acme/app", 12, &["v1"], &[11]);
    let owed = store.owe_manifest(&all);
    let child = for_debts(manifest("acme/app", 11, &[], &[]), &owed);
    assert_eq!(store.put(child), Response::ManifestStored { created: true, tags: Vec::new() });
    assert_eq!(store.replication().unwrap().debts, 2);
    assert_eq!(store.put(for_debts(all, &owed)), Response::ManifestStored { created: true, tags: Vec::new() });
    assert_eq!(store.replication().unwrap().debts, 0);
    let late = for_debts(manifest("acme/app", 13, &[], &[]), &owed);
    assert_eq!(store.put(late), Response::Stale);
}

#[test]
fn a_write_that_comes_after_its_debt_was_struck_off_takes_nothing_back() {
    let mut store = replica();
    let first = manifest("acme/app", 10, &["v1"], &[]);
    let second = manifest("acme/app", 11, &["v1"], &[]);
    let paid = store.owe_manifest(&first);
    assert_eq!(
        store.put(for_debts(first.clone(), &paid)),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
    assert_eq!(store.copy_in(second), Response::ManifestStored { created: true, tags: Vec::new() });
    assert_eq!(store.put(for_debts(first.clone(), &paid)), Response::Stale, "the tag would go back");
    let gone = store.owe("acme/app", vec![DebtItem::TagGone { tag: tag("v1") }]);
    let settled = gone.numbers.iter().map(|number| SettledDebt { number: *number, bytes: 0 }).collect();
    let round = store.replication().unwrap().round;
    let (source, prefix, failed) = (SOURCE, "acme".to_owned(), Vec::new());
    store.apply(Command::SettleDebts(SettleDebts { source, prefix, round, settled, failed }));
    assert_eq!(store.apply(remove_tag(Some(gone.clone()))), Response::Stale);
    assert_eq!(store.apply(remove_manifest(11, Some(gone))), Response::Stale);
    let one_of_two = store.owe_manifest(&first);
    let numbers = [one_of_two.numbers[0], paid.numbers[0]].into();
    assert_eq!(store.put(for_debts(first, &Owed { numbers, ..one_of_two })), Response::Stale);
    assert_eq!(points_to(&store), Some(digest(11)));
}

#[test]
fn nobody_else_pays_debts_and_who_copies_names_them() {
    let mut store = replica();
    let put = manifest("acme/app", 10, &["v1"], &[]);
    let owed = store.owe_manifest(&put);
    let principal = Some(REPLICATION.to_owned());
    let none = Owed { numbers: Vec::new(), ..owed.clone() };
    let elsewhere = Owed { prefix: "other".to_owned(), ..owed.clone() };
    for command in [
        Command::PutManifest(PutManifest { principal, ..put.clone() }),
        Command::PutManifest(for_debts(put.clone(), &none)),
        remove_tag(None),
        remove_manifest(10, None),
    ] {
        assert!(matches!(store.apply(command.clone()), Response::Malformed { .. }), "{command:?}");
    }
    assert_eq!(store.put(for_debts(put.clone(), &elsewhere)), Response::Stale);
    let of_another = PutManifest { repository: repository("acme/other"), ..put.clone() };
    assert_eq!(store.put(for_debts(of_another, &owed)), Response::Stale);
    store.sync_role("acme", Some(Role::Home));
    let by_client = PutManifest { owed: Some(owed), ..put };
    assert!(matches!(store.put(by_client), Response::Malformed { .. }));
    assert_eq!(points_to(&store), None);
}

#[test]
fn once_a_survey_is_begun_anew_nothing_of_the_former_round_is_taken() {
    let mut store = replica();
    let put = manifest("acme/app", 10, &["v1"], &[]);
    let owed = store.owe_manifest(&put);
    let former = store.replication().unwrap();
    begin_anew(&mut store);
    let record = store.replication().unwrap();
    assert!(record.round > former.next_debt - 1 && record.stage == former.stage);
    assert_eq!(store.put(for_debts(put, &owed)), Response::Stale, "it is found again, if it is still owed");
    // The former leader compares another page, which would lose what this one has forgotten.
    let page = vec![super::replication::owed("acme/app", 1)];
    let next = ReplicationPosition { stage: ReplicationStage::Following, ..former.position() };
    assert_eq!(store.advance_copy(Some(former.position()), next, 300, page), Response::Stale);
    let settled = owed.numbers.iter().map(|number| SettledDebt { number: *number, bytes: 7 }).collect::<Vec<_>>();
    let (source, prefix) = (SOURCE, "acme".to_owned());
    let settle = |round| {
        let (prefix, settled, failed) = (prefix.clone(), settled.clone(), Vec::new());
        Command::SettleDebts(SettleDebts { source, prefix, round, settled, failed })
    };
    assert_eq!(store.apply(settle(former.round)), Response::Stale);
    assert_eq!(store.apply(settle(record.round)), Response::Count { count: 2 }, "they are forgotten");
    assert_eq!(store.replication().unwrap().arrived_items, 0, "nothing arrived");
}

#[test]
fn what_is_begun_after_it_was_forgotten_gives_out_no_number_twice() {
    let mut store = replica();
    let put = manifest("acme/app", 10, &["v1"], &[]);
    let first = store.owe_manifest(&put);
    let former = store.replication().unwrap();
    store.apply(Command::DropReplication { source: SOURCE, prefix: "acme".to_owned(), limit: 100 });
    assert_eq!(store.replication(), None);
    let second = store.owe_manifest(&put);
    assert!(store.replication().unwrap().round >= former.next_debt);
    assert!(second.numbers.iter().min() > first.numbers.iter().max());
    let settled = first.numbers.iter().map(|number| SettledDebt { number: *number, bytes: 0 }).collect();
    let (source, prefix, round, failed) = (SOURCE, "acme".to_owned(), former.round, Vec::new());
    let late = Command::SettleDebts(SettleDebts { source, prefix, round, settled, failed });
    assert_eq!(store.apply(late), Response::Stale);
    assert_eq!(store.replication().unwrap().debts, 2);
}

#[test]
fn a_round_begins_only_by_the_policies_in_force() {
    let mut store = replica();
    let begin = |store: &mut Store, policy_version| {
        let expected = store.replication().map(|record| record.position());
        let (source, prefix, heard) = (SOURCE, "acme".to_owned(), crate::time::Timestamp(1));
        let (next, debts) = (position(surveying(), 1), Vec::new());
        let advance = AdvanceReplication { source, prefix, expected, next, policy_version, heard, debts };
        store.apply(Command::AdvanceReplication(advance))
    };
    assert_eq!((begin(&mut store, 0), begin(&mut store, 2)), (Response::Stale, Response::Stale));
    assert_eq!(begin(&mut store, 1), Response::Done);
    store.sync_role("other", Some(Role::Replica));
    assert_eq!(begin(&mut store, 1), Response::Stale, "an old directory may name a former home");
    let begun = Command::SyncPolicies { version: 3, changes: Vec::new(), complete: false };
    store.apply(begun);
    assert_eq!(begin(&mut store, 2), Response::Stale, "another page may call it foreign");
}

#[test]
fn what_is_void_is_begun_anew_and_never_gone_on_with() {
    let mut store = replica();
    store.owe("acme/app", vec![DebtItem::Manifest { digest: digest(10) }]);
    store.owe("acme/app", vec![DebtItem::Manifest { digest: digest(11) }]);
    store.apply(Command::DropReplication { source: SOURCE, prefix: "acme".to_owned(), limit: 1 });
    let void = store.replication().unwrap();
    assert_eq!((void.stage.clone(), void.debts), (ReplicationStage::Void, 1));
    for stage in [ReplicationStage::Following, surveying(), ReplicationStage::Void] {
        let next = ReplicationPosition { stage, ..void.position() };
        let response = store.advance_copy(Some(void.position()), next, 300, Vec::new());
        assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
    }
    begin_anew(&mut store);
    assert_eq!(store.replication().unwrap().stage, surveying());
}
