//! `regnode join`: a further node of a cluster.

use anyhow::Result;
use node::cluster::{self, Certificates};

use super::run::{run, set_up_log};
use crate::arguments::Join;
use crate::progress::Step;
use crate::settings;

/// Joins a cluster and serves. Repeating it after an interruption goes on where it stopped.
pub(crate) async fn join(join: Join) -> Result<()> {
    let environment = settings::environment();
    let settings = settings::of_node(&environment, &join.node).await?.settings;
    set_up_log(&settings)?;
    let step = Step::begin("asking the cluster to admit this node");
    let certificates = Certificates::Issued;
    let (replaces, region) = (join.replace.as_deref(), join.region.as_deref().unwrap_or_default());
    let outcome =
        cluster::join(&environment, &settings, &join.addresses, &join.token, region, certificates, replaces).await?;
    let founds = if outcome.founds { ", the first one of its region, which it founds" } else { "" };
    step.done(&format!("admitted to cluster {} as node {} ({}){founds}", outcome.cluster, outcome.node, outcome.name));
    run(environment, settings, join.exit, async |_node| Ok(())).await
}
