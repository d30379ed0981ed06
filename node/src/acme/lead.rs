//! The work of the directory's leader: it looks at all domains again and again and does what `plan` says, for each domain
//! apart from all others (`orders`).
//!
//! Two nodes may believe for a moment that they lead. Then there may be two orders, of which the directory keeps the one
//! that was noted first; the other is left to expire at the authority.

use std::time::Duration;

use raft::directory::{CERTIFICATES_MAX, CertificateCommand, CertificateRecord, StateError};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::Acme;
use super::error::AcmeError;
use super::http::{attempt, wait_asked};
use super::orders::{Orders, Task};
use super::plan::{Step, retry_after_seconds, step};
use super::wanted::wanted_domains;
use crate::audit::{AuditEvent, Outcome};

/// Rest between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Bound of one attempt, whatever hangs: what it waits for has bounds of its own, which leave room for each of them once.
const ATTEMPT_MAX: Duration = Duration::from_mins(12);

impl Acme {
    /// Works for ever.
    pub(crate) async fn lead(self) {
        let mut orders = Orders::default();
        loop {
            sleep(LOOK_INTERVAL).await;
            orders.reap();
            if (self.leads.0)() {
                self.look(&mut orders).await;
            }
        }
    }

    /// Does once what there is to do.
    #[cfg(test)]
    pub(super) async fn round(&self) {
        let mut orders = Orders::default();
        self.look(&mut orders).await;
        orders.end().await;
    }

    /// Begins what there is to do and finds a place.
    pub(super) async fn look(&self, orders: &mut Orders) {
        match self.tasks().await {
            Ok(tasks) => {
                if orders.choose(tasks).is_empty() {
                    return;
                }
            }
            Err(error) => return warn!(%error, "the certificates of the directory cannot be read"),
        }
        // A new leader may have yet to hear what the last one has noted.
        if let Err(error) = self.directory.barrier().await {
            return warn!(%error, "certificates have to wait, the directory does not answer");
        }
        match self.tasks().await {
            Ok(tasks) => {
                let chosen = orders.choose(tasks);
                self.account.lock().await.retry(chosen.iter().any(Task::is_asked));
                for task in chosen {
                    let (this, work) = (self.clone(), task.clone());
                    orders.begin(&task, attempt(async move { this.carry_out(work).await }));
                }
            }
            Err(error) => warn!(%error, "the certificates of the directory cannot be read"),
        }
    }

    /// What there is to do now.
    pub(super) async fn tasks(&self) -> Result<Vec<Task>, StateError> {
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
        let attempt = async {
            let begun = match (step, &record.order) {
                (Step::Continue, Some(noted)) => self.resume(&domain, noted).await?,
                (Step::GiveUp, Some(noted)) => {
                    self.give_up(&domain, noted, &record).await?;
                    self.begin(&domain).await?
                }
                _ => self.begin(&domain).await?,
            };
            order = Some(begun.url.clone());
            self.complete(&domain, begun).await
        };
        let issued = timeout(ATTEMPT_MAX, attempt).await;
        match issued.unwrap_or(Err(AcmeError::Stuck { seconds: ATTEMPT_MAX.as_secs() })) {
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
