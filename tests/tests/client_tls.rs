//! TLS with clients: robots that show a certificate instead of a secret, and domains that have certificates of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::access::{Closed, NOTICE, until_allowed};
use tests::certificates::{Authority, PairFiles};
use tests::cluster::{Cluster, Settings};
use tests::operator::run;
use tests::ports;
use tests::process::{self, Ended};
use tests::skopeo::{Skopeo, Way};
use tests::tools::client;
use tests::wait::eventually;

/// Keys of a node that serves TLS, and tells of its health without.
fn keys(health: &ports::Port, more: &[(&str, &Path)]) -> Vec<(String, String)> {
    let more = more.iter().map(|(key, path)| ((*key).to_owned(), path.display().to_string()));
    more.chain([("metrics.listen".to_owned(), health.address().to_string())]).collect()
}

#[tokio::test]
async fn a_certificate_is_the_robot_that_trusts_it() -> Result<()> {
    let folder = TempDir::new()?;
    let (own, clients) = (Authority::new("the registry's")?, Authority::new("the machines'")?);
    let server = own.issue(&["127.0.0.1"])?.write(folder.path(), "server")?;
    let health = ports::reserve()?;
    let settings = Settings {
        keys: keys(
            &health,
            &[
                ("api.tls_certificate", &server.certificate),
                ("api.tls_key", &server.key),
                ("api.client_ca", &clients.write(folder.path().join("clients.pem"))?),
            ],
        ),
        closed: true,
        ..Settings::default()
    };
    let mut cluster = Cluster::start_with(1, settings).await?;
    let closed = Closed::of(&cluster);
    let url = format!("https://{}", cluster.node(0).address());
    let curl = Curl { home: folder.path(), authority: &own.write(folder.path().join("own.pem"))?, url: &url };
    let verdict = certificates(&closed, &curl, &clients).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// A client that trusts one authority.
struct Curl<'a> {
    home: &'a Path,
    authority: &'a Path,
    url: &'a str,
}

impl Curl<'_> {
    fn command(&self, pair: Option<&PairFiles>, arguments: &[&str], path: &str) -> Result<Option<Command>> {
        Ok(client("curl", self.home)?.map(|mut command| {
            command.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--cacert"]).arg(self.authority);
            if let Some(PairFiles { certificate, key }) = pair {
                command.arg("--cert").arg(certificate).arg("--key").arg(key);
            }
            command.args(arguments).arg(format!("{}{path}", self.url));
            command
        }))
    }

    /// How it ends, and its last line, which is the answer's status.
    async fn ask(&self, pair: Option<&PairFiles>, arguments: &[&str], path: &str) -> Result<(Ended, String)> {
        let command = self.command(pair, arguments, path)?.context("curl went away")?;
        let ended = process::ended(command, NOTICE).await?;
        let status = ended.stdout.lines().last().unwrap_or_default().to_owned();
        Ok((ended, status))
    }

    async fn expect(&self, pair: Option<&PairFiles>, arguments: &[&str], path: &str, expected: &str) -> Result<Ended> {
        let (ended, status) = self.ask(pair, arguments, path).await?;
        ensure!(status == expected, "{path} {arguments:?}: {expected} expected: {ended:?}");
        Ok(ended)
    }
}

