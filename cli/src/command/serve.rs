//! `regnode serve`.

use anyhow::Result;

use super::run::{run, set_up_log};
use crate::arguments::Serve;
use crate::settings;

/// Runs the node of a data directory that was set up before.
pub(crate) async fn serve(serve: Serve) -> Result<()> {
    let environment = settings::environment();
    let settings = settings::of_node(&environment, &serve.node).await?.settings;
    set_up_log(&settings)?;
    run(environment, settings, false, async |_node| Ok(())).await
}
