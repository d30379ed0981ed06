//! What becomes of certificates when something hangs, and of authorities that take accounts of their customers alone.

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
use tests::wait::eventually;
use tokio_rustls::TlsConnector;

/// How long a certificate may take, the pause after a failure included.
const ISSUED: Duration = Duration::from_mins(2);
/// How long one may take while another domain hangs: less than the hook may hang.
const BESIDE: Duration = Duration::from_mins(1);

const DOMAIN: &str = "registry.test";
const HANGS: &str = "hangs.test";

/// A cluster of one node that gets certificates.
async fn cluster(pebble: &Pebble, health: &Port, more: &[(&str, &str)]) -> Result<Cluster> {
    let mut keys = pebble.keys();
    keys.push(("metrics.listen".to_owned(), health.address().to_string()));
    keys.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Cluster::start_with(1, Settings { keys, ..Settings::default() }).await
}

/// What the node tells of a domain.
async fn entry(cluster: &Cluster, domain: &str) -> Result<Value> {
    let answer = query(cluster.node(0).data(), &["certificate", "list"]).await?;
    let entries = answer["certificates"].as_array().context("no list")?;
    entries
        .iter()
        .find(|entry| entry["name"] == domain)
        .cloned()
        .with_context(|| format!("{domain} is not in {answer}"))
}

/// Waits until the node shows a certificate for a domain that the client can check, and that is not `before`.
async fn shown(cluster: &Cluster, client: &TlsConnector, before: &str, within: Duration) -> Result<String> {
    let address = cluster.node(0).address();
    eventually(&format!("a certificate for {DOMAIN} is shown"), within, async || {
        let shown = shown_to(client, address, DOMAIN).await?;
        Ok(Some(shown).filter(|shown| shown != before))
    })
    .await
}

/// A program for the DNS that hangs for one domain for as long as a file is not there.
fn hook(folder: &Path, pebble: &Pebble) -> Result<String> {
    let hook = folder.join("hook");
    let script = format!(
        "#!/bin/sh\nset -e\n\
         while [ \"$2\" = {HANGS} ] && [ ! -e {go} ]; do echo \"$1\" > {hung}; sleep 0.05; done\n\
         path=clear-txt; if [ \"$1\" = present ]; then path=set-txt; fi\n\
         curl --silent --fail --data \"{{\\\"host\\\": \\\"$3.\\\", \\\"value\\\": \\\"$4\\\"}}\" {dns}$path\n",
        go = folder.join("go").display(),
        hung = folder.join("hung").display(),
        dns = pebble.dns_url(""),
    );
    std::fs::write(&hook, script)?;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
    Ok(hook.display().to_string())
}

#[tokio::test]
async fn a_domain_whose_challenge_hangs_holds_up_no_other() -> Result<()> {
    let folder = TempDir::new()?;
    let Some(mut pebble) = Pebble::new(&folder.path().join("pebble"))? else { return Ok(()) };
    pebble.start(1, 1).await?;
    let (hook, domains) = (hook(folder.path(), &pebble)?, format!("{HANGS};{DOMAIN}"));
    let more = [("acme.domains", &*domains), ("acme.challenge", "dns-01"), ("acme.dns_hook", &*hook)];
    let health = ports::reserve()?;
    let mut cluster = cluster(&pebble, &health, &more).await?;
    let verdict = async {
        let client = trusting(&pebble.root().await?)?;
        eventually("the hook hangs", ISSUED, async || Ok(folder.path().join("hung").exists().then_some(()))).await?;
        let mut last = shown(&cluster, &client, "", BESIDE).await?;
        for _ in 0..2 {
            run(cluster.node(0).data(), &["certificate", "renew", DOMAIN]).await?;
            last = shown(&cluster, &client, &last, BESIDE).await.context("while another domain hangs")?;
        }
        let hanging = entry(&cluster, HANGS).await?;
        ensure!(hanging["state"] == "missing" && hanging["failure"].is_null(), "it hangs no more: {hanging}");
        std::fs::write(folder.path().join("go"), "")?;
        eventually("the domain that hung has its certificate", ISSUED, async || {
            shown_to(&client, cluster.node(0).address(), HANGS).await.map(Some)
        })
        .await?;
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}\n{}", verdict.unwrap_err(), pebble.log());
    Ok(())
}

/// What an authority gives its customers.
const CUSTOMER: &str = "customer-1";
const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

#[tokio::test]
async fn an_authority_that_takes_only_its_customers_is_told_whose_the_account_is() -> Result<()> {
    let folder = TempDir::new()?;
    let Some(mut pebble) = Pebble::new(&folder.path().join("pebble"))? else { return Ok(()) };
    pebble.require_customer(CUSTOMER, KEY);
    let (key, http) = (folder.path().join("key"), ports::reserve()?);
    pebble.start(http.address().port(), 1).await?;
    // Somebody else's at first.
    std::fs::write(&key, format!("{}\n", KEY.chars().rev().collect::<String>()))?;
    let (path, listen) = (key.display().to_string(), http.address().to_string());
    let more = [
        ("acme.domains", DOMAIN),
        ("acme.http_listen", &*listen),
        ("acme.eab_key_id", CUSTOMER),
        ("acme.eab_key_file", &*path),
    ];
    let health = ports::reserve()?;
    let mut cluster = cluster(&pebble, &health, &more).await?;
    let verdict = async {
        let node = cluster.node(0);
        let client = trusting(&pebble.root().await?)?;
        eventually("that the binding is wrong is told", ISSUED, async || {
            let entry = entry(&cluster, DOMAIN).await?;
            let reason = entry["failure"]["reason"].as_str().unwrap_or_default().to_owned();
            ensure!(reason.contains("external account binding"), "{entry}");
            Ok(Some(()))
        })
        .await?;
        ensure!(shown_to(&client, node.address(), DOMAIN).await.is_err(), "a certificate for nobody's account");
        std::fs::write(&key, format!("{KEY}\n"))?;
        run(node.data(), &["certificate", "renew", DOMAIN]).await?;
        shown(&cluster, &client, "", ISSUED).await?;
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}\n{}", verdict.unwrap_err(), pebble.log());
    Ok(())
}
