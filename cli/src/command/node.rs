//! `regnode nodes`, `regnode drain` and `regnode leave`: nodes and how they go.

use std::path::{Path, PathBuf};

use anyhow::Result;
use node::admin::{DepartingAnswer, NodeRequest, NodeStatus, Status};

use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Ask, Drain, Leave, Nodes};
use crate::exit::{Code, Exit};
use crate::figures::{count, duration, size};
use crate::progress::{Counted, Position};
use crate::settings;
use crate::watch::{Look, watch};

/// Data directory of the node that is asked.
pub(super) async fn data_dir(ask: &Ask) -> Result<PathBuf> {
    Ok(settings::of_local_node(&settings::environment(), &ask.node).await?.settings.data_dir)
}

/// Lists the nodes.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn nodes(nodes: Nodes) -> Result<()> {
    let status = admin_client::status(&data_dir(&nodes.ask).await?).await?;
    if nodes.ask.json {
        println!("{}", serde_json::to_string_pretty(&status.nodes)?);
    } else {
        print!("{}", text(&status));
    }
    Ok(())
}

fn text(status: &Status) -> String {
    let mut rows =
        table(&["NODE", "NAME", "REGION", "ZONE", "STATE", "VOTES", "SHARDS", "HOLDS", "FREE OF SIZE", "EMPTIED"]);
    for node in &status.nodes {
        let votes = status.groups.iter().filter(|group| group.voters.contains(&node.name));
        let votes: Vec<&str> = votes.map(|group| group.name.as_str()).collect();
        // What a node of another region holds is known there.
        let known = |figure: String| if node.region == status.region { figure } else { String::new() };
        let free: u64 = node.disks.iter().filter_map(|disk| disk.available_bytes).sum();
        let capacity: u64 = node.disks.iter().map(|disk| disk.capacity_bytes).sum();
        rows.add_row([
            node.id.to_string(),
            node.name.clone(),
            node.region.clone(),
            node.zone.clone(),
            state(node),
            votes.join(", "),
            known(node.shards.to_string()),
            known(size(node.bytes)),
            known(format!("{} of {}", size(free), size(capacity))),
            emptied(node),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

fn state(node: &NodeStatus) -> String {
    let state = match (node.replaced_by, &node.drain) {
        (Some(successor), _) => format!("replaced by {successor}"),
        (None, Some(drain)) if drain.leaves => "leaving".to_owned(),
        _ => node.state.clone(),
    };
    if node.live { state } else { format!("down ({state})") }
}

fn emptied(node: &NodeStatus) -> String {
    let Some(drain) = &node.drain else { return String::new() };
    if node.shards == 0 {
        return "holds nothing".to_owned();
    }
    let percent = drain.bytes_done.saturating_mul(100) / drain.bytes_total.max(1);
    let end = drain.eta_seconds.map_or_else(|| "standing still".to_owned(), |eta| format!("{} left", duration(eta)));
    format!("{percent}%, {end}")
}

/// Begins to empty a node, or takes that back.
pub(crate) async fn drain(drain: Drain) -> Result<()> {
    let data_dir = data_dir(&drain.ask).await?;
    let request = NodeRequest { node: Some(drain.name.clone()), force: false };
    if drain.undo {
        let answer = admin_client::undrain(&data_dir, &request).await?;
        return print(&drain.ask, &answer, &format!("{} is in use", named(&answer)));
    }
    let answer = admin_client::drain(&data_dir, &request).await?;
    if drain.wait {
        let again = format!("regnode drain {} --wait", answer.name);
        watch(&format!("emptying {}", answer.name), &again, async || look(&data_dir, answer.node, false).await).await?;
        return Ok(());
    }
    let text = if answer.state == "removed" {
        format!("{} never ran and is removed", named(&answer))
    } else {
        format!(
            "{} is being emptied: {} ({}) to move. It goes on by itself\n\n  watch it:    regnode drain {name} --wait\n  \
             take it back: regnode drain {name} --undo\n  then:         regnode leave {name}",
            named(&answer),
            count(answer.shards, "shard", "shards"),
            size(answer.bytes),
            name = answer.name
        )
    };
    print(&drain.ask, &answer, &text)
}

/// Lets a node leave.
pub(crate) async fn leave(leave: Leave) -> Result<()> {
    let data_dir = data_dir(&leave.ask).await?;
    let request = NodeRequest { node: leave.name.clone(), force: leave.force };
    let answer = admin_client::leave(&data_dir, &request).await?;
    if leave.wait {
        let again = format!("regnode leave {} --wait", answer.name);
        let own = leave.name.is_none();
        let look = async || match look(&data_dir, answer.node, true).await {
            // The node on this machine ends as soon as it knows that it was removed.
            Err(error) if own && is_silent(&error) => {
                Ok(Look::Done("the node has left and its process has ended".to_owned()))
            }
            seen => seen,
        };
        watch(&format!("{} leaves", answer.name), &again, look).await?;
        return Ok(());
    }
    print(&leave.ask, &answer, &left(&answer))
}

fn left(answer: &DepartingAnswer) -> String {
    match (&answer.loss, answer.state.as_str()) {
        (Some(loss), _) if loss.extents > 0 => format!(
            "{} is removed. {}{} ({}) are LOST: regnode fsck names the repositories and tags; pushing the same content \
             again heals them",
            named(answer),
            if loss.at_least { "At least " } else { "" },
            count(loss.extents, "extent", "extents"),
            size(loss.bytes)
        ),
        (Some(_), _) => format!(
            "{} is removed. Nothing is lost: what it held is rebuilt from the others; see regnode repair status",
            named(answer)
        ),
        (None, "removed") => format!("{} is removed", named(answer)),
        (None, _) => format!(
            "{} leaves: it is removed once it holds nothing; {} ({}) are left. Watch it: regnode leave {} --wait",
            named(answer),
            count(answer.shards, "shard", "shards"),
            size(answer.bytes),
            answer.name
        ),
    }
}

/// How far a node's emptying has come; with `to_the_end`, until it is removed.
async fn look(data_dir: &Path, node: u64, to_the_end: bool) -> Result<Look> {
    let status = admin_client::status(data_dir).await?;
    let found = status.nodes.iter().find(|found| found.id == node);
    let Some(found) = found else { return Ok(Look::Done(format!("node {node} is removed"))) };
    let Some(drain) = &found.drain else {
        return Ok(Look::Done(format!("node {} ({}) is in use: somebody has taken it back", found.id, found.name)));
    };
    if found.shards == 0 && !to_the_end && !drain.leaves {
        let end =
            format!("node {} ({}) holds nothing: let it go with regnode leave {}", found.id, found.name, found.name);
        return Ok(Look::Done(end));
    }
    Ok(Look::Going(Position {
        counted: Counted::Bytes,
        done: drain.bytes_done,
        total: drain.bytes_total,
        per_second: drain.bytes_per_second,
        eta_seconds: drain.eta_seconds,
    }))
}

fn is_silent(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<Exit>().is_some_and(|exit| exit.code == Code::NoNode))
}

fn named(answer: &DepartingAnswer) -> String {
    format!("node {} ({})", answer.node, answer.name)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(ask: &Ask, answer: &DepartingAnswer, text: &str) -> Result<()> {
    if ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
    } else {
        println!("{text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use node::admin::LossAnswer;

    use super::*;

    #[test]
    fn a_forced_removal_says_what_is_lost() {
        let mut answer = DepartingAnswer {
            version: 1,
            node: 3,
            name: "n3".to_owned(),
            state: "removed".to_owned(),
            shards: 7,
            bytes: 1 << 20,
            loss: Some(LossAnswer { extents: 0, bytes: 0, at_least: false }),
        };
        assert!(left(&answer).contains("Nothing is lost"));
        answer.loss = Some(LossAnswer { extents: 2, bytes: 1 << 20, at_least: false });
        assert!(left(&answer).contains("2 extents (1.0 MiB) are LOST"), "{}", left(&answer));
        (answer.loss, answer.state) = (None, "draining".to_owned());
        assert!(left(&answer).contains("7 shards (1.0 MiB) are left"));
    }
}
