//! What is copied from another region: heard, owed, paid, forgotten.

use super::store::*;
use crate::catalog::*;
use crate::id::RegionId;
use crate::policy::{NamespacePolicy, REPLICATION, Role};
use crate::time::Timestamp;

pub(super) const SOURCE: RegionId = RegionId(7);

/// A position that begins a round, unless [`Store::hear`] takes it into that of the record.
pub(super) fn position(stage: ReplicationStage, cursor: u64) -> ReplicationPosition {
    ReplicationPosition { scope: ReplicationScope::default(), stage, cursor, round: 0 }
}

pub(super) fn surveying() -> ReplicationStage {
    ReplicationStage::Surveying { after: None }
}

/// A tag of `name` that is owed.
pub(super) fn owed(name: &str, number: u8) -> NewDebt {
    let item = DebtItem::Tag { tag: tag("v1"), digest: digest(number) };
    NewDebt { repository: repository(name), item, time: Timestamp(u64::from(number)), length_bytes: 300 }
}

/// A catalog that is a replica of `acme`.
fn replica() -> Store {
    let mut store = Store::new();
    store.sync_role("acme", Some(Role::Replica));
    store
}

impl Store {
    pub(super) fn replication(&self) -> Option<ReplicationRecord> {
        self.view().replication(SOURCE, "acme").unwrap()
    }

    /// Moves the replication of `acme` on from where it stands: in its round, unless that is over or the scope is another.
    pub(super) fn hear(&mut self, mut next: ReplicationPosition, heard: u64, debts: Vec<NewDebt>) -> Response {
        let expected = self.replication().map(|record| record.position());
        let begins = |present: &ReplicationPosition| {
            present.stage == ReplicationStage::Void || (present.scope != next.scope && next.stage == surveying())
        };
        next.round = expected.as_ref().filter(|present| !begins(present)).map_or(0, |present| present.round);
        self.advance_copy(expected, next, heard, debts)
    }

    pub(super) fn advance_copy(
        &mut self,
        expected: Option<ReplicationPosition>,
        next: ReplicationPosition,
        heard: u64,
        debts: Vec<NewDebt>,
    ) -> Response {
        let (source, prefix, heard) = (SOURCE, "acme".to_owned(), Timestamp(heard));
        let policy_version = self.view().policy_version().unwrap();
        let advance = AdvanceReplication { source, prefix, expected, next, policy_version, heard, debts };
        self.apply(Command::AdvanceReplication(advance))
    }

    /// Follows `acme` from event 5 on, heard until 100, with debts.
    pub(super) fn follow(&mut self, debts: Vec<NewDebt>) {
        assert_eq!(self.hear(position(surveying(), 5), 100, Vec::new()), Response::Done);
        assert_eq!(self.hear(position(ReplicationStage::Following, 5), 100, debts), Response::Done);
    }

    /// Strikes debts off, which are counted from the beginning of the round.
    pub(super) fn settle(&mut self, settled: &[u64], failed: &[u64]) -> Response {
        let round = self.replication().map_or(0, |record| record.round);
        let settled = settled.iter().map(|number| SettledDebt { number: round + number, bytes: 10 }).collect();
        let failure = |number: &u64| FailedDebt { number: round + number, error: "no".to_owned(), retry_seconds: 5 };
        let failed = failed.iter().map(failure).collect();
        let (source, prefix) = (SOURCE, "acme".to_owned());
        self.apply(Command::SettleDebts(SettleDebts { source, prefix, round, settled, failed }))
    }

    /// Debts, counted from the beginning of the round.
    fn numbers(&self) -> Vec<u64> {
        let round = self.replication().map_or(0, |record| record.round);
        let debts = self.view().debts(SOURCE, "acme", None, 100).unwrap();
        debts.into_iter().map(|(number, _)| number - round).collect()
    }

    /// Takes in that these things of a repository are owed.
    pub(super) fn owe(&mut self, name: &str, items: Vec<DebtItem>) -> Owed {
        if self.replication().is_none() {
            assert_eq!(self.hear(position(surveying(), 5), 100, Vec::new()), Response::Done);
        }
        let debt = |item| NewDebt { repository: repository(name), item, time: Timestamp(1), length_bytes: 1 };
        let (record, count) = (self.replication().unwrap(), items.len());
        let debts = items.into_iter().map(debt).collect();
        assert_eq!(self.hear(record.position(), 100, debts), Response::Done);
        let all = self.view().debts(SOURCE, "acme", None, 100).unwrap();
        let numbers = all[all.len() - count..].iter().map(|(number, _)| *number).collect();
        Owed { source: SOURCE, prefix: "acme".to_owned(), numbers, bytes: 10 }
    }

