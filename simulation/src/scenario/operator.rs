//! What an operator does in a scenario, and what he waits for before he goes on: through the same functions that the local
//! socket calls, on any node, and again when a node could not do it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use node::start::Node;
use tokio::time::{Instant, sleep};

use super::traffic::Stage;
use crate::cluster::{Answer, Control, Fate};

/// How often an operator looks.
const LOOK: Duration = Duration::from_millis(500);
/// Pause before an order is given again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest time until what was moved is seen.
const SAMPLED: Duration = Duration::from_secs(5);
/// One part in so many may be written in vain.
const MOVED_IN_VAIN: u64 = 4;

/// Name that a node has by its number.
pub(super) fn name(number: usize) -> String {
    Control::host(number)
}

/// Switches computers on that were never on, and waits until they serve.
pub(super) async fn join(stage: &Stage, numbers: &[usize]) -> Result<()> {
    for number in numbers {
        stage.control.fate(*number, Fate::Start).await;
    }
    stage.ready(numbers).await.context("new nodes serve")
}

/// All nodes lose their power at once, and come back.
pub(super) async fn blackout(stage: &Stage, numbers: &[usize]) -> Result<()> {
    for number in numbers {
        stage.control.fate(*number, Fate::PowerLoss).await;
    }
    for number in numbers {
        stage.control.fate(*number, Fate::Start).await;
    }
    stage.ready(numbers).await.context("all nodes are back")
}

/// Drains a node, lets it leave once it is empty, and waits until it is no member any more. `through` carries out the
/// orders; `dark` nodes lose their power in the middle.
pub(super) async fn leave(
    stage: &Stage,
    through: usize,
    number: usize,
    dark: Option<&[usize]>,
    patience: Duration,
) -> Result<()> {
    let wanted = name(number);
    ask(stage, through, patience, move |node| {
        let wanted = wanted.clone();
        Box::pin(
            async move { node.admin().departures.drain(&wanted).await.map(drop).map_err(|error| error.to_string()) },
        )
    })
    .await
    .with_context(|| format!("node {number} is drained"))?;
    if let Some(numbers) = dark {
        blackout(stage, numbers).await?;
    }
    let wanted = name(number);
    ask(stage, through, patience, move |node| {
        let wanted = wanted.clone();
        Box::pin(async move {
            node.admin().departures.leave(&wanted, false).await.map(drop).map_err(|error| error.to_string())
        })
    })
    .await
    .with_context(|| format!("node {number} leaves"))?;
    gone(stage, through, number, patience).await
}

/// Gives an order again and again until it is carried out.
async fn ask(
    stage: &Stage,
    through: usize,
    patience: Duration,
    order: impl for<'a> Fn(&'a Node) -> Answer<'a, Result<(), String>> + Clone + Send + 'static,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        let refused = match stage.control.order(through, order.clone()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(refusal)) => refusal,
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() > patience {
            bail!("refused for {patience:?}: {refused}");
        }
        sleep(AGAIN).await;
    }
}

/// Waits until a node of this name is no member.
pub(super) async fn gone(stage: &Stage, through: usize, number: usize, patience: Duration) -> Result<()> {
    let wanted = name(number);
    until(patience, &format!("{wanted} being gone"), || async {
        let names = members(stage, through).await;
        names.is_some_and(|names| !names.contains(&wanted))
    })
    .await
}

/// Names of the members, as a node knows them; `None` while it does not answer.
async fn members(stage: &Stage, through: usize) -> Option<Vec<String>> {
    let order = stage.control.order(through, |node| {
        Box::pin(async move { node.status().await.nodes.into_iter().map(|node| node.name).collect::<Vec<_>>() })
    });
    order.await.ok()
}

/// Notes what the background work of these nodes has moved since they started, and demands that it is not much more than
/// was necessary. Shards that were written in vain are in it.
pub(super) async fn moved_little(stage: &Stage, nodes: &[usize]) -> Result<()> {
    sleep(SAMPLED).await;
    let (mut written, mut necessary) = (0, 0);
    for number in nodes {
        let order = stage.control.order(*number, |node| Box::pin(async move { node.admin().work().work.moved }));
        for (cause, bytes) in order.await? {
            stage.note(&format!("node {number}, {cause}: {bytes:?}"));
            written += bytes.written;
            necessary += bytes.necessary;
        }
    }
    stage.note(&format!("moved {written} bytes, {necessary} were necessary"));
    ensure!(necessary > 0, "nothing was moved");
    ensure!(
        written <= necessary + necessary / MOVED_IN_VAIN,
        "{written} bytes were written, {necessary} were necessary"
    );
    Ok(())
}

/// Waits until something holds.
pub(super) async fn until<Fut>(patience: Duration, what: &str, mut holds: impl FnMut() -> Fut) -> Result<()>
where
    Fut: Future<Output = bool>,
{
    let begun = Instant::now();
    while !holds().await {
        if begun.elapsed() > patience {
            bail!("waited {patience:?} for {what}");
        }
        sleep(LOOK).await;
    }
    Ok(())
}
