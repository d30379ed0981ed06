//! What this region is to copy, and what moves together: read off the homes.

use std::sync::Arc;

use raft::directory::Place;
use raft::id::RegionId;
use raft::policy::Role;

use super::Regions;
use super::homes::{Region, Table};

/// One prefix that says something itself, of whose content the own region is to have a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The prefix, empty for the root.
    pub(crate) prefix: String,
    /// Its home, which has what is to be copied.
    pub(crate) source: Region,
    /// What holds at the prefix.
    pub(crate) place: Arc<Place>,
    /// The shortest prefixes below it that say something themselves: what is below them does not belong to it.
    pub(crate) except: Vec<String>,
    /// Whether what the source lacks stays here, since the directory was taken over: it may be the only copy.
    pub(crate) removals_held: bool,
}

/// All that the own region is to have copies of, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scopes {
    /// Version of the directory's policies by which it is so.
    pub(crate) policy_version: u64,
    /// By prefix. One prefix may lie below another one, whose `except` then names it.
    pub(crate) scopes: Vec<Scope>,
}

/// A prefix with a place, whatever its own region is for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The prefix, empty for the root.
    pub(crate) prefix: String,
    /// What holds there.
    pub(crate) place: Arc<Place>,
    /// The shortest prefixes below it that say something themselves.
    pub(crate) except: Vec<String>,
}

/// A prefix, with those below it that say something themselves and inherit its home: their home changes with its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// Version of the directory's policies by which it is so.
    pub(crate) policy_version: u64,
    /// The prefix itself first, whether it says something or not, then the others in order.
    pub(crate) members: Vec<Member>,
}

impl Table {
    /// What this region is to have copies of; `None` while not all is known that this takes.
    fn scopes(&self, own: RegionId) -> Option<Scopes> {
        self.region(own)?;
        let copied = self.places().filter(|(_, place)| place.home != own && place.role(own) == Role::Replica);
        let scopes = copied.map(|(prefix, place)| self.scope(prefix, place)).collect::<Option<Vec<Scope>>>()?;
        Some(Scopes { policy_version: self.version(), scopes })
    }

    fn scope(&self, prefix: &str, place: &Arc<Place>) -> Option<Scope> {
        let source = self.region(place.home)?.clone();
        let (place, removals_held) = (Arc::clone(place), self.removals_held());
        Some(Scope { prefix: prefix.to_owned(), source, place, except: self.except(prefix), removals_held })
    }

    /// What moves with a prefix; `None` before anything is known.
    fn family(&self, prefix: &str) -> Option<Family> {
        let member = |prefix: &str, place: &Arc<Place>| Member {
            prefix: prefix.to_owned(),
            place: Arc::clone(place),
            except: self.except(prefix),
        };
        let mut members = vec![member(prefix, self.place(prefix)?)];
        // Who has the home from a longer prefix than this one has it from there.
        let inherits = |place: &Place| place.sources.home.len() <= prefix.len();
        let below = self.below(prefix).filter(|(_, place)| inherits(place));
        members.extend(below.map(|(at, place)| member(at, place)));
        Some(Family { policy_version: self.version(), members })
    }
}

impl Regions {
    /// What the own region is to have copies of. `None` while it is not known: then nothing is to be begun, and nothing
    /// given up.
    pub(crate) fn scopes(&self) -> Option<Scopes> {
        self.places().scopes(self.own())
    }

    /// The one of them that a repository belongs to; `None` if this region is to have no copy of it.
    pub(crate) fn scope_of(&self, repository: &str) -> Option<Scope> {
        let (places, own) = (self.places(), self.own());
        let (prefix, place) = places.place_at(repository)?;
        if place.home == own || place.role(own) != Role::Replica {
            return None;
        }
        places.scope(prefix, place)
    }

