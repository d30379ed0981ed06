//! `regnode audit`: who did what, on all nodes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use node::admin::{AuditVerifyAnswer, AuditVerifyRequest};
use node::audit::{Checked, Fault, Filter, Outcome, verify_directory};
use storage::disk::{Files, RealFiles};
use tokio::time::sleep;

use super::audit_nodes::{Found, Records, nodes};
use super::audit_text;
use super::node::data_dir;
use crate::arguments::{
    Audit, AuditAction, AuditExport, AuditFilter, AuditFormat, AuditSearch, AuditTail, AuditVerify, TypedMoment,
    TypedOutcome,
};
use crate::exit::{Code, Exit};
use crate::{admin_client, settings};

/// Records of each node that `tail` looks through with a filter.
const LOOKED_THROUGH: u64 = 10_000;
/// Time between two looks of `tail -f`.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// Faults of a node that are named.
const FAULTS_NAMED: usize = 100;

/// Does what is asked of audit logs.
pub(crate) async fn audit(audit: Audit) -> Result<()> {
    let outcome = match audit.action {
        AuditAction::Tail(arguments) => tail(arguments).await,
        AuditAction::Search(arguments) => search(arguments).await,
        AuditAction::Export(arguments) => export(arguments).await,
        AuditAction::Verify(arguments) => verify(arguments).await,
    };
    match outcome {
        // `head` has seen enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == ErrorKind::BrokenPipe) => Ok(()),
        outcome => outcome,
    }
}

/// A moment; a duration is counted back from now.
fn past(moment: TypedMoment) -> u64 {
    match moment {
        TypedMoment::At(milliseconds) => milliseconds,
        TypedMoment::In(seconds) => settings::environment().clock.now().0.saturating_sub(seconds.saturating_mul(1000)),
    }
}

fn filter(typed: &AuditFilter, since: Option<TypedMoment>, until: Option<TypedMoment>) -> Filter {
    Filter {
        actor: typed.actor.clone(),
        action: typed.action.clone(),
        repository: typed.repository.clone(),
        outcome: typed.outcome.map(|outcome| match outcome {
            TypedOutcome::Done => Outcome::Done,
            TypedOutcome::Refused => Outcome::Refused,
            TypedOutcome::Failed => Outcome::Failed,
        }),
        since_milliseconds: since.map(past),
        until_milliseconds: until.map(past),
    }
}

fn print(found: &Found, json: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json { writeln!(output, "{}", found.line) } else { writeln!(output, "{}", audit_text::line(found)) }
}

async fn tail(arguments: AuditTail) -> Result<()> {
    let data_dir = data_dir(&arguments.ask).await?;
    let json = arguments.ask.json;
    let filter = filter(&arguments.filter, None, None);
    let lines = arguments.lines as usize;
    let newest = if filter == Filter::default() { u64::from(arguments.lines) } else { LOOKED_THROUGH };
    let asked = nodes(&data_dir, arguments.filter.node.as_deref()).await?;
    let mut records = Records::new(&data_dir, asked, filter, Some(newest));
    let mut last = VecDeque::new();
    while let Some(found) = records.next().await {
        last.push_back(found);
        if last.len() > lines {
            last.pop_front();
        }
    }
    for found in &last {
        print(found, json)?;
    }
    if !arguments.follow {
        return complete(&records);
    }
    let mut told = 0;
    loop {
        tell_silent(&records.silent[told..]);
        told = records.silent.len();
        sleep(FOLLOW_INTERVAL).await;
        records.resume();
        while let Some(found) = records.next().await {
            print(&found, json)?;
        }
    }
}

#[expect(clippy::print_stderr, reason = "what was asked for goes to standard output")]
async fn search(arguments: AuditSearch) -> Result<()> {
    let data_dir = data_dir(&arguments.ask).await?;
    let filter = filter(&arguments.filter, Some(arguments.since), arguments.until);
    let asked = nodes(&data_dir, arguments.filter.node.as_deref()).await?;
    let mut records = Records::new(&data_dir, asked, filter, None);
    let mut number = 0;
    while let Some(found) = records.next().await {
        if number == arguments.limit {
            eprintln!("regnode: there are more than {number} records: narrow the search, or raise --limit");
            break;
        }
        print(&found, arguments.ask.json)?;
        number += 1;
    }
    complete(&records)
}

async fn export(arguments: AuditExport) -> Result<()> {
    let data_dir: PathBuf = settings::of_local_node(&settings::environment(), &arguments.node).await?.settings.data_dir;
    let filter = filter(&arguments.filter, arguments.since, arguments.until);
    let asked = nodes(&data_dir, arguments.filter.node.as_deref()).await?;
    let mut records = Records::new(&data_dir, asked, filter, None);
    let write = |text: &str| io::stdout().lock().write_all(text.as_bytes());
    if arguments.format == AuditFormat::Csv {
        write(audit_text::CSV_HEADER)?;
    }
    while let Some(found) = records.next().await {
        match arguments.format {
            AuditFormat::Jsonl => write(&format!("{}\n", found.line))?,
            AuditFormat::Csv => write(&audit_text::csv(&found))?,
        }
    }
    complete(&records)
}

