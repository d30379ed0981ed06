//! Where the data of a repository rests, and what a region is for it: the longest prefix that sets a field decides it.

use storage::switch;

use super::namespace::{Aside, Elsewhere, Moving, NamespaceRecord, Replication, Residency};
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
    /// What is copied to the regions that have copies, and when.
    pub replication: Replication,
    /// The change of its home that is under way.
    pub moving: Option<Moving>,
    /// Former homes that have not been settled yet: what they hold is kept as it is.
    pub aside: Vec<Aside>,
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
    /// Of [`Place::replication`]; the root's also where nobody has said anything.
    pub replication: String,
}

impl Place {
    /// What holds below layers, which come from the root to the longest prefix. `None` without a root, which always says
    /// where data rests.
    #[must_use]
    pub fn resolve<'a>(layers: impl IntoIterator<Item = (&'a str, &'a NamespaceRecord)>) -> Option<Self> {
        let (mut home, mut residency, mut elsewhere, mut replication) = (None, None, Elsewhere::default(), None);
        let (mut moving, mut aside): (Option<Moving>, Vec<Aside>) = (None, Vec::new());
        let mut sources = PlaceSources::default();
        for (prefix, layer) in layers {
            if layer.home.is_some() {
                home = layer.home;
                prefix.clone_into(&mut sources.home);
                // Who has a home of his own does not move with the others, and has former homes of his own.
                moving = None;
                aside.clear();
            }
            for former in &layer.aside {
                if !aside.iter().any(|known| known.region == former.region) {
                    aside.push(*former);
                }
            }
            // What was begun below a prefix whose own move has come first has nowhere to go any more.
            if let Some(own) = layer.moving.filter(|own| Some(own.to) != home) {
                let fenced = own.fenced || moving.is_some_and(|outer| outer.fenced);
                moving = Some(Moving { fenced, ..own });
            }
            if let Some(set) = &layer.residency {
                residency = Some(set.clone());
                prefix.clone_into(&mut sources.residency);
            }
            if let Some(set) = layer.elsewhere {
                elsewhere = set;
                prefix.clone_into(&mut sources.elsewhere);
            }
            if let Some(set) = &layer.replication {
                replication = Some(set.clone());
                prefix.clone_into(&mut sources.replication);
            }
        }
        let (home, residency) = (home?, residency?);
        aside.retain(|aside| aside.region != home);
        let replication = replication.unwrap_or_default();
        Some(Self { home, residency, elsewhere, replication, moving, aside, sources })
    }

    /// What a region is for it. Nobody writes at the home while that is fenced, and at no former home that has not been
    /// settled; the region that is to become the home is given a copy, whatever the residency is.
    #[must_use]
    pub fn role(&self, region: RegionId) -> Role {
        if region == self.home {
            return if self.moving.is_some_and(|moving| moving.fenced) { Role::Fenced } else { Role::Home };
        }
        if self.is_aside(region) {
            return Role::Fenced;
        }
        if self.moving.is_some_and(|moving| moving.to == region) {
            return Role::Replica;
        }
        match &self.residency {
            Residency::Replicated(copies) if copies.contains(&region) => Role::Replica,
            Residency::Pinned if switch::broken("directory.place.copy_pinned") => Role::Replica,
            Residency::Home | Residency::Pinned | Residency::Replicated(_) => Role::Foreign,
        }
    }

    /// Whether a region is a former home that has not been settled yet.
    #[must_use]
    pub fn is_aside(&self, region: RegionId) -> bool {
        self.aside.iter().any(|aside| aside.region == region)
    }

    /// Every region that has a copy or is to get one: those that the residency names, and the next home.
    #[must_use]
    pub fn copies(&self) -> Vec<RegionId> {
        let named = match &self.residency {
            Residency::Replicated(copies) => copies.as_slice(),
            Residency::Home | Residency::Pinned => &[],
        };
        let mut copies = Vec::new();
        for region in named.iter().copied().chain(self.moving.map(|moving| moving.to)) {
            if self.role(region) == Role::Replica && !copies.contains(&region) {
                copies.push(region);
            }
        }
        copies
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
    use crate::time::Timestamp;

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

    fn moving(home: Option<RegionId>, to: RegionId, fenced: bool) -> NamespaceRecord {
        NamespaceRecord { home, moving: Some(Moving { to, fenced }), ..NamespaceRecord::default() }
    }

    fn forced(home: RegionId, aside: &[RegionId]) -> NamespaceRecord {
        let aside = aside.iter().map(|region| Aside { region: *region, since: Timestamp(7) }).collect();
        NamespaceRecord { home: Some(home), aside, ..NamespaceRecord::default() }
    }

    fn with(residency: Residency) -> NamespaceRecord {
        NamespaceRecord { residency: Some(residency), ..NamespaceRecord::default() }
    }

    #[test]
    fn who_moves_where_he_is_does_not_move() {
        let place = resolve(&[("", root()), ("acme", moving(None, US, false))]);
        assert_eq!(place.moving, Some(Moving { to: US, fenced: false }));
        let place = resolve(&[("", root()), ("acme", moving(None, EU, true))]);
        assert_eq!((place.moving, roles(&place)), (None, [Role::Home, Role::Foreign, Role::Foreign]));
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
        let PlaceSources { home, residency, elsewhere, replication } = &place.sources;
        assert_eq!([home, residency, elsewhere, replication], ["acme", "acme/prod", "acme/prod", ""]);
        let place = resolve(&[("", root())]);
        assert_eq!((place.elsewhere, place.sources), (Elsewhere::Proxy, PlaceSources::default()));
        assert!(Place::resolve([("acme", &NamespaceRecord::default())]).is_none(), "only the root says all");
    }

    #[test]
    fn clients_write_at_home_and_replication_where_a_copy_is() {
        let copied = with(Residency::Replicated(vec![ASIA]));
        let place = resolve(&[("", root()), ("acme", copied)]);
        assert_eq!(roles(&place), [Role::Home, Role::Foreign, Role::Replica]);
        assert_eq!([EU, US, ASIA].map(|region| place.rests_in(region)), [true, false, true]);
        assert_eq!(place.copies(), [ASIA]);
        assert_eq!(roles(&resolve(&[("", root())])), [Role::Home, Role::Foreign, Role::Foreign]);
    }

    #[test]
    fn nobody_writes_while_the_home_is_fenced() {
        let place = resolve(&[("", root()), ("acme", moving(None, US, true))]);
        assert_eq!(roles(&place), [Role::Fenced, Role::Replica, Role::Foreign]);
        assert_eq!((place.moving, place.copies()), (Some(Moving { to: US, fenced: true }), vec![US]));
        assert!(place.rests_in(EU) && place.rests_in(US) && !place.rests_in(ASIA), "what is there can be read there");
        let inherits = with(Residency::Pinned);
        let below = resolve(&[("", root()), ("acme", moving(None, US, true)), ("acme/app", inherits)]);
        assert_eq!(roles(&below), [Role::Fenced, Role::Replica, Role::Foreign], "who inherits the home moves too");
        let own = NamespaceRecord { home: Some(ASIA), ..NamespaceRecord::default() };
        let settled = resolve(&[("", root()), ("acme", moving(None, US, true)), ("acme/own", own)]);
        assert_eq!((settled.moving, roles(&settled)), (None, [Role::Foreign, Role::Foreign, Role::Home]));
        let other = resolve(&[("", root()), ("acme", moving(None, US, true)), ("acme/own", moving(None, ASIA, false))]);
        assert_eq!(roles(&other), [Role::Fenced, Role::Foreign, Role::Replica], "the fence holds below it too");
        let ended = resolve(&[("", root()), ("acme", moving(None, US, true)), ("acme/own", moving(None, EU, false))]);
        assert_eq!(roles(&ended), [Role::Fenced, Role::Replica, Role::Foreign], "also where a move has ended");
    }

    #[test]
    fn the_next_home_gets_a_copy_before_anybody_is_kept_from_writing() {
        for residency in [Residency::Home, Residency::Pinned, Residency::Replicated(vec![US])] {
            let layers = [("", root()), ("acme", moving(None, US, false)), ("acme/app", with(residency))];
            let place = resolve(&layers);
            assert_eq!(roles(&place), [Role::Home, Role::Replica, Role::Foreign]);
            assert_eq!(place.copies(), [US], "each once");
        }
    }

    #[test]
    fn a_former_home_keeps_what_it_has_and_takes_nothing() {
        let place = resolve(&[("", root()), ("acme", forced(US, &[EU]))]);
        assert_eq!(roles(&place), [Role::Fenced, Role::Home, Role::Foreign]);
        assert!(!place.rests_in(EU), "what is read there may be old");
        let copied = with(Residency::Replicated(vec![EU, ASIA]));
        let below = resolve(&[("", root()), ("acme", forced(US, &[EU])), ("acme/app", copied)]);
        assert_eq!((roles(&below), below.copies()), ([Role::Fenced, Role::Home, Role::Replica], vec![ASIA]));
        let layers = [("", root()), ("acme", forced(US, &[EU])), ("acme/app", forced(ASIA, &[US]))];
        assert_eq!(roles(&resolve(&layers)), [Role::Foreign, Role::Fenced, Role::Home], "inherited with the home");
        let mut silent = forced(US, &[ASIA, EU]);
        silent.home = None;
        let layers = [("", root()), ("acme", forced(US, &[EU])), ("acme/app", silent)];
        let place = resolve(&layers);
        assert_eq!((roles(&place), place.aside.len()), ([Role::Fenced, Role::Home, Role::Fenced], 2), "each once");
    }

    #[test]
    fn what_is_copied_is_inherited_as_a_whole() {
        let set = |replication| NamespaceRecord { replication: Some(replication), ..NamespaceRecord::default() };
        let some = Replication { tags: vec!["v*".parse().unwrap()], priority: 7, ..Replication::default() };
        let all = Replication { deletes: true, ..Replication::default() };
        assert_eq!(resolve(&[("", root())]).replication, Replication::default());
        let place = resolve(&[("", root()), ("acme", set(some.clone())), ("acme/app", NamespaceRecord::default())]);
        assert_eq!((&place.replication, place.sources.replication.as_str()), (&some, "acme"));
        let place = resolve(&[("", root()), ("acme", set(some)), ("acme/app", set(all.clone()))]);
        assert_eq!((place.replication, place.sources.replication.as_str()), (all, "acme/app"));
    }
}
