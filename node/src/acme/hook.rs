//! The program that puts records into the DNS and takes them out again, for `dns-01` (RFC 8555 §8.4).
//!
//! It is called as `HOOK present|cleanup DOMAIN RECORD VALUE` and ends when the record can be seen, or is gone, on the
//! zone's servers. `DOMAIN` is without the `*.` of a wildcard, `RECORD` the full name of the TXT record.

use std::sync::Arc;
use std::time::Duration;

use super::error::AcmeError;
use crate::environment::Commands;

/// Time that the hook has. Zones take their time.
const TIMEOUT: Duration = Duration::from_mins(3);

/// A TXT record that shows that a domain is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The domain, without `*.`.
    pub(super) domain: String,
    /// What is written there.
    pub(super) value: String,
}

/// The hook.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) commands: Arc<dyn Commands>,
    pub(super) program: String,
}

impl Hook {
    /// Puts the record there.
    pub(super) async fn present(&self, record: &Record) -> Result<(), AcmeError> {
        self.run("present", record).await
    }

    /// Takes it away.
    pub(super) async fn clean_up(&self, record: &Record) -> Result<(), AcmeError> {
        self.run("cleanup", record).await
    }

    async fn run(&self, what: &str, Record { domain, value }: &Record) -> Result<(), AcmeError> {
        let arguments = [what.to_owned(), domain.clone(), format!("_acme-challenge.{domain}"), value.clone()];
        self.commands.run(&self.program, &arguments, b"", TIMEOUT).await?;
        Ok(())
    }
}
