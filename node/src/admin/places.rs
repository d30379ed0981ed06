//! Where namespaces rest, between what the directory keeps and what operators say: names instead of ids.

use std::collections::BTreeMap;

use raft::directory::{Aside, Elsewhere, Moving, NamespaceRecord, Replication, Residency};
use raft::id::RegionId;
use raft::policy::Role;

use super::namespace_types::PolicyField;
use super::place_types::{
    NamedAside, NamedElsewhere, NamedMoving, NamedResidency, OwnPlace, PlaceAnswer, ReplicationFields,
};
use crate::deletion::{DeletionError, Placed};

/// Names of regions.
type Names = BTreeMap<RegionId, String>;

fn name(names: &Names, region: RegionId) -> String {
    names.get(&region).cloned().unwrap_or_else(|| region.to_string())
}

fn residency(residency: &Residency, names: &Names) -> NamedResidency {
    match residency {
        Residency::Home => NamedResidency::Home,
        Residency::Pinned => NamedResidency::Pinned,
        Residency::Replicated(copies) => {
            NamedResidency::Replicated(copies.iter().map(|region| name(names, *region)).collect())
        }
    }
}

const fn elsewhere(elsewhere: Elsewhere) -> NamedElsewhere {
    match elsewhere {
        Elsewhere::Proxy => NamedElsewhere::Proxy,
        Elsewhere::Redirect => NamedElsewhere::Redirect,
        Elsewhere::Refuse => NamedElsewhere::Refuse,
    }
}

fn moving(moving: Moving, names: &Names) -> NamedMoving {
    NamedMoving { to: name(names, moving.to), fenced: moving.fenced }
}

fn aside(aside: &[Aside], names: &Names) -> Vec<NamedAside> {
    let named = |aside: &Aside| NamedAside { region: name(names, aside.region), since_milliseconds: aside.since.0 };
    aside.iter().map(named).collect()
}

/// What is set at a prefix.
pub(super) fn own_place(record: &NamespaceRecord, names: &Names) -> OwnPlace {
    OwnPlace {
        home: record.home.map(|region| name(names, region)),
        residency: record.residency.as_ref().map(|set| residency(set, names)),
        elsewhere: record.elsewhere.map(elsewhere),
        replication: record.replication.clone().map(ReplicationFields::from).unwrap_or_default(),
        moving: record.moving.map(|set| moving(set, names)),
        aside: aside(&record.aside, names),
    }
}

/// What holds at a prefix.
pub(super) fn place_answer(placed: &Placed) -> PlaceAnswer {
    let (place, names) = (&placed.place, &placed.names);
    let sources = &place.sources;
    let named = [
        ("home", &sources.home),
        ("residency", &sources.residency),
        ("elsewhere", &sources.elsewhere),
        ("replication", &sources.replication),
    ];
    let role = match placed.role() {
        _ if place.home == placed.region => "home",
        Role::Home => "home",
        Role::Replica => "replica",
        Role::Fenced => "aside",
        Role::Foreign => "foreign",
    };
    PlaceAnswer {
        home: placed.name(place.home),
        residency: residency(&place.residency, names),
        elsewhere: elsewhere(place.elsewhere),
        replication: place.replication.clone(),
        copies: place.copies().into_iter().map(|region| placed.name(region)).collect(),
        moving: place.moving.map(|set| moving(set, names)),
        aside: aside(&place.aside, names),
        sources: named.into_iter().map(|(field, prefix)| (field.to_owned(), prefix.clone())).collect(),
        region: placed.name(placed.region),
        role: role.to_owned(),
        regions: names.len() as u64,
    }
}

/// What a request asks for about where a namespace rests, understood. The home is not among it: it changes by itself.
#[derive(Clone, Debug)]
pub(super) struct Wish<'a> {
    /// What is to be set.
    pub(super) place: &'a OwnPlace,
    /// Regions that are to have a copy, if it says so.
    pub(super) copies: &'a [RegionId],
    /// How it is copied so far, inherited or not: what the request does not name stays so.
    pub(super) replication: &'a Replication,
    /// Fields to inherit again.
    pub(super) unset: &'a [PolicyField],
}

