//! A cluster grows from one node to twelve and shrinks back to three under load, and the data follows it: after each step
//! the clients rest for a moment, and the judges look whether every extent has the profile of the cluster as it is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::operator::{Moved, blackout, join, leave};
use super::traffic::{Setting, Stage, play};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

/// Longest time until the data has followed.
const FOLLOWED: Duration = Duration::from_mins(20);

/// What the cluster is made of, one step after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// These nodes join.
    Join(&'static [usize]),
    /// These nodes are drained at once, and leave.
    Leave(&'static [usize]),
}

/// Every profile from 1+0 to 8+3, and back to 2+1.
const TO_TWELVE: &[Step] = &[
    Step::Join(&[2, 3]),
    Step::Join(&[4, 5, 6]),
    Step::Join(&[7, 8, 9, 10, 11, 12]),
    Step::Leave(&[12, 11, 10, 9, 8, 7]),
    Step::Leave(&[6, 5, 4]),
];
/// To six and back, node by node.
const TO_SIX: &[Step] =
    &[Step::Join(&[2, 3]), Step::Join(&[4, 5, 6]), Step::Leave(&[6]), Step::Leave(&[5]), Step::Leave(&[4])];

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn growth_and_shrinkage(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: 12,
        founders: 1,
        disks: 1,
        clients: 2,
        grace_seconds: 5,
        limit: Duration::from_hours(3),
    };
    let statistics = play(seed, setting, trace, court, |stage| story(stage, TO_TWELVE, false))?;
    trace.note(&format!("{} requests, {} retries", statistics.requests, statistics.retries));
    ensure!(statistics.given_up == 0, "{} requests failed for good: {statistics:?}", statistics.given_up);
    Ok(())
}

/// The way to six and back with a power loss of all nodes after each join, and in the middle of each drain.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn power_loss_during_growth(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: 6,
        founders: 1,
        disks: 1,
        clients: 2,
        grace_seconds: 20,
        limit: Duration::from_hours(3),
    };
    play(seed, setting, trace, court, |stage| story(stage, TO_SIX, true)).map(drop)
}

async fn story(stage: Stage, steps: &'static [Step], dark: bool) -> Result<()> {
    let mut moved = Moved::default();
    for step in steps {
        let before = moved.clone();
        let members: Vec<usize> = stage.control.members().into_iter().collect();
        match step {
            Step::Join(numbers) => {
                join(&stage, numbers).await?;
                if dark {
                    let members: Vec<usize> = stage.control.members().into_iter().collect();
                    blackout(&stage, &members).await?;
                }
            }
            Step::Leave(numbers) => {
                let dark = dark.then_some(members.as_slice());
                leave(&stage, 1, numbers, dark, FOLLOWED).await?;
            }
        }
        let nodes = stage.control.members().len();
        stage.rest(FOLLOWED).await.with_context(|| format!("the data is coded over {nodes} nodes"))?;
        if !dark {
            moved.sample(&stage).await?;
            moved.is_little(&stage, &format!("from {} nodes to {nodes}", members.len()), &before)?;
        }
    }
    Ok(())
}