#[expect(clippy::print_stderr, reason = "what was asked for goes to standard output")]
fn tell_silent(silent: &[(String, String)]) {
    for (name, error) in silent {
        eprintln!("regnode: the records of node {name} are missing here: {error}");
    }
}

/// Says which nodes did not answer.
fn complete(records: &Records) -> Result<()> {
    tell_silent(&records.silent);
    if records.silent.is_empty() { Ok(()) } else { Err(Exit::silent(Code::INCOMPLETE).into()) }
}

async fn verify(arguments: AuditVerify) -> Result<()> {
    if let Some(directory) = arguments.directory {
        return verify_files(&directory, arguments.ask.json);
    }
    let data_dir = data_dir(&arguments.ask).await?;
    let (mut faulty, mut silent, mut answers) = (false, Vec::new(), Vec::new());
    for node in nodes(&data_dir, arguments.node.as_deref()).await? {
        match verify_node(&data_dir, &node.id).await {
            Ok((mut answer, faults, total)) => {
                faulty |= total > 0;
                if !arguments.ask.json {
                    write!(io::stdout().lock(), "{}", audit_text::verified(&answer.name, &answer, &faults, total))?;
                }
                answer.faults = faults;
                answers.push(answer);
            }
            Err(error) => silent.push((node.name, format!("{error:#}"))),
        }
    }
    if arguments.ask.json {
        writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&answers)?)?;
    }
    tell_silent(&silent);
    match code(faulty, !silent.is_empty()) {
        None => Ok(()),
        Some(code) => Err(Exit::silent(code).into()),
    }
}

/// How a check ends. What was found counts for more than what was not looked at.
fn code(faulty: bool, incomplete: bool) -> Option<Code> {
    if faulty {
        return Some(Code::VIOLATED);
    }
    incomplete.then_some(Code::INCOMPLETE)
}

/// Checks the log of a node, step by step: the last answer, the first faults, and how many there are.
async fn verify_node(data_dir: &Path, node: &str) -> Result<(AuditVerifyAnswer, Vec<Fault>, u64)> {
    let (mut request, mut faults, mut total) = (AuditVerifyRequest::default(), Vec::new(), 0);
    loop {
        let mut answer = admin_client::audit_verify(data_dir, node, &request).await?;
        keep(&mut faults, &mut total, std::mem::take(&mut answer.faults));
        if answer.ended {
            return Ok((answer, faults, total));
        }
        request.checked = Some(answer.checked);
    }
}

fn keep(faults: &mut Vec<Fault>, total: &mut u64, found: Vec<Fault>) {
    *total += found.len() as u64;
    let room = FAULTS_NAMED.saturating_sub(faults.len());
    faults.extend(found.into_iter().take(room));
}

/// Checks files that no node has open.
fn verify_files(directory: &Path, json: bool) -> Result<()> {
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    files.list(directory).map_err(|error| anyhow!("{}: {error}", directory.display()))?;
    let (mut checked, mut faults, mut total): (Option<Checked>, _, _) = (None, Vec::new(), 0);
    let checked = loop {
        let step = verify_directory(&files, directory, checked)?;
        keep(&mut faults, &mut total, step.faults);
        if step.ended {
            break step.checked;
        }
        checked = Some(step.checked);
    };
    let mut output = io::stdout().lock();
    if json {
        let answer = serde_json::json!({ "version": node::admin::VERSION, "checked": checked, "faults": faults });
        writeln!(output, "{}", serde_json::to_string_pretty(&answer)?)?;
    } else {
        write!(output, "{}", audit_text::checked(&directory.display().to_string(), &checked, &faults, total))?;
    }
    if total > 0 { Err(Exit::silent(Code::VIOLATED).into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_counts_for_more_than_a_silent_node() {
        assert_eq!(code(false, false), None);
        assert_eq!(code(false, true), Some(Code::INCOMPLETE));
        assert_eq!(code(true, true), Some(Code::VIOLATED));
    }

    #[test]
    fn not_all_faults_are_kept_but_all_are_counted() {
        let (mut faults, mut total) = (Vec::new(), 0);
        for _ in 0..3 {
            keep(&mut faults, &mut total, vec![Fault::Missing { first: 1, last: 2 }; 60]);
        }
        assert_eq!((faults.len(), total), (FAULTS_NAMED, 180));
    }

    #[test]
    fn files_are_checked_without_a_node() {
        let error = verify_files(Path::new("/nonexistent/audit"), false).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/audit: "), "{error}");
    }
}
