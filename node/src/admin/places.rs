//! Where namespaces rest, between what the directory keeps and what operators say: names instead of ids.

use std::collections::BTreeMap;

use raft::directory::{Elsewhere, NamespaceRecord, Residency};
use raft::id::RegionId;
use raft::policy::Role;

use super::namespace_types::PolicyField;
use super::place_types::{NamedElsewhere, NamedResidency, OwnPlace, PlaceAnswer};
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

/// What is set at a prefix.
pub(super) fn own_place(record: &NamespaceRecord, names: &Names) -> OwnPlace {
    OwnPlace {
        home: record.home.map(|region| name(names, region)),
        residency: record.residency.as_ref().map(|set| residency(set, names)),
        elsewhere: record.elsewhere.map(elsewhere),
        moving: record.moving.map(|region| name(names, region)),
    }
}

/// What holds at a prefix.
pub(super) fn place_answer(placed: &Placed) -> PlaceAnswer {
    let (place, names) = (&placed.place, &placed.names);
    let sources = &place.sources;
    let named = [("home", &sources.home), ("residency", &sources.residency), ("elsewhere", &sources.elsewhere)];
    let role = match placed.role() {
        _ if place.home == placed.region => "home",
        Role::Home => "home",
        Role::Replica => "replica",
        Role::Foreign => "foreign",
    };
    PlaceAnswer {
        home: placed.name(place.home),
        residency: residency(&place.residency, names),
        elsewhere: elsewhere(place.elsewhere),
        moving: place.moving.map(|region| placed.name(region)),
        sources: named.into_iter().map(|(field, prefix)| (field.to_owned(), prefix.clone())).collect(),
        region: placed.name(placed.region),
        role: role.to_owned(),
        regions: names.len() as u64,
    }
}

/// What was set, with what is asked for about where it rests. The home is not changed here.
pub(super) fn placed(
    mut record: NamespaceRecord,
    wanted: &OwnPlace,
    unset: &[PolicyField],
) -> Result<NamespaceRecord, DeletionError> {
    let unsets = |field: PolicyField| unset.contains(&field);
    let twice = |field: PolicyField| {
        let name = field.name();
        DeletionError::Invalid(format!("{name} is to be set and unset at once: do one of the two"))
    };
    if wanted.moving.is_some() {
        return Err(DeletionError::Invalid("a home is moved by naming the new one as the home".to_owned()));
    }
    match &wanted.residency {
        Some(_) if unsets(PolicyField::Residency) => return Err(twice(PolicyField::Residency)),
        Some(NamedResidency::Home) => record.residency = Some(Residency::Home),
        Some(NamedResidency::Pinned) => record.residency = Some(Residency::Pinned),
        Some(NamedResidency::Replicated(_)) => {
            let message = "copies in other regions are not made yet: home and pinned can be set";
            return Err(DeletionError::Invalid(message.to_owned()));
        }
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
    Ok(record)
}

#[cfg(test)]
mod tests {
    use raft::directory::{Place, PlaceSources};

    use super::*;

    #[test]
    fn regions_are_called_by_their_names() {
        let names: Names = [(RegionId(1), "eu".to_owned()), (RegionId(2), "us".to_owned())].into();
        let sources = PlaceSources { home: String::new(), residency: "acme".to_owned(), elsewhere: String::new() };
        let place = Place {
            home: RegionId(1),
            residency: Residency::Pinned,
            elsewhere: Elsewhere::Proxy,
            moving: Some(RegionId(2)),
            sources,
        };
        let own = NamespaceRecord { residency: Some(Residency::Pinned), ..NamespaceRecord::default() };
        let said = OwnPlace { residency: Some(NamedResidency::Pinned), ..OwnPlace::default() };
        assert_eq!(own_place(&own, &names), said);
        let answer =
            |region| place_answer(&Placed { own: own.clone(), place: place.clone(), names: names.clone(), region });
        let here = answer(RegionId(1));
        assert_eq!((here.home.as_str(), here.role.as_str(), here.moving.as_deref()), ("eu", "home", Some("us")));
        assert_eq!(here.sources["residency"], "acme");
        assert_eq!((answer(RegionId(2)).role.as_str(), here.regions), ("foreign", 2));
        assert_eq!(serde_json::to_value(&said).unwrap()["residency"], "pinned");
    }

    #[test]
    fn what_is_not_named_stays_and_copies_are_refused() {
        let present = NamespaceRecord {
            home: Some(RegionId(1)),
            residency: Some(Residency::Pinned),
            ..NamespaceRecord::default()
        };
        let refuse = OwnPlace { elsewhere: Some(NamedElsewhere::Refuse), ..OwnPlace::default() };
        let changed = placed(present.clone(), &refuse, &[PolicyField::Residency]).unwrap();
        assert_eq!((changed.home, changed.residency, changed.elsewhere), (present.home, None, Some(Elsewhere::Refuse)));
        assert!(placed(present.clone(), &refuse, &[PolicyField::Elsewhere]).is_err());
        let copies = NamedResidency::Replicated(vec!["us".to_owned()]);
        let copies = OwnPlace { residency: Some(copies), ..OwnPlace::default() };
        assert!(placed(present, &copies, &[]).unwrap_err().to_string().contains("not made yet"));
    }
}
