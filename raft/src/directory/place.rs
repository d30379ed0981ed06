//! Where the data of a repository rests, and what a region is for it: the longest prefix that sets a field decides it.

use super::record::{Elsewhere, NamespaceRecord, Residency};
use crate::id::RegionId;
use crate::policy::Role;

/// What holds for a repository, or for everything below a prefix that no longer one says anything about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Region whose catalog owns it.
    pub home: RegionId,
    /// Where its data may rest.
    pub residency: Residency,
    /// What becomes of requests in a region where it does not rest.
    pub elsewhere: Elsewhere,
    /// Region that is to become its home.
    pub moving: Option<RegionId>,
    /// Which prefixes say so.
    pub sources: PlaceSources,
}

/// For each field of a [`Place`] the prefix that decided it, empty for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceSources {
    /// Of [`Place::home`].
    pub home: String,
    /// Of [`Place::residency`].
    pub residency: String,
    /// Of [`Place::elsewhere`]; the root's also where nobody has said anything.
    pub elsewhere: String,
}

impl Place {
    /// What holds below layers, which come from the root to the longest prefix. `None` without a root, which always says
    /// where data rests.
    #[must_use]
    pub fn resolve<'a>(layers: impl IntoIterator<Item = (&'a str, &'a NamespaceRecord)>) -> Option<Self> {
        let (mut home, mut residency, mut elsewhere, mut moving) = (None, None, Elsewhere::default(), None);
        let mut sources = PlaceSources::default();
        for (prefix, layer) in layers {
            if layer.home.is_some() {
                home = layer.home;
                prefix.clone_into(&mut sources.home);
                // Who has a home of his own does not move with the others.
                moving = None;
            }
            moving = layer.moving.or(moving);
            if let Some(set) = &layer.residency {
                residency = Some(set.clone());
                prefix.clone_into(&mut sources.residency);
            }
            if let Some(set) = layer.elsewhere {
                elsewhere = set;
                prefix.clone_into(&mut sources.elsewhere);
            }
        }
        // What was begun below a prefix whose own move has come first has nowhere to go any more.
        let moving = moving.filter(|target| Some(*target) != home);
        Some(Self { home: home?, residency: residency?, elsewhere, moving, sources })
    }

    /// What a region is for it. While the home changes nobody writes: the old one is foreign already, the new one still.
    #[must_use]
    pub fn role(&self, region: RegionId) -> Role {
        if region == self.home {
            return if self.moving.is_some() { Role::Foreign } else { Role::Home };
        }
        match &self.residency {
            Residency::Replicated(copies) if copies.contains(&region) => Role::Replica,
            Residency::Home | Residency::Pinned | Residency::Replicated(_) => Role::Foreign,
        }
    }

    /// Whether a region has what is read of it: its home, also while that changes, and those with a copy.
    #[must_use]
    pub fn rests_in(&self, region: RegionId) -> bool {
        region == self.home || self.role(region) == Role::Replica
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);
    const ASIA: RegionId = RegionId(3);

    fn root() -> NamespaceRecord {
        NamespaceRecord { home: Some(EU), residency: Some(Residency::Home), ..NamespaceRecord::default() }
    }

    fn resolve(layers: &[(&str, NamespaceRecord)]) -> Place {
        Place::resolve(layers.iter().map(|(prefix, record)| (*prefix, record))).unwrap()
    }

    fn roles(place: &Place) -> [Role; 3] {
        [EU, US, ASIA].map(|region| place.role(region))
    }

    #[test]
    fn who_moves_where_he_is_does_not_move() {
        let moving = |home, target| NamespaceRecord { home, moving: Some(target), ..NamespaceRecord::default() };
        assert_eq!(resolve(&[("", root()), ("acme", moving(None, US))]).moving, Some(US));
        let place = resolve(&[("", root()), ("acme", moving(Some(US), EU)), ("acme/app", moving(None, US))]);
        assert_eq!(roles(&place), [Role::Foreign, Role::Home, Role::Foreign]);
    }

    #[test]
    fn the_longest_prefix_that_sets_a_field_decides_it() {
        let acme = NamespaceRecord { home: Some(US), ..NamespaceRecord::default() };
        let prod = NamespaceRecord {
            residency: Some(Residency::Pinned),
            elsewhere: Some(Elsewhere::Refuse),
            ..NamespaceRecord::default()
        };
        let place = resolve(&[("", root()), ("acme", acme), ("acme/prod", prod)]);
        assert_eq!((place.home, &place.residency, place.elsewhere), (US, &Residency::Pinned, Elsewhere::Refuse));
        let PlaceSources { home, residency, elsewhere } = &place.sources;
        assert_eq!([home, residency, elsewhere], ["acme", "acme/prod", "acme/prod"]);
        let place = resolve(&[("", root())]);
        assert_eq!((place.elsewhere, place.sources), (Elsewhere::Proxy, PlaceSources::default()));
        assert!(Place::resolve([("acme", &NamespaceRecord::default())]).is_none(), "only the root says all");
    }

    #[test]
    fn clients_write_at_home_and_replication_where_a_copy_is() {
        let copied =
            NamespaceRecord { residency: Some(Residency::Replicated(vec![ASIA])), ..NamespaceRecord::default() };
        let place = resolve(&[("", root()), ("acme", copied)]);
        assert_eq!(roles(&place), [Role::Home, Role::Foreign, Role::Replica]);
        assert_eq!([EU, US, ASIA].map(|region| place.rests_in(region)), [true, false, true]);
        assert_eq!(roles(&resolve(&[("", root())])), [Role::Home, Role::Foreign, Role::Foreign]);
    }

    #[test]
    fn nobody_writes_while_the_home_changes() {
        let moving = NamespaceRecord { moving: Some(US), ..NamespaceRecord::default() };
        let place = resolve(&[("", root()), ("acme", moving.clone())]);
        assert_eq!((roles(&place), place.moving), ([Role::Foreign; 3], Some(US)));
        assert!(place.rests_in(EU) && !place.rests_in(US), "what is there can be read there");
        let inherits = NamespaceRecord { residency: Some(Residency::Pinned), ..NamespaceRecord::default() };
        let below = resolve(&[("", root()), ("acme", moving.clone()), ("acme/app", inherits)]);
        assert_eq!(below.moving, Some(US), "who inherits the home moves too");
        let own = NamespaceRecord { home: Some(ASIA), ..NamespaceRecord::default() };
        let settled = resolve(&[("", root()), ("acme", moving), ("acme/own", own)]);
        assert_eq!((settled.moving, roles(&settled)), (None, [Role::Foreign, Role::Foreign, Role::Home]));
    }
}
