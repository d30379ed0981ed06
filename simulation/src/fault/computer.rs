//! What happens to whole computers: their process dies, their power goes, they are away for long, they are replaced by
//! empty ones. And what an operating system does about processes that end by themselves: it starts them again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::FaultKind;
use super::atlas::Atlas;
use super::chart::FaultId;
use super::disk::extents;
use super::schedule::Scene;
use super::target::{Part, Target};
use crate::cluster::{Control, Fate};

/// How often the supervisor looks.
const LOOK: Duration = Duration::from_millis(100);
/// Pause before a process that ended by itself is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(2);
/// How long a node is away in an outage, in milliseconds.
pub(super) const OUTAGE_MILLISECONDS: std::ops::RangeInclusive<u64> = 20_000..=90_000;

/// Computers that are down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Down {
    kind: FaultKind,
    nodes: BTreeSet<usize>,
    /// Whether unsynced data goes along.
    power: bool,
    /// Whether the new node of a wiped computer takes the place of the old one.
    replaced: bool,
}

impl Down {
    /// A node dies in the way of this kind.
    pub(super) fn one(kind: FaultKind, random: &mut StdRng, scene: &Scene) -> Self {
        let power = match kind {
            FaultKind::Crash => false,
            FaultKind::PowerLoss => true,
            _ => random.random_bool(0.5),
        };
        Self { kind, nodes: BTreeSet::from([scene.node(random)]), power, replaced: scene.replaces }
    }

    /// All lose their power.
    pub(super) fn all(scene: &Scene) -> Self {
        Self { kind: FaultKind::Blackout, nodes: scene.members.iter().copied().collect(), power: true, replaced: false }
    }

    pub(super) fn target(&self, scene: &Scene) -> Target {
        let mut parts: BTreeSet<Part> = self.nodes.iter().map(|node| Part::Process(*node)).collect();
        if self.kind == FaultKind::Wipe {
            // Nothing of the old computer stays.
            parts.extend(self.nodes.iter().flat_map(|node| (0..=scene.disks).map(|disk| Part::Disk(*node, disk))));
        }
        Target { parts, impairs: self.nodes.clone() }
    }

    pub(super) async fn inject(&self, control: &Control, atlas: &Atlas) {
        for node in &self.nodes {
            control.fate(*node, if self.power { Fate::PowerLoss } else { Fate::Crash }).await;
            if self.kind == FaultKind::Wipe {
                let lost = extents(&control.computer(*node));
                control.trace.note(&format!("node {node}: shards of {} extents are lost", lost.len()));
                atlas.chart().wipe(*node, self.replaced, lost);
                if self.replaced {
                    control.replaces(*node, &control.name(*node));
                }
                control.fate(*node, Fate::Wipe).await;
            }
        }
    }

    pub(super) async fn end(&self, control: &Control) {
        for node in &self.nodes {
            control.fate(*node, Fate::Start).await;
        }
    }
}

/// Starts processes again that ended by themselves, and keeps the atlas informed of who has settled. Never ends.
pub async fn supervise(control: Control, atlas: Atlas) {
    let mut fallen: BTreeMap<usize, (Duration, FaultId)> = BTreeMap::new();
    loop {
        let now = turmoil::sim_elapsed().unwrap_or_default();
        for number in 1..=control.nodes() {
            let ended = control.report(number).ended;
            if let Some(reason) = ended.filter(|_| !fallen.contains_key(&number))
                && let Some(id) = atlas.chart().fell(number)
            {
                control.trace.note(&format!("node {number}: to be started again; it ended by itself: {reason}"));
                fallen.insert(number, (now + RESTART_PAUSE, id));
            }
        }
        let due: Vec<usize> =
            fallen.iter().filter(|(_, (moment, _))| *moment <= now).map(|(number, _)| *number).collect();
        for number in due {
            // What is left of the process goes first.
            control.fate(number, Fate::Crash).await;
            control.fate(number, Fate::Start).await;
            if let Some((_, id)) = fallen.remove(&number) {
                atlas.chart().end(id);
            }
        }
        atlas.observe(now, &control);
        sleep(LOOK).await;
    }
}
