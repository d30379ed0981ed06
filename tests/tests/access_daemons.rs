//! Docker and containerd, real daemons: log in to a closed cluster, push, pull, are refused what they may not, and pull what
//! is public without a login beside what is private.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::access::{self, Closed, until_status};
use tests::cluster::Cluster;
use tests::daemons::Daemons;
use tests::image::{Image, Recipe};
use tests::issuer::Issuer;
use tests::operator::run;
use tests::registry::Registry;
use tests::suite::Suite;
use tests::tools::{self, refused};

#[tokio::test]
async fn docker_and_containerd_log_in_and_are_refused() -> Result<()> {
    let mut cluster = Cluster::start_closed(3).await?;
    let closed = Closed::of(&cluster);
    let mut suite = Suite::default();
    suite.add("docker", docker_logs_in_and_out(closed.clone()));
    suite.add("containerd", containerd_brings_its_name_each_time(closed.clone()));
    let verdict = suite.run().await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// A user who writes in `daemons/NAME`, an image of his there, and the same image where everybody reads, and nobody.
async fn world(closed: &Closed, name: &str, image: &Image) -> Result<(Registry, String)> {
    let password = access::add_user(&closed.data, name).await?;
    closed.grant(&format!("user:{name}"), "writer", &format!("daemons/{name}")).await?;
    closed.grant("anonymous", "reader", &format!("daemons/{name}-public")).await?;
    let user = closed.user(name, &password);
    for repository in [format!("daemons/{name}/source"), format!("daemons/{name}-public/app")] {
        image.push(&closed.operator(), &repository, "v1").await?;
    }
    until_status(&user, &format!("/v2/daemons/{name}/source/tags/list"), 200).await?;
    until_status(&closed.registry, &format!("/v2/daemons/{name}-public/app/tags/list"), 200).await?;
    Ok((user, password))
}

/// The layers of what was pushed are those that were pulled.
async fn check_pushed(registry: &Registry, repository: &str, original: &Image) -> Result<()> {
    let manifest = registry.manifest(repository, "v2").await?.expect(200)?.json()?;
    let layers = manifest["layers"].as_array().context("layers")?;
    ensure!(layers.len() + 1 == original.blobs.len(), "{manifest}");
    for layer in layers {
        registry.blob(repository, layer["digest"].as_str().context("digest")?).await?;
    }
    Ok(())
}

async fn docker_logs_in_and_out(closed: Closed) -> Result<()> {
    let Some(daemons) = Daemons::docker().await? else { return Ok(()) };
    let image = Recipe::new(930).layers(3, 100_000).docker().build()?;
    let (user, password) = world(&closed, "docker", &image).await?;
    let host = closed.registry.host();
    let [source, public] = ["docker/source", "docker-public/app"].map(|name| format!("{host}/daemons/{name}:v1"));
    let docker = |arguments: &[&str]| daemons.docker_command(arguments);
    let pull = |name: &str| docker(&["pull", "--quiet", name]);
    let login = |password: &str| docker(&["login", "--username", "docker", "--password", password, &host]);

    // Without a login: what is public, and nothing beside it.
    tools::run(pull(&public)?).await?;
    refused(pull(&source)?).await?;
    refused(login("wrong-password")?).await?;
    refused(pull(&source)?).await?;
    tools::run(login(&password)?).await?;
    tools::run(pull(&source)?).await?;

    let [own, other] = ["docker/target", "other/app"].map(|name| format!("{host}/daemons/{name}:v2"));
    for target in [&own, &other] {
        tools::run(docker(&["tag", &source, target])?).await?;
    }
    tools::run(docker(&["push", "--quiet", &own])?).await?;
    check_pushed(&user, "daemons/docker/target", &image).await?;
    refused(docker(&["push", "--quiet", &other])?).await?;
    refused(pull(&format!("{host}/daemons/other/app:v1"))?).await?;

    // What was in the store of logins is gone.
    tools::run(docker(&["logout", &host])?).await?;
    refused(pull(&own)?).await?;
    refused(docker(&["push", "--quiet", &own])?).await?;
    tools::run(pull(&public)?).await?;
    a_job_brings_its_own_token(&daemons, &closed, &host, &image).await
}

/// As the handbook tells it for GitHub Actions and GitLab CI: what the CI system has signed is the password of a robot.
async fn a_job_brings_its_own_token(daemons: &Daemons, closed: &Closed, host: &str, image: &Image) -> Result<()> {
    let issuer = Issuer::start().await?;
    let authority = issuer.authority().write(daemons.home().join("authority.pem"))?.display().to_string();
    let words = ["issuer", "set", "ci", "--issuer", issuer.url(), "--audience", "regnode", "--for", "workload"];
    run(&closed.data, &[&words[..], &["--authority", &authority]].concat()).await?;
    run(&closed.data, &["robot", "add", "job", "--no-secret"]).await?;
    run(&closed.data, &["robot", "trust", "job", "ci", "repository=acme/app", "ref=refs/heads/main"]).await?;
    closed.grant("robot:job", "writer", "daemons/job").await?;
    for number in 0..3 {
        let robot = closed.user("robot+job", &issuer.token(&job("refs/heads/main"))?).only(number);
        until_status(&robot, "/v2/daemons/job/app/tags/list", 404).await?;
    }
    let target = format!("{host}/daemons/job/app:v2");
    let docker = |arguments: &[&str]| daemons.docker_command(arguments);
    let login = |token: &str| docker(&["login", "--username", "robot+job", "--password", token, host]);
    tools::run(docker(&["tag", &format!("{host}/daemons/docker/source:v1"), &target])?).await?;
    refused(login(&issuer.token(&job("refs/heads/other"))?)?).await?;
    tools::run(login(&issuer.token(&job("refs/heads/main"))?)?).await?;
    tools::run(docker(&["push", "--quiet", &target])?).await?;
    check_pushed(&closed.operator(), "daemons/job/app", image).await
}

/// What the CI system says of a job of a branch.
fn job(branch: &str) -> Value {
    json!({ "sub": "repo:acme/app", "repository": "acme/app", "ref": branch })
}

async fn containerd_brings_its_name_each_time(closed: Closed) -> Result<()> {
    let Some(daemons) = Daemons::containerd().await? else { return Ok(()) };
    let image = Recipe::new(931).layers(3, 100_000).build()?;
    let (user, password) = world(&closed, "containerd", &image).await?;
    let host = closed.registry.host();
    let place = |name: &str, tag: &str| format!("{host}/daemons/{name}:{tag}");
    let pull = |name: &str, login: Option<&str>| {
        let mut words = vec!["images", "pull", "--plain-http", "--snapshotter", "native"];
        words.extend(login.map(|login| ["--user", login]).into_iter().flatten());
        daemons.ctr(&[&words[..], &[name]].concat())
    };
    let login = format!("containerd:{password}");
    let source = place("containerd/source", "v1");
    let push = |name: &str, login: &str| {
        let words = ["images", "push", "--plain-http", "--user", login, name, &source];
        daemons.ctr(&words)
    };

    tools::run(pull(&place("containerd-public/app", "v1"), None)?).await?;
    refused(pull(&source, None)?).await?;
    refused(pull(&source, Some("containerd:wrong-password"))?).await?;
    tools::run(pull(&source, Some(&login))?).await?;

    let own = place("containerd/target", "v2");
    refused(push(&own, "containerd:wrong-password")?).await?;
    tools::run(push(&own, &login)?).await?;
    check_pushed(&user, "daemons/containerd/target", &image).await?;
    ensure!(user.manifest("daemons/containerd/target", "v2").await?.body == image.manifest.bytes, "another manifest");
    refused(push(&place("other/app", "v2"), &login)?).await?;
    refused(pull(&place("other/app", "v1"), Some(&login))?).await
}