/// What was set, with what is asked for about where it rests.
pub(super) fn placed(mut record: NamespaceRecord, wish: &Wish<'_>) -> Result<NamespaceRecord, DeletionError> {
    let Wish { place: wanted, copies, replication, unset } = *wish;
    let unsets = |field: PolicyField| unset.contains(&field);
    let twice = |field: PolicyField| {
        let name = field.name();
        DeletionError::Invalid(format!("{name} is to be set and unset at once: do one of the two"))
    };
    if wanted.moving.is_some() || !wanted.aside.is_empty() {
        let message = "a home is moved by naming the new one as the home, and what was left aside is settled by itself";
        return Err(DeletionError::Invalid(message.to_owned()));
    }
    match &wanted.residency {
        Some(_) if unsets(PolicyField::Residency) => return Err(twice(PolicyField::Residency)),
        Some(NamedResidency::Home) => record.residency = Some(Residency::Home),
        Some(NamedResidency::Pinned) => record.residency = Some(Residency::Pinned),
        Some(NamedResidency::Replicated(_)) if copies.is_empty() => {
            let message = "a replicated namespace names the regions that have a copy: --copies us,asia";
            return Err(DeletionError::Invalid(message.to_owned()));
        }
        Some(NamedResidency::Replicated(_)) => record.residency = Some(Residency::Replicated(copies.to_vec())),
        None if unsets(PolicyField::Residency) => record.residency = None,
        None => {}
    }
    match wanted.elsewhere {
        Some(_) if unsets(PolicyField::Elsewhere) => return Err(twice(PolicyField::Elsewhere)),
        Some(NamedElsewhere::Proxy) => record.elsewhere = Some(Elsewhere::Proxy),
        Some(NamedElsewhere::Redirect) => record.elsewhere = Some(Elsewhere::Redirect),
        Some(NamedElsewhere::Refuse) => record.elsewhere = Some(Elsewhere::Refuse),
        None if unsets(PolicyField::Elsewhere) => record.elsewhere = None,
        None => {}
    }
    if unsets(PolicyField::Replication) {
        if !wanted.replication.is_empty() {
            return Err(twice(PolicyField::Replication));
        }
        record.replication = None;
    } else if !wanted.replication.is_empty() {
        record.replication =
            Some(replicated(record.replication.unwrap_or_else(|| replication.clone()), &wanted.replication));
    }
    Ok(record)
}

/// How a namespace is copied, with some of it changed.
fn replicated(present: Replication, wanted: &ReplicationFields) -> Replication {
    let ReplicationFields { tags, deletes, priority } = wanted;
    Replication {
        tags: tags.clone().unwrap_or(present.tags),
        deletes: deletes.unwrap_or(present.deletes),
        priority: priority.unwrap_or(present.priority),
    }
}

#[cfg(test)]
mod tests {
    use raft::directory::{Place, PlaceSources};
    use raft::time::Timestamp;