    /// Takes in that a manifest with its tags is owed.
    pub(super) fn owe_manifest(&mut self, put: &PutManifest) -> Owed {
        let digest = put.digest;
        let tags = put.tags.iter().map(|tag| DebtItem::Tag { tag: tag.clone(), digest });
        let items = [DebtItem::Manifest { digest }].into_iter().chain(tags).collect();
        self.owe(put.repository.as_str(), items)
    }

    /// Copies a manifest with its tags, which are owed.
    pub(super) fn copy_in(&mut self, put: PutManifest) -> Response {
        let owed = self.owe_manifest(&put);
        self.put(for_debts(put, &owed))
    }
}

#[test]
fn it_is_in_sync_only_when_it_follows_and_nothing_is_owed() {
    let mut store = replica();
    store.hear(position(surveying(), 5), 100, vec![owed("acme/app", 1)]);
    assert_eq!(store.settle(&[1], &[]), Response::Count { count: 1 });
    assert_eq!(store.replication().unwrap().synced, None, "a survey has not seen everything");
    store.hear(position(ReplicationStage::Following, 5), 100, vec![owed("acme/app", 1), owed("acme/app", 2)]);
    assert_eq!(store.settle(&[2], &[]), Response::Count { count: 1 });
    assert_eq!(store.replication().unwrap().synced, None);
    assert_eq!(store.settle(&[3], &[]), Response::Count { count: 1 });
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(100)));
    store.hear(position(ReplicationStage::Following, 9), 200, vec![owed("acme/app", 3)]);
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(100)), "what was is still true");
    store.settle(&[4], &[]);
    let record = store.replication().unwrap();
    assert_eq!((record.synced, record.heard), (Some(Timestamp(200)), Timestamp(200)));
    assert_eq!((record.arrived_items, record.arrived_bytes, record.cursor), (4, 40, 9));
    store.hear(position(ReplicationStage::Following, 9), 300, Vec::new());
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(300)), "nothing new is news");
}

#[test]
fn a_debt_that_cannot_be_paid_stays_in_its_place_and_says_why() {
    let mut store = replica();
    store.follow((1..=3).map(|number| owed("acme/app", number)).collect());
    assert_eq!(store.settle(&[2], &[1, 99]), Response::Count { count: 2 });
    store.settle(&[], &[1]);
    assert_eq!(store.numbers(), [1, 3]);
    let (_, debt) = store.view().debts(SOURCE, "acme", None, 1).unwrap().remove(0);
    assert_eq!((debt.failures, debt.error.as_deref()), (2, Some("no")));
    assert_eq!(debt.not_before, store.now.plus_seconds(5));
    let record = store.replication().unwrap();
    assert_eq!((record.debts, record.failing, record.synced), (2, 1, None));
    assert_eq!(store.view().debts(SOURCE, "acme", Some(record.round + 1), 9).unwrap()[0].0, record.round + 3);
    assert_eq!(store.settle(&[1, 3, 1], &[3]), Response::Count { count: 2 }, "each goes once");
    let record = store.replication().unwrap();
    assert_eq!((record.debts, record.failing, record.synced), (0, 0, Some(Timestamp(100))));
}

#[test]
fn two_leaders_never_mix_what_they_heard() {
    let mut store = replica();
    store.follow(Vec::new());
    let stands = store.replication().unwrap().position();
    let advance = |store: &mut Store, expected, cursor| {
        store.advance_copy(expected, ReplicationPosition { cursor, ..stands.clone() }, 200, vec![owed("acme/app", 1)])
    };
    assert_eq!(advance(&mut store, None, 6), Response::Stale);
    let elsewhere = ReplicationPosition { stage: surveying(), ..stands.clone() };
    assert_eq!(advance(&mut store, Some(elsewhere), 6), Response::Stale);
    assert_eq!(advance(&mut store, Some(stands.clone()), 8), Response::Done);
    assert_eq!(advance(&mut store, Some(stands.clone()), 8), Response::Stale, "a repetition owes nothing twice");
    assert_eq!(store.numbers(), [1]);
}

