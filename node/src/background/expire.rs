//! Upload sessions without progress are ended, and the catalog's clock is moved on when nothing else does it: to the
//! present at once after a downtime, since one command moves it by an hour at most.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use raft::catalog::{Command, Response};
use raft::time::{Timestamp, ticks_behind};
use storage::switch;
use tracing::info;

use super::leader::{Duty, Left};
use super::{Metrics, Present};
use crate::cluster::TICKS_AT_ONCE;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Rest between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// The same in a hurry.
const HASTE: Duration = Duration::from_millis(100);
/// Sessions ended by one command.
const SESSIONS_PER_COMMAND: u32 = 256;

/// What is to be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Ticks(u64),
    Expire,
}

/// Decides by the catalog's clock, the present moment if it is certain, the clock that was seen at the last look, and the
/// first expiry.
fn plan(
    now: Timestamp,
    present: Option<Timestamp>,
    before: Option<Timestamp>,
    next_expiry: Option<Timestamp>,
) -> Action {
    let behind = present.map_or(0, |present| ticks_behind(now, present));
    if behind > 0 {
        Action::Ticks(behind.min(TICKS_AT_ONCE))
    } else if next_expiry.is_some_and(|expiry| expiry <= now) {
        Action::Expire
    } else if before == Some(now) {
        Action::Ticks(1)
    } else {
        Action::Nothing
    }
}

/// The work.
pub(super) struct Expire {
    present: Present,
    metrics: Metrics,
    /// The clock that was seen at the last look.
    before: Option<Timestamp>,
}

impl Expire {
    /// Work that has not begun.
    pub(super) fn new(present: Present, metrics: Metrics) -> Self {
        Self { present, metrics, before: None }
    }
}

impl Duty for Expire {
    const NAME: &'static str = "expire";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = HASTE;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        self.before = Some(round(core, &self.present, &self.metrics, self.before).await?);
        Ok(Left::Nothing)
    }

    fn retire(&mut self) {
        self.before = None;
    }

    fn hurried(&self) -> bool {
        switch::rare("background.expire.hurry")
    }
}

async fn round(
    core: &Core,
    present: &Present,
    metrics: &Metrics,
    mut before: Option<Timestamp>,
) -> Result<Timestamp, CatalogError> {
    while core.records.is_leader() {
        let view = core.records.view();
        let clock = view.clock()?;
        match plan(clock, present(), before, view.next_upload_expiry()?) {
            Action::Nothing => break,
            Action::Ticks(count) => {
                for outcome in join_all((0..count).map(|_| core.propose(Command::Tick))).await {
                    outcome?;
                }
                if core.records.view().clock()? == clock {
                    break;
                }
                before = None;
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
        assert_eq!(plan(now, None, None, None), Action::Nothing);
        assert_eq!(plan(now, None, Some(Timestamp(999)), None), Action::Nothing);
        assert_eq!(plan(now, None, Some(now), Some(Timestamp(1001))), Action::Ticks(1));
        assert_eq!(plan(now, None, Some(now), Some(now)), Action::Expire);
    }

    #[test]
    fn after_a_downtime_the_clock_comes_first() {
        let now = Timestamp(1000);
        assert_eq!(plan(now, Some(now.plus_seconds(30)), None, None), Action::Nothing);
        assert_eq!(plan(now, Some(now.plus_seconds(7201)), None, Some(now)), Action::Ticks(3));
        assert_eq!(plan(now, Some(now.plus_seconds(30 * 86_400)), None, None), Action::Ticks(TICKS_AT_ONCE));
    }
}
