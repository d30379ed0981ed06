//! Audits that nobody asks for: the leader of a region's catalog goes through its region once in `residency.audit_hours`,
//! writes down in the directory what it has found, and raises the alarm.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use raft::directory::{Command, ResidencyAudit, Response};
use raft::id::{RegionId, RequestId};
use raft::time::Timestamp;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use super::alarm::{AUDITS_LOOKED_AT, last};
use super::answer::Answerer;
use super::report::Report;
use super::run::Run;

/// Between two looks at whether an audit is due, and at what has to go.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// A region's first audit is due so long after its foundation: not while it is set up.
const FIRST_AFTER_SECONDS: u64 = 3600;
/// An audit that could not look at everything is repeated after this part of the time.
const INCOMPLETE_DIVISOR: u64 = 8;
/// How long writing down is tried for.
const RECORD_DEADLINE: Duration = Duration::from_secs(20);
/// Violations that are logged one by one.
const LOGGED: usize = 16;

/// When the next audit of a region is due. Pure.
fn due(hours: u32, founded: Timestamp, last: Option<&ResidencyAudit>) -> Option<Timestamp> {
    let period = u64::from(hours) * 3600;
    if period == 0 {
        return None;
    }
    Some(match last {
        None => founded.plus_seconds(FIRST_AFTER_SECONDS.min(period)),
        Some(audit) if audit.complete => audit.time.plus_seconds(period),
        Some(audit) => audit.time.plus_seconds(period / INCOMPLETE_DIVISOR),
    })
}

/// Looks again and again, for ever.
pub(super) async fn keep(answerer: Arc<Answerer>) {
    loop {
        sleep(LOOK_INTERVAL).await;
        if let Err(error) = answerer.watch_leaving().await {
            debug!(%error, "what leaves the region cannot be read");
        }
        show(&answerer);
        if !answerer.parts.records.is_leader() {
            continue;
        }
        match is_due(&answerer) {
            Ok(false) => {}
            Ok(true) => {
                let region = answerer.parts.region;
                info!(%region, "audit of residency begins");
                let report = Run::new(Arc::clone(&answerer), None, Some(region)).carry_out().await;
                record(&answerer, &report).await;
            }
            Err(error) => debug!(%error, "audits of residency cannot be read"),
        }
    }
}

/// Whether the own region is to be audited now, by the directory's clock.
fn is_due(answerer: &Answerer) -> Result<bool, raft::directory::StateError> {
    let (view, own) = (answerer.parts.directory.view(), answerer.parts.region);
    let regions = view.regions()?;
    let Some((_, record)) = regions.iter().find(|(region, _)| *region == own) else { return Ok(false) };
    let audits = view.residency_audits(AUDITS_LOOKED_AT)?;
    let last = audits.iter().find(|audit| audit.region == own);
    Ok(due(answerer.parts.audit_hours, record.founded, last)
        .is_some_and(|due| view.clock().is_ok_and(|now| now >= due)))
}

/// Shows the last audits' violations to Prometheus.
fn show(answerer: &Answerer) {
    let view = answerer.parts.directory.view();
    let (Ok(audits), Ok(regions)) = (view.residency_audits(AUDITS_LOOKED_AT), view.regions()) else { return };
    let last = last(&audits);
    answerer
        .parts
        .metrics
        .show(regions.iter().map(|(region, record)| (record.name.as_str(), last.get(region).copied())));
}

/// Raises the alarm over what a run has found, and writes it down for each of its regions.
pub(super) async fn record(answerer: &Answerer, report: &Report) {
    for finding in report.violations.iter().take(LOGGED) {
        // The name of a repository of another region is not for this one's log.
        error!(
            region = finding.region,
            node = finding.node,
            path = finding.path,
            namespace = finding.namespace,
            what = finding.detail,
            "something rests where it may not"
        );
    }
    if report.violations_total > 0 {
        error!(
            violations = report.violations_total,
            "data rests where its namespace forbids it: regnode residency verify names each of them"
        );
    }
    for sentence in report.missing.iter().take(LOGGED) {
        warn!(reason = sentence, "an audit of residency could not look at everything");
    }
    let written = report
        .regions
        .iter()
        .filter_map(|region| Some(write_down(answerer, &region.name, report.audit(RegionId(region.id))?)));
    // Together: without a quorum of the directory each of them waits.
    join_all(written).await;
    show(answerer);
}

async fn write_down(answerer: &Answerer, region: &str, audit: ResidencyAudit) {
    let request = RequestId(answerer.parts.entropy.id());
    let (violations, complete) = (audit.violations, audit.complete);
    let command = Command::RecordResidency { audit };
    match timeout(RECORD_DEADLINE, answerer.parts.directory.propose(request, command)).await {
        Ok(Ok(Response::Refused(refusal))) => warn!(region, %refusal, "an audit of residency is not written down"),
        Ok(Ok(_)) => info!(region, violations, complete, "audit of residency written down"),
        Ok(Err(error)) => warn!(region, %error, "an audit of residency is not written down"),
        Err(_elapsed) => warn!(region, "an audit of residency is not written down: the directory does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(time: u64, complete: bool) -> ResidencyAudit {
        ResidencyAudit {
            time: Timestamp(time * 1000),
            region: RegionId(1),
            complete,
            nodes: 1,
            disks: 1,
            objects: 0,
            bytes: 0,
            pinned_objects: 0,
            pinned_bytes: 0,
            violations: 0,
            examples: Vec::new(),
        }
    }

    #[test]
    fn an_audit_is_due_in_its_time_and_sooner_when_something_was_missing() {
        let seconds = |due: Option<Timestamp>| due.map(|due| due.0 / 1000);
        let founded = Timestamp(1000);
        assert_eq!(seconds(due(0, founded, Some(&audit(5, true)))), None, "audits are off");
        assert_eq!(seconds(due(24, founded, None)), Some(3601));
        assert_eq!(seconds(due(24, founded, Some(&audit(100, true)))), Some(100 + 24 * 3600));
        assert_eq!(seconds(due(24, founded, Some(&audit(100, false)))), Some(100 + 3 * 3600));
    }
}
