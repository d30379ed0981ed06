//! Who logs in with what others vouch for: jobs with tokens of their CI system, people of an identity provider, whoever a
//! token server lets in, people of an htpasswd file. Each with a real cluster, and a real issuer beside it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::access::{self, Closed, until_allowed, until_status};
use tests::cluster::{Cluster, OPERATOR, Settings};
use tests::image::Recipe;
use tests::issuer::{Issuer, SigningKey, key_set, seconds_ago};
use tests::jwt;
use tests::operator::{query, run};
use tests::registry::{Answer, Registry, manifest_path, send};
use tests::skopeo::{Skopeo, Way};
use tests::tools;
use tests::wait::eventually;

/// What the log-in service calls an exchange of tokens (RFC 8693).
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// How long until an issuer is asked for its keys again, and a little more.
const KEYS_AGAIN: Duration = Duration::from_secs(50);
/// How long until a changed file is read, and what it said before is forgotten.
const FILE_AGAIN: Duration = Duration::from_secs(50);
/// Between two tries that may fail: failures slow down whoever goes on.
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// Fails with the nodes' logs if the test did, or a node is not sound.
fn judge(mut cluster: Cluster, verdict: Result<()>) {
    if let Err(error) = verdict.and_then(|()| cluster.check_sound()) {
        // With the cluster still at hand, so that its logs are printed.
        panic!("{error:#}");
    }
}

/// A cluster that takes tokens of an issuer for the robot `builder`, which writes below `acme`, if they say that they are of
/// `acme/app`, and of any branch.
async fn with_builder(cluster: &Cluster, issuer: &Issuer, folder: &Path) -> Result<Closed> {
    let closed = Closed::of(cluster);
    let authority = issuer.authority().write(folder.join("authority.pem"))?.display().to_string();
    let words = ["issuer", "set", "ci", "--issuer", issuer.url(), "--audience", "regnode", "--for", "workload"];
    run(&closed.data, &[&words[..], &["--authority", &authority]].concat()).await?;
    run(&closed.data, &["robot", "add", "builder", "--no-secret"]).await?;
    run(&closed.data, &["robot", "trust", "builder", "ci", "repository=acme/app", "ref=refs/heads/*"]).await?;
    closed.grant("robot:builder", "writer", "acme").await?;
    for node in cluster.nodes() {
        until_allowed(node.data(), "robot:builder", "push", "acme/app").await?;
    }
    Ok(closed)
}

/// What the CI system says of a job, with one claim that is different.
fn job(claim: &str, value: Value) -> Value {
    let mut claims = json!({ "sub": "repo:acme/app", "repository": "acme/app", "ref": "refs/heads/main" });
    claims[claim] = value;
    claims
}

/// A job's token instead of ours (RFC 8693).
async fn exchange(registry: &Registry, token: &str, scope: &str) -> Result<Answer> {
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", JWT),
        ("client_id", "robot+builder"),
        ("scope", scope),
    ];
    send(registry.anonymous().request(Method::POST, "/token").form(&form)).await
}

#[tokio::test]
async fn a_job_is_the_robot_that_trusts_its_token() -> Result<()> {
    let cluster = Cluster::start_closed(3).await?;
    let verdict = jobs(&cluster).await;
    judge(cluster, verdict);
    Ok(())
}

