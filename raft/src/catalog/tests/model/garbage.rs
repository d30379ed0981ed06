//! Garbage in the model: it knows what must not go, and adopts what has gone; in the end all of it must.

use std::collections::BTreeSet;

use super::super::store::*;
use super::step::Rules;
use super::{Model, REPOSITORIES, ROLED};
use crate::catalog::table::{CatalogClock, HomesSince, Leftovers, PolicyVersion, Totals};
use crate::catalog::*;
use crate::policy::{ImmutableRule, NamespacePolicy, Role, Untagged};
use crate::table::Table;

impl Model {
    /// A client was told that a repository has a blob, or a manifest that used it has gone: it must stay for a grace,
    /// unless a manifest uses it anyway.
    pub(super) fn told(&mut self, store: &Store, link: (usize, u8)) {
        if self.manifests.iter().any(|((of, _), known)| *of == link.0 && known.blobs.contains(&link.1)) {
            return;
        }
        let until = store.now.plus_seconds(self.rules.grace);
        let promised = self.promised.entry(link).or_default();
        *promised = until.max(*promised);
    }

    pub(super) fn set_policy(&mut self, store: &mut Store, rules: Rules) {
        let immutable = ImmutableRule { tags: "v*".parse().unwrap(), except: Vec::new() };
        let collect = |after_seconds| Untagged::Collect { after_seconds };
        let policy = NamespacePolicy {
            deletes: Some(rules.deletes),
            untagged: Some(rules.untagged.map_or(Untagged::Keep, collect)),
            grace_seconds: Some(rules.grace),
            restore_seconds: Some(rules.restore),
            immutable: Some(if rules.immutable { vec![immutable] } else { Vec::new() }),
            ..NamespacePolicy::default()
        };
        store.sync_policy("", Some(policy));
        store.sync_role(ROLED, rules.role);
        if self.rules.role != rules.role {
            self.survey_anew();
        }
        self.rules = rules;
    }

    /// Collects once, checks that everything that went was free to go, and forgets it.
    pub(super) fn collect(&mut self, store: &mut Store, limit: u32) -> bool {
        let due = store.view().garbage(store.now, usize::MAX).unwrap().len();
        // What is looked at again later counts as nothing that went; it may be due at once again, but then it goes.
        let mut idle = 0;
        let more = loop {
            let Response::Collected { items, more, .. } = store.apply(Command::CollectGarbage { limit }) else {
                panic!()
            };
            assert!(items <= u64::from(limit));
            let left = store.view().garbage(store.now, usize::MAX).unwrap().len();
            if items > 0 || left < due || due == 0 {
                break more;
            }
            idle += 1;
            assert!(idle <= due, "nothing of {due} items goes");
        };
        assert_eq!(more, store.view().garbage_next().unwrap().is_some_and(|next| next <= store.now));
        let view = store.view();
        let free = |key: &(usize, u8)| {
            let (name, number) = *key;
            let listed = self.manifests.iter().any(|((of, _), index)| *of == name && index.children.contains(&number));
            let subject = self.manifests[key].subject;
            let refers = subject.is_some_and(|subject| self.manifests.contains_key(&(name, subject)));
            !listed && !refers && !self.tags.iter().any(|((of, _), target)| (*of, *target) == (name, number))
        };
        let exists = |(name, number): &(usize, u8)| {
            view.manifest(&repository(REPOSITORIES[*name]), &digest(*number)).unwrap().is_some()
        };
        let gone: Vec<_> = self.manifests.keys().copied().filter(|key| !exists(key)).collect();
        let kept = matches!(self.rules.role, Some(Role::Replica | Role::Fenced));
        assert!(!kept || gone.iter().all(|(name, _)| !REPOSITORIES[*name].starts_with(ROLED)), "{gone:?}");
        assert!(gone.iter().all(free), "a manifest that something holds was collected: {gone:?}");
        let linked =
            |(name, blob): &(usize, u8)| view.link(&repository(REPOSITORIES[*name]), &digest(*blob)).unwrap().is_some();
        let lost: BTreeSet<_> = self.links.iter().copied().filter(|link| !linked(link)).collect();
        for (name, blob) in &lost {
            let used = self.manifests.iter().any(|((of, _), known)| of == name && known.blobs.contains(blob));
            assert!(!used, "blob {blob}, which {} uses, was collected", REPOSITORIES[*name]);
            let promised = self.promised.remove(&(*name, *blob)).unwrap();
            let kept = self.kept.remove(&(*name, *blob)).unwrap_or_default();
            assert!(
                promised.max(kept) <= store.now,
                "blob {blob} was promised to {} and collected",
                REPOSITORIES[*name]
            );
        }
        self.links.retain(|link| !lost.contains(link));
        for key in gone {
            let manifest = self.manifests.remove(&key).unwrap();
            for blob in manifest.blobs {
                self.told(store, (key.0, blob));
            }
        }
        for blob in 1..4 {
            if view.blob(&digest(blob)).unwrap().is_none() {
                self.blobs.remove(&blob);
            }
        }
        more
    }

    /// Deletes everything and lets time pass: nothing is left but clocks and counters, and when which prefix came home.
    pub(super) fn end(mut self, store: &mut Store) {
        let rules = Rules { deletes: true, immutable: false, untagged: None, grace: 0, restore: 0, role: None };
        self.set_policy(store, rules);
        while let Some((name, number)) = self.manifests.keys().next().copied() {
            self.delete_manifest(store, name, number);
        }
        while self.owed.is_some() {
            self.forget(store, 100);
        }
        store.sync_policy("", None);
        while !matches!(store.apply(Command::WalkPolicies { limit: 100 }), Response::Count { count: 0 }) {}
        store.wait(EVENT_RETENTION_SECONDS + 3600);
        while store.apply(Command::ExpireUploads { limit: 100 }) != (Response::Count { count: 0 }) {}
        while self.collect(store, 3) {}
        store.apply(Command::Swept { discards: store.discards() });
        // Events and remembered requests go with their time, a few with each command.
        store.wait(EVENT_RETENTION_SECONDS + 3600);
        let kinds = [CatalogClock::KIND, Totals::KIND, PolicyVersion::KIND, HomesSince::KIND, Leftovers::KIND];
        let rows = dump(&store.engine);
        let left = rows.iter().flat_map(|(_, rows)| rows).filter(|(key, _)| !kinds.contains(&key[0]));
        assert_eq!(left.collect::<Vec<_>>(), Vec::<&storage::kv::Pair>::new());
        let totals = store.view().totals().unwrap();
        let TotalsRecord { collected_items, collected_bytes, last_collected, .. } = totals;
        let collected = TotalsRecord { collected_items, collected_bytes, last_collected, ..TotalsRecord::default() };
        assert_eq!(totals, collected);
    }
}
