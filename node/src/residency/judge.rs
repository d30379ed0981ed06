//! Whether something may rest where it was found: pure.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::directory::{Place, Residency};
use raft::id::RegionId;
use serde::{Deserialize, Serialize};

/// What has to go from a region may be there for so long; what is pinned elsewhere is a violation from then on.
pub(super) const LEAVING_GRACE: Duration = Duration::from_hours(1);

/// What a region is for a namespace, by the directory alone: what the catalogs make of it is what is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Its home.
    Home,
    /// It has a copy, or gets one.
    Copy,
    /// It was the home; what it holds is kept until an operator settles it.
    Aside,
    /// It may not have anything of it.
    Foreign,
}

/// What a region is for a namespace. Beside [`Place::role`], which says who writes: a mistake there shows here.
pub(super) fn standing(place: &Place, region: RegionId) -> Standing {
    if region == place.home {
        return Standing::Home;
    }
    if place.aside.iter().any(|aside| aside.region == region) {
        return Standing::Aside;
    }
    let copied = match &place.residency {
        Residency::Replicated(copies) => copies.contains(&region),
        Residency::Home | Residency::Pinned => false,
    };
    if copied || place.moving.is_some_and(|moving| moving.to == region) { Standing::Copy } else { Standing::Foreign }
}

/// A namespace that something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// What the region where it was found is for it.
    pub(super) standing: Standing,
    /// Whether it is pinned to its home.
    pub(super) pinned: bool,
}

/// What the own catalog knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Not,
    /// An upload's.
    Uploading,
    /// A blob's that no repository links any more.
    Unlinked,
    /// A blob's that is linked below these prefixes.
    Linked(BTreeMap<String, Owner>),
}

/// What a file is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It belongs to somebody whose data may rest here.
    Rests,
    /// An upload's: whose, the walk through the catalog says.
    Upload,
    /// It waits to be removed, and nothing says whose it was.
    Unlinked,
    /// It belongs only to those whose data may not rest here.
    Foreign,
    /// The region's own catalog does not know it: others have to be asked.
    Stray,
}

/// Judges a file by what the own catalog knows of its object, read behind a barrier after the listing: what is unknown then
/// was not written by this region, or belongs to nothing any more.
pub(super) fn judge(known: &Known) -> Verdict {
    match known {
        Known::Not => Verdict::Stray,
        Known::Uploading => Verdict::Upload,
        Known::Unlinked => Verdict::Unlinked,
        Known::Linked(owners) if owners.values().all(|owner| owner.standing == Standing::Foreign) => Verdict::Foreign,
        Known::Linked(_) => Verdict::Rests,
    }
}

/// Whether something that may not rest in a region, and that its catalog knows, is a violation and not on its way out.
pub(super) fn is_violation(pinned: bool, leaving_for: Duration) -> bool {
    pinned && leaving_for > LEAVING_GRACE
}

/// What another region says of an object that was found where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traced {
    /// It knows it not.
    Unknown,
    /// It knows it, and nothing says whose it is, or not any more.
    Nobodys,
    /// It is of a namespace for which the region where it was found is this.
    Of(Owner),
}

/// Whether a file that its region does not know is a violation. An object's id is random: whoever else knows it has written
/// it, and the file is a copy of it. Without an owner nobody has allowed it either.
pub(super) fn is_copied(traced: Traced) -> bool {
    match traced {
        Traced::Unknown => false,
        Traced::Nobodys => true,
        Traced::Of(owner) => owner.standing == Standing::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use raft::directory::{Aside, Elsewhere, Moving, PlaceSources, Replication};
    use raft::time::Timestamp;

    use super::*;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);
    const ASIA: RegionId = RegionId(3);

    fn place(residency: Residency) -> Place {
        Place {
            home: EU,
            residency,
            elsewhere: Elsewhere::Proxy,
            replication: Replication::default(),
            moving: None,
            aside: Vec::new(),
            sources: PlaceSources::default(),
        }
    }

    fn standings(place: &Place) -> [Standing; 3] {
        [EU, US, ASIA].map(|region| standing(place, region))
    }

    #[test]
    fn data_may_rest_at_home_and_where_a_copy_is_wanted() {
        use Standing::{Copy, Foreign, Home};
        assert_eq!(standings(&place(Residency::Pinned)), [Home, Foreign, Foreign]);
        assert_eq!(standings(&place(Residency::Home)), [Home, Foreign, Foreign]);
        assert_eq!(standings(&place(Residency::Replicated(vec![ASIA]))), [Home, Foreign, Copy]);
    }

    #[test]
    fn a_next_home_has_a_copy_and_a_former_one_is_kept_aside() {
        let moving = Place { moving: Some(Moving { to: US, fenced: false }), ..place(Residency::Pinned) };
        assert_eq!(standings(&moving), [Standing::Home, Standing::Copy, Standing::Foreign]);
        let aside = vec![Aside { region: ASIA, since: Timestamp(1) }];
        let seized = Place { aside, ..place(Residency::Replicated(vec![ASIA])) };
        assert_eq!(standings(&seized), [Standing::Home, Standing::Foreign, Standing::Aside]);
    }

    fn linked(standings: &[Standing]) -> Known {
        let owner = |standing: &Standing| Owner { standing: *standing, pinned: true };
        Known::Linked(standings.iter().enumerate().map(|(at, standing)| (at.to_string(), owner(standing))).collect())
    }

    #[test]
    fn a_file_may_rest_where_one_of_its_owners_may() {
        assert_eq!(judge(&linked(&[Standing::Foreign, Standing::Home])), Verdict::Rests);
        assert_eq!(judge(&linked(&[Standing::Copy])), Verdict::Rests);
        assert_eq!(judge(&linked(&[Standing::Aside])), Verdict::Rests);
        assert_eq!(judge(&linked(&[Standing::Foreign, Standing::Foreign])), Verdict::Foreign);
    }

    #[test]
    fn what_nothing_links_is_not_called_anybodys() {
        assert_eq!(judge(&Known::Not), Verdict::Stray);
        assert_eq!(judge(&Known::Uploading), Verdict::Upload);
        assert_eq!(judge(&Known::Unlinked), Verdict::Unlinked);
    }

    #[test]
    fn what_is_pinned_elsewhere_has_to_be_gone_after_the_grace() {
        let late = LEAVING_GRACE + Duration::from_secs(1);
        assert!(!is_violation(true, LEAVING_GRACE));
        assert!(is_violation(true, late));
        assert!(!is_violation(false, late), "it leaves, and is told so with its time");
    }

    #[test]
    fn a_file_of_another_regions_object_is_a_violation_unless_it_may_rest_here() {
        let of = |standing| Traced::Of(Owner { standing, pinned: false });
        assert!(!is_copied(Traced::Unknown));
        assert!(is_copied(Traced::Nobodys));
        assert!(is_copied(of(Standing::Foreign)));
        assert!(!is_copied(of(Standing::Copy)) && !is_copied(of(Standing::Aside)));
    }
}
