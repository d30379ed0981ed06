//! `regnode dev`.

use anyhow::Result;

use crate::arguments::Dev;
use crate::settings::environment;

/// Runs a local cluster until ctrl-c.
pub(crate) async fn dev(dev: Dev) -> Result<()> {
    crate::dev::run(&environment(), dev).await
}
