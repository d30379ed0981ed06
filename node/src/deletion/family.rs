//! What changes its home together with a prefix: the longer ones that inherit it. Each of them that says something about
//! where data rests is copied for itself, and the home changes only when all of them have arrived.
//!
//! What a longer prefix says can be in the way: it is told then what to do first. Nothing is looked at but the directory.

use std::time::Duration;

use raft::catalog::StateError;
use raft::directory::{NamespaceRecord, Place, Residency, View};
use raft::id::RegionId;
use raft::machine::State;
use tokio::time::{Instant, sleep};

use super::{Deletion, DeletionError};
use crate::regions::{Family, Member};

/// Namespaces read at once.
const PAGE: usize = 512;
/// How long this node's table of homes may be behind its replica of the directory.
const TABLE: Duration = Duration::from_secs(3);
/// Between two looks whether it still is.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A prefix that is not written out where it is the root.
pub(super) fn written(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}

/// What keeps a family from moving to a region.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    /// A longer prefix moves by itself.
    Moves(String),
    /// A longer prefix names the next home as a copy.
    Copied(String),
    /// A former home of the prefix is not settled.
    Aside(String, RegionId),
}

/// What keeps a family from moving. `own` is what its members set themselves, in their order.
fn obstacle(members: &[Member], own: &[NamespaceRecord], to: RegionId) -> Option<Obstacle> {
    for (number, (member, record)) in members.iter().zip(own).enumerate() {
        let prefix = || member.prefix.clone();
        if let Some(aside) = member.place.aside.first() {
            return Some(Obstacle::Aside(prefix(), aside.region));
        }
        if number > 0 && record.moving.is_some() {
            return Some(Obstacle::Moves(prefix()));
        }
        // What the prefix itself says is changed along with its home, and what is inherited too.
        if number > 0 && matches!(&record.residency, Some(Residency::Replicated(copies)) if copies.contains(&to)) {
            return Some(Obstacle::Copied(prefix()));
        }
    }
    None
}

/// The residency of a prefix whose home becomes another region: where that had a copy, the old home has one from then on.
/// `None` where nothing changes.
pub(super) fn residency(place: &Place, to: RegionId) -> Option<Residency> {
    let Residency::Replicated(copies) = &place.residency else { return None };
    copies.contains(&to).then(|| {
        let swapped = copies.iter().map(|copy| if *copy == to { place.home } else { *copy });
        Residency::Replicated(swapped.collect())
    })
}

/// The shortest prefixes below one that have a home of their own: they do not move with it.
pub(super) fn own_homes<S: State>(view: &View<S>, prefix: &str) -> Result<Vec<String>, StateError> {
    let inner = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let mut found: Vec<String> = Vec::new();
    let mut after = Some(prefix.to_owned());
    loop {
        let page = view.namespaces(after.as_deref(), PAGE)?;
        let end = page.len() < PAGE;
        after = page.last().map(|(last, _)| last.clone()).or(after);
        for (at, record) in page {
            let covered =
                |shorter: &String| at.strip_prefix(shorter.as_str()).is_some_and(|rest| rest.starts_with('/'));
            if at.starts_with(&inner) && record.home.is_some() && !found.iter().any(covered) {
                found.push(at);
            }
        }
        if end {
            return Ok(found);
        }
    }
}

impl Deletion {
    /// What moves with a prefix, as of exactly this version of the directory; `None` if that is not, or no more, the
    /// version that this node's table of homes is of.
    pub(super) async fn family(&self, prefix: &str, version: u64) -> Option<Family> {
        let begun = Instant::now();
        loop {
            match self.regions.family(prefix) {
                Some(family) if family.policy_version == version => return Some(family),
                Some(family) if family.policy_version > version => return None,
                _ if begun.elapsed() >= TABLE => return None,
                _ => sleep(LOOK_INTERVAL).await,
            }
        }
    }

    /// Refuses a move of a family whose members say something that is in its way.
    pub(super) fn refuse_family(&self, family: &Family, to: RegionId) -> Result<(), DeletionError> {
        let view = self.directory.view();
        let own = family.members.iter().map(|member| Ok(view.namespace(&member.prefix)?.unwrap_or_default()));
        let own = own.collect::<Result<Vec<NamespaceRecord>, StateError>>()?;
        let name = |region: RegionId| self.region_name(region);
        let Some(obstacle) = obstacle(&family.members, &own, to) else { return Ok(()) };
        Err(DeletionError::Conflict(match obstacle {
            Obstacle::Moves(prefix) => format!(
                "{prefix} below it is being moved by itself: end that first with regnode namespace set {prefix} --home, \
                 naming where it goes to, or where it is to take it back"
            ),
            Obstacle::Copied(prefix) => format!(
                "{prefix} below it names region {to} as one of its copies, which would become its home: move it first, with \
                 regnode namespace set {prefix} --home {to}",
                to = name(to)
            ),
            Obstacle::Aside(prefix, region) => format!(
                "region {region} was the home of {at} and was left without an answer, and nobody has settled yet what it \
                 has: look with regnode namespace aside {at}, and end it with --settle {region}",
                region = name(region),
                at = written(&prefix)
            ),
        }))
    }

    /// The name of a region.
    pub(super) fn region_name(&self, region: RegionId) -> String {
        self.regions.region(region).map_or_else(|| region.to_string(), |region| region.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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

    fn member(prefix: &str, place: Place) -> Member {
        Member { prefix: prefix.to_owned(), place: Arc::new(place), except: Vec::new() }
    }

    #[test]
    fn the_old_home_has_a_copy_where_the_new_one_had_one() {
        let copies = |regions: &[RegionId]| Residency::Replicated(regions.to_vec());
        assert_eq!(residency(&place(copies(&[ASIA, US])), US), Some(copies(&[ASIA, EU])));
        assert_eq!(residency(&place(copies(&[ASIA])), US), None, "it had none");
        assert_eq!(residency(&place(Residency::Pinned), US), None);
        assert_eq!(residency(&place(Residency::Home), US), None);
    }

    #[test]
    fn what_a_longer_prefix_says_can_be_in_the_way() {
        let plain = NamespaceRecord::default();
        let copied = NamespaceRecord { residency: Some(Residency::Replicated(vec![US])), ..NamespaceRecord::default() };
        let moving = NamespaceRecord { moving: Some(Moving { to: US, fenced: false }), ..NamespaceRecord::default() };
        let members = [member("acme", place(Residency::Home)), member("acme/app", place(Residency::Home))];
        assert_eq!(obstacle(&members, &[plain.clone(), plain.clone()], US), None);
        assert_eq!(obstacle(&members, &[copied.clone(), plain.clone()], US), None, "its own changes along");
        assert_eq!(obstacle(&members, &[moving.clone(), plain.clone()], US), None, "it is the move");
        let below = "acme/app".to_owned();
        assert_eq!(obstacle(&members, &[plain.clone(), copied.clone()], US), Some(Obstacle::Copied(below.clone())));
        assert_eq!(obstacle(&members, &[plain.clone(), copied], ASIA), None);
        assert_eq!(obstacle(&members, &[plain.clone(), moving], US), Some(Obstacle::Moves(below)));
        let aside = vec![Aside { region: ASIA, since: Timestamp(1) }];
        let members = [member("acme", Place { aside, ..place(Residency::Home) })];
        assert_eq!(obstacle(&members, &[plain], US), Some(Obstacle::Aside("acme".to_owned(), ASIA)));
    }
}