    /// What moves with a prefix. `None` before anything is known.
    pub(crate) fn family(&self, prefix: &str) -> Option<Family> {
        self.places().family(prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use raft::directory::{Aside, Moving, NamespaceRecord, Residency};
    use raft::time::Timestamp;

    use super::*;
    use crate::regions::Telling;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);
    const ASIA: RegionId = RegionId(3);

    fn table(set: &[(&str, NamespaceRecord)]) -> Table {
        let region = |id: RegionId| (id, Region { id, name: format!("r{id}"), public_url: None });
        let root = NamespaceRecord { home: Some(EU), residency: Some(Residency::Home), ..NamespaceRecord::default() };
        let mut records = BTreeMap::from([(String::new(), root)]);
        records.extend(set.iter().map(|(prefix, record)| ((*prefix).to_owned(), record.clone())));
        Table::new(7, [EU, US, ASIA].map(region).into(), &records)
    }

    fn residency(residency: Residency) -> NamespaceRecord {
        NamespaceRecord { residency: Some(residency), ..NamespaceRecord::default() }
    }

    fn home(region: RegionId) -> NamespaceRecord {
        NamespaceRecord { home: Some(region), ..NamespaceRecord::default() }
    }

    fn scopes(table: &Table, own: RegionId) -> Vec<(String, RegionId, Vec<String>)> {
        let scopes = table.scopes(own).unwrap();
        assert_eq!(scopes.policy_version, 7);
        scopes.scopes.into_iter().map(|scope| (scope.prefix, scope.source.id, scope.except)).collect()
    }

    fn expected(list: &[(&str, RegionId, &[&str])]) -> Vec<(String, RegionId, Vec<String>)> {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        list.iter().map(|(prefix, source, except)| ((*prefix).to_owned(), *source, texts(except))).collect()
    }

    #[test]
    fn a_scope_leaves_out_what_says_something_itself() {
        let table = table(&[
            ("acme", residency(Residency::Replicated(vec![US]))),
            ("acme-x", residency(Residency::Pinned)),
            ("acme/a", residency(Residency::Pinned)),
            ("acme/a-b", home(ASIA)),
            ("acme/a/deep", residency(Residency::Replicated(vec![US, ASIA]))),
            ("acme/silent", NamespaceRecord::default()),
            ("other", home(US)),
        ]);
        let below = ["acme/a", "acme/a-b"];
        let us = expected(&[("acme", EU, &below), ("acme/a-b", ASIA, &[]), ("acme/a/deep", EU, &[])]);
        assert_eq!(scopes(&table, US), us);
        assert_eq!(scopes(&table, ASIA), expected(&[("acme/a/deep", EU, &[])]));
        assert_eq!(scopes(&table, EU), expected(&[]));
        assert_eq!(table.except(""), ["acme", "acme-x", "other"]);
        assert!(table.scopes(RegionId(4)).is_none(), "the own region is not known yet");
        assert!(Table::default().scopes(US).is_none() && Table::default().family("").is_none());
    }

    #[test]
    fn the_next_home_copies_all_that_moves_and_a_former_one_nothing() {
        let moving = NamespaceRecord { moving: Some(Moving { to: ASIA, fenced: false }), ..home(EU) };
        let aside = vec![Aside { region: US, since: Timestamp(1) }];
        let forced = NamespaceRecord {
            aside,
            ..NamespaceRecord { home: Some(ASIA), ..residency(Residency::Replicated(vec![US, EU])) }
        };
        let table = table(&[
            ("acme", NamespaceRecord { residency: Some(Residency::Pinned), ..moving }),
            ("acme/in", residency(Residency::Replicated(vec![US]))),
            ("acme/out", home(US)),
            ("lost", forced),
        ]);
        assert_eq!(scopes(&table, ASIA), expected(&[("acme", EU, &["acme/in", "acme/out"]), ("acme/in", EU, &[])]));
        assert_eq!(scopes(&table, US), expected(&[("acme/in", EU, &[])]), "it is a former home of lost");
        assert_eq!(scopes(&table, EU), expected(&[("lost", ASIA, &[])]));
    }

    #[test]
    fn who_inherits_the_home_is_of_the_family() {
        let table = table(&[
            ("acme", residency(Residency::Pinned)),
            ("acme/app", residency(Residency::Home)),
            ("acme/own", home(EU)),
            ("acme/own/below", residency(Residency::Home)),
            ("acmex", residency(Residency::Home)),
        ]);
        let family = |prefix: &str| {
            let family = table.family(prefix).unwrap();
            family.members.into_iter().map(|member| (member.prefix, member.except)).collect::<Vec<_>>()
        };
        let member = |prefix: &str, except: &[&str]| {
            (prefix.to_owned(), except.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(family("acme"), [member("acme", &["acme/app", "acme/own"]), member("acme/app", &[])]);
        assert_eq!(family("acme/own"), [member("acme/own", &["acme/own/below"]), member("acme/own/below", &[])]);
        assert_eq!(family("acme/app/tool"), [member("acme/app/tool", &[])], "it says nothing yet");
        let root: Vec<String> = family("").into_iter().map(|(prefix, _)| prefix).collect();
        assert_eq!(root, ["", "acme", "acme/app", "acmex"]);
    }

    #[test]
    fn the_home_tells_who_has_a_copy_and_nobody_else() {
        let aside = vec![Aside { region: ASIA, since: Timestamp(1) }];
        let table = table(&[
            ("acme", residency(Residency::Replicated(vec![US]))),
            ("acme/pinned", residency(Residency::Pinned)),
            ("lost", NamespaceRecord { aside, ..NamespaceRecord { home: Some(US), ..residency(Residency::Home) } }),
        ]);
        let telling = |own, asking, at| table.telling(own, asking, at);
        assert_eq!(telling(EU, US, "acme/app"), Telling::Tells);
        assert_eq!(telling(EU, ASIA, "acme/app"), Telling::NotTold);
        assert_eq!(telling(EU, US, "acme/pinned/app"), Telling::NotTold);
        assert_eq!(telling(US, EU, "acme/app"), Telling::NotHome(EU));
        assert_eq!(telling(ASIA, US, "lost/app"), Telling::Tells, "what it has kept");
        assert_eq!(telling(ASIA, EU, "lost/app"), Telling::NotHome(US));
        assert_eq!(Table::default().telling(EU, US, ""), Telling::Unknown);
    }
}
