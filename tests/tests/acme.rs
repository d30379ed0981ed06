//! Certificates from a real ACME authority, made by one node and shown by all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::certificates::{shown_to, trusting};
use tests::cluster::{Cluster, Settings};
use tests::operator::{query, run};
use tests::pebble::Pebble;
use tests::ports::{self, Port};
use tests::process;
use tests::tools::client;
use tests::wait::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// How long a certificate may take, an election and the pause after a failure included.
const ISSUED: Duration = Duration::from_mins(2);

/// Connections of one address: more than the listener of an authority's questions takes at one time.
const STRANGERS: usize = 600;

const DOMAIN: &str = "registry.test";
/// A domain at an address where nobody answers.
const REFUSED: &str = "refused.test";

/// An address of this machine for each node, so that all have the port at which the authority asks.
fn address(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, u8::try_from(number + 2).expect("few nodes")))
}

/// Settings of nodes that get certificates.
fn settings(pebble: &Pebble, health: &[Port], http: Option<u16>, more: &[(&str, &str)]) -> Settings {
    let own = health.iter().enumerate().map(|(number, health)| {
        let mut keys = vec![("metrics.listen".to_owned(), health.address().to_string())];
        keys.extend(http.map(|port| ("acme.http_listen".to_owned(), format!("{}:{port}", address(number)))));
        keys
    });
    let mut keys = pebble.keys();
    keys.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Settings { keys, own: own.collect(), ..Settings::default() }
}

/// What a node tells of a domain.
async fn entry(data: &Path, domain: &str) -> Result<Value> {
    let answer = query(data, &["certificate", "list"]).await?;
    let entries = answer["certificates"].as_array().context("no list")?;
    entries
        .iter()
        .find(|entry| entry["name"] == domain)
        .cloned()
        .with_context(|| format!("{domain} is not in {answer}"))
}

/// Waits until a node shows a certificate for a domain that the client can check, and that is not `before`.
async fn shown(cluster: &Cluster, number: usize, client: &TlsConnector, domain: &str, before: &str) -> Result<String> {
    let address = cluster.node(number).address();
    eventually(&format!("node {number} shows a certificate for {domain}"), ISSUED, async || {
        let shown = shown_to(client, address, domain).await?;
        Ok(Some(shown).filter(|shown| shown != before))
    })
    .await
}

#[tokio::test]
async fn one_node_gets_a_certificate_over_http_and_all_show_it_and_the_next_one() -> Result<()> {
    let folder = TempDir::new()?;
    let Some(mut pebble) = Pebble::new(&folder.path().join("pebble"))? else { return Ok(()) };
    let http = ports::reserve()?.address().port();
    pebble.start(http, 1).await?;
    // The authority asks a node that does not lead.
    pebble.locate(DOMAIN, address(1)).await?;
    pebble.locate(REFUSED, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99))).await?;
    let health = [ports::reserve()?, ports::reserve()?, ports::reserve()?];
    let domains = format!("{DOMAIN};{REFUSED}");
    let settings = settings(&pebble, &health, Some(http), &[("acme.domains", &domains)]);
    let mut cluster = Cluster::start_with(3, settings).await?;
    let verdict = async {
        let client = trusting(&pebble.root().await?)?;
        // Until all nodes were there, the one that is asked may not have been.
        run(cluster.node(0).data(), &["certificate", "renew", DOMAIN]).await?;
        let first = shown(&cluster, 2, &client, DOMAIN, "").await?;
        for number in 0..3 {
            ensure!(shown(&cluster, number, &client, DOMAIN, "").await? == first, "node {number} shows another one");
        }
        refused(&cluster).await?;
        redirected(folder.path(), &cluster, http).await?;
        crowded(folder.path(), http).await?;
        pushes(folder.path(), &pebble, &cluster).await?;

        let mut running = Running::open(&cluster, &client).await?;
        running.ask().await?;
        run(cluster.node(2).data(), &["certificate", "renew", DOMAIN]).await?;
        let second = shown(&cluster, 1, &client, DOMAIN, &first).await?;
        for number in [0, 2] {
            ensure!(shown(&cluster, number, &client, DOMAIN, &first).await? == second, "node {number} shows another");
        }
        running.ask().await.context("a connection of before the renewal")?;
        let renewed = run(cluster.node(0).data(), &["audit", "search", "--action", "certificate"]).await?;
        ensure!(renewed.contains(DOMAIN) && renewed.contains("renewed"), "not in the audit log: {renewed}");
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}\n{}", verdict.unwrap_err(), pebble.log());
    Ok(())
}

