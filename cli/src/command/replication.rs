//! `regnode replication`: how far the copies of namespaces in other regions have come.

use anyhow::Result;
use node::admin::{CopyState, ReplicationAnswer, ReplicationRequest};

use super::node::data_dir;
use super::replication_text::page;
use crate::admin_client;
use crate::arguments::{Replication, ReplicationAction, ReplicationStatus};
use crate::progress::{Counted, Position};
use crate::watch::{Look, watch};

/// Does what is asked of copies.
pub(crate) async fn replication(replication: Replication) -> Result<()> {
    match replication.action {
        ReplicationAction::Status(status) => self::status(status).await,
    }
}

async fn status(status: ReplicationStatus) -> Result<()> {
    let data_dir = data_dir(&status.work.ask).await?;
    let request = ReplicationRequest { namespace: status.namespace.clone() };
    if status.work.wait {
        let mut total = 0;
        let look = async || Ok(look(&admin_client::replication(&data_dir, &request).await?, &mut total));
        watch("copying", &again(&status), look).await?;
    }
    print(&status, &admin_client::replication(&data_dir, &request).await?)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(status: &ReplicationStatus, answer: &ReplicationAnswer) -> Result<()> {
    if status.work.ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
    } else {
        print!("{}", page(answer, status.namespace.as_deref()));
    }
    Ok(())
}

/// The command that waits again.
fn again(status: &ReplicationStatus) -> String {
    let namespace = status.namespace.as_deref().map(crate::arguments::root_or);
    let namespace = namespace.map_or_else(String::new, |namespace| format!(" --namespace {namespace}"));
    format!("regnode replication status{namespace} --wait")
}

/// How much there is still to do, as far as it is known. `total` is the most that was seen.
fn look(answer: &ReplicationAnswer, total: &mut u64) -> Look {
    let copies = || answer.regions.iter().flat_map(|region| &region.copies);
    let unknown = answer.regions.iter().any(|region| region.error.is_some());
    if !unknown && copies().all(|copy| copy.state == CopyState::InSync) {
        return Look::Done("every copy is in sync".to_owned());
    }
    let left = copies().map(|copy| copy.items_waiting + copy.events_behind.unwrap_or(0)).sum::<u64>();
    // What is not known yet counts as one thing: the bar is never full before the end.
    let left = left.max(1);
    *total = left.max(*total);
    Look::Going(Position {
        counted: Counted::Things("things"),
        done: *total - left,
        total: *total,
        per_second: 0,
        eta_seconds: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::replication_text::testing::{copy, regions};
    use super::*;

    #[test]
    fn it_is_waited_for_copies_that_lack_something_and_for_regions_that_do_not_answer() {
        let mut answer = regions();
        let mut total = 0;
        assert!(matches!(look(&answer, &mut total), Look::Going(_)));
        for region in &mut answer.regions {
            region.copies = vec![copy("acme", CopyState::InSync)];
        }
        assert!(matches!(look(&answer, &mut total), Look::Going(_)), "one region does not answer");
        answer.regions.retain(|region| region.error.is_none());
        assert_eq!(look(&answer, &mut total), Look::Done("every copy is in sync".to_owned()));
    }
}