#[test]
fn what_is_asked_for_anew_is_surveyed_anew() {
    let mut store = replica();
    store.follow(Vec::new());
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(100)));
    let scope = ReplicationScope { deletes: true, ..ReplicationScope::default() };
    let next = |stage| ReplicationPosition { scope: scope.clone(), stage, cursor: 9, round: 0 };
    assert!(matches!(store.hear(next(ReplicationStage::Following), 200, Vec::new()), Response::Malformed { .. }));
    store.hear(position(surveying(), 9), 150, Vec::new());
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(100)), "the same scope: what was is still true");
    assert_eq!(store.hear(next(surveying()), 200, Vec::new()), Response::Done);
    assert_eq!(store.replication().unwrap().synced, None);
    assert_eq!(store.hear(next(ReplicationStage::Following), 200, Vec::new()), Response::Done);
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(200)));
}

#[test]
fn what_is_taken_in_is_bounded_and_below_the_prefix() {
    let mut store = replica();
    let following = || position(ReplicationStage::Following, 5);
    store.follow(Vec::new());
    for debts in [vec![owed("other/app", 1)], vec![owed("acme-x", 1)], vec![owed("acme", 1); DEBTS_PER_COMMAND + 1]] {
        assert!(matches!(store.hear(following(), 100, debts), Response::Malformed { .. }));
    }
    assert!(store.numbers().is_empty());
    let failed = vec![FailedDebt { number: 1, error: "x".repeat(DEBT_ERROR_BYTES_MAX + 1), retry_seconds: 0 }];
    let settle = SettleDebts { source: SOURCE, prefix: "acme".to_owned(), round: 1, settled: Vec::new(), failed };
    assert!(matches!(store.apply(Command::SettleDebts(settle)), Response::Malformed { .. }));
    let numbers: Vec<u64> = (0..=DEBTS_PER_COMMAND as u64).collect();
    assert!(matches!(store.settle(&numbers, &[]), Response::Malformed { .. }));
}

#[test]
fn what_is_owed_in_all_is_bounded() {
    let mut store = replica();
    store.follow(Vec::new());
    let page = vec![owed("acme", 1); DEBTS_PER_COMMAND];
    for _ in 0..DEBTS_MAX / DEBTS_PER_COMMAND as u64 {
        let next = store.replication().unwrap().position();
        let expected = Some(next.clone());
        let (source, prefix, heard, debts) = (SOURCE, "acme".to_owned(), Timestamp(100), page.clone());
        let advance = AdvanceReplication { source, prefix, expected, next, policy_version: 1, heard, debts };
        store.requests += 1;
        let stamp =
            crate::machine::Stamp { time: store.now, request: crate::id::RequestId(store.requests.to_be_bytes()) };
        assert_eq!(store.apply_unchecked(Command::AdvanceReplication(advance), stamp), Response::Done);
    }
    let more = store.hear(position(ReplicationStage::Following, 6), 100, vec![owed("acme", 1)]);
    assert!(matches!(more, Response::Malformed { .. }), "{more:?}");
    store.settle(&[1], &[]);
    let one = store.hear(position(ReplicationStage::Following, 6), 100, vec![owed("acme", 1)]);
    assert_eq!(one, Response::Done);
}

#[test]
fn where_this_region_is_no_replica_nothing_is_taken_in_and_nothing_struck_off() {
    for role in [None, Some(Role::Home), Some(Role::Foreign), Some(Role::Fenced)] {
        let mut store = replica();
        store.follow(vec![owed("acme/app", 1)]);
        store.sync_role("acme", role);
        let before = store.replication();
        assert_eq!(store.hear(position(ReplicationStage::Following, 6), 200, Vec::new()), Response::Stale);
        assert_eq!(store.settle(&[1], &[]), Response::Stale);
        assert_eq!(store.replication(), before, "it says what did not come");
        assert_eq!(store.view().debts(SOURCE, "acme", None, 9).unwrap().len(), 1);
    }
}