/// A domain whose certificate is refused is told with the reason, and keeps the other one from nothing.
async fn refused(cluster: &Cluster) -> Result<()> {
    let data = cluster.node(1).data();
    let entry = eventually("the refusal is told", ISSUED, async || {
        let entry = entry(data, REFUSED).await?;
        // Another failure may come before it.
        let told = entry["failure"]["reason"].as_str().is_some_and(|reason| reason.contains("127.0.0.99"));
        ensure!(told, "{entry}");
        Ok(Some(entry))
    })
    .await?;
    let reason = entry["failure"]["reason"].as_str().unwrap_or_default();
    ensure!(entry["state"] == "missing", "{entry}");
    let findings = cluster.node(1).status().await?.findings();
    let told = findings.iter().any(|finding| finding.contains(REFUSED) && finding.contains("127.0.0.99"));
    ensure!(told && !findings.iter().any(|finding| finding.contains(DOMAIN)), "{findings:?}");
    let page = run(data, &["certificate", "list"]).await?;
    ensure!(page.contains(reason), "{page}");
    let unknown = run(data, &["certificate", "renew", "other.test"]).await;
    ensure!(unknown.is_err_and(|error| format!("{error:#}").contains("no authority is asked")), "a domain of nobody");
    Ok(())
}

/// Whoever comes over plain HTTP is sent to TLS, but for what the authority asks.
async fn redirected(home: &Path, cluster: &Cluster, http: u16) -> Result<()> {
    let base = format!("http://{}:{http}", address(2));
    for (path, expected) in [
        ("/v2/", format!("308 https://127.0.0.4:{}/v2/", cluster.node(2).address().port())),
        ("/.well-known/acme-challenge/no-such-token", "404 ".to_owned()),
    ] {
        let mut curl = client("curl", home)?.context("curl is needed")?;
        curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}"]);
        curl.arg(format!("{base}{path}"));
        let answer = process::output(curl, ISSUED).await?;
        ensure!(answer.trim_end() == expected.trim_end(), "{path}: {answer}");
    }
    Ok(())
}

/// Whoever takes all connections that he gets leaves some to the authority.
async fn crowded(home: &Path, http: u16) -> Result<()> {
    let stranger = SocketAddr::from(([127, 0, 0, 66], 0));
    let mut taken = Vec::new();
    for _ in 0..STRANGERS {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(stranger)?;
        let mut stream = socket.connect((address(2), http).into()).await?;
        let _ = stream.write_all(b"GET /.well-known/acme-challenge/").await;
        taken.push(stream);
    }
    let mut curl = client("curl", home)?.context("curl is needed")?;
    curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--interface", "127.0.0.67"]);
    curl.args(["--max-time", "5"]).arg(format!("http://{}:{http}/.well-known/acme-challenge/none", address(2)));
    let answer = process::output(curl, ISSUED).await?;
    ensure!(answer.trim_end() == "404", "{answer}");
    Ok(())
}

/// A real client pushes by the domain, and trusts nobody but the authority.
async fn pushes(home: &Path, pebble: &Pebble, cluster: &Cluster) -> Result<()> {
    let root = home.join("root.pem");
    std::fs::write(&root, pebble.root().await?)?;
    let port = cluster.node(1).address().port();
    let mut curl = client("curl", home)?.context("curl is needed")?;
    // The digest of five letters.
    let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    curl.args(["--silent", "--show-error", "--fail", "--request", "POST", "--data-binary", "hello", "--cacert"])
        .arg(root);
    curl.args([
        "--header",
        "content-type: application/octet-stream",
        "--resolve",
        &format!("{DOMAIN}:{port}:127.0.0.1"),
    ]);
    curl.args(["--write-out", "%{http_code}"]);
    curl.arg(format!("https://{DOMAIN}:{port}/v2/acme/app/blobs/uploads/?digest={digest}"));
    let status = process::output(curl, ISSUED).await?;
    ensure!(status.trim() == "201", "{status}");
    Ok(())
}

/// A connection of a client that stays.
struct Running(tokio_rustls::client::TlsStream<tokio::net::TcpStream>);

impl Running {
    async fn open(cluster: &Cluster, client: &TlsConnector) -> Result<Self> {
        let stream = tokio::net::TcpStream::connect(cluster.node(1).address()).await?;
        Ok(Self(client.connect(DOMAIN.try_into()?, stream).await?))
    }

    async fn ask(&mut self) -> Result<()> {
        self.0.write_all(format!("HEAD /livez HTTP/1.1\r\nhost: {DOMAIN}\r\n\r\n").as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::time::timeout(ISSUED, self.0.read_u8()).await??);
        }
        let head = String::from_utf8(head)?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
        Ok(())
    }
}

