//! A namespace with a copy in another region, under load, over slow, lossy and cut links: the copy shows no tag without its
//! content and comes to be like its home. A namespace moves while clients work in it: they are refused for seconds, nothing
//! is lost, and what moved leaves the old region. A region is lost: its namespace is forced to the one that has the copy,
//! and what comes late from the lost one stands aside until it is settled. Pinned bytes stay where they are all the while.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use node::admin::{AsideAnswer, AsideRequest};
use raft::directory::Replication;
use tokio::time::{Instant, sleep};

use super::act::{bytes, client, pull_image, push_image};
use super::operator::{ask, until};
use super::regions::{
    FAR, LOSS, NEAR, NODES, REGIONS, content, converge, cut, everybody, files_with, inspect_everywhere, left, links,
    nodes_of, one_way, power,
};
use super::traffic::{Customs, Setting, Stage, ordinary, play_as};
use crate::cluster::Control;
use crate::garbage::GarbageConfiguration;
use crate::judge::Court;
use crate::judge::residency::{mark, marked};
use crate::operator::order::Order;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::workload::Direct;

/// Region that is the home of the story's namespaces, and is lost in the end.
const HOME: usize = 1;
/// Region that has the copy.
const COPY: usize = 2;
/// Region that has neither.
const OTHER: usize = 3;
/// The namespace that is copied; its tags are deleted in the copy too.
const COPIED: &str = "copied";
/// The namespace whose bytes never leave their region.
const PINNED: &str = "pinned";
/// The namespace that rests at home and is copied nowhere.
const PLAIN: &str = "plain";
/// The namespace that moves away, every layer of it full of a mark.
const LEAVING: &str = "leaving";
/// Its mark: that of no region, since it may go from one to another.
const LEAVING_MARK: usize = REGIONS + 1;
/// The mark of what is pushed when nobody else hears of it any more.
const LATE_MARK: usize = REGIONS + 2;
/// Share of the messages that is lost while a namespace moves under load: no lost message is sent again here, so that each
/// one breaks a connection.
const LOSS_SELDOM: f64 = LOSS / 10.0;
/// How long each state of the links lasts.
const WHILE: Duration = Duration::from_secs(15);
/// Longest time until the cluster is well again.
const WELL: Duration = Duration::from_mins(5);
/// Longest time until a namespace has moved under load: what breaks a connection holds it up.
const MOVED: Duration = Duration::from_mins(10);
/// Longest time in which pushes to a namespace are refused since its home changes.
const REFUSED_MAX: Duration = Duration::from_secs(40);
/// How such a refusal is told from one for another reason.
const REFUSAL: &str = "the home of namespace";
/// Length of a layer, in bytes: several blocks, and more than a catalog keeps itself.
const LAYER_BYTES: usize = 200_000;

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn regions_fail_over(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: REGIONS,
        nodes: REGIONS * NODES,
        founders: REGIONS * NODES,
        disks: 1,
        clients: 3,
        grace_seconds: 30,
        limit: Duration::from_hours(3),
    };
    let mut workload = ordinary(setting.clients);
    workload.repositories = REGIONS;
    let customs = Customs { workload, garbage: GarbageConfiguration::default() };
    let statistics = play_as(seed, setting, customs, trace, court, move |stage| story(stage, seed))?;
    trace.note(&format!(
        "{} requests, {} retries, {} given up",
        statistics.requests, statistics.retries, statistics.given_up
    ));
    Ok(())
}

async fn story(stage: Stage, seed: Seed) -> Result<()> {
    for namespace in [COPIED, PINNED, PLAIN, LEAVING] {
        ask(&stage, 1, WELL, Order::Home(namespace.to_owned(), Control::region_name(HOME))).await?;
    }
    ask(&stage, 1, WELL, Order::Pinned(PINNED.to_owned(), true)).await?;
    let replication = Replication { deletes: true, ..Replication::default() };
    let copies = vec![Control::region_name(COPY)];
    ask(&stage, 1, WELL, Order::Copied(COPIED.to_owned(), copies, replication)).await?;
    let mut images = Images { stage: stage.clone(), seed, number: 0, copied: Vec::new() };

    images.is_copied().await.context("the copy of a namespace over bad links")?;
    links(&stage.control, FAR, 0.0).await;
    moves_away(&stage, &mut images).await.context("a namespace leaves its region")?;
    moves_under_load(&stage, seed).await.context("a namespace in which clients work moves")?;
    is_lost(&stage, &mut images).await.context("a region is lost")?;
    stage.ready(&everybody()).await.context("everybody is back")?;
    stage.rest(WELL).await.context("each region is whole")?;
    inspect_everywhere(&stage.control).await
}

/// The images of the story's own namespaces.
struct Images {
    stage: Stage,
    seed: Seed,
    number: u64,
    /// What was pushed to the namespace that is copied and not deleted: tag, manifest, layer.
    copied: Vec<(String, Bytes, Bytes)>,
}