async fn jobs(cluster: &Cluster) -> Result<()> {
    let folder = TempDir::new()?;
    let issuer = Issuer::start().await?;
    let closed = with_builder(cluster, &issuer, folder.path()).await?;
    let good = issuer.token(&job("ref", json!("refs/heads/main")))?;
    let robot = closed.user("robot+builder", &good);

    // As a password, of every node.
    for number in 0..3 {
        robot.only(number).get("/v2/").await?.expect(200)?;
    }
    let image = Recipe::new(970).layers(2, 100_000).build()?;
    image.push(&robot, "acme/app", "basic").await?;
    robot.get("/v2/secret/app/tags/list").await?.expect_error(403, "DENIED")?;
    let history = robot.get("/v2/_regnode/history/acme/app/basic").await?.expect(200)?.text();
    ensure!(history.contains("robot:builder"), "{history}");

    // As Docker does it: a token of ours for the job's.
    let token = robot.token(&["repository:acme/app:pull,push"]).await?;
    ensure!(jwt::claims(&token)?["sub"] == "robot:builder", "{token}");
    image.push(&closed.registry.with_token(&token), "acme/app", "docker").await?;
    let answer = exchange(&robot, &good, "repository:acme/app:pull,push").await?.expect(200)?.json()?;
    ensure!(answer["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token", "{answer}");
    let token = access::text(&answer, "access_token")?;
    image.push(&closed.registry.with_token(&token), "acme/app", "exchanged").await?;
    image.check(&robot, "acme/app", "exchanged").await?;
    by_skopeo(&closed, Way::Login("robot+builder", &good), "acme/app", "secret/app").await?;
    by_a_kubelet(&closed, &good).await?;

    // The job's own token is none of ours, nor is it anybody else's password.
    closed.registry.with_token(&good).get("/v2/").await?.expect(401)?;
    closed.user(OPERATOR, &good).get("/v2/").await?.expect(401)?;

    let stranger = SigningKey::new("first")?;
    let claims = job("ref", json!("refs/heads/main"));
    let refused = [
        ("another audience", issuer.token(&job("aud", json!("another registry")))?),
        ("another repository", issuer.token(&job("repository", json!("acme/app-2")))?),
        ("no branch", issuer.token(&job("ref", json!("refs/tags/v1")))?),
        ("no claim", issuer.token(&json!({ "repository": "acme/app" }))?),
        ("expired", issuer.token(&job("exp", json!(seconds_ago(120)?)))?),
        ("no end", issuer.token(&job("exp", Value::Null))?),
        ("another key", stranger.token(issuer.url(), &claims)?),
        ("another issuer", SigningKey::new("first")?.token("https://127.0.0.1:1", &claims)?),
    ];
    for (number, (what, token)) in refused.into_iter().enumerate() {
        // Each failure counts at the node that is asked, and slows down whoever goes on.
        let node = closed.registry.only(number);
        let answer = node.logged_in("robot+builder", &token).get("/v2/").await?;
        ensure!(answer.status == 401, "{what} as a password: {}: {}", answer.status, answer.text());
        let answer = exchange(&node, &token, "repository:acme/app:pull").await?;
        ensure!(answer.status == 401, "{what} in exchange: {}: {}", answer.status, answer.text());
    }
    robot.get("/v2/").await?.expect(200)?;

    // Trusted no more: neither the token nor what was had for it.
    run(&closed.data, &["robot", "distrust", "builder", "ci"]).await?;
    until_status(&closed.registry.with_token(&token), "/v2/", 401).await?;
    until_status(&robot, "/v2/", 401).await
}

/// A real client goes the same way.
async fn by_skopeo(closed: &Closed, way: Way<'_>, own: &str, other: &str) -> Result<()> {
    match Skopeo::new(971)? {
        Some(skopeo) => skopeo.goes_through(&closed.registry.host(), way, own, other).await,
        None => Ok(()),
    }
}

/// What a kubelet is told to log in with, by the program that the handbook has for it.
async fn by_a_kubelet(closed: &Closed, token: &str) -> Result<()> {
    if tools::server("jq")?.is_none() {
        return Ok(());
    }
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("deploy").join("kubernetes");
    let host = closed.registry.host();
    let request = json!({
        "kind": "CredentialProviderRequest",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "image": format!("{host}/acme/app:exchanged"),
        "serviceAccountToken": token,
    });
    let mut provider = Command::new(deploy.join("regnode-credential-provider"));
    provider.arg("builder").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut provider = provider.spawn()?;
    provider.stdin.take().context("its input")?.write_all(request.to_string().as_bytes())?;
    let answer: Value = serde_json::from_slice(&provider.wait_with_output()?.stdout)?;
    ensure!(
        answer["kind"] == "CredentialProviderResponse" && answer["apiVersion"] == request["apiVersion"],
        "{answer}"
    );
    let login = &answer["auth"][&host];
    let kubelet = closed.user(&access::text(login, "username")?, &access::text(login, "password")?);
    kubelet.manifest("acme/app", "exchanged").await?.expect(200)?;
    kubelet.get("/v2/secret/app/tags/list").await?.expect_error(403, "DENIED").map(drop)
}

#[tokio::test]
async fn an_issuers_new_keys_are_fetched_and_its_old_ones_forgotten() -> Result<()> {
    let cluster = Cluster::start_closed(1).await?;
    let verdict = other_keys(&cluster).await;
    judge(cluster, verdict);
    Ok(())
}

async fn other_keys(cluster: &Cluster) -> Result<()> {
    let folder = TempDir::new()?;
    let issuer = Issuer::start().await?;
    let closed = with_builder(cluster, &issuer, folder.path()).await?;
    let claims = job("ref", json!("refs/heads/main"));
    let old = closed.user("robot+builder", &issuer.token(&claims)?);
    old.get("/v2/").await?.expect(200)?;
    issuer.rotate("second")?;
    old.get("/v2/").await?.expect(200)?;
    let new = closed.user("robot+builder", &issuer.token(&claims)?);
    eventually("the new key is known", KEYS_AGAIN, async || {
        let answer = new.get("/v2/").await?;
        if answer.status != 200 {
            tokio::time::sleep(TRY_AGAIN).await;
        }
        answer.expect(200).map(Some)
    })
    .await?;
    old.get("/v2/").await?.expect(401).map(drop)
}

#[tokio::test]
async fn people_of_an_identity_provider_are_users_with_its_groups() -> Result<()> {
    let cluster = Cluster::start_closed(1).await?;
    let verdict = people(&cluster).await;
    judge(cluster, verdict);
    Ok(())
}

async fn people(cluster: &Cluster) -> Result<()> {
    let (folder, closed, issuer) = (TempDir::new()?, Closed::of(cluster), Issuer::start().await?);
    for group in ["developers", "operators"] {
        run(&closed.data, &["group", "add", group]).await?;
        closed.grant(&format!("group:{group}"), "reader", group).await?;
    }
    let authority = issuer.authority().write(folder.path().join("authority.pem"))?.display().to_string();
    let words = ["issuer", "set", "login", "--issuer", issuer.url(), "--for", "people", "--client-id", "regnode"];
    let groups = ["--groups-claim", "groups", "--map-group", "platform-team=developers", "--authority", &authority];
    run(&closed.data, &[&words[..], &groups].concat()).await?;
    // The newest rule of all: whatever was said before is known as well then.
    closed.grant("anonymous", "reader", "public").await?;
    until_allowed(&closed.data, "anonymous", "pull", "public/app").await?;

    let with = |name: &str, field: &str, value: Value| {
        let mut claims = json!({ "preferred_username": name, "groups": ["platform-team", "operators"] });
        claims[field] = value;
        issuer.token(&claims)
    };
    let exchange = async |token: &str| -> Result<Answer> {
        let kind = "urn:ietf:params:oauth:token-type:id_token";
        let scope = "repository:developers/app:pull repository:operators/app:pull";
        let form = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", kind), ("scope", scope)];
        send(closed.registry.request(Method::POST, "/token").form(&form)).await
    };
    let good = with("Ann", "sub", json!("4711"))?;
    let answer = exchange(&good).await?.expect(200)?.json()?;
    ensure!(answer["scope"] == "repository:developers/app:pull", "{answer}");
    let ann = closed.registry.with_token(&access::text(&answer, "access_token")?);
    ann.get("/v2/developers/app/tags/list").await?.expect(404)?;
    // Theirs of the same name is none of ours: it is not named.
    ann.get("/v2/operators/app/tags/list").await?.expect_error(403, "DENIED")?;
    let user = query(&closed.data, &["user", "show", "ann"]).await?;
    ensure!(user["user"]["source"] == "login" && user["user"]["groups"] == json!(["developers"]), "{user}");
    // In the place of a password as well, of nobody else's.
    closed.user("ann", &good).get("/v2/").await?.expect(200)?;
    closed.grant("user:ann", "writer", "developers/own").await?;
    until_allowed(&closed.data, "user:ann", "push", "developers/own/app").await?;
    by_skopeo(&closed, Way::Login("ann", &good), "developers/own/app", "developers/app").await?;
    closed.user("bob", &good).get("/v2/").await?.expect(401)?;

    let refused = [
        ("another client", with("eve", "aud", json!("another client"))?),
        ("a user who is here already", with(OPERATOR, "sub", json!("4712"))?),
        ("a name that is none", with("robot+builder", "sub", json!("4713"))?),
        ("no name", issuer.token(&json!({ "groups": ["platform-team"] }))?),
        ("expired", with("eve", "exp", json!(seconds_ago(120)?))?),
        ("another key", SigningKey::new("first")?.token(issuer.url(), &json!({ "preferred_username": "eve" }))?),
    ];
    for (what, token) in refused {
        let answer = exchange(&token).await?;
        ensure!(answer.status == 401, "{what}: {}: {}", answer.status, answer.text());
    }
    // Groups are those of the last login.
    let answer = exchange(&with("ann", "groups", json!([]))?).await?.expect(200)?.json()?;
    ensure!(answer["scope"] == "", "{answer}");
    until_status(&ann, "/v2/developers/app/tags/list", 403).await?;
    run(&closed.data, &["user", "disable", "ann"]).await?;
    until_status(&ann, "/v2/", 401).await?;
    exchange(&good).await?.expect(401).map(drop)
}

#[tokio::test]
async fn a_token_servers_tokens_say_what_they_allow() -> Result<()> {
    let cluster = Cluster::start_closed(1).await?;
    let verdict = token_server(&cluster).await;
    judge(cluster, verdict);
    Ok(())
}

async fn token_server(cluster: &Cluster) -> Result<()> {
    let (folder, closed) = (TempDir::new()?, Closed::of(cluster));
    let key = SigningKey::new("server")?;
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, key_set(&[&key]).to_string())?;
    let words = ["issuer", "set", "tokens", "--issuer", "auth.example.org", "--audience", "registry.example.org"];
    let more = ["--for", "tokens", "--algorithms", "ES256", "--jwks-file", &keys.display().to_string()];
    run(&closed.data, &[&words[..], &more].concat()).await?;

    let grants = json!([{ "type": "repository", "name": "theirs/app", "actions": ["pull", "push"] }]);
    let with = |field: &str, value: Value| {
        let mut claims = json!({ "aud": "registry.example.org", "sub": "jane", "access": grants });
        claims[field] = value;
        claims
    };
    let token = key.token("auth.example.org", &with("sub", json!("jane")))?;
    let jane = closed.registry.with_token(&token);
    until_status(&jane, "/v2/theirs/app/tags/list", 404).await?;
    let image = Recipe::new(972).build()?;
    image.push(&jane, "theirs/app", "v1").await?;
    image.check(&jane, "theirs/app", "v1").await?;
    by_skopeo(&closed, Way::Token(&token), "theirs/app", "theirs/other").await?;
    let history = jane.get("/v2/_regnode/history/theirs/app/v1").await?.expect(200)?.text();
    ensure!(history.contains("token:tokens/jane"), "{history}");

    // As far as it says, and no further.
    for path in ["/v2/theirs/other/tags/list", "/v2/ours/app/tags/list"] {
        let refused = jane.get(path).await?.expect_error(401, "UNAUTHORIZED")?;
        ensure!(refused.need("www-authenticate")?.contains("error=\"insufficient_scope\""), "{refused:?}");
    }
    jane.delete(&manifest_path("theirs/app", "v1")).await?.expect(401)?;

    let refused = [
        ("another issuer", key.token("auth.example.com", &with("sub", json!("jane")))?),
        ("another audience", key.token("auth.example.org", &with("aud", json!("registry.example.com")))?),
        ("expired", key.token("auth.example.org", &with("exp", json!(seconds_ago(120)?)))?),
        ("not yet", key.token("auth.example.org", &with("nbf", json!(seconds_ago(0)? + 600)))?),
        ("another key", SigningKey::new("server")?.token("auth.example.org", &with("sub", json!("jane")))?),
        ("a key that nobody knows", SigningKey::new("other")?.token("auth.example.org", &with("sub", json!("jane")))?),
    ];
    for (what, token) in refused {
        let answer = closed.registry.with_token(&token).get("/v2/theirs/app/tags/list").await?;
        ensure!(answer.status == 401, "{what}: {}: {}", answer.status, answer.text());
    }
    // It is no password, and nobody's.
    closed.user("jane", &token).get("/v2/").await?.expect(401)?;

    // A rule that denies stands above what the token says.
    let deny = access::deny(&closed.data, "authenticated", "push,tag", "theirs").await?;
    let begin = "/v2/theirs/app/blobs/uploads/";
    eventually("pushing is denied", access::NOTICE, async || {
        jane.upload(Method::POST, begin, "").await?.expect_error(403, "DENIED").map(Some)
    })
    .await?;
    image.check(&jane, "theirs/app", "v1").await?;
    access::revoke(&closed.data, deny).await?;
    eventually("pushing is denied no more", access::NOTICE, async || {
        jane.upload(Method::POST, begin, "").await?.expect(202).map(Some)
    })
    .await?;

    // An issuer that is no more is believed no more.
    run(&closed.data, &["issuer", "remove", "tokens"]).await?;
    until_status(&jane, "/v2/theirs/app/tags/list", 401).await
}

