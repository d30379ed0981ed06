//! What an operator does and sees: commands with answers in JSON, and waiting for what they tell.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cluster::Node;
use crate::status::Status;
use crate::wait::eventually;
use crate::{command, process};

/// How long a change may take until status tells it.
pub const NOTICE: Duration = Duration::from_secs(30);
/// How long moving or rebuilding some tens of megabytes may take: debug builds beside other work on two cores.
pub const RESTORE: Duration = Duration::from_mins(2);
/// How long a command that waits for the end of such work may take.
pub const COMMAND: Duration = Duration::from_mins(2);

/// Three nodes, with full redundancy, and nothing to do.
#[must_use]
pub fn is_healthy_of_three(status: &Status) -> bool {
    status.is_whole(3)
        && status.dead_nodes().is_empty()
        && status.findings().is_empty()
        && status.verdict().is_ok_and(|verdict| verdict == "healthy")
}

/// Waits until a node's status satisfies a condition.
///
/// # Errors
/// When it does not in time.
pub async fn until(node: &Node, what: &str, deadline: Duration, holds: impl Fn(&Status) -> bool) -> Result<Status> {
    eventually(what, deadline, async || {
        let status = node.status().await?;
        ensure!(holds(&status), "status is {status}");
        Ok(Some(status))
    })
    .await
}

/// Waits until a disk satisfies a condition, as a node lists it.
///
/// # Errors
/// When it does not in time.
pub async fn until_disk(
    node: &Node,
    disk: &str,
    what: &str,
    deadline: Duration,
    holds: impl Fn(&Value) -> bool,
) -> Result<Value> {
    eventually(what, deadline, async || {
        let disks = ask(command::disks(node.data())).await?;
        let found = disks.as_array().and_then(|disks| disks.iter().find(|found| found["id"] == disk));
        ensure!(found.is_some_and(&holds), "disks are {disks}");
        Ok(found.cloned())
    })
    .await
}

/// Runs any command at a node; what it prints.
///
/// # Errors
/// When it fails, with its output.
pub async fn run(data: &Path, words: &[&str]) -> Result<String> {
    process::output(command::operate(data, words)?, COMMAND).await
}

/// The same with `--json`.
///
/// # Errors
/// When it fails or answers something else.
pub async fn query(data: &Path, words: &[&str]) -> Result<Value> {
    ask(command::operate(data, &[words, &["--json"]].concat())).await
}

/// What a command answers in JSON.
///
/// # Errors
/// When it fails or answers something else.
pub async fn ask(command: Result<Command>) -> Result<Value> {
    let text = process::output(command?, COMMAND).await?;
    // Bars of progress go before the answer, if any.
    let start = text.find(['{', '[']).with_context(|| format!("no JSON: {text}"))?;
    serde_json::from_str(&text[start..]).with_context(|| format!("not JSON: {text}"))
}

/// Reads the only disk of a node again, on command of another one; what the pass says of itself.
///
/// # Errors
/// When no pass was made.
pub async fn scrub(at: &Node, node: &Node) -> Result<Value> {
    let before = last_pass(&ask(command::scrub_status(at.data(), node.name())).await?);
    let after = last_pass(&ask(command::scrub(at.data(), node.name())).await?);
    ensure!(after["forced"] == true, "no pass was made: {after}");
    ensure!(after["started_milliseconds"] != before["started_milliseconds"], "the pass of before: {after}");
    Ok(after)
}

fn last_pass(answer: &Value) -> Value {
    answer[0]["disks"][0]["last"].clone()
}

/// Corrupt, truncated, missing, unreadable and skipped shards of a pass.
#[must_use]
pub fn found(pass: &Value) -> [u64; 5] {
    ["corrupt", "truncated", "missing", "unreadable", "skipped"]
        .map(|kind| pass["found"][kind].as_u64().unwrap_or(u64::MAX))
}
