//! Servers that end together.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use crate::environment::Environment;
use crate::serve::{Drain, Server, serve};

/// Servers that are drained together. Dropping them ends them at once.
pub(super) struct Servers {
    drain: Drain,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Servers {
    /// None yet; at their end, requests have this time to finish.
    pub(super) fn new(within: Duration) -> Self {
        Self { drain: Drain { begin: CancellationToken::new(), timeout: within }, tasks: Vec::new() }
    }

    /// Serves on one more listener.
    pub(super) fn start(&mut self, server: Server, environment: &Environment) {
        let serving = serve(server, Arc::clone(&environment.clock), self.drain.clone());
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(serving)));
    }

    /// Ends them in order.
    pub(super) async fn drain(self) {
        self.drain.begin.cancel();
        for task in self.tasks {
            if let Err(failed) = task.await
                && failed.is_panic()
            {
                error!(error = %failed, "a server had failed");
            }
        }
    }
}
