//! The nemesis: injects what the schedule draws and the atlas allows, ends it in time, and heals everything at last.
//!
//! One task does it all, one thing after the other, so that a seed's faults always come in the same order. Every
//! beginning and end is a line of the trace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::FaultKind;
use super::atlas::Atlas;
use super::chart::FaultId;
use super::schedule::{Mischief, Planned, Scene, Schedule};
use crate::cluster::Control;
use crate::configuration::Configuration;

/// How many faults of each kind were injected. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Injected {
    counts: Arc<Mutex<BTreeMap<FaultKind, u64>>>,
}

impl Injected {
    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<FaultKind, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, kind: FaultKind) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }
}

/// Injects the faults of a run.
pub struct Nemesis {
    control: Control,
    atlas: Atlas,
    schedule: Schedule,
    phase: Duration,
    /// What lasts, by the moment of its end.
    raging: BTreeMap<(Duration, FaultId), Planned>,
    injected: Injected,
}

fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Nemesis {
    /// The nemesis of a run. Nothing happens yet.
    #[must_use]
    pub fn new(configuration: &Configuration, control: Control, atlas: Atlas) -> Self {
        Self {
            control,
            atlas,
            schedule: Schedule::new(configuration),
            phase: configuration.fault_phase(),
            raging: BTreeMap::new(),
            injected: Injected::default(),
        }
    }

    /// What was injected; goes on counting.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.injected.clone()
    }

    /// Injects and ends faults until the fault phase, which begins now, is over. Some faults may then still last:
    /// [`heal_all`](Self::heal_all) ends them.
    pub async fn rage(&mut self) {
        let over = now() + self.phase;
        let mut next = now() + self.schedule.pause();
        while next < over {
            self.end_until(next).await;
            self.wait(next).await;
            let atlas = self.atlas.clone();
            let members = atlas.chart().members();
            self.schedule.observe(members);
            let scene = self.schedule.scene().clone();
            let may = |plan: &Planned| match &plan.mischief {
                Mischief::Damage(damage) => atlas.chart().may_damage_on(now(), damage.node()),
                _ => plan.target(&scene).is_some_and(|target| atlas.chart().may(plan.kind, &target)),
            };
            if let Some(plan) = self.schedule.draw(may) {
                self.begin(plan, &scene).await;
            }
            next = now().max(next) + self.schedule.pause();
        }
        self.end_until(over).await;
        self.wait(over).await;
    }

    /// Ends everything that lasts: links mended, computers started, disks healed, clocks set right. Damage to data
    /// stays until the product finds it.
    pub async fn heal_all(&mut self) {
        while let Some(((_, id), plan)) = self.raging.pop_first() {
            self.end(id, &plan).await;
        }
    }

    async fn wait(&self, moment: Duration) {
        sleep(moment.saturating_sub(now())).await;
    }

    /// Ends what is due until a moment, each at its time.
    async fn end_until(&mut self, moment: Duration) {
        while let Some(entry) = self.raging.first_entry().filter(|entry| entry.key().0 <= moment) {
            let ((due, id), plan) = entry.remove_entry();
            self.wait(due).await;
            self.end(id, &plan).await;
        }
    }

    async fn begin(&mut self, plan: Planned, scene: &Scene) {
        let Self { control, atlas, .. } = self;
        let id = match plan.target(scene) {
            Some(target) => match atlas.chart().begin(plan.kind, &target) {
                Some(id) => Some(id),
                None => return,
            },
            None => None,
        };
        let done = match &plan.mischief {
            Mischief::Damage(damage) => damage.inject(control, atlas, now()),
            other => {
                control.trace.note(&format!("fault begins: {} for {:?}: {other:?}", plan.kind, plan.lasts));
                inject(other, control, atlas).await;
                true
            }
        };
        if done {
            self.injected.count(plan.kind);
        }
        if let Some(id) = id {
            self.raging.insert((now() + plan.lasts, id), plan);
        }
    }

    async fn end(&self, id: FaultId, plan: &Planned) {
        self.control.trace.note(&format!("fault ends: {}: {:?}", plan.kind, plan.mischief));
        match &plan.mischief {
            Mischief::Network(trouble) => trouble.end(&self.control, self.schedule.scene()).await,
            Mischief::Computer(down) => down.end(&self.control).await,
            Mischief::Clock(wrong) => wrong.end(&self.control),
            Mischief::Disk(failing) => failing.end(&self.control),
            Mischief::Damage(_) => {}
        }
        self.atlas.chart().end(id);
    }
}

async fn inject(mischief: &Mischief, control: &Control, atlas: &Atlas) {
    match mischief {
        Mischief::Network(trouble) => trouble.inject(control).await,
        Mischief::Computer(down) => down.inject(control, atlas).await,
        Mischief::Clock(wrong) => wrong.inject(control),
        Mischief::Disk(failing) => failing.inject(control),
        Mischief::Damage(_) => {}
    }
}