/// `secret` and `another one` with bcrypt (cost 5), as `htpasswd -B` writes them.
const SECRET: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
const ANOTHER: &str = "$2y$05$abcdefghijklmnopqrstuuLocjIjN6hnVkXYkCtUrAkHjqIiqMvf6";

#[tokio::test]
async fn people_of_an_htpasswd_file_are_users() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("htpasswd");
    // Whoever is a user here is not taken over.
    std::fs::write(&file, format!("ann:{SECRET}\nbob:{SECRET}\n{OPERATOR}:{SECRET}\nmd5:$apr1$1k$abcdefghijklmnop\n"))?;
    let keys = vec![("access.htpasswd".to_owned(), file.display().to_string())];
    let settings = Settings { keys, closed: true, ..Settings::default() };
    let mut cluster = Cluster::start_with(1, settings).await?;
    let verdict = htpasswd(&mut cluster, &file).await;
    judge(cluster, verdict);
    Ok(())
}

async fn htpasswd(cluster: &mut Cluster, file: &Path) -> Result<()> {
    let closed = Closed::of(cluster);
    let ann = closed.user("ann", "secret");
    ann.get("/v2/").await?.expect(200)?;
    closed.user("ann", "wrong").get("/v2/").await?.expect(401)?;
    closed.user("eve", "secret").get("/v2/").await?.expect(401)?;
    closed.user(OPERATOR, "secret").get("/v2/").await?.expect(401)?;
    closed.user("md5", "secret").get("/v2/").await?.expect(401)?;
    let user = query(&closed.data, &["user", "show", "ann"]).await?;
    ensure!(user.to_string().contains("htpasswd"), "{user}");

    // Nothing of her own, until a group is granted something.
    let path = "/v2/teams/app/tags/list";
    ann.get(path).await?.expect_error(403, "DENIED")?;
    run(&closed.data, &["group", "add", "readers"]).await?;
    run(&closed.data, &["group", "member", "readers", "--add", "user:ann"]).await?;
    closed.grant("group:readers", "reader", "teams").await?;
    until_status(&ann, path, 404).await?;
    let token = ann.token(&["repository:teams/app:pull"]).await?;
    closed.registry.with_token(&token).get(path).await?.expect(404)?;
    closed.grant("group:readers", "writer", "teams/own").await?;
    until_allowed(&closed.data, "user:ann", "push", "teams/own/app").await?;
    by_skopeo(&closed, Way::Login("ann", "secret"), "teams/own/app", "teams/app").await?;

    // Her groups are decided here, and stay when she logs in anew.
    cluster.node_mut(0).stop().await?;
    cluster.node_mut(0).restart().await?;
    ann.get(path).await?.expect(404)?;

    // Another password, and somebody who is in the file no more.
    closed.user("bob", "secret").get("/v2/").await?.expect(200)?;
    let fresh = file.with_extension("fresh");
    std::fs::write(&fresh, format!("ann:{ANOTHER}\n"))?;
    std::fs::rename(&fresh, file)?;
    for (name, password, status) in [("ann", "secret", 401), ("bob", "secret", 401), ("ann", "another one", 200)] {
        let registry = closed.user(name, password);
        eventually(&format!("{name} with {password:?} is answered with {status}"), FILE_AGAIN, async || {
            let answer = registry.get("/v2/").await?;
            if answer.status != status {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            answer.expect(status).map(Some)
        })
        .await?;
    }
    closed.user("ann", "another one").get(path).await?.expect(404)?;

    // Who is disabled here is out, whatever the file says.
    run(&closed.data, &["user", "disable", "ann"]).await?;
    until_status(&closed.user("ann", "another one"), "/v2/", 401).await
}
