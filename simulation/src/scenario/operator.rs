//! What an operator does in a scenario, and what he waits for before he goes on: through the same functions that the local
//! socket calls, on any node, and again when a node could not do it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::traffic::Stage;
use crate::cluster::{Control, Fate};
use crate::operator::order::Order;

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

/// Switches computers on that were never on, and waits until they serve: then clients ask them too.
pub(super) async fn join(stage: &Stage, numbers: &[usize]) -> Result<()> {
    for number in numbers {
        stage.control.fate(*number, Fate::Start).await;
    }
    stage.ready(numbers).await.context("new nodes serve")?;
    for number in numbers {
        stage.control.joined(*number);
    }
    serve_members(stage);
    Ok(())
}

/// Clients ask the members, and no others.
fn serve_members(stage: &Stage) {
    let members: Vec<usize> = stage.control.members().into_iter().collect();
    stage.serving(&members);
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

/// Drains nodes, all at once, lets them leave once they are empty, and waits until they are no members any more. `through`
/// carries out the orders; `dark` nodes lose their power in the middle.
pub(super) async fn leave(
    stage: &Stage,
    through: usize,
    numbers: &[usize],
    dark: Option<&[usize]>,
    patience: Duration,
) -> Result<()> {
    for number in numbers {
        let drain = ask(stage, through, patience, Order::Drain(name(*number)));
        drain.await.with_context(|| format!("node {number} is drained"))?;
    }
    if let Some(numbers) = dark {
        blackout(stage, numbers).await?;
    }
    for number in numbers {
        let leave = ask(stage, through, patience, Order::Leave(name(*number)));
        leave.await.with_context(|| format!("node {number} leaves"))?;
    }
    for number in numbers {
        gone(stage, through, *number, patience).await?;
    }
    depart(stage, numbers);
    Ok(())
}

/// Nodes are no members any more: clients do not ask them.
pub(super) fn depart(stage: &Stage, numbers: &[usize]) {
    for number in numbers {
        stage.control.departed(*number);
    }
    serve_members(stage);
}

/// Gives an order again and again until it is carried out.
pub(super) async fn ask(stage: &Stage, through: usize, patience: Duration, order: Order) -> Result<()> {
    let begun = Instant::now();
    while let Err(refusal) = order.give(&stage.control, through).await {
        if begun.elapsed() > patience {
            bail!("refused for {patience:?}: {refusal}");
        }
        sleep(AGAIN).await;
    }
    Ok(())
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

/// What the background work of all members has moved since they started, by cause. What was written in vain is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved(BTreeMap<(usize, String), (u64, u64)>);

impl Moved {
    /// Adds what the members have moved by now.
    pub(super) async fn sample(&mut self, stage: &Stage) -> Result<()> {
        sleep(SAMPLED).await;
        for number in stage.control.members() {
            let order = stage.control.order(number, |node| Box::pin(async move { node.admin().work().work.moved }));
            for (cause, bytes) in order.await? {
                self.0.insert((number, cause), (bytes.written, bytes.necessary));
            }
        }
        Ok(())
    }

    fn total(&self) -> (u64, u64) {
        self.0.values().fold((0, 0), |(written, necessary), more| (written + more.0, necessary + more.1))
    }

    /// Notes what was moved since an earlier sample, and demands that it is not much more than was necessary.
    pub(super) fn is_little(&self, stage: &Stage, what: &str, before: &Self) -> Result<()> {
        let (written, necessary) = (self.total().0 - before.total().0, self.total().1 - before.total().1);
        stage.note(&format!("{what}: moved {written} bytes, {necessary} were necessary"));
        ensure!(necessary > 0, "{what}: nothing was moved");
        ensure!(
            written <= necessary + necessary / MOVED_IN_VAIN,
            "{what}: {written} bytes were written, {necessary} were necessary"
        );
        Ok(())
    }
}

/// The same since the beginning.
pub(super) async fn moved_little(stage: &Stage) -> Result<()> {
    let mut moved = Moved::default();
    moved.sample(stage).await?;
    moved.is_little(stage, "since the beginning", &Moved::default())
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
