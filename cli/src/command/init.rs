//! `regnode init`: the first node of a new cluster.

use anyhow::Result;
use node::cluster::{self, Certificates};

use super::run::{run, set_up_log};
use super::token::join_command;
use crate::arguments::Init;
use crate::progress::Step;
use crate::settings;

/// Seconds that the first join command is good for.
const TOKEN_LIFETIME_SECONDS: u64 = 3600;

/// Founds a cluster, serves, and prints how others join.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn init(init: Init) -> Result<()> {
    let environment = settings::environment();
    let settings = settings::of_node(&environment, &init.node).await?.settings;
    set_up_log(&settings)?;
    let step = Step::begin("preparing the data directory");
    let outcome = cluster::init(&environment, &settings, &init.region, Certificates::Issued).await?;
    step.done(&format!("cluster {} with its first node {}", outcome.cluster, outcome.name));
    run(environment, settings, init.exit, async |node| {
        let answer = node.create_token(TOKEN_LIFETIME_SECONDS).await?;
        println!("{}", join_command(&answer));
        Ok(())
    })
    .await
}
