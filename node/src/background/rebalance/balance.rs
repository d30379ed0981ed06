//! How full the disks are, by what the catalog places on them, and between which of them bytes should move.
//!
//! A disk's share is its capacity's part of everything. While any disk is above or below its share by more than a band,
//! bytes move from disks above theirs to disks below theirs, never more than takes either of them to it. So every
//! move makes the whole more even, none is taken back, and nothing moves that does not help a disk outside the band.

use std::collections::BTreeMap;

use raft::catalog::{DiskLocation, PlacementTotals};

use crate::gateway::placement::{Standing, Survey};

/// A disk's bytes and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::background) struct Fill {
    /// Its size.
    pub(in crate::background) capacity_bytes: u64,
    /// What it holds.
    pub(in crate::background) used_bytes: u64,
}

/// Bytes that should go from one disk to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::background) struct Flow {
    /// From.
    pub(in crate::background) from: DiskLocation,
    /// To.
    pub(in crate::background) to: DiskLocation,
    /// How much.
    pub(in crate::background) bytes: u64,
}

/// The disks that take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::background) struct Balance {
    band_percent: u8,
    disks: BTreeMap<DiskLocation, Fill>,
    capacity_bytes: u128,
    used_bytes: u128,
}

impl Balance {
    /// Disks that serve, on nodes that answer and are not being emptied.
    pub(in crate::background) fn of(
        survey: &Survey,
        held: &[(DiskLocation, PlacementTotals)],
        band_percent: u8,
    ) -> Self {
        let held: BTreeMap<DiskLocation, u64> = held.iter().map(|(at, totals)| (*at, totals.bytes)).collect();
        let holders = survey.holders.values().filter(|holder| holder.live && !holder.draining);
        let fills = holders.flat_map(|holder| {
            let serving = |disk: &&crate::gateway::placement::HolderDisk| {
                disk.standing == Standing::Serving && !disk.ailing && disk.capacity_bytes > 0
            };
            let held = &held;
            holder.disks.iter().filter(serving).map(move |disk| {
                let at = DiskLocation { node: holder.node, disk: disk.id };
                let used_bytes = held.get(&at).copied().unwrap_or(0);
                (at, Fill { capacity_bytes: disk.capacity_bytes, used_bytes })
            })
        });
        Self::new(fills.collect(), band_percent)
    }

    /// Of these disks.
    pub(in crate::background) fn new(disks: BTreeMap<DiskLocation, Fill>, band_percent: u8) -> Self {
        let capacity_bytes = disks.values().map(|fill| u128::from(fill.capacity_bytes)).sum();
        let used_bytes = disks.values().map(|fill| u128::from(fill.used_bytes)).sum();
        Self { band_percent, disks, capacity_bytes, used_bytes }
    }

    /// The disks.
    pub(in crate::background) const fn disks(&self) -> &BTreeMap<DiskLocation, Fill> {
        &self.disks
    }

    /// Bytes above the disk's share; negative below it.
    fn excess(&self, at: DiskLocation) -> i128 {
        let Some(fill) = self.disks.get(&at) else { return 0 };
        let share = u128::from(fill.capacity_bytes) * self.used_bytes / self.capacity_bytes.max(1);
        i128::from(fill.used_bytes) - i128::try_from(share).unwrap_or(i128::MAX)
    }

    /// Bytes that a disk may be off its share.
    fn band(&self, at: DiskLocation) -> i128 {
        let capacity = self.disks.get(&at).map_or(0, |fill| fill.capacity_bytes);
        i128::from(capacity) * i128::from(self.band_percent) / 100
    }

    fn is_outside(&self, at: DiskLocation) -> bool {
        self.excess(at).abs() > self.band(at)
    }

    /// Whether every disk is within the band.
    pub(in crate::background) fn is_balanced(&self) -> bool {
        !self.disks.keys().any(|at| self.is_outside(*at))
    }

    /// Disks above their share, the one furthest above, by its size, first. Where none is outside the band and no other
    /// disk is, there are none.
    pub(super) fn donors(&self) -> Vec<DiskLocation> {
        self.ordered(1)
    }

    /// Disks below their share, the one furthest below first.
    fn receivers(&self) -> Vec<DiskLocation> {
        self.ordered(-1)
    }

    fn ordered(&self, sign: i128) -> Vec<DiskLocation> {
        if self.is_balanced() {
            return Vec::new();
        }
        let off = |at: &DiskLocation| self.excess(*at) * sign;
        let mut disks: Vec<DiskLocation> = self.disks.keys().copied().filter(|at| off(at) > 0).collect();
        // Compared as fractions of their sizes: a/b > c/d is a·d > c·b.
        let capacity = |at: &DiskLocation| i128::from(self.disks.get(at).map_or(1, |fill| fill.capacity_bytes));
        disks
            .sort_by(|one, other| (off(other) * capacity(one)).cmp(&(off(one) * capacity(other))).then(one.cmp(other)));
        disks
    }

    /// Whether a shard of so many bytes should go from one disk to another.
    pub(super) fn wants(&self, from: DiskLocation, to: DiskLocation, bytes: u64) -> bool {
        let bytes = i128::from(bytes);
        let helps = self.is_outside(from) || self.is_outside(to);
        from != to && helps && bytes <= self.excess(from) && bytes <= -self.excess(to)
    }

    /// The disks that a shard of this disk should go to, the neediest first.
    pub(super) fn wanting(&self, from: DiskLocation, bytes: u64) -> Vec<DiskLocation> {
        self.receivers().into_iter().filter(|to| self.wants(from, *to, bytes)).collect()
    }

    /// A shard goes from one disk to another.
    pub(super) fn shift(&mut self, from: DiskLocation, to: DiskLocation, bytes: u64) {
        if let Some(fill) = self.disks.get_mut(&from) {
            fill.used_bytes = fill.used_bytes.saturating_sub(bytes);
        }
        if let Some(fill) = self.disks.get_mut(&to) {
            fill.used_bytes = fill.used_bytes.saturating_add(bytes);
        }
    }

    /// What would move, if shards were as small as bytes and could go anywhere: the preview, and what is left to do. As
    /// little as brings every disk into the band.
    pub(in crate::background) fn flows(&self) -> Vec<Flow> {
        let mut flows = Vec::new();
        let mut now = self.clone();
        // Each flow takes one disk into its band or to its share.
        for _ in 0..4 * self.disks.len() {
            let Some(flow) = now.next_flow() else { break };
            now.shift(flow.from, flow.to, flow.bytes);
            flows.push(flow);
        }
        flows
    }

    fn next_flow(&self) -> Option<Flow> {
        let (donors, receivers) = (self.donors(), self.receivers());
        let outside = |disks: &[DiskLocation]| disks.iter().copied().find(|at| self.is_outside(*at));
        // How far a disk is outside of its band; if it is inside, how far from its share.
        let beyond = |at: DiskLocation| {
            let (off, band) = (self.excess(at).abs(), self.band(at));
            if off > band { off - band } else { off }
        };
        let (from, to) = match (outside(&donors), outside(&receivers)) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, *receivers.first()?),
            (None, Some(to)) => (*donors.first()?, to),
            (None, None) => return None,
        };
        let bytes = u64::try_from(beyond(from).min(beyond(to))).ok().filter(|bytes| *bytes > 0)?;
        Some(Flow { from, to, bytes })
    }
}