#[test]
fn what_is_forgotten_goes_page_by_page_and_is_never_called_in_sync() {
    let mut store = replica();
    store.follow((1..=5).map(|number| owed("acme/app", number)).collect());
    store.settle(&[], &[1, 4]);
    let known = store.replication().unwrap();
    store.sync_role("acme", Some(Role::Foreign));
    let drop = |limit| Command::DropReplication { source: SOURCE, prefix: "acme".to_owned(), limit };
    assert_eq!(store.apply(drop(3)), Response::Count { count: 3 });
    let record = store.replication().unwrap();
    assert_eq!((record.debts, record.failing, record.synced), (2, 1, None));
    assert_eq!(record.stage, ReplicationStage::Void);
    assert!(record.round > known.next_debt, "what builds on what was known comes too late");
    assert_eq!(store.apply(drop(3)), Response::Count { count: 3 }, "two debts and the record");
    assert_eq!((store.replication(), store.numbers()), (None, Vec::new()));
    assert_eq!(store.apply(drop(3)), Response::Count { count: 0 });
    store.sync_role("acme", Some(Role::Replica));
    store.follow(Vec::new());
    assert!(store.replication().unwrap().round > known.next_debt, "no number is given out twice");
}

#[test]
fn scopes_that_overlap_by_name_are_kept_apart() {
    let mut store = Store::new();
    store.sync_role("", Some(Role::Replica));
    for (source, prefix) in [(1, ""), (1, "a"), (1, "a/b"), (1, "a-b"), (2, "a")] {
        let debts = vec![owed(if prefix.is_empty() { "zoo" } else { prefix }, 1)];
        let advance = AdvanceReplication {
            source: RegionId(source),
            prefix: prefix.to_owned(),
            expected: None,
            next: position(surveying(), 1),
            policy_version: 1,
            heard: Timestamp(1),
            debts,
        };
        assert_eq!(store.apply(Command::AdvanceReplication(advance)), Response::Done);
        assert_eq!(store.view().debts(RegionId(source), prefix, None, 9).unwrap().len(), 1);
    }
    let all = store.view().replications().unwrap();
    let keys: Vec<_> = all.iter().map(|(source, prefix, _)| (source.0, prefix.as_str())).collect();
    assert_eq!(keys, [(1, ""), (1, "a"), (1, "a-b"), (1, "a/b"), (2, "a")]);
    assert_eq!(
        store.apply(Command::DropReplication { source: RegionId(1), prefix: "a".to_owned(), limit: 9 }),
        Response::Count { count: 2 }
    );
    assert_eq!(store.view().debts(RegionId(1), "a/b", None, 9).unwrap().len(), 1);
}

#[test]
fn another_role_voids_what_is_known_of_the_prefix_and_of_what_covers_it_again() {
    let mut store = replica();
    let begin = |store: &mut Store, source: u32, prefix: &str| {
        for stage in [surveying(), ReplicationStage::Following] {
            let record = store.view().replication(RegionId(source), prefix).unwrap();
            let expected = record.map(|record| record.position());
            let advance = AdvanceReplication {
                source: RegionId(source),
                prefix: prefix.to_owned(),
                next: ReplicationPosition { stage, ..expected.clone().unwrap_or_else(|| position(surveying(), 1)) },
                expected,
                policy_version: store.view().policy_version().unwrap(),
                heard: Timestamp(100),
                debts: vec![owed("acme/app/x", 1)],
            };
            assert_eq!(store.apply(Command::AdvanceReplication(advance)), Response::Done);
        }
    };
    store.sync_role("", Some(Role::Replica));
    for (source, prefix) in [(1, ""), (1, "acme"), (1, "acme/app"), (1, "acme/app/x"), (9, "acme")] {
        begin(&mut store, source, prefix);
    }
    let before = store.view().replications().unwrap();
    assert!(before.iter().all(|(_, _, record)| record.stage == ReplicationStage::Following));
    store.sync_policy("acme/app", Some(NamespacePolicy { deletes: Some(false), ..NamespacePolicy::default() }));
    assert_eq!(store.view().replications().unwrap(), before, "a policy is no role");
    let void = |store: &Store, before: &[(RegionId, String, ReplicationRecord)]| {
        let mut void = Vec::new();
        for ((source, prefix, record), (_, _, before)) in store.view().replications().unwrap().into_iter().zip(before) {
            assert_eq!((record.debts, record.synced), (2, None), "what is owed stays");
            assert_eq!(
                record.round > before.round,
                record.stage == ReplicationStage::Void,
                "what comes late is refused"
            );
            if record.stage == ReplicationStage::Void {
                void.push((source.0, prefix));
            }
        }
        void
    };
    let named = |names: &[(u32, &str)]| names.iter().map(|(of, name)| (*of, (*name).to_owned())).collect::<Vec<_>>();
    store.sync_role("acme/app", Some(Role::Foreign));
    assert_eq!(void(&store, &before), named(&[(1, "acme/app")]), "it alone");
    store.sync_role("acme/app", None);
    let covering = [(1, ""), (1, "acme"), (1, "acme/app"), (9, "acme")];
    assert_eq!(void(&store, &before), named(&covering), "it is covered by what is above it again");
}

