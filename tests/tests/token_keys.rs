//! The key that tokens are signed with is changed while real clients push at all nodes: nobody notices; and one that may
//! have been stolen is worth nothing from that moment on.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::access::{self, Closed, NOTICE, text, until_status};
use tests::cluster::Cluster;
use tests::image::{Image, Recipe};
use tests::operator::{query, run};
use tests::registry::Registry;
use tests::tools::{self, client};
use tests::wait::eventually;
use tests::{jwt, layout};

const PATH: &str = "/v2/keys/app/tags/list";
const SCOPE: &str = "repository:keys/app:pull,push";

#[tokio::test]
async fn the_tokens_key_changes_while_clients_push() -> Result<()> {
    let mut cluster = Cluster::start_closed(3).await?;
    let verdict = changes(&cluster).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// A client that pushes by skopeo, logged in at every node.
struct Pusher<'a> {
    home: &'a Path,
    image: &'a Image,
    registry: &'a Registry,
}

impl Pusher<'_> {
    fn skopeo(&self, arguments: &[&str]) -> Result<Option<Command>> {
        Ok(client("skopeo", self.home)?.map(|mut command| {
            command.arg("--insecure-policy").args(arguments);
            command
        }))
    }

    fn auth(&self) -> String {
        self.home.join("auth.json").display().to_string()
    }

    /// Whether there is such a client.
    async fn log_in(&self, name: &str, password: &str) -> Result<bool> {
        for number in 0..self.registry.urls().len() {
            let (host, auth) = (self.registry.only(number).host(), self.auth());
            let login = ["login", "--tls-verify=false", "--authfile", &auth, "-u", name, "-p", password, &host];
            let Some(login) = self.skopeo(&login)? else { return Ok(false) };
            tools::run(login).await?;
        }
        Ok(true)
    }

    async fn push(&self, number: usize, tag: &str) -> Result<()> {
        let (auth, source) = (self.auth(), format!("oci:{}:v1", self.home.join("image").display()));
        let node = self.registry.only(number);
        let target = format!("docker://{}/keys/app:{tag}", node.host());
        let push = ["copy", "--dest-tls-verify=false", "--authfile", &auth, &source, &target];
        tools::run(self.skopeo(&push)?.context("skopeo went away")?).await?;
        self.image.check(self.registry, "keys/app", tag).await
    }
}

/// Names of the keys that a node publishes.
async fn published(registry: &Registry) -> Result<Vec<String>> {
    let answer = registry.get("/.well-known/jwks.json").await?.expect(200)?.json()?;
    answer["keys"].as_array().context("keys")?.iter().map(|key| text(key, "kid")).collect()
}

async fn changes(cluster: &Cluster) -> Result<()> {
    let (folder, closed) = (TempDir::new()?, Closed::of(cluster));
    let password = access::add_user(&closed.data, "pusher").await?;
    closed.grant("user:pusher", "writer", "keys").await?;
    let user = closed.user("pusher", &password);
    until_status(&user, PATH, 404).await?;
    let image = Recipe::new(995).layers(2, 50_000).build()?;
    layout::write(&folder.path().join("image"), &[&image], None, "v1")?;
    let pusher = Pusher { home: folder.path(), image: &image, registry: &user };
    let clients = pusher.log_in("pusher", &password).await?;

    let first = user.token(&[SCOPE]).await?;
    let kid = jwt::header(&first)?["kid"].clone();
    let (changed, pushes) = (Cell::new(false), Cell::new(0));
    let pushing = async {
        // One round more after the change, at every node.
        let mut left = 3;
        while clients && left > 0 {
            pusher.push(pushes.get() % 3, &format!("v{}", pushes.get())).await?;
            pushes.set(pushes.get() + 1);
            left -= usize::from(changed.get());
        }
        anyhow::Ok(())
    };
    let changing = async {
        run(&closed.data, &["token-key", "rotate", "--signs-after", "2s"]).await?;
        for number in 0..3 {
            let node = user.only(number);
            eventually("the new key signs", NOTICE, async || {
                let token = node.token(&[SCOPE]).await?;
                ensure!(jwt::header(&token)?["kid"] != kid, "the old one still");
                // Known everywhere before it signs.
                user.with_token(&token).get(PATH).await?;
                Ok(Some(()))
            })
            .await?;
        }
        changed.set(true);
        anyhow::Ok(())
    };
    tokio::try_join!(pushing, changing)?;
    ensure!(!clients || pushes.get() >= 4, "{} pushes", pushes.get());
    // What the old key has signed still counts, everywhere.
    until_status(&user.with_token(&first), PATH, 200).await?;
    ensure!(published(&user).await?.len() == 2, "both keys are published");

    let second = user.token(&[SCOPE]).await?;
    run(&closed.data, &["token-key", "rotate", "--now"]).await?;
    for token in [&first, &second] {
        until_status(&user.with_token(token), PATH, 401).await?;
    }
    let keys = query(&closed.data, &["token-key", "list"]).await?;
    for number in 0..3 {
        let node = user.only(number);
        let kids = published(&node).await?;
        let third = jwt::header(&node.token(&[SCOPE]).await?)?["kid"].clone();
        ensure!(kids.len() == 1 && kids[0] == third && third != kid, "{kids:?} {third} {keys}");
        if clients {
            pusher.push(number, &format!("after-{number}")).await?;
        }
    }
    Ok(())
}
