//! What an operator does in a scenario, and what he waits for before he goes on: through the same functions that the local
//! socket calls, on any node, and again when a node could not do it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use super::traffic::Stage;
use crate::cluster::{Control, Fate};

/// How often an operator looks.
const LOOK: Duration = Duration::from_millis(500);
/// Pause before an order is given again.
const AGAIN: Duration = Duration::from_secs(1);
/// Tries of one order.
const TRIES: usize = 30;

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

/// Lets a node leave, and waits until it is no member any more. `through` carries out the order.
pub(super) async fn leave(stage: &Stage, through: usize, number: usize, patience: Duration) -> Result<()> {
    let mut last = None;
    for _ in 0..TRIES {
        let wanted = name(number);
        let order = stage.control.order(through, move |node| {
            Box::pin(
                async move { node.admin().departures.leave(&wanted, false).await.map_err(|error| error.to_string()) },
            )
        });
        match order.await {
            Ok(Ok(_)) => return gone(stage, through, number, patience).await,
            Ok(Err(error)) => last = Some(error),
            Err(error) => last = Some(format!("{error:#}")),
        }
        stage.note(&format!("node {number} is to leave, again: {last:?}"));
        sleep(AGAIN).await;
    }
    bail!("node {number} cannot leave: {}", last.unwrap_or_default())
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
