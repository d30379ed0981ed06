//! The administration over the network: who may what of it, by the command line and by bare requests, and the login by the
//! browser at a real issuer.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::access::{self, Closed, NOTICE, add_robot, add_user, until_allowed};
use tests::certificates::Authority;
use tests::cluster::{Cluster, OPERATOR, OPERATOR_PASSWORD, Settings};
use tests::image::Recipe;
use tests::issuer::Issuer;
use tests::operator::run;
use tests::ports;
use tests::registry::{Answer, send};
use tests::remote::{Browsing, Remote};
use tests::sign_in::{CLIENT, fields};
use tests::suite::Suite;
use tests::wait::eventually;

const ADMIN: &str = "/admin/v1";

#[tokio::test]
async fn whoever_has_a_right_administers_over_the_network_as_far_as_it_goes() -> Result<()> {
    let mut cluster = Cluster::start_closed(3).await?;
    let closed = Closed::of(&cluster);
    let name = cluster.node(2).name().to_owned();
    let mut suite = Suite::default();
    suite.add("an_operator_does_all", an_operator_does_all(closed.clone(), cluster.node(1).url(), name));
    suite.add("an_auditor_reads", an_auditor_reads_and_changes_nothing(closed.clone()));
    suite.add("an_owner", an_owner_keeps_his_namespace_and_no_other(closed.clone()));
    suite.add("a_robot", a_robot_grants_what_it_has(closed.clone()));
    suite.add("bare_requests", only_requests_of_operators_are_taken(closed.clone()));
    suite.add("tokens", tokens_administer_only_if_made_for_it(closed.clone()));
    let verdict = suite.run().await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn person(closed: &Closed, folder: &Path, name: &str) -> Result<Remote> {
    let password = add_user(&closed.data, name).await?;
    let remote = Remote::new(folder.join(name), &closed.registry.urls()[0])?;
    let logged_in = async || {
        let ended = remote.try_login(name, &password, &[]).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(Some(()))
    };
    // The node has to hear of him first.
    eventually(&format!("{name} is logged in"), NOTICE, logged_in).await?;
    Ok(remote)
}

/// Whoever operates the cluster does so from afar: looks at it, empties a node, makes accounts.
async fn an_operator_does_all(closed: Closed, url: String, node: String) -> Result<()> {
    let folder = TempDir::new()?;
    let nobody = Remote::new(folder.path().join("nobody"), &url)?;
    let refused = nobody.ask(&["status"]).await?;
    ensure!(refused.code == Some(1) && refused.stderr.contains(&format!("regnode login {url}")), "{refused:?}");
    let wrong = nobody.try_login(OPERATOR, "not the password", &[]).await?;
    ensure!(wrong.code == Some(1) && wrong.stderr.contains("password is wrong"), "{wrong:?}");

    let admin = Remote::new(folder.path().join("admin"), &url)?.login(OPERATOR, OPERATOR_PASSWORD).await?;
    let kept = std::fs::read_to_string(admin.logins())?;
    ensure!(!kept.contains(OPERATOR_PASSWORD) && kept.contains("refresh_token"), "{kept}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(admin.logins())?.permissions());
    ensure!(mode & 0o777 == 0o600, "others may read the logins: {mode:o}");

    let who = admin.query(&["whoami"]).await?;
    ensure!(who["principal"] == "user:admin" && who["way"] == "token", "{who}");
    let status = admin.query(&["status"]).await?;
    ensure!(status["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3), "{status}");
    admin.done(&["drain", &node]).await?;
    let drains = async || {
        let nodes = admin.query(&["nodes"]).await?;
        let state = nodes.as_array().and_then(|all| all.iter().find(|one| one["name"] == node.as_str()));
        ensure!(state.is_some_and(|one| one["state"] == "draining"), "{nodes}");
        Ok(Some(()))
    };
    eventually("the node is being emptied", NOTICE, drains).await?;
    admin.done(&["drain", "--undo", &node]).await?;
    // What concerns another machine is handed on.
    ensure!(admin.query(&["scrub", "status", "--node", &node]).await?[0]["disks"].is_array(), "no disks");

    let record = recorded(&closed, &["--action", "node", "--actor", "user:admin"]).await?;
    ensure!(record.iter().any(|one| one["way"] == "token" && one["address"].is_string()), "{record:?}");

    // Commands about this machine take no server; a variable that names one does not disturb them.
    let local = admin.ask(&["config", "reference"]).await?;
    ensure!(local.code == Some(2) && local.stderr.contains("about this machine"), "{local:?}");
    let out = admin.run(&["logout", &url]).await?;
    ensure!(out.code == Some(0), "{out:?}");
    let refused = admin.ask(&["status"]).await?;
    ensure!(refused.stderr.contains("nobody is logged in"), "{refused:?}");
    Ok(())
}

/// The records of all nodes.
async fn recorded(closed: &Closed, filter: &[&str]) -> Result<Vec<Value>> {
    let words = [&["audit", "search"][..], filter, &["--json"]].concat();
    let text = run(&closed.data, &words).await?;
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// An auditor looks at everything and changes nothing; what he is denied is on record.
async fn an_auditor_reads_and_changes_nothing(closed: Closed) -> Result<()> {
    let folder = TempDir::new()?;
    let auditor = person(&closed, folder.path(), "auditor").await?;
    auditor.denied(&["status"]).await?;
    closed.grant("user:auditor", "auditor", "/").await?;
    eventually("the auditor may look", NOTICE, async || auditor.query(&["status"]).await.map(Some)).await?;
    auditor.done(&["audit", "search", "--action", "login"]).await?;
    auditor.done(&["access", "list"]).await?;
    auditor.done(&["user", "list"]).await?;
    auditor.done(&["namespace", "list"]).await?;
    for words in [
        &["namespace", "set", "acme", "--deletes", "off"][..],
        &["drain", "node2"],
        &["user", "add", "mole", "--no-password"],
        &["access", "grant", "user:auditor", "operator"],
        &["token-key", "rotate"],
        &["gc", "run", "--now"],
        &["token"],
    ] {
        auditor.denied(words).await?;
    }
    let denied = recorded(&closed, &["--action", "denied", "--actor", "user:auditor"]).await?;
    let text = serde_json::to_string(&denied)?;
    // The first of each kind; what follows within a minute is counted.
    for told in ["POST /admin/v1/namespace/set: policy", "GET /admin/v1/status: operate"] {
        ensure!(text.contains(told), "{told} is not recorded: {text}");
    }
    ensure!(denied.iter().all(|one| one["outcome"] == "refused" && one["address"] == "127.0.0.1"), "{text}");
    Ok(())
}

/// The owner of a namespace decides on it; others are the same to him whether they exist or not.
async fn an_owner_keeps_his_namespace_and_no_other(closed: Closed) -> Result<()> {
    let folder = TempDir::new()?;
    run(&closed.data, &["namespace", "set", "secret", "--deletes", "off"]).await?;
    let owner = person(&closed, folder.path(), "olga").await?;
    add_user(&closed.data, "bob").await?;
    closed.grant("user:olga", "owner", "acme").await?;
    until_allowed(&closed.data, "user:olga", "policy", "acme").await?;
    eventually("the owner sets a policy", NOTICE, async || {
        owner.done(&["namespace", "set", "acme", "--immutable", "v*"]).await.map(Some)
    })
    .await?;
    ensure!(owner.done(&["namespace", "show", "acme"]).await?.contains("v*"), "no policy");
    let listed = owner.done(&["namespace", "list"]).await?;
    ensure!(listed.contains("acme") && !listed.contains("secret"), "{listed}");
    for words in [["namespace", "show", "secret"], ["namespace", "show", "gone12"], ["usage", "secret", "--json"]] {
        owner.denied(&words).await?;
    }
    let (there, gone) =
        (owner.denied(&["namespace", "show", "secret"]).await?, owner.denied(&["namespace", "show", "gone12"]).await?);
    ensure!(there == gone.replace("gone12", "secret"), "{there} {gone}");

    // He hands on what he has, where he has it.
    owner.done(&["access", "grant", "user:bob", "writer", "acme/app"]).await?;
    let rules = owner.query(&["access", "list"]).await?;
    let is_his = |rule: &Value| rule["namespace"].as_str().is_some_and(|at| at.starts_with("acme"));
    ensure!(rules["rules"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(is_his)), "{rules}");
    ensure!(rules.to_string().contains("\"created_by\":\"user:olga\""), "{rules}");
    for words in [
        &["access", "grant", "user:olga", "operator", "acme"][..],
        &["access", "grant", "user:olga", "reader", "/"],
        &["access", "grant", "user:bob", "reader", "secret"],
        &["user", "password", "admin", "--generate"],
        &["user", "disable", "bob"],
        &["role", "set", "mine", "operate"],
        &["namespace", "set", "acme", "--residency", "pinned"],
        &["namespace", "remove", "secret"],
        &["audit", "search"],
    ] {
        owner.denied(words).await?;
    }

    // Deleting many tags is his, in his name, and nobody else's to look at.
    let image = Recipe::new(980).build()?;
    for tag in ["pr-1", "pr-2"] {
        image.push(&closed.operator(), "acme/app", tag).await?;
    }
    owner.done(&["delete", "acme/app", "--tags", "pr-*", "--wait"]).await?;
    let jobs = owner.query(&["job", "list"]).await?;
    ensure!(jobs.to_string().contains("\"principal\":\"user:olga\""), "{jobs}");
    owner.done(&["undelete", "acme/app:pr-1"]).await?;
    owner.denied(&["delete", "secret/app", "--tags", "*"]).await.map(drop)
}

/// A robot with the right to bind roles does so, as far as its own go.
async fn a_robot_grants_what_it_has(closed: Closed) -> Result<()> {
    let folder = TempDir::new()?;
    let secret = add_robot(&closed.data, "keeper").await?;
    add_user(&closed.data, "carl").await?;
    closed.grant("robot:keeper", "owner", "robots").await?;
    until_allowed(&closed.data, "robot:keeper", "access", "robots").await?;
    let robot =
        Remote::new(folder.path().join("robot"), &closed.registry.urls()[0])?.login("robot+keeper", &secret).await?;
    robot.done(&["access", "grant", "user:carl", "reader", "robots/app"]).await?;
    robot.denied(&["access", "grant", "user:carl", "operator", "robots"]).await?;
    // Without its secret it is over at once.
    run(&closed.data, &["robot", "disable", "keeper"]).await?;
    eventually("the robot is out", NOTICE, async || {
        let ended = robot.ask(&["access", "list"]).await?;
        ensure!(ended.code != Some(0) && ended.stderr.contains("log in again: regnode login"), "{ended:?}");
        Ok(Some(()))
    })
    .await
}

async fn post(client: &tests::registry::Registry, path: &str, kind: &str, more: &[(&str, &str)]) -> Result<Answer> {
    let mut request = client.request(Method::POST, &format!("{ADMIN}{path}")).header("content-type", kind);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    send(request.body("{}")).await
}

/// Strangers learn that a login is needed, pages of other sites nothing at all, and whoever guesses has to wait.
async fn only_requests_of_operators_are_taken(closed: Closed) -> Result<()> {
    let (nobody, operator) = (closed.registry.anonymous(), closed.operator());
    let status = format!("{ADMIN}/status");
    let answer = nobody.get(&status).await?.expect(401)?;
    ensure!(answer.need("www-authenticate")?.contains("scope=\"registry:admin:*\""), "{answer:?}");
    let answer = operator.get(&status).await?.expect(200)?;
    ensure!(answer.need("cache-control")? == "no-store", "{answer:?}");
    ensure!(answer.header("access-control-allow-origin").is_none(), "{answer:?}");
    operator.get(&format!("{ADMIN}/no/such")).await?.expect(404)?;
    operator.get(&format!("{ADMIN}/gc/run")).await?.expect(404)?;
    // What peers ask each other for is nobody else's.
    post(&operator, "/residency/trace", "application/json", &[]).await?.expect(404)?;

    // A form or a text is all that another site's page can send without asking first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        post(&operator, "/gc/run", kind, &[]).await?.expect(415)?;
    }
    let site = [("sec-fetch-site", "cross-site")];
    post(&operator, "/gc/run", "application/json", &site).await?.expect(403)?;
    post(&operator, "/gc/run", "application/json", &[("sec-fetch-site", "same-origin")]).await?.expect(200)?;
    // Plain HTTP is for this machine: what a proxy that nobody trusts has passed on is not of it.
    let passed = send(operator.request(Method::GET, &status).header("x-forwarded-for", "192.0.2.1")).await?;
    ensure!(passed.expect(403)?.text().contains("TLS only"), "plain HTTP is served to others");
    // Nor is what asks for another machine: a proxy here keeps the name that its client asked for.
    let elsewhere = send(operator.request(Method::GET, &status).header("host", "registry.example.org")).await?;
    ensure!(elsewhere.expect(403)?.text().contains("TLS only"), "plain HTTP is served under another name");
    // A body that two readers understand differently is understood by neither.
    let twice = operator.request(Method::POST, &format!("{ADMIN}/usage")).header("content-type", "application/json");
    send(twice.body(r#"{"prefix":"acme","prefix":"secret"}"#)).await?.expect(400)?;

    let guesser = closed.user("guesser", "wrong");
    for _ in 0..20 {
        if guesser.get(&status).await?.status == 429 {
            return Ok(());
        }
    }
    anyhow::bail!("whoever guesses goes on guessing")
}

/// A token for images is none to administer with, and one to administer with is none for images.
async fn tokens_administer_only_if_made_for_it(closed: Closed) -> Result<()> {
    let (operator, status) = (closed.operator(), format!("{ADMIN}/status"));
    Recipe::new(981).build()?.push(&operator, "tokens/app", "v1").await?;
    let of_images = closed.registry.with_token(&operator.token(&["repository:tokens/app:pull,push"]).await?);
    let refused = of_images.get(&status).await?.expect(401)?;
    ensure!(refused.need("www-authenticate")?.contains("insufficient_scope"), "{refused:?}");
    let to_administer = closed.registry.with_token(&operator.token(&["registry:admin:*"]).await?);
    to_administer.get(&status).await?.expect(200)?;
    to_administer.get("/v2/tokens/app/tags/list").await?.expect(401)?;
    // What a client of images keeps instead of the password does not become one.
    let form = |more: &[(&str, &str)]| {
        let fields: Vec<(String, String)> =
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        send(closed.registry.anonymous().request(Method::POST, "/token").form(&fields))
    };
    let login = [("grant_type", "password"), ("username", OPERATOR), ("password", OPERATOR_PASSWORD)];
    let scope = ("scope", "registry:admin:* repository:tokens/app:pull");
    for (first, granted) in [("repository:tokens/app:pull", "repository:tokens/app:pull"), (scope.1, scope.1)] {
        let asked = [&login[..], &[("access_type", "offline"), ("scope", first)]].concat();
        let kept = access::text(&form(&asked).await?.expect(200)?.json()?, "refresh_token")?;
        let again = [("grant_type", "refresh_token"), ("refresh_token", kept.as_str()), scope];
        let answer = form(&again).await?.expect(200)?.json()?;
        ensure!(answer["scope"] == granted, "{answer}");
    }
    Ok(())
}

/// An issuer of people, known to the cluster; its platform team operates the cluster, everybody else nothing.
async fn with_issuer(closed: &Closed, folder: &Path) -> Result<(Issuer, Client)> {
    let issuer = Issuer::start().await?;
    let authority = issuer.authority().write(folder.join("issuer.pem"))?;
    run(&closed.data, &["group", "add", "team"]).await?;
    run(&closed.data, &["role", "set", "keeper", "policy,audit"]).await?;
    closed.grant("group:team", "keeper", "/").await?;
    let words = ["issuer", "set", "login", "--issuer", issuer.url(), "--for", "people", "--client-id", CLIENT];
    let path = authority.display().to_string();
    let groups = ["--groups-claim", "groups", "--map-group", "platform=team", "--authority", &path];
    run(&closed.data, &[&words[..], &groups].concat()).await?;
    let pem = std::fs::read(&authority)?;
    let browser = Client::builder().no_proxy().tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    // Told what to open next, and asked before it is opened.
    Ok((issuer, browser.redirect(reqwest::redirect::Policy::none()).build()?))
}

/// Where the issuer sends the browser after the login there.
async fn sent_back(browser: &Client, browsing: &Browsing) -> Result<String> {
    let answer = browser.get(&browsing.url).send().await?;
    ensure!(answer.status() == 302, "{answer:?}");
    Ok(answer.headers().get("location").context("nowhere to go")?.to_str()?.to_owned())
}

#[tokio::test]
async fn a_person_logs_in_by_the_browser_and_administers_by_her_groups() -> Result<()> {
    let mut cluster = Cluster::start_closed(1).await?;
    let closed = Closed::of(&cluster);
    let verdict = browse(&closed).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn browse(closed: &Closed) -> Result<()> {
    let folder = TempDir::new()?;
    let url = closed.registry.urls()[0].clone();
    let none = Remote::new(folder.path().join("none"), &url)?.run(&["login", &url, "--browser", "--no-open"]).await?;
    ensure!(none.code == Some(2) && none.stderr.contains("no issuer of people"), "{none:?}");
    let (issuer, browser) = with_issuer(closed, folder.path()).await?;
    issuer.sign_in().person = json!({ "sub": "4711", "preferred_username": "ann", "groups": ["platform"] });
    let ann = Remote::new(folder.path().join("ann"), &url)?;
    let begun = eventually("the node knows the issuer", NOTICE, async || ann.browse().await.map(Some)).await?;

    // Somebody else's answers: of no login, and of another one. The login waits on.
    let callback = sent_back(&browser, &begun).await?;
    let (address, query) = callback.split_once('?').context("no query")?;
    let code = fields(query).remove("code").context("no code")?;
    for other in [format!("{address}?code={code}"), format!("{address}?code={code}&state={}", "x".repeat(43))] {
        ensure!(browser.get(&other).send().await?.status() == 400, "{other} is taken");
    }
    let favicon = address.replace("/callback", "/favicon.ico");
    ensure!(browser.get(&favicon).send().await?.status() == 400, "{favicon} is something");
    ensure!(browser.get(&callback).send().await?.status() == 200, "the answer is not taken");
    let ended = begun.ended().await?;
    ensure!(ended.code == Some(0) && ended.stdout.contains("user:ann"), "{ended:?}");

    // By the role of her group, and no further.
    let status = ann.query(&["status"]).await?;
    ensure!(status["nodes"].as_array().is_some_and(|nodes| nodes.len() == 1), "{status}");
    ann.done(&["namespace", "set", "acme", "--immutable", "v*"]).await?;
    ann.done(&["user", "list"]).await?;
    ann.denied(&["drain", "node1"]).await?;
    ann.denied(&["access", "grant", "user:ann", "operator"]).await?;
    let kept = std::fs::read_to_string(ann.logins())?;
    ensure!(!kept.contains("id_token"), "{kept}");

    refused_logins(&ann, &issuer, &browser).await?;
    // Out of the group, out of its rights: at the next login.
    issuer.sign_in().person = json!({ "sub": "4711", "preferred_username": "ann", "groups": [] });
    let begun = ann.browse().await?;
    let callback = sent_back(&browser, &begun).await?;
    browser.get(&callback).send().await?;
    ensure!(begun.ended().await?.code == Some(0), "not logged in");
    eventually("she may nothing", NOTICE, async || ann.denied(&["status"]).await.map(Some)).await?;
    // And disabled, out of all.
    run(&closed.data, &["user", "disable", "ann"]).await?;
    eventually("she is out", NOTICE, async || {
        let ended = ann.ask(&["status"]).await?;
        ensure!(ended.stderr.contains("log in again"), "{ended:?}");
        Ok(Some(()))
    })
    .await
}

/// Answers that are not what they should be log nobody in.
async fn refused_logins(ann: &Remote, issuer: &Issuer, browser: &Client) -> Result<()> {
    // A token of another login.
    issuer.sign_in().confused = true;
    let begun = ann.browse().await?;
    browser.get(sent_back(browser, &begun).await?).send().await?;
    let ended = begun.ended().await?;
    ensure!(ended.code == Some(1) && ended.stderr.contains("nonce"), "a foreign nonce: {ended:?}");
    issuer.sign_in().confused = false;

    // A code that somebody else has used first: he does not get the token, and the login fails.
    let begun = ann.browse().await?;
    let callback = sent_back(browser, &begun).await?;
    let code = fields(callback.split_once('?').context("no query")?.1).remove("code").context("no code")?;
    let redirect = callback.split_once('?').map(|(address, _)| address).unwrap_or_default();
    let stolen = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", &code),
        ("redirect_uri", redirect),
        ("code_verifier", "a verifier that is only guessed, of some length"),
    ];
    let thief = browser.post(format!("{}/token", issuer.url())).form(&stolen).send().await?;
    ensure!(thief.status() == 400, "a code without its verifier: {thief:?}");
    browser.get(&callback).send().await?;
    let ended = begun.ended().await?;
    ensure!(ended.code == Some(1) && ended.stderr.contains("invalid_grant"), "a used code: {ended:?}");

    // Another issuer's answer, and a refusal.
    for (change, told) in
        [("iss=https%3A%2F%2Fevil.example", "another issuer"), ("error=access_denied", "access_denied")]
    {
        let begun = ann.browse().await?;
        let callback = sent_back(browser, &begun).await?;
        let (address, query) = callback.split_once('?').context("no query")?;
        let kept: Vec<&str> =
            query.split('&').filter(|field| change.starts_with("error") || !field.starts_with("iss=")).collect();
        browser.get(format!("{address}?{}&{change}", kept.join("&"))).send().await?;
        let ended = begun.ended().await?;
        ensure!(ended.code == Some(1) && ended.stderr.contains(told), "{change}: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_administration_has_a_listener_of_its_own_over_tls_for_some_networks() -> Result<()> {
    let folder = TempDir::new()?;
    let own = Authority::new("the registry's")?;
    let server = own.issue(&["127.0.0.1"])?.write(folder.path(), "server")?;
    let (health, admin) = (ports::reserve()?, ports::reserve()?);
    let key = |name: &str, value: String| (name.to_owned(), value);
    let keys = vec![
        key("metrics.listen", health.address().to_string()),
        key("api.tls_certificate", server.certificate.display().to_string()),
        key("api.tls_key", server.key.display().to_string()),
        key("admin.listen", admin.address().to_string()),
        key("admin.allow", "127.0.0.0/8".to_owned()),
    ];
    let mut cluster = Cluster::start_with(1, Settings { keys, closed: true, ..Settings::default() }).await?;
    let authority = own.write(folder.path().join("own.pem"))?;
    let url = format!("https://{}", admin.address());
    let api = format!("https://{}", cluster.node(0).address());
    let verdict = async {
        let remote = Remote::new(folder.path().join("admin"), &url)?;
        // Its certificate is of an authority that this machine does not know.
        let ended = remote.try_login(OPERATOR, OPERATOR_PASSWORD, &[]).await?;
        ensure!(ended.code == Some(3), "{ended:?}");
        let ca = authority.display().to_string();
        let ended = remote.try_login(OPERATOR, OPERATOR_PASSWORD, &["--ca", &ca]).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        ensure!(remote.query(&["status"]).await?["nodes"].is_array(), "no status");
        // Not where images are served.
        let pem = std::fs::read(&authority)?;
        let client =
            Client::builder().no_proxy().tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?).build()?;
        let answer = client.get(format!("{api}{ADMIN}/login")).send().await?;
        ensure!(answer.status() == 404, "{answer:?}");
        let answer = client.get(format!("{url}/v2/")).send().await?;
        ensure!(answer.status() == 404, "{answer:?}");
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

#[tokio::test]
async fn the_administration_is_served_to_nobody_outside_its_networks_or_when_it_is_off() -> Result<()> {
    for (name, value, status) in [("admin.allow", "192.0.2.0/24", 403), ("admin.enabled", "false", 404)] {
        let keys = vec![(name.to_owned(), value.to_owned())];
        let mut cluster = Cluster::start_with(1, Settings { keys, closed: true, ..Settings::default() }).await?;
        let closed = Closed::of(&cluster);
        let verdict = async {
            closed.operator().get(&format!("{ADMIN}/status")).await?.expect(status)?;
            closed.operator().get("/v2/").await?.expect(200)?;
            cluster.check_sound()
        };
        let verdict = verdict.await;
        assert!(verdict.is_ok(), "{name}: {:#}", verdict.unwrap_err());
    }
    Ok(())
}
