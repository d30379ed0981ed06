//! Which of the disks that hold shards are to be taken for lost, by how long they have been away. Pure: moments come in
//! as arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::catalog::{DiskLocation, ShortfallReason};
use tokio::time::Instant;

use crate::gateway::placement::{Standing, Survey};

/// What is the matter with a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It will not come back.
    Gone(ShortfallReason),
    /// It may come back.
    Away(ShortfallReason),
}

/// Since when what is away.
#[derive(Debug)]
pub(super) struct Absences {
    grace: Duration,
    since: BTreeMap<DiskLocation, Instant>,
}

impl Absences {
    /// Nothing is away. What will be is given so much time.
    pub(super) const fn new(grace: Duration) -> Self {
        Self { grace, since: BTreeMap::new() }
    }

    /// Forgets since when what was away.
    pub(super) fn forget(&mut self) {
        self.since.clear();
    }

    /// Of the locations that hold shards those that are to be taken for lost, and why.
    pub(super) fn gone(
        &mut self,
        survey: &Survey,
        held: &[DiskLocation],
        now: Instant,
    ) -> BTreeMap<DiskLocation, ShortfallReason> {
        let mut gone = BTreeMap::new();
        let mut since = BTreeMap::new();
        for at in held {
            match trouble(survey, *at) {
                None => {}
                Some(Trouble::Gone(reason)) => {
                    gone.insert(*at, reason);
                }
                Some(Trouble::Away(reason)) => {
                    let began = self.since.get(at).copied().unwrap_or(now);
                    since.insert(*at, began);
                    if now.saturating_duration_since(began) >= self.grace {
                        gone.insert(*at, reason);
                    }
                }
            }
        }
        self.since = since;
        gone
    }
}

fn trouble(survey: &Survey, at: DiskLocation) -> Option<Trouble> {
    let Some(holder) = survey.holders.get(&at.node) else { return Some(Trouble::Gone(ShortfallReason::NodeAway)) };
    let disk = holder.disks.iter().find(|disk| disk.id == at.disk);
    if disk.is_some_and(|disk| disk.standing == Standing::Failed) {
        return Some(Trouble::Gone(ShortfallReason::DiskFailed));
    }
    if !holder.live {
        return Some(Trouble::Away(ShortfallReason::NodeAway));
    }
    // A node that answers and does not name the disk has lost it, or has not found it yet.
    disk.is_none_or(|disk| disk.ailing).then_some(Trouble::Away(ShortfallReason::DiskFailed))
}

#[cfg(test)]
mod tests {
    use raft::id::NodeId;
    use storage::shard::DiskId;

    use super::*;
    use crate::gateway::placement::{Holder, HolderDisk};

    fn at(node: u64) -> DiskLocation {
        DiskLocation { node: NodeId(node), disk: DiskId([u8::try_from(node).unwrap(); 16]) }
    }

    fn survey() -> Survey {
        let holder = |node| {
            let disk = HolderDisk {
                id: at(node).disk,
                capacity_bytes: 1 << 40,
                available_bytes: 1 << 40,
                writable: true,
                standing: Standing::Serving,
                ailing: false,
            };
            let zone = "one".to_owned();
            (NodeId(node), Holder { node: NodeId(node), zone, live: true, draining: false, disks: vec![disk] })
        };
        Survey { confirmed: true, sole: false, holders: (1..=3).map(holder).collect() }
    }

    #[test]
    fn a_node_is_given_its_grace_each_time() {
        let start = Instant::now();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        let held = [at(1), at(2), at(3)];
        let mut absences = Absences::new(Duration::from_mins(10));
        let whole = survey();
        let mut broken = survey();
        broken.holders.get_mut(&NodeId(2)).unwrap().live = false;
        assert!(absences.gone(&whole, &held, start).is_empty());
        assert!(absences.gone(&broken, &held, seconds(10)).is_empty());
        assert!(absences.gone(&broken, &held, seconds(609)).is_empty());
        let expected = BTreeMap::from([(at(2), ShortfallReason::NodeAway)]);
        assert_eq!(absences.gone(&broken, &held, seconds(610)), expected);
        assert!(absences.gone(&whole, &held, seconds(611)).is_empty());
        assert!(absences.gone(&broken, &held, seconds(612)).is_empty());
    }

    #[test]
    fn what_was_removed_or_given_up_is_given_none() {
        let mut absences = Absences::new(Duration::from_mins(10));
        let mut broken = survey();
        broken.holders.remove(&NodeId(1));
        broken.holders.get_mut(&NodeId(3)).unwrap().disks[0].standing = Standing::Failed;
        let gone = absences.gone(&broken, &[at(1), at(2), at(3)], Instant::now());
        let expected = [(at(1), ShortfallReason::NodeAway), (at(3), ShortfallReason::DiskFailed)];
        assert_eq!(gone, BTreeMap::from(expected));
    }

    #[test]
    fn a_disk_that_fails_or_is_not_named_is_waited_for() {
        let start = Instant::now();
        let mut absences = Absences::new(Duration::from_mins(10));
        let mut broken = survey();
        broken.holders.get_mut(&NodeId(1)).unwrap().disks[0].ailing = true;
        broken.holders.get_mut(&NodeId(2)).unwrap().disks.clear();
        let held = [at(1), at(2), at(3)];
        assert!(absences.gone(&broken, &held, start).is_empty());
        let gone = absences.gone(&broken, &held, start + Duration::from_mins(10));
        let expected = [(at(1), ShortfallReason::DiskFailed), (at(2), ShortfallReason::DiskFailed)];
        assert_eq!(gone, BTreeMap::from(expected));
    }
}