#[tokio::test]
async fn an_order_outlives_the_leader_that_began_it_and_a_wildcard_is_proved_in_the_dns() -> Result<()> {
    let folder = TempDir::new()?;
    let Some(mut pebble) = Pebble::new(&folder.path().join("pebble"))? else { return Ok(()) };
    pebble.start(1, 1).await?;
    let (hook, gate, calls) = (folder.path().join("hook"), folder.path().join("go"), folder.path().join("calls"));
    // The hook waits at the gate, so that the order is under way for as long as the test wants; it ends with the folder.
    let script = format!(
        "#!/bin/sh\nset -e\necho \"$1 $2 $3\" >> {calls}\n\
         if [ \"$1\" = present ]; then\n\
         while [ ! -e {gate} ]; do [ -e {calls} ]; sleep 0.05; done; path=set-txt\n\
         else path=clear-txt; fi\n\
         curl --silent --fail --data \"{{\\\"host\\\": \\\"$3.\\\", \\\"value\\\": \\\"$4\\\"}}\" {dns}$path\n",
        calls = calls.display(),
        gate = gate.display(),
        dns = pebble.dns_url(""),
    );
    std::fs::write(&hook, script)?;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
    let health = [ports::reserve()?, ports::reserve()?, ports::reserve()?];
    let hook = hook.display().to_string();
    let more = [("acme.domains", "*.apps.test"), ("acme.challenge", "dns-01"), ("acme.dns_hook", hook.as_str())];
    let mut cluster = Cluster::start_with(3, settings(&pebble, &health, None, &more)).await?;
    let verdict = async {
        let client = trusting(&pebble.root().await?)?;
        let begun = eventually("the certificate is asked for", ISSUED, async || {
            let called = std::fs::read_to_string(&calls).unwrap_or_default();
            let order = entry(cluster.node(0).data(), "*.apps.test").await?["order"].as_str().map(str::to_owned);
            Ok(order.filter(|_| called.starts_with("present apps.test _acme-challenge.apps.test\n")))
        })
        .await?;
        let leaders = cluster.node(0).status().await?.leaders();
        let (_, leader) = leaders.into_iter().find(|(group, _)| group == "directory").context("no directory")?;
        let leader = leader.context("nobody leads")?;
        let number = cluster.nodes().iter().position(|node| node.name() == leader).context("an unknown leader")?;
        let other = (number + 1) % 3;
        cluster.node_mut(number).kill()?;
        std::fs::write(&gate, "")?;
        shown(&cluster, other, &client, "one.apps.test", "").await?;
        let third = (number + 2) % 3;
        shown(&cluster, third, &client, "two.apps.test", "").await?;
        let logs: Vec<String> = [other, third].iter().map(|number| cluster.node(*number).log()).collect();
        let gone_on = logs.iter().any(|log| log.contains("gone on with") && log.contains(&begun));
        ensure!(gone_on && !logs.iter().any(|log| log.contains("certificate ordered")), "another order was made");
        eventually("the record is taken out of the DNS", ISSUED, async || {
            let called = std::fs::read_to_string(&calls)?;
            ensure!(called.contains("cleanup apps.test _acme-challenge.apps.test"), "{called}");
            Ok(Some(()))
        })
        .await?;
        cluster.node_mut(number).serve()?;
        cluster.node_mut(number).wait_ready().await?;
        shown(&cluster, number, &client, "three.apps.test", "").await?;
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}\n{}", verdict.unwrap_err(), pebble.log());
    Ok(())
}

#[tokio::test]
async fn a_certificate_comes_by_tls_alone_once_the_authority_is_there() -> Result<()> {
    let folder = TempDir::new()?;
    let Some(mut pebble) = Pebble::new(&folder.path().join("pebble"))? else { return Ok(()) };
    let health = [ports::reserve()?];
    let more = [("acme.domains", DOMAIN), ("acme.challenge", "tls-alpn-01")];
    let mut cluster = Cluster::start_with(1, settings(&pebble, &health, None, &more)).await?;
    let verdict = async {
        let node = cluster.node(0);
        eventually("that nobody answers is told", ISSUED, async || {
            let entry = entry(node.data(), DOMAIN).await?;
            let reason = entry["failure"]["reason"].as_str().unwrap_or_default();
            ensure!(reason.starts_with("no connection to "), "{entry}");
            Ok(Some(()))
        })
        .await?;
        pebble.start(1, node.address().port()).await?;
        let client = trusting(&pebble.root().await?)?;
        ensure!(shown_to(&client, node.address(), DOMAIN).await.is_err(), "a certificate out of nowhere");
        run(node.data(), &["certificate", "renew", DOMAIN]).await?;
        shown(&cluster, 0, &client, DOMAIN, "").await?;
        let metrics = node.metrics().await?;
        let certificates = metrics.sum(&["regnode_acme_certificates"])?;
        ensure!((certificates - 1.0).abs() < f64::EPSILON, "{certificates} certificates are counted");
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}\n{}", verdict.unwrap_err(), pebble.log());
    Ok(())
}