async fn certificates(closed: &Closed, curl: &Curl<'_>, clients: &Authority) -> Result<()> {
    if curl.command(None, &[], "/")?.is_none() {
        return Ok(());
    }
    let builder = clients.issue_uri("spiffe://example.org/builder")?.write(curl.home, "builder")?;
    let other = clients.issue_uri("spiffe://example.org/other")?.write(curl.home, "other")?;
    let forger = Authority::new("the machines'")?;
    let forged = forger.issue_uri("spiffe://example.org/builder")?.write(curl.home, "forged")?;
    run(&closed.data, &["robot", "add", "builder", "--no-secret"]).await?;
    run(&closed.data, &["robot", "trust", "builder", "certificate", "san=uri:spiffe://example.org/builder"]).await?;
    closed.grant("robot:builder", "writer", "machines").await?;
    until_allowed(&closed.data, "robot:builder", "push", "machines/app").await?;

    let list = "/v2/machines/app/tags/list";
    let begin = "/v2/machines/app/blobs/uploads/";
    curl.expect(Some(&builder), &[], "/v2/", "200").await?;
    curl.expect(Some(&builder), &[], list, "404").await?;
    curl.expect(Some(&builder), &["--request", "POST"], begin, "202").await?;
    curl.expect(Some(&builder), &[], "/v2/secret/app/tags/list", "403").await?;
    let answer = curl.expect(Some(&builder), &[], "/token?scope=repository:machines/app:pull,push", "200").await?;
    ensure!(answer.stdout.contains("repository:machines/app:pull,push"), "{}", answer.stdout);

    // A real client that shows nothing else.
    let shown = curl.home.join("shown");
    std::fs::create_dir(&shown)?;
    for (from, to) in [(&builder.certificate, "client.cert"), (&builder.key, "client.key")] {
        std::fs::copy(from, shown.join(to))?;
    }
    std::fs::copy(curl.authority, shown.join("ca.crt"))?;
    if let Some(skopeo) = Skopeo::new(986)? {
        let (host, way) = (&curl.url["https://".len()..], Way::Certificate(&shown.display().to_string()));
        skopeo.goes_through(host, way, "machines/app", "secret/app").await?;
    }

    // Without a certificate, or with one that no robot trusts, it is nobody.
    for pair in [None, Some(&other)] {
        curl.expect(pair, &[], "/v2/", "401").await?;
        curl.expect(pair, &[], list, "401").await?;
    }
    // One that somebody else has signed is no certificate: nothing is answered at all.
    let (ended, status) = curl.ask(Some(&forged), &[], "/v2/").await?;
    ensure!(ended.code != Some(0) && status == "000", "a forged certificate was taken: {ended:?}");
    // Who says that he has one has none.
    for header in ["x-forwarded-client-cert: URI=spiffe://example.org/builder", "x-ssl-client-verify: SUCCESS"] {
        curl.expect(None, &["--header", header], list, "401").await?;
    }

    run(&closed.data, &["robot", "distrust", "builder", "certificate"]).await?;
    eventually("the certificate is trusted no more", NOTICE, async || {
        curl.expect(Some(&builder), &[], list, "401").await.map(Some)
    })
    .await
    .map(drop)
}

#[tokio::test]
async fn each_domain_has_its_certificate_and_gets_a_new_one_while_the_node_runs() -> Result<()> {
    let (folder, pairs) = (TempDir::new()?, TempDir::new()?);
    let own = Authority::new("the registry's")?;
    let one = own.issue(&["one.example.org"])?;
    let others = own.issue(&["two.example.org", "*.apps.example.org"])?;
    let main = own.issue(&["main.example.org"])?;
    one.write(pairs.path(), "one")?;
    others.write(pairs.path(), "others")?;
    let files = main.write(folder.path(), "main")?;
    let health = ports::reserve()?;
    let more = [
        ("api.tls_certificate", &*files.certificate),
        ("api.tls_key", &*files.key),
        ("api.tls_directory", pairs.path()),
    ];
    let settings = Settings { keys: keys(&health, &more), ..Settings::default() };
    let mut cluster = Cluster::start_with(1, settings).await?;
    let address = cluster.node(0).address();
    let verdict = async {
        for (domain, pair) in [
            ("one.example.org", &one),
            ("two.example.org", &others),
            ("a.apps.example.org", &others),
            ("main.example.org", &main),
        ] {
            ensure!(own.shown_by(address, domain).await? == pair.shown()?, "{domain} has another certificate");
        }
        // Nobody's domain is shown the main one, which is not for it.
        ensure!(own.shown_by(address, "three.example.org").await.is_err(), "a certificate for a domain of nobody");

        // A pair is replaced, one comes, and half of one is no reason to lose the others.
        let (second, three) = (own.issue(&["one.example.org"])?, own.issue(&["three.example.org"])?);
        std::fs::write(pairs.path().join("broken.crt"), "nonsense")?;
        second.write(pairs.path(), "one")?;
        three.write(pairs.path(), "three")?;
        for (domain, pair) in [("one.example.org", &second), ("three.example.org", &three)] {
            eventually(&format!("{domain} has its new certificate"), NOTICE, async || {
                ensure!(own.shown_by(address, domain).await? == pair.shown()?, "the one of before");
                Ok(Some(()))
            })
            .await?;
        }
        ensure!(own.shown_by(address, "two.example.org").await? == others.shown()?, "two has another certificate");
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}
