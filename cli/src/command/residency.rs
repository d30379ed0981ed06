//! `regnode residency`: where data rests, looked for on every node and disk.

use anyhow::{Context, Result};
use node::admin::{AuditsRequest, VerifyRequest};
use node::residency::Report;

use super::node::data_dir;
use super::residency_text;
use crate::admin_client;
use crate::arguments::{Residency, ResidencyAction, ResidencyHistory, ResidencyVerify};
use crate::exit::{Code, Exit};
use crate::progress::Counted;
use crate::watch::{Look, Rate, Watched, watch};

/// Verifies, or lists what was found.
pub(crate) async fn residency(residency: Residency) -> Result<()> {
    match residency.action {
        ResidencyAction::Verify(arguments) => verify(arguments).await,
        ResidencyAction::History(arguments) => history(arguments).await,
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn verify(arguments: ResidencyVerify) -> Result<()> {
    let data_dir = data_dir(&arguments.ask).await?;
    let named = arguments.namespace.as_ref().map(|namespace| format!(" --namespace {namespace}")).unwrap_or_default();
    let request = VerifyRequest { namespace: arguments.namespace };
    admin_client::verify_residency(&data_dir, &request).await?;
    let (mut rate, mut report) = (Rate::begin(), None);
    let look = async || {
        let answer = admin_client::residency_progress(&data_dir).await?;
        let progress = answer.progress;
        if progress.ended {
            report = answer.report;
            return Ok(Look::Done(format!("{} files were looked at", progress.files)));
        }
        Ok(Look::Going(rate.position(Counted::Things("nodes"), progress.nodes_done, progress.nodes.max(1))))
    };
    let again = format!("regnode residency verify{named}");
    if watch("looking through all disks", &again, look).await? == Watched::Detached {
        return Err(Exit::silent(Code::INCOMPLETE).into());
    }
    let report = report.context("the node has forgotten what it found: verify again")?;
    if arguments.ask.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", residency_text::report(&report));
    }
    match code(&report) {
        None => Ok(()),
        Some(code) => Err(Exit::silent(code).into()),
    }
}

/// How the program ends. What was found counts for more than what was not looked at.
fn code(report: &Report) -> Option<Code> {
    if report.violations_total > 0 {
        return Some(Code::VIOLATED);
    }
    (!report.is_complete()).then_some(Code::INCOMPLETE)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn history(arguments: ResidencyHistory) -> Result<()> {
    let data_dir = data_dir(&arguments.ask).await?;
    let answer = admin_client::residency_history(&data_dir, &AuditsRequest { limit: arguments.limit }).await?;
    if arguments.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", residency_text::history(&answer));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_counts_for_more_than_what_was_not_looked_at() {
        let incomplete = Report { missing: vec!["node 2".to_owned()], ..Report::default() };
        assert_eq!(code(&Report::default()), None);
        assert_eq!(code(&incomplete), Some(Code::INCOMPLETE));
        assert_eq!(code(&Report { violations_total: 1, ..incomplete }), Some(Code::VIOLATED));
    }
}