impl Images {
    /// Pushes an image through a node, full of a mark if there is one.
    async fn push(&mut self, number: usize, namespace: &str, of: Option<usize>) -> Result<(String, Bytes, Bytes)> {
        self.number += 1;
        let tag = format!("v{}", self.number);
        let layer = match of {
            Some(region) => marked(region, self.number, LAYER_BYTES),
            None => bytes(self.seed, &format!("{namespace} {tag}"), LAYER_BYTES),
        };
        let manifest = push_image(&self.stage.control, number, &repository(namespace), &tag, &layer).await?;
        Ok((tag, manifest, layer))
    }

    /// Pushes one to each of the namespaces that stay.
    async fn push_round(&mut self) -> Result<()> {
        let own = nodes_of(HOME);
        let pushed = self.push(own[0], COPIED, None).await?;
        self.copied.push(pushed);
        self.push(own[1], PINNED, Some(HOME)).await?;
        self.push(own[2], PLAIN, None).await?;
        Ok(())
    }

    /// Deletes the oldest tag of the namespace that is copied.
    async fn delete_one(&mut self) -> Result<()> {
        let (tag, ..) = self.copied.remove(0);
        let through = client(&self.stage.control, nodes_of(HOME)[1]);
        through.delete_tag(&repository(COPIED), &tag).await
    }

    /// What was pushed is copied, whatever the links are like.
    async fn is_copied(&mut self) -> Result<()> {
        let control = self.stage.control.clone();
        self.push_round().await?;
        links(&control, FAR, LOSS).await;
        self.push_round().await.context("over slow links")?;
        sleep(WHILE).await;
        one_way(&control, HOME, COPY, true);
        self.push_round().await.context("with a cut in one direction")?;
        sleep(WHILE).await;
        one_way(&control, HOME, COPY, false);
        self.push_round().await?;
        cut(&control, COPY, true);
        self.push_round().await.context("with the copy cut off")?;
        self.delete_one().await?;
        sleep(WHILE).await;
        cut(&control, COPY, false);
        self.push_round().await?;
        self.delete_one().await?;
        converge(&self.stage, COPIED, (HOME, COPY), true, WELL).await?;
        // The copy needs nobody to be read.
        cut(&control, HOME, true);
        for number in nodes_of(COPY) {
            self.pull_copied(number).await.context("at the copy, with its home cut off")?;
        }
        cut(&control, HOME, false);
        for namespace in [PINNED, PLAIN] {
            for region in [COPY, OTHER] {
                let foreign = content(&self.stage, nodes_of(region)[0], namespace).await?;
                ensure!(foreign.is_empty(), "region {region} has something of {namespace}");
            }
        }
        inspect_everywhere(&control).await
    }

    /// Everything that was pushed to the namespace that is copied is there.
    async fn pull_copied(&self, number: usize) -> Result<()> {
        for (tag, manifest, layer) in &self.copied {
            pull_image(&self.stage.control, number, &repository(COPIED), tag, manifest, layer).await?;
        }
        Ok(())
    }
}

fn repository(namespace: &str) -> String {
    format!("{namespace}/app")
}

/// A namespace moves while nobody works in it, and nothing of it stays.
async fn moves_away(stage: &Stage, images: &mut Images) -> Result<()> {
    let mut pushed = Vec::new();
    for number in nodes_of(HOME) {
        pushed.push(images.push(number, LEAVING, Some(LEAVING_MARK)).await?);
    }
    let own = mark(LEAVING_MARK);
    let holders = nodes_of(HOME).into_iter().filter(|number| !files_with(&stage.control, *number, &own).is_empty());
    ensure!(holders.count() > 0, "nothing of {LEAVING} rests at its home");
    ask(stage, nodes_of(HOME)[0], WELL, Order::Home(LEAVING.to_owned(), Control::region_name(OTHER))).await?;
    left(stage, HOME, LEAVING, &own, WELL).await?;
    for number in [nodes_of(HOME)[2], nodes_of(COPY)[0], nodes_of(OTHER)[1]] {
        for (tag, manifest, layer) in &pushed {
            pull_image(&stage.control, number, &repository(LEAVING), tag, manifest, layer).await?;
        }
    }
    Ok(())
}

/// A namespace moves over bad links while clients push to it and pull from it.
async fn moves_under_load(stage: &Stage, seed: Seed) -> Result<()> {
    links(&stage.control, FAR, LOSS_SELDOM).await;
    let busy = stage.busy_repository(0)?;
    let done = Cell::new(false);
    let moved = async {
        let ended = ask(stage, nodes_of(HOME)[0], MOVED, Order::Home(busy.clone(), Control::region_name(OTHER))).await;
        done.set(true);
        ended
    };
    let (moved, pushed) = tokio::join!(moved, push_on(stage, seed, &busy, &done));
    moved?;
    let (pushed, refused) = pushed?;
    stage.note(&format!("{busy} moved: {} pushes meanwhile, refused for {} s", pushed.len(), refused.as_secs()));
    ensure!(refused <= REFUSED_MAX, "pushes to {busy} were refused for {refused:?}");
    links(&stage.control, NEAR, 0.0).await;
    for number in [nodes_of(HOME)[1], nodes_of(OTHER)[0]] {
        for (tag, manifest, layer) in &pushed {
            pull_image(&stage.control, number, &busy, tag, manifest, layer).await.context("pushed while it moved")?;
        }
    }
    until(WELL, "the old home having nothing left", || async {
        content(stage, nodes_of(HOME)[0], &busy).await.is_ok_and(|content| content.is_empty())
    })
    .await
}

