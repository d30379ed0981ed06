//! `regnode token`: a one-time token for another machine.

use anyhow::Result;
use node::admin::TokenAnswer;

use crate::admin_client;
use crate::arguments::Token;
use crate::settings;

/// Makes a token and prints how to use it.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn token(token: Token) -> Result<()> {
    let resolved = settings::of_local_node(&settings::environment(), &token.node).await?;
    let answer = admin_client::token(&resolved.settings.data_dir, token.lifetime, token.region).await?;
    if token.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("{}", join_command(&answer));
    }
    Ok(())
}

/// What to run on the machine that is to join.
pub(crate) fn join_command(answer: &TokenAnswer) -> String {
    let lifetime = humantime::format_duration(std::time::Duration::from_secs(answer.lifetime_seconds));
    format!(
        "On the machine that is to join, within {lifetime}, run (the token is a secret and works once):\n\n  \
         regnode join {} --token {}{}\n",
        answer.addresses.join(" "),
        answer.token,
        answer.region.as_ref().map_or_else(String::new, |region| format!(" --region {region}"))
    )
}