    use super::*;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);
    const ASIA: RegionId = RegionId(3);

    fn names() -> Names {
        [(EU, "eu".to_owned()), (US, "us".to_owned()), (ASIA, "asia".to_owned())].into()
    }

    fn place() -> Place {
        Place {
            home: EU,
            residency: Residency::Replicated(vec![US]),
            elsewhere: Elsewhere::Proxy,
            replication: Replication::default(),
            moving: None,
            aside: Vec::new(),
            sources: PlaceSources { residency: "acme".to_owned(), ..PlaceSources::default() },
        }
    }

    fn answer(place: Place, region: RegionId) -> PlaceAnswer {
        place_answer(&Placed { own: NamespaceRecord::default(), place, names: names(), region })
    }

    #[test]
    fn regions_are_called_by_their_names() {
        let own = NamespaceRecord {
            residency: Some(Residency::Pinned),
            moving: Some(Moving { to: US, fenced: true }),
            ..NamespaceRecord::default()
        };
        let said = own_place(&own, &names());
        assert_eq!(said.residency, Some(NamedResidency::Pinned));
        assert_eq!(said.moving, Some(NamedMoving { to: "us".to_owned(), fenced: true }));
        assert_eq!(serde_json::to_value(&said).unwrap()["residency"], "pinned");
        let here = answer(place(), EU);
        assert_eq!((here.home.as_str(), here.role.as_str(), here.copies), ("eu", "home", vec!["us".to_owned()]));
        assert_eq!((here.sources["residency"].as_str(), here.regions), ("acme", 3));
        assert_eq!(answer(place(), US).role, "replica");
        assert_eq!(answer(place(), ASIA).role, "foreign");
    }

    #[test]
    fn where_it_moves_a_copy_is_and_where_it_was_left_it_is_aside() {
        let moving = answer(Place { moving: Some(Moving { to: ASIA, fenced: false }), ..place() }, ASIA);
        assert_eq!((moving.role.as_str(), moving.copies.len()), ("replica", 2));
        let left = vec![Aside { region: US, since: Timestamp(7) }];
        let left = answer(Place { aside: left, ..place() }, US);
        let said = [NamedAside { region: "us".to_owned(), since_milliseconds: 7 }];
        assert_eq!((left.role.as_str(), left.copies.len(), left.aside.as_slice()), ("aside", 0, &said[..]));
    }

    fn change(present: &NamespaceRecord, place: &OwnPlace, unset: &[PolicyField]) -> Result<NamespaceRecord, String> {
        let inherited = Replication { deletes: true, ..Replication::default() };
        let wish = Wish { place, copies: &[US, ASIA], replication: &inherited, unset };
        placed(present.clone(), &wish).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_named_stays() {
        let present =
            NamespaceRecord { home: Some(EU), residency: Some(Residency::Pinned), ..NamespaceRecord::default() };
        let refuse = OwnPlace { elsewhere: Some(NamedElsewhere::Refuse), ..OwnPlace::default() };
        let changed = change(&present, &refuse, &[PolicyField::Residency]).unwrap();
        assert_eq!((changed.home, changed.residency, changed.elsewhere), (present.home, None, Some(Elsewhere::Refuse)));
        assert!(change(&present, &refuse, &[PolicyField::Elsewhere]).is_err());
    }

    #[test]
    fn copies_are_made_in_the_regions_that_are_named() {
        let copies = NamedResidency::Replicated(vec!["us".to_owned(), "asia".to_owned()]);
        let copies = OwnPlace { residency: Some(copies), ..OwnPlace::default() };
        let none = NamespaceRecord::default();
        let changed = change(&none, &copies, &[]).unwrap();
        assert_eq!(changed.residency, Some(Residency::Replicated(vec![US, ASIA])));
        let wish = Wish { place: &copies, copies: &[], replication: &Replication::default(), unset: &[] };
        assert!(placed(none, &wish).unwrap_err().to_string().contains("--copies"));
    }

    #[test]
    fn a_part_of_the_replication_keeps_the_rest_of_what_holds() {
        let urgent = ReplicationFields { priority: Some(9), ..ReplicationFields::default() };
        let urgent = OwnPlace { replication: urgent, ..OwnPlace::default() };
        let first = change(&NamespaceRecord::default(), &urgent, &[]).unwrap();
        let inherited = Replication { tags: Vec::new(), deletes: true, priority: 9 };
        assert_eq!(first.replication, Some(inherited));
        let tags = ReplicationFields { tags: Some(vec!["v*".parse().unwrap()]), ..ReplicationFields::default() };
        let tags = OwnPlace { replication: tags, ..OwnPlace::default() };
        let then = change(&first, &tags, &[]).unwrap().replication.unwrap();
        assert_eq!((then.tags.len(), then.deletes, then.priority), (1, true, 9));
        let unset = [PolicyField::Replication];
        assert!(change(&first, &tags, &unset).unwrap_err().contains("replication is to be set and unset"));
        assert_eq!(change(&first, &OwnPlace::default(), &unset).unwrap().replication, None);
    }
}
