//! What an operator does about garbage: he sets the policies before the clients begin, and in the end of some runs he deletes
//! everything, after which the cluster must come to hold nothing by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use node::start::Node;
use raft::id::GroupId;
use raft::policy::NamespacePolicy;
use tokio::time::{Instant, sleep};

use super::order::Order;
use crate::cluster::Control;
use crate::garbage::at_once;
use crate::judge::emptiness;

/// Name of the judge.
const JUDGE: &str = "emptiness";
/// Longest time until a policy is in force in a cluster in which nothing is wrong.
const IN_FORCE: Duration = Duration::from_mins(2);
/// Longest virtual time until everything is gone. By the clocks, which are made to run ahead, it is more than three quarters
/// of an hour: an upload that lay open lives for five minutes, and its shards stay for their readers for ten more.
const EMPTIED: Duration = Duration::from_mins(2);
/// By how much the clocks of all nodes step with each look, in milliseconds: less than nodes put up with, should one be
/// asked for the time in the very moment.
const AHEAD_MILLISECONDS: i64 = 25_000;
/// Pause before an order is given again.
const AGAIN: Duration = Duration::from_secs(1);
/// Pause between two looks at what is left.
const LOOK: Duration = Duration::from_secs(1);

/// Gives an order through one member after the other until it is carried out. Accuses when it takes too long.
async fn insist(control: &Control, order: &Order) -> bool {
    let begun = Instant::now();
    let mut last = String::new();
    while control.court.first().is_none() {
        for through in control.members().into_iter().filter(|number| control.report(*number).ready) {
            match order.give(control, through).await {
                Ok(()) => {
                    control.trace.note(&format!("operator: {order:?} was carried out through node {through}"));
                    return true;
                }
                Err(refusal) => last = refusal,
            }
        }
        if begun.elapsed() >= IN_FORCE {
            control.court.accuse(JUDGE, format!("{order:?} is not carried out: {last}"));
            return false;
        }
        sleep(AGAIN).await;
    }
    false
}

/// Sets policies, the root's first. Whether all are in force.
pub(crate) async fn set_policies(control: &Control, policies: Vec<(String, NamespacePolicy)>) -> bool {
    for (prefix, policy) in policies {
        if !insist(control, &Order::Policy(prefix, policy)).await {
            return false;
        }
    }
    true
}

/// Gives a namespace in which nothing is yet its home. Whether that is in force.
pub(crate) async fn set_home(control: &Control, prefix: &str, region: usize) -> bool {
    insist(control, &Order::Home(prefix.to_owned(), Control::region_name(region))).await
}

/// Deletes everything in the namespaces that have these policies, and waits until no catalog has a key left that tells of
/// content. The clocks of all nodes run ahead meanwhile, so that it does not take long. Accuses when it takes longer than it may.
pub(crate) async fn empty(control: &Control, policies: Vec<(String, NamespacePolicy)>) -> bool {
    let nothing_stays = policies.into_iter().map(|(prefix, _)| (prefix, at_once())).collect();
    if !set_policies(control, nothing_stays).await || !insist(control, &Order::DeleteTags).await {
        return false;
    }
    let begun = Instant::now();
    loop {
        let mut all_left = BTreeMap::new();
        for number in control.members() {
            let left = control.order(number, |node| Box::pin(async move { left(node) })).await.ok().flatten();
            if left.as_ref().is_none_or(|left| !left.is_empty()) {
                all_left.insert(number, left);
            }
        }
        if all_left.is_empty() {
            control.trace.note(&format!("all was gone {} s after it was deleted", begun.elapsed().as_secs()));
            return true;
        }
        if control.court.first().is_some() {
            return false;
        }
        if begun.elapsed() >= EMPTIED {
            let text = format!(
                "{} s after everything was deleted there are keys, by node and kind: {all_left:?}",
                begun.elapsed().as_secs()
            );
            control.court.accuse(JUDGE, text);
            return false;
        }
        for number in 1..=control.nodes() {
            control.computer(number).clock().step_milliseconds(AHEAD_MILLISECONDS);
        }
        sleep(LOOK).await;
    }
}

/// Keys of a node's catalog that tell of content; `None` while it cannot say.
fn left(node: &Node) -> Option<BTreeMap<u8, u64>> {
    let is_catalog = |group: &GroupId| matches!(group, GroupId::Catalog(_));
    let catalog = node.group_statuses().into_iter().map(|status| status.group).find(is_catalog)?;
    emptiness::left(&*node.group_state(catalog)?).ok()
}
