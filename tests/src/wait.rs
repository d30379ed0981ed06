//! Waiting for a condition, with a deadline.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How long between two looks at a condition.
const POLL: Duration = Duration::from_millis(25);

/// Looks until `attempt` answers `Some`, at most `deadline` long. An error of an attempt counts as "not yet"; the last
/// one is part of the message.
///
/// # Errors
/// When the deadline passes, naming `what`.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut last = None;
    loop {
        match tokio::time::timeout_at(end, attempt()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => last = None,
            Ok(Err(error)) => last = Some(error),
            // A look that was under way at the deadline; what the one before saw stands.
            Err(_elapsed) => {}
        }
        if Instant::now() >= end {
            match last {
                Some(error) => return Err(error.context(format!("{what}: not within {deadline:?}"))),
                None => bail!("{what}: not within {deadline:?}"),
            }
        }
        sleep(POLL).await;
    }
}
