//! `regnode login`, `logout` and `whoami`: a registry is administered over the network as somebody.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use node::admin::{SCOPE, WhoamiAnswer};
use node::environment::Environment;
use node::login::Ways;
use node::web::WebClient;

use super::browser;
use super::node::data_dir;
use crate::admin_client::{self, Tokens, get_with, tokens, understood};
use crate::arguments::{Login, Logout, Whoami};
use crate::exit::{Code, Exit};
use crate::{logins, password, server, settings};

/// Logs in, and keeps what lasts of it.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn login(login: Login, ca: Option<PathBuf>) -> Result<()> {
    let environment = settings::environment();
    let url = server::normal(&login.url)?;
    let path = settings::logins_path()?;
    let authority = match ca {
        Some(path) => Some(settings::read_text(&environment, &path).await?),
        None => None,
    };
    let web = admin_client::web(&environment, authority.as_deref())?;
    let ways = ways(&web, &url).await?;
    let tokens = match &login.username {
        Some(name) => by_password(&web, &ways, name, login.password_stdin).await?,
        None => by_browser(&environment, &web, (&url, &ways), &login).await?,
    };
    let Some(refresh_token) = tokens.refresh_token.filter(|_| tokens.scope == SCOPE) else {
        bail!("{url} gives no login to administer with to this account");
    };
    let who = whoami_at(&web, &url, &tokens.access_token).await?;
    let Ways { service, token_url, .. } = ways;
    let principal = who.principal.clone();
    let kept = logins::Login { principal, token_url, service, refresh_token, authority };
    logins::keep(&environment, &path, &url, kept).await?;
    println!("Logged in at {url} as {}. Commands are sent there with --server {url}", who.principal);
    Ok(())
}

/// How people log in there.
async fn ways(web: &WebClient, url: &str) -> Result<Ways> {
    let answer = get_with(web, url, "/login", None).await?;
    if !answer.status.is_success() {
        let told = serde_json::from_slice::<node::admin::ErrorAnswer>(&answer.body).map(|told| told.error);
        bail!("{}", told.unwrap_or_else(|_| {
            format!("{url} answered {}: it is no registry of regnode, or does not serve the administration (admin.enabled)", answer.status)
        }));
    }
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("{url} is no registry of regnode, or of a newer version"))
}

async fn by_password(web: &WebClient, ways: &Ways, name: &str, from_stdin: bool) -> Result<Tokens> {
    let password = password::ask_once(name, from_stdin).await?;
    let form = [
        ("grant_type", "password"),
        ("username", name),
        ("password", &password),
        ("service", &ways.service),
        ("scope", SCOPE),
        ("access_type", "offline"),
        ("client_id", "regnode"),
    ];
    understood(&ways.token_url, &tokens(web, &ways.token_url, &form).await?)
}

async fn by_browser(
    environment: &Environment,
    web: &WebClient,
    (url, ways): (&str, &Ways),
    login: &Login,
) -> Result<Tokens> {
    let issuer = browser::choose(ways, login.issuer.as_deref())?;
    let signed = browser::id_token(environment, (url, issuer), &login.scopes, !login.no_open).await?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &signed.token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("nonce", &signed.nonce),
        ("nonce_secret", &signed.nonce_secret),
        ("service", &ways.service),
        ("scope", SCOPE),
        ("access_type", "offline"),
    ];
    let answer = tokens(web, &ways.token_url, &form).await?;
    understood(&ways.token_url, &answer).context("the registry does not take the issuer's word")
}

async fn whoami_at(web: &WebClient, url: &str, token: &str) -> Result<WhoamiAnswer> {
    let answer = get_with(web, url, "/whoami", Some(token)).await?;
    if !answer.status.is_success() {
        bail!("{url} answered {} to who is logged in", answer.status);
    }
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Forgets a login.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn logout(logout: Logout) -> Result<()> {
    let url = server::normal(&logout.url)?;
    if !logins::forget(&settings::environment(), &settings::logins_path()?, &url).await? {
        return Err(Exit::new(Code::Failed, format!("nobody is logged in at {url}")).into());
    }
    println!(
        "Logged out at {url}. The token is forgotten here; whoever has a copy can use it until it ends: an operator ends it \
         sooner with regnode user key or regnode user password"
    );
    Ok(())
}

/// Says who one is.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn whoami(whoami: Whoami) -> Result<()> {
    let answer = admin_client::whoami(&data_dir(&whoami.ask).await?).await?;
    if whoami.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let list = |texts: &[String]| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    println!("{}, by {}, from {}", answer.principal, answer.way, answer.address);
    println!("groups: {}", list(&answer.groups));
    println!("in the whole registry: {}", list(&answer.actions));
    Ok(())
}
