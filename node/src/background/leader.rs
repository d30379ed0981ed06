//! The loop of everything that only the catalog's leader does: a round of work, a rest, and at once an end when another
//! node leads.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// What a round left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// There is more to do.
    More,
    /// Nothing to do for now.
    Nothing,
}

/// One kind of work.
pub(super) trait Duty: Send {
    /// What it is, for the log: "… cannot be worked on".
    const NAME: &'static str;
    /// Rest when nothing is left to do.
    const LOOK_INTERVAL: Duration;
    /// Rest between two rounds when there is more.
    const ROUND_REST: Duration;

    /// Does some work. The catalog is led by this node when it begins; a long round looks again.
    fn round(&mut self, core: &Arc<Core>) -> impl Future<Output = Result<Left, CatalogError>> + Send;

    /// Another node leads: what was kept in mind is void.
    fn retire(&mut self);

    /// Whether the next round follows at once whatever was left. The simulator's wish.
    fn hurried(&self) -> bool;
}

/// Works until the node stops.
pub(super) async fn lead<D: Duty>(core: Arc<Core>, mut duty: D) {
    loop {
        let left = if core.records.is_leader() {
            duty.round(&core).await.unwrap_or_else(|error| {
                warn!(%error, duty = D::NAME, "background work has to wait, the catalog cannot be used");
                Left::Nothing
            })
        } else {
            duty.retire();
            Left::Nothing
        };
        let hurried = left == Left::More || duty.hurried();
        sleep(if hurried { D::ROUND_REST } else { D::LOOK_INTERVAL }).await;
    }
}
