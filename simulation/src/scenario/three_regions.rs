//! Three regions of three nodes under load: slow and lossy links between them, cuts one way and both, a node that starts
//! anew in a region that is cut off, a region that loses its power. Each region pushes and pulls its own on its own
//! quorum; requests in the wrong region go their way through the home; pinned bytes never rest elsewhere, nor are they
//! told to anybody there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use raft::policy::NamespacePolicy;
use tokio::time::sleep;

use super::act::{client, pull_image, push_image};
use super::operator::{ask, blackout};
use super::regions::{
    FAR, LOSS, NEAR, NODES, REGIONS, cut, everybody, inspect_everywhere, links, nodes_of, one_way, region_of,
};
use super::traffic::{Customs, Setting, Stage, ordinary, play_as};
use crate::cluster::{Control, Fate};
use crate::garbage::GarbageConfiguration;
use crate::judge::Court;
use crate::judge::residency::marked;
use crate::operator::order::Order;
use crate::seed::Seed;
use crate::trace::Trace;

/// How long each state of the links lasts.
const WHILE: Duration = Duration::from_secs(20);
/// Longest time until the cluster is well again.
const WELL: Duration = Duration::from_mins(3);
/// Length of a pinned layer, in bytes: several blocks, and more than a catalog keeps itself.
const LAYER_BYTES: usize = 300_000;

fn repository(region: usize) -> String {
    format!("pinned-{region}/app")
}

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn three_regions(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: REGIONS,
        nodes: REGIONS * NODES,
        founders: REGIONS * NODES,
        disks: 1,
        clients: 3,
        grace_seconds: 30,
        limit: Duration::from_hours(2),
    };
    let mut workload = ordinary(setting.clients);
    workload.repositories = REGIONS;
    let customs = Customs { workload, garbage: GarbageConfiguration::default() };
    let statistics = play_as(seed, setting, customs, trace, court, story)?;
    trace.note(&format!(
        "{} requests, {} retries, {} given up",
        statistics.requests, statistics.retries, statistics.given_up
    ));
    Ok(())
}

async fn story(stage: Stage) -> Result<()> {
    for region in 1..=REGIONS {
        let namespace = format!("pinned-{region}");
        ask(&stage, 1, WELL, Order::Home(namespace.clone(), Control::region_name(region))).await?;
        ask(&stage, 1, WELL, Order::Pinned(namespace, true)).await?;
    }
    let mut round = Round { stage: stage.clone(), number: 0 };
    round.push_everywhere(&[1, 2, 3]).await.context("while all is well")?;

    links(&stage.control, FAR, 0.0).await;
    sleep(WHILE).await;
    round.push_everywhere(&[1, 2, 3]).await.context("over slow links")?;
    links(&stage.control, FAR, LOSS).await;
    sleep(WHILE).await;
    round.push_everywhere(&[1, 2, 3]).await.context("over lossy links")?;
    links(&stage.control, NEAR, 0.0).await;

    cut(&stage.control, 2, true);
    sleep(WHILE).await;
    round.push_everywhere(&[1, 2, 3]).await.context("with a region cut off")?;
    policy(&stage, 1).await.context("the others still change policies")?;
    ensure!(policy_once(&stage, 4).await.is_err(), "a region that is cut off changes policies");
    stage.control.fate(5, Fate::Crash).await;
    stage.control.fate(5, Fate::Start).await;
    stage.ready(&[5]).await.context("a node starts anew in a region that is cut off")?;
    round.push_through(5).await.context("through a node that started anew in a region that is cut off")?;
    cut(&stage.control, 2, false);
    one_way(&stage.control, 3, 1, true);
    sleep(WHILE).await;
    round.push_everywhere(&[1, 2, 3]).await.context("with a cut in one direction")?;
    one_way(&stage.control, 3, 1, false);

    for number in nodes_of(1) {
        stage.control.fate(number, Fate::PowerLoss).await;
    }
    round.push_everywhere(&[2, 3]).await.context("with a region lost")?;
    policy(&stage, 7).await.context("two of three regions change policies")?;
    blackout(&stage, &nodes_of(1)).await?;
    stage.ready(&everybody()).await.context("everybody is back")?;
    round.pull_everywhere().await?;
    stage.rest(WELL).await.context("each region is whole")?;
    inspect_everywhere(&stage.control).await
}

/// Pinned images, each time new ones.
struct Round {
    stage: Stage,
    number: u64,
}

impl Round {
    /// In each of these regions an image is pushed through one of its nodes and pulled through another one.
    async fn push_everywhere(&mut self, regions: &[usize]) -> Result<()> {
        for region in regions {
            self.push_through(nodes_of(*region)[0]).await?;
        }
        Ok(())
    }

    async fn push_through(&mut self, number: usize) -> Result<()> {
        self.number += 1;
        let (control, region) = (&self.stage.control, region_of(number));
        let layer = marked(region, self.number, LAYER_BYTES);
        let tag = format!("v{}", self.number);
        let manifest = push_image(control, number, &repository(region), &tag, &layer).await?;
        let other = nodes_of(region).into_iter().rev().find(|other| *other != number).unwrap_or(number);
        pull_image(control, other, &repository(region), &tag, &manifest, &layer).await
    }

    /// Everything that was pushed is there.
    async fn pull_everywhere(&self) -> Result<()> {
        for region in 1..=REGIONS {
            let tags = client(&self.stage.control, nodes_of(region)[1]).tags(&repository(region)).await?;
            ensure!(tags.len() >= 5, "region {region} has {} tags", tags.len());
        }
        Ok(())
    }
}

/// Sets a policy through a node.
async fn policy(stage: &Stage, through: usize) -> Result<()> {
    ask(stage, through, WELL, a_policy(through)).await
}

async fn policy_once(stage: &Stage, through: usize) -> Result<(), String> {
    a_policy(through).give(&stage.control, through).await
}

fn a_policy(number: usize) -> Order {
    let grace_seconds = Some(90_000 + number as u64);
    // Of the own region: it is in force once its home has taken it up.
    let prefix = format!("pinned-{}/other-{number}", region_of(number));
    Order::Policy(prefix, NamespacePolicy { grace_seconds, ..NamespacePolicy::default() })
}
