//! A right is taken away while a region is cut off: it goes on with what it knows, also through a node that starts anew there,
//! and as soon as the line is back the right is gone everywhere. A right that is given meanwhile arrives as well.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::regions::{NODES, REGIONS, cut, everybody, nodes_of};
use crate::cluster::{Control, Fate, World};
use crate::judge::Court;
use crate::judge::authority::{arrives, lets_in};
use crate::operator::authority::{Authority, GUARDED};
use crate::operator::garbage::set_home;
use crate::seed::Seed;
use crate::trace::Trace;

/// The region that is cut off. It is the home of what the right is about.
const FAR: usize = 3;
/// Longest virtual time until nodes serve.
const READY: Duration = Duration::from_mins(3);
/// How long the line is down before anything else happens: elections are over, and a node that starts there does not wait for
/// the directory any more.
const WHILE: Duration = Duration::from_secs(30);
/// Longest virtual time of it all.
const LIMIT: Duration = Duration::from_mins(30);

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn right_taken_from_afar(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let mut world = World::quiet(seed, REGIONS * NODES, LIMIT);
    world.cluster.regions = REGIONS;
    world.cluster.closed = true;
    world.cluster.latency_milliseconds_max = 2;
    world.run(trace, court, move |control| story(control, seed))
}

async fn story(control: Control, seed: Seed) -> Result<()> {
    control.ready(&everybody(), READY).await.context("the cluster comes up")?;
    ensure!(set_home(&control, GUARDED, FAR).await, "{GUARDED} has no home in region {FAR}");
    let operator = Authority::establish(&control, seed, &[]).await;
    let mut operator = operator.context("the robot is not known")?;
    let mut random = seed.stream("right taken from afar");
    ensure!(operator.turn_in_time(&control).await, "the right is not given");
    ensure!(arrives(&control, &operator, &mut random).await, "the right does not arrive");

    for allowed in [false, true] {
        cut(&control, FAR, true);
        sleep(WHILE).await;
        ensure!(operator.turn_through(&control, &nodes_of(1)).await, "region 1 cannot change rights by itself");
        let restarted = *nodes_of(FAR).last().context("a region without nodes")?;
        control.fate(restarted, Fate::PowerLoss).await;
        control.fate(restarted, Fate::Start).await;
        control.ready(&nodes_of(FAR), READY).await.context("a node starts in the region that is cut off")?;
        for node in nodes_of(FAR) {
            let told = lets_in(&control, &operator, node, &mut random).await;
            ensure!(told == Some(!allowed), "node {node} cannot know that the right has changed, and says {told:?}");
        }
        cut(&control, FAR, false);
        ensure!(arrives(&control, &operator, &mut random).await, "the change does not arrive: allowed {allowed}");
    }
    Ok(())
}