/// A policy under which clients may do nothing where there is one of everything.
const STRICT: &str = r#"
deletes = false
immutable = [{ tags = "*" }]
quota = { manifests = 1, tags = 1, bytes = 1, repositories = 1 }
"#;

pub(super) fn for_debts(put: PutManifest, owed: &Owed) -> PutManifest {
    PutManifest { principal: Some(REPLICATION.to_owned()), owed: Some(owed.clone()), ..put }
}

/// Deletes a manifest of `acme/app`, which is owed.
fn delete_for_debt(store: &mut Store, number: u8) -> Command {
    let owed = store.owe("acme/app", vec![DebtItem::ManifestGone { digest: digest(number) }]);
    let (repository, principal) = (repository("acme/app"), Some(REPLICATION.to_owned()));
    Command::DeleteManifest { repository, digest: digest(number), principal, owed: Some(owed) }
}

#[test]
fn what_the_home_has_judged_is_not_judged_again() {
    let mut store = Store::new();
    store.push(1, "other", 1);
    store.put(manifest("acme/full", 10, &["full"], &[]));
    let copy = NamespaceCopy {
        role: Some(Role::Replica),
        policy: NamespacePolicy { restore_seconds: Some(300), ..super::policies::policy(STRICT) },
    };
    let changes = vec![("acme".to_owned(), Some(copy))];
    assert_eq!(store.apply(Command::SyncPolicies { version: 1, changes, complete: true }), Response::Done);
    let principal = Some(REPLICATION.to_owned());
    let (name, from) = (repository("acme/app"), None);
    assert_eq!(store.apply(mount("acme/app", 1, None)), Response::Foreign { namespace: "acme".to_owned() });
    let mounted =
        Command::MountBlob { repository: name.clone(), digest: digest(1), from, principal: principal.clone() };
    assert!(matches!(store.apply(mounted), Response::Mounted { .. }));
    let Command::StartUpload(begin) = start(2, "acme/app") else { unreachable!() };
    store.apply(Command::StartUpload(StartUpload { principal: principal.clone(), ..begin }));
    let extents = store.extents(1);
    assert!(matches!(store.advance(2, extents), Response::Uploaded { .. }));
    assert!(matches!(store.finish(2, Vec::new(), 2), Response::Published { .. }));
    assert_eq!(
        store.copy_in(manifest("acme/app", 10, &["a"], &[1, 2])),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
    assert_eq!(
        store.copy_in(manifest("acme/app", 11, &["a"], &[])),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
    let delete = delete_for_debt(&mut store, 11);
    assert_eq!(store.apply(delete), DELETED);
    assert_eq!(store.view().tombstone(&name, &digest(11)).unwrap(), None, "the home keeps what can be restored");
    let delete = delete_for_debt(&mut store, 10);
    assert_eq!(store.apply(delete), DELETED);
    let link = store.view().link(&name, &digest(2)).unwrap().unwrap();
    assert_eq!((link.uses, link.keep_until), (0, Timestamp(0)));
}

#[test]
fn what_is_brought_is_as_old_as_at_the_home() {
    let mut store = replica();
    let name = repository("acme/app");
    let made = |number: u8, tags: &[&str], made: u64| PutManifest {
        made: Some(Timestamp(made)),
        ..manifest("acme/app", number, tags, &[])
    };
    let updated = |store: &Store, text: &str| store.view().tag(&name, &tag(text)).unwrap().unwrap().updated;
    // In the order of names, as a survey finds them.
    store.copy_in(made(10, &["a"], 300));
    store.copy_in(made(11, &["b"], 200));
    store.copy_in(made(12, &["c"], u64::MAX));
    assert_eq!([updated(&store, "a"), updated(&store, "b")], [Timestamp(300), Timestamp(200)]);
    assert_eq!(updated(&store, "c"), store.now, "nothing is from the future");
    let pushed = |store: &Store, number| store.view().manifest(&name, &digest(number)).unwrap().unwrap().pushed;
    assert_eq!([pushed(&store, 10), pushed(&store, 12)], [Timestamp(300), store.now]);
    let history = store.view().tag_history(&name, &tag("a"), 9).unwrap();
    assert_eq!(history[0].1.time, Timestamp(300));
    store.copy_in(made(10, &["a"], 400));
    assert_eq!(updated(&store, "a"), Timestamp(400), "it was set anew at the home");
    store.copy_in(made(10, &["a"], 350));
    assert_eq!(updated(&store, "a"), Timestamp(400));
    store.copy_in(made(11, &["a"], 350));
    assert_eq!(updated(&store, "a"), Timestamp(400), "a later change is never older");
    store.sync_role("acme", Some(Role::Home));
    store.put(PutManifest { made: Some(Timestamp(5)), ..manifest("acme/app", 13, &["d"], &[]) });
    assert_eq!(updated(&store, "d"), store.now, "clients are not believed");
}

#[test]
fn what_comes_home_counts_as_pulled_then_since_nobody_here_knows_of_the_pulls_elsewhere() {
    let mut store = replica();
    let name = repository("acme/app");
    let put = manifest("acme/app", 10, &["v1"], &[]);
    store.copy_in(PutManifest { made: Some(Timestamp(300)), ..put });
    store.wait(100);
    let facts = |store: &Store| {
        let (policy, _) = store.view().policy(&name).unwrap();
        let facts = store.view().tag_facts(&name, &policy, None, None, 9).unwrap().remove(0);
        (facts.pushed, facts.pulled)
    };
    assert_eq!(facts(&store), (Timestamp(300), None));
    store.sync_role("acme", Some(Role::Home));
    let home = store.now;
    store.wait(100);
    assert_eq!(facts(&store), (Timestamp(300), Some(home)));
    store.sync_policy("acme", Some(NamespacePolicy { deletes: Some(true), ..NamespacePolicy::default() }));
    store.sync_role("acme/app", Some(Role::Home));
    assert_eq!(facts(&store).1, Some(home), "it was at home already");
    store.apply(Command::RecordPulls { pulls: vec![(name.clone(), digest(10))] });
    assert_eq!(facts(&store).1, Some(store.now), "a later pull counts");
    store.sync_role("acme", Some(Role::Replica));
    store.wait(100);
    store.sync_role("acme", None);
    assert_eq!(facts(&store).1, Some(store.now), "home again, by what the root says");
}

#[test]
fn manifests_that_nothing_holds_are_never_collected_where_the_home_decides() {
    for role in [Role::Replica, Role::Fenced] {
        let mut store = Store::collecting();
        store.put(manifest("acme/app", 10, &[], &[]));
        let item = manifest_item(&store, "acme/app", 10);
        assert_eq!(store.garbage(), std::slice::from_ref(&item));
        store.sync_role("acme", Some(role));
        store.wait(100_000);
        store.collect();
        let there = |store: &Store| store.view().manifest(&repository("acme/app"), &digest(10)).unwrap().is_some();
        assert!(there(&store), "{role:?}: it was queued before the role changed");
        while !matches!(store.apply(Command::WalkPolicies { limit: 9 }), Response::Count { count: 0 }) {}
        assert_eq!(store.garbage(), []);
        let (name, digest) = (repository("acme/app"), digest(10));
        assert!(!store.view().manifest_needs_touch(&name, &digest, store.now).unwrap());
        if role == Role::Replica {
            store.copy_in(manifest("acme/app", 11, &[], &[]));
            assert_eq!(store.garbage(), []);
        }
        store.sync_role("acme", Some(Role::Home));
        while !matches!(store.apply(Command::WalkPolicies { limit: 9 }), Response::Count { count: 0 }) {}
        assert!(store.garbage().contains(&item));
        store.wait(100_000);
        store.collect();
        assert!(!there(&store), "{role:?}: at home the policy decides");
    }
}

#[test]
fn pulls_are_noted_whatever_this_region_is() {
    for role in [Role::Home, Role::Replica, Role::Foreign, Role::Fenced] {
        let mut store = Store::new();
        store.put(manifest("acme/app", 10, &["a"], &[]));
        store.sync_role("acme", Some(role));
        let pulls = vec![(repository("acme/app"), digest(10))];
        assert_eq!(store.apply(Command::RecordPulls { pulls }), Response::Count { count: 1 });
    }
}
