//! Upload sessions without progress are ended, and the catalog's clock is moved on when nothing else does it.

use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Command, Response};
use raft::time::Timestamp;
use tokio::time::sleep;
use tracing::{debug, info};

use super::Metrics;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Rest between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Sessions ended by one command.
const SESSIONS_PER_COMMAND: u32 = 256;

/// What is to be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Tick,
    Expire,
}

/// Decides by the catalog's clock, the one that was seen at the last look, and the first expiry.
fn plan(now: Timestamp, before: Option<Timestamp>, next_expiry: Option<Timestamp>) -> Action {
    if next_expiry.is_some_and(|expiry| expiry <= now) {
        Action::Expire
    } else if before == Some(now) {
        Action::Tick
    } else {
        Action::Nothing
    }
}

/// Works until the node stops.
pub(super) async fn run(core: Arc<Core>, metrics: Metrics) {
    let mut before = None;
    loop {
        sleep(LOOK_INTERVAL).await;
        if !core.records.is_leader() {
            before = None;
            continue;
        }
        match round(&core, &metrics, before).await {
            Ok(now) => before = Some(now),
            Err(error) => debug!(%error, "upload sessions cannot be expired"),
        }
    }
}

async fn round(core: &Core, metrics: &Metrics, before: Option<Timestamp>) -> Result<Timestamp, CatalogError> {
    loop {
        let view = core.records.view();
        match plan(view.clock()?, before, view.next_upload_expiry()?) {
            Action::Nothing => break,
            Action::Tick => {
                core.propose(Command::Tick).await?;
                break;
            }
            Action::Expire => {
                let response = core.propose(Command::ExpireUploads { limit: SESSIONS_PER_COMMAND }).await?;
                let Response::Count { count } = response else { break };
                metrics.expired_uploads.inc_by(count);
                if count == 0 {
                    break;
                }
                info!(count, "upload sessions expired");
            }
        }
    }
    core.records.view().clock().map_err(CatalogError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_moved_on_only_when_it_stands_still() {
        let now = Timestamp(1000);
        assert_eq!(plan(now, None, None), Action::Nothing);
        assert_eq!(plan(now, Some(Timestamp(999)), None), Action::Nothing);
        assert_eq!(plan(now, Some(now), Some(Timestamp(1001))), Action::Tick);
        assert_eq!(plan(now, Some(now), Some(now)), Action::Expire);
    }
}