/// Pushes one image after the other until it is done, and once more. Returns what was acknowledged, and how long
/// pushes were refused at a stretch because the home was changing.
async fn push_on(
    stage: &Stage,
    seed: Seed,
    repository: &str,
    done: &Cell<bool>,
) -> Result<(Vec<(String, Bytes, Bytes)>, Duration)> {
    let mut pushed = Vec::new();
    let (mut last, mut longest, mut refused) = (Instant::now(), Duration::ZERO, None);
    for number in 0.. {
        let ends = done.get();
        let tag = format!("moving-{number}");
        let layer = bytes(seed, &tag, LAYER_BYTES / 4);
        let through: Direct = client(&stage.control, nodes_of(HOME)[number % NODES]);
        match through.push_image(repository, &tag, &layer).await {
            Ok(manifest) => {
                (last, refused) = (Instant::now(), None);
                pushed.push((tag, manifest, layer));
                if ends {
                    break;
                }
            }
            Err(error) => {
                let text = format!("{error:#}");
                stage.note(&format!("a push meanwhile: {text}"));
                if text.contains(REFUSAL) {
                    longest = longest.max(refused.get_or_insert_with(Instant::now).elapsed());
                }
            }
        }
        ensure!(last.elapsed() <= MOVED, "nobody can push to {repository} any more");
        sleep(Duration::from_millis(500)).await;
    }
    Ok((pushed, longest))
}

/// The home of the copied namespace is lost, with pushes that nobody else has heard of. The copy becomes the home.
async fn is_lost(stage: &Stage, images: &mut Images) -> Result<()> {
    let control = &stage.control;
    images.push_round().await?;
    converge(stage, COPIED, (HOME, COPY), true, WELL).await?;
    // What is still at home alone goes with it: its clients cannot be served meanwhile.
    stage.serving(&nodes_of(COPY).into_iter().chain(nodes_of(OTHER)).collect::<Vec<_>>());
    cut(control, HOME, true);
    let late =
        images.push(nodes_of(HOME)[0], COPIED, Some(LATE_MARK)).await.context("the last push at the lost home")?;
    power(stage, HOME, false).await?;
    ask(stage, nodes_of(COPY)[0], WELL, Order::Forced(COPIED.to_owned(), Control::region_name(COPY)))
        .await
        .context("the copy becomes the home")?;
    images.pull_copied(nodes_of(OTHER)[0]).await.context("from the new home")?;
    let after = images.push(nodes_of(OTHER)[1], COPIED, None).await.context("to the new home")?;
    images.copied.push(after);

    cut(control, HOME, false);
    power(stage, HOME, true).await?;
    stands_aside(stage, &late.0).await?;
    let kept = content(stage, nodes_of(HOME)[0], COPIED).await?;
    ensure!(kept.has_tag(&late.0), "what came late is gone before anybody has looked at it");
    for number in everybody() {
        let seen = client(control, number).pull_manifest(&repository(COPIED), &late.0).await;
        ensure!(seen.is_err(), "node {number} serves a tag that the home does not have");
    }
    images.pull_copied(nodes_of(HOME)[2]).await.context("through the former home")?;
    ask(stage, nodes_of(COPY)[1], WELL, Order::Settled(COPIED.to_owned(), Control::region_name(HOME)))
        .await
        .context("what came late is settled")?;
    left(stage, HOME, COPIED, &mark(LATE_MARK), WELL).await?;
    images.pull_copied(nodes_of(HOME)[1]).await.context("once the former home is empty")?;
    stage.serving(&everybody());
    Ok(())
}

/// Waits until the present home tells what the former one has and it lacks: this tag, and nothing that it has too.
async fn stands_aside(stage: &Stage, late: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let seen = match aside(stage, nodes_of(COPY)[0]).await {
            Ok(answer) if answer.compared.is_some() => {
                let tags = answer.differences.iter().filter_map(|difference| difference.tag.as_ref());
                let tags: Vec<&str> = tags.map(raft::catalog::Tag::as_str).collect();
                ensure!(tags == [late], "{tags:?} stand aside, and not {late}");
                stage.note(&format!("{late} stands aside"));
                return Ok(());
            }
            Ok(answer) => format!("{:?}", answer.regions),
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() > WELL {
            bail!("what stands aside is not told for {WELL:?}: {seen}");
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn aside(stage: &Stage, through: usize) -> Result<AsideAnswer> {
    let request = AsideRequest { prefix: COPIED.to_owned(), region: None, after: None };
    let asked = stage.control.order(through, move |node| {
        Box::pin(async move { node.admin().deletion.compare_aside(&request).await.map_err(|error| error.to_string()) })
    });
    asked.await?.map_err(|error| anyhow!(error))
}
