//! The work of the directory's leader: it looks at all domains again and again and does what `plan` says.
//!
//! Two nodes may believe for a moment that they lead. Then there may be two orders, of which the directory keeps the one
//! that was noted first; the other is left to expire at the authority.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use raft::directory::{CERTIFICATES_MAX, CertificateCommand, CertificateRecord, StateError};
use tokio::time::sleep;
use tracing::{info, warn};

use super::Acme;
use super::error::AcmeError;
use super::http::{attempt, wait_asked};
use super::order::Begun;
use super::plan::{Step, retry_after_seconds, step};
use super::wanted::wanted_domains;
use crate::audit::{AuditEvent, Outcome};

/// Rest between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Domains that are worked on at the same time.
const AT_ONCE: usize = 4;

/// What there is to do about a domain.
struct Task {
    domain: String,
    step: Step,
    record: CertificateRecord,
}

impl Acme {
    /// Works for ever.
    pub(crate) async fn lead(self) {
        loop {
            sleep(LOOK_INTERVAL).await;
            if (self.leads.0)() {
                self.round().await;
            }
        }
    }

    /// Does once what there is to do.
    pub(super) async fn round(&self) {
        match self.tasks().await {
            Ok(tasks) if tasks.is_empty() => return,
            Ok(_) => {}
            Err(error) => return warn!(%error, "the certificates of the directory cannot be read"),
        }
        // A new leader may have yet to hear what the last one has noted.
        if let Err(error) = self.directory.barrier().await {
            return warn!(%error, "certificates have to wait, the directory does not answer");
        }
        match self.tasks().await {
            Ok(tasks) => {
                self.account.lock().await.retry();
                let attempts = stream::iter(tasks);
                attempts.for_each_concurrent(AT_ONCE, |task| attempt(self.carry_out(task))).await;
            }
            Err(error) => warn!(%error, "the certificates of the directory cannot be read"),
        }
    }

    /// What there is to do now.
    async fn tasks(&self) -> Result<Vec<Task>, StateError> {
        let (view, options, clock) =
            (self.directory.view(), self.options.clone(), std::sync::Arc::clone(&self.environment.clock));
        let read = move || {
            let mut wanted = wanted_domains(&options, &view)?;
            let now = clock.now();
            let (mut tasks, records) = (Vec::new(), view.certificates()?);
            let room = CERTIFICATES_MAX.saturating_sub(records.len());
            for (domain, record) in records {
                let wanted = wanted.remove(&domain);
                let step = step(Some(&record), wanted, &options.directory, options.renew_before_seconds, now);
                tasks.push(Task { domain, step, record });
            }
            let new = |domain| Task { domain, step: Step::Begin, record: CertificateRecord::default() };
            // More could not be noted, and would be ordered again and again.
            tasks.extend(wanted.into_iter().take(room).map(new));
            tasks.retain(|task| task.step != Step::Nothing);
            Ok(tasks)
        };
        self.environment.exec.run(read).await
    }

    async fn carry_out(&self, task: Task) {
        let Task { domain, step, record } = task;
        if !(self.leads.0)() {
            return;
        }
        if step == Step::Forget {
            info!(domain, "certificate forgotten: nobody wants it any more");
            if let Err(error) = self.note(CertificateCommand::Remove { domain }).await {
                warn!(%error, "a certificate that nobody wants could not be forgotten");
            }
            return;
        }
        let mut order = record.order.as_ref().map(|order| order.url.clone());
        let renewed = record.issued.is_some();
        let begun: Result<Begun, AcmeError> = match (step, &record.order) {
            (Step::Continue, Some(noted)) => self.resume(&domain, noted).await,
            _ => self.begin(&domain).await,
        };
        let issued = match begun {
            Ok(begun) => {
                order = Some(begun.url.clone());
                self.complete(&domain, begun).await
            }
            Err(error) => Err(error),
        };
        match issued {
            Ok(issued) => {
                info!(domain, not_after = issued.not_after.0, renewed, "certificate issued");
                self.metrics.issued();
                let what = if renewed { "renewed" } else { "issued" };
                let event = AuditEvent::new("certificate", "regnode").target(format!("domain {domain}"));
                self.audit.record(event.detail(format!("{what} by {}", self.options.directory))).await;
            }
            Err(AcmeError::Interrupted(reason)) => info!(domain, reason, "certificate left to whoever leads next"),
            Err(error) => match self.leading() {
                Ok(()) => self.fail(domain, &error, order, &record).await,
                Err(interrupted) => info!(domain, reason = %interrupted, %error, "attempt given up"),
            },
        }
    }

    /// Notes that an attempt came to nothing.
    async fn fail(&self, domain: String, error: &AcmeError, order: Option<String>, record: &CertificateRecord) {
        let reason = error.to_string();
        self.metrics.failed();
        let failures = record.failure.as_ref().map_or(0, |failure| failure.count);
        let asked_for = error.wait_asked().or_else(wait_asked);
        let seconds = retry_after_seconds(failures, asked_for, self.environment.entropy.number());
        if error.is_no_account() || !error.ends_order() {
            self.forget_account().await;
        }
        let order = order.filter(|_| error.ends_order());
        warn!(domain, reason, retry_after_seconds = seconds, "no certificate");
        let event = AuditEvent::new("certificate", "regnode").target(format!("domain {domain}"));
        self.audit.record(event.outcome(Outcome::Failed).detail(reason.clone())).await;
        let failed =
            CertificateCommand::Fail { domain, reason, retry_after_seconds: seconds, order, asked: record.asked };
        if let Err(error) = self.note(failed).await {
            warn!(%error, "the failure could not be noted");
        }
    }
}
