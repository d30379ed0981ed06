//! Real clients that log in to a closed cluster, push, pull, and are refused what they may not. A client that is not
//! installed is skipped with a message, unless `./tests/run` demands it. Those that need a daemon are in `access_daemons`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::access::{self, Closed, NOTICE, until_status};
use tests::cluster::Cluster;
use tests::image::Recipe;
use tests::layout;
use tests::operator::query;
use tests::skopeo::{Skopeo, Way};
use tests::suite::Suite;
use tests::tools::{self, client, refused};

#[tokio::test]
async fn real_clients_log_in_and_are_refused() -> Result<()> {
    let mut cluster = Cluster::start_closed(3).await?;
    let closed = Closed::of(&cluster);
    let mut suite = Suite::default();
    suite.add("skopeo", skopeo_logs_in_and_is_refused(closed.clone()));
    suite.add("robots and keys", robots_and_keys_log_in(closed.clone()));
    suite.add("podman", logs_in_with("podman", 921, closed.clone()));
    suite.add("buildah", logs_in_with("buildah", 922, closed.clone()));
    suite.add("curl", curl_speaks_the_token_protocol(closed.clone()));
    let verdict = suite.run().await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// A user who writes in a namespace of his own and may nothing else.
async fn with_client_user(closed: &Closed, name: &str) -> Result<String> {
    let password = access::add_user(&closed.data, name).await?;
    closed.grant(&format!("user:{name}"), "writer", &format!("clients/{name}")).await?;
    until_status(&closed.user(name, &password), &format!("/v2/clients/{name}/app/tags/list"), 404).await?;
    Ok(password)
}

async fn skopeo_logs_in_and_is_refused(closed: Closed) -> Result<()> {
    let folder = TempDir::new()?;
    let home = folder.path();
    let skopeo = |arguments: &[&str]| -> Result<Option<Command>> {
        Ok(client("skopeo", home)?.map(|mut command| {
            command.arg("--insecure-policy").args(arguments);
            command
        }))
    };
    let image = Recipe::new(920).layers(2, 100_000).build()?;
    layout::write(&home.join("image"), &[&image], None, "v1")?;
    let source = format!("oci:{}:v1", home.join("image").display());
    let host = closed.registry.host();
    let password = with_client_user(&closed, "skopeo").await?;
    let auth = home.join("auth.json").display().to_string();
    let target = format!("docker://{host}/clients/skopeo/app:v1");
    let push = |to: &str| skopeo(&["copy", "--dest-tls-verify=false", "--authfile", &auth, &source, to]);
    std::fs::write(&auth, "{}")?;
    let Some(command) = push(&target)? else { return Ok(()) };
    refused(command).await?;
    let login = |password: &str| {
        skopeo(&["login", "--tls-verify=false", "--authfile", &auth, "-u", "skopeo", "-p", password, &host])
    };
    refused(login("wrong-password")?.context("skopeo went away")?).await?;
    tools::run(login(&password)?.context("skopeo went away")?).await?;
    tools::run(push(&target)?.context("skopeo went away")?).await?;
    image.check(&closed.user("skopeo", &password), "clients/skopeo/app", "v1").await?;
    refused(push(&format!("docker://{host}/clients/other/app:v1"))?.context("skopeo went away")?).await?;
    let back = format!("oci:{}:v1", home.join("back").display());
    let pull = skopeo(&["copy", "--src-tls-verify=false", "--authfile", &auth, &target, &back])?;
    tools::run(pull.context("skopeo went away")?).await?;
    layout::check(&home.join("back"), &image.blobs.iter().chain([&image.manifest]).collect::<Vec<_>>())
}

/// What stands in for a password does so for real clients.
async fn robots_and_keys_log_in(closed: Closed) -> Result<()> {
    let Some(skopeo) = Skopeo::new(923)? else { return Ok(()) };
    let secret = access::add_robot(&closed.data, "carrier").await?;
    closed.grant("robot:carrier", "writer", "clients/carrier").await?;
    with_client_user(&closed, "keeper").await?;
    let made = query(&closed.data, &["user", "key", "add", "keeper", "--name", "laptop"]).await?;
    let key = access::text(&made, "secret")?;
    for (name, secret, own) in [("robot+carrier", &secret, "carrier"), ("keeper", &key, "keeper")] {
        let own = format!("clients/{own}/app");
        until_status(&closed.user(name, secret), &format!("/v2/{own}/tags/list"), 404).await?;
        skopeo.goes_through(&closed.registry.host(), Way::Login(name, secret), &own, "clients/other/app").await?;
    }
    Ok(())
}

/// podman and buildah alike: log in, push what was pulled, and be refused elsewhere.
async fn logs_in_with(tool: &'static str, seed: u64, closed: Closed) -> Result<()> {
    let folder = TempDir::new()?;
    let home = folder.path();
    let command = |arguments: &[&str]| -> Result<Option<Command>> {
        Ok(client(tool, home)?.map(|mut command| {
            command.args(["--storage-driver", "vfs", "--root"]).arg(home.join("root"));
            command.arg("--runroot").arg(home.join("run")).args(arguments);
            command
        }))
    };
    let password = with_client_user(&closed, tool).await?;
    let user = closed.user(tool, &password);
    let image = Recipe::new(seed).layers(2, 100_000).build()?;
    image.push(&user, &format!("clients/{tool}/source"), "v1").await?;
    let host = closed.registry.host();
    let auth = home.join("auth.json").display().to_string();
    std::fs::write(&auth, "{}")?;
    let source = format!("{host}/clients/{tool}/source:v1");
    let pull = || command(&["pull", "--quiet", "--tls-verify=false", "--authfile", &auth, &source]);
    let Some(early) = pull()? else { return Ok(()) };
    refused(early).await?;
    let gone = || format!("{tool} went away");
    let login = command(&["login", "--tls-verify=false", "--authfile", &auth, "-u", tool, "-p", &password, &host])?;
    tools::run(login.with_context(gone)?).await?;
    tools::run(pull()?.with_context(gone)?).await?;
    let push = |to: &str| {
        command(&["push", "--tls-verify=false", "--authfile", &auth, &source, &format!("docker://{host}/{to}")])
    };
    let target = format!("clients/{tool}/target");
    tools::run(push(&format!("{target}:v2"))?.with_context(gone)?).await?;
    user.manifest(&target, "v2").await?.expect(200)?;
    refused(push("clients/other/app:v1")?.with_context(gone)?).await
}

async fn curl_speaks_the_token_protocol(closed: Closed) -> Result<()> {
    let password = with_client_user(&closed, "curl").await?;
    let folder = TempDir::new()?;
    let curl = |arguments: &[&str]| -> Result<Option<Command>> {
        Ok(client("curl", folder.path())?.map(|mut command| {
            command.args(["--silent", "--show-error", "--fail-with-body"]).args(arguments);
            command
        }))
    };
    let url = &closed.registry.urls()[0];
    let scope = "scope=repository:clients/curl/app:pull";
    let ask = curl(&["-u", &format!("curl:{password}"), &format!("{url}/token?{scope}")])?;
    let Some(command) = ask else { return Ok(()) };
    let answer: Value = serde_json::from_str(&tools::run(command).await?)?;
    let bearer = format!("Authorization: Bearer {}", access::text(&answer, "token")?);
    tools::run(curl(&["-H", &bearer, &format!("{url}/v2/")])?.context("curl went away")?).await?;
    let other = curl(&["-H", &bearer, &format!("{url}/v2/clients/curl/other/tags/list")])?.context("curl went away")?;
    let ended = tests::process::ended(other, NOTICE).await?;
    ensure!(ended.code != Some(0) && ended.stdout.contains("UNAUTHORIZED"), "{}", ended.stdout);
    let keys = tools::run(curl(&[&format!("{url}/.well-known/jwks.json")])?.context("curl went away")?).await?;
    ensure!(keys.contains("\"kid\"") && !keys.contains("\"d\""), "{keys}");
    Ok(())
}
