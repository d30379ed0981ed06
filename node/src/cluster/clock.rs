//! The directory's clock: moved on while nothing else happens there, and brought to the present after a long silence.
//!
//! Join tokens expire by it. One command moves it by an hour at most, so after a downtime it takes several. That bound is
//! there for wrong clocks, so it is overcome only by a node whose own clock most others agree with.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use raft::directory::{Command, Directory, StateError, View};
use raft::group::{Group, ProposeError, ReadError};
use raft::id::RequestId;
use raft::time::{Clock, Timestamp, ticks_behind};
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use crate::environment::Entropy;
use crate::members::Members;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(10);
/// Commands that are proposed at once to bring the clock to the present.
pub(crate) const TICKS_AT_ONCE: u64 = 64;
/// Bound on bringing it there while somebody waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// This node's wall clock, as far as most nodes agree with it.
#[derive(Clone, Debug)]
pub struct AgreedTime {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What the others' clocks say.
    pub members: Members,
    /// Clocks that are further apart do not agree.
    pub max_clock_offset: Duration,
}

impl AgreedTime {
    /// The present moment; `None` while most nodes' clocks disagree or are not known.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        self.members.clocks_agree(self.max_clock_offset).then(|| self.clock.now())
    }
}

#[derive(Debug, thiserror::Error)]
enum ClockError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Keeps the directory's clock going while this node leads it. Never ends.
pub async fn keep_clock(directory: Arc<Group<Directory>>, time: AgreedTime, entropy: Arc<dyn Entropy>) {
    let mut before = None;
    loop {
        sleep(INTERVAL).await;
        if !directory.is_leader() {
            before = None;
            continue;
        }
        match round(&directory, &time, entropy.as_ref(), before).await {
            Ok(now) => before = now,
            Err(error) => debug!(%error, "the directory's clock is not moved on"),
        }
    }
}

/// Moves the clock on if it stands where it stood `before`. Where it stands now; `None` before the cluster is founded.
async fn round(
    directory: &Group<Directory>,
    time: &AgreedTime,
    entropy: &dyn Entropy,
    before: Option<Timestamp>,
) -> Result<Option<Timestamp>, ClockError> {
    let view = View::new(directory.state());
    if view.cluster()?.is_none() {
        return Ok(None);
    }
    if before == Some(view.clock()?) {
        directory.propose(RequestId(entropy.id()), Command::Tick).await?;
    }
    approach(directory, time, entropy).await?;
    Ok(Some(View::new(directory.state()).clock()?))
}

/// Brings the directory's clock to within a minute of the present, as far as that is possible soon. The cluster must be
/// founded.
pub(super) async fn catch_up(directory: &Group<Directory>, time: &AgreedTime, entropy: &dyn Entropy) {
    match timeout(PATIENCE, approach(directory, time, entropy)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the directory's clock cannot be brought to the present"),
        Err(_) => debug!("the directory's clock takes long to be brought to the present"),
    }
}

async fn approach(directory: &Group<Directory>, time: &AgreedTime, entropy: &dyn Entropy) -> Result<(), ClockError> {
    let mut before = None;
    loop {
        directory.read_barrier().await?;
        let clock = View::new(directory.state()).clock()?;
        let needed = time.now().map_or(0, |now| ticks_behind(clock, now));
        // The leader's clock stamps the commands: it may be behind this node's.
        if needed == 0 || before == Some(clock) {
            return Ok(());
        }
        info!(hours = needed, "the directory's clock is brought to the present");
        let tick = |_| directory.propose(RequestId(entropy.id()), Command::Tick);
        for outcome in join_all((0..needed.min(TICKS_AT_ONCE)).map(tick)).await {
            outcome?;
        }
        before = Some(clock);
    }
}
