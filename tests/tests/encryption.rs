//! Encryption at rest: what somebody finds who has the disks of a node and not its key, and what an operator does with
//! keys. The commands are those of the handbook (`deploy/handbook/encryption.md`).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::access::{Closed, add_user};
use tests::cluster::{Cluster, Settings};
use tests::content;
use tests::damage::contents;
use tests::digest::sha256;
use tests::operator::{query, run};
use tests::pushes::Pushes;
use tests::registry::Registry;
use tests::tpm::Tpm;
use tests::wait::eventually;

/// How long a node may take to refuse its start.
const REFUSED: Duration = Duration::from_secs(30);
/// How long it may take until nothing lies under an older key.
const REWRITTEN: Duration = Duration::from_mins(2);
/// The audit log names who did what in the clear.
const IN_THE_CLEAR: [&str; 1] = ["audit"];

const REPOSITORY: &str = "classified-project/classified-application";
const TAG: &str = "classified-tag";
const USER: &str = "classified-person";
const SMALL: &str = "classified-configuration";
const LARGE: &str = "classified-layer";
const ANNOTATION: &str = "classified-annotation";
/// What a stolen disk must not show.
const MARKS: [&str; 6] = ["classified-application", TAG, USER, SMALL, LARGE, ANNOTATION];

/// A key file of its own, as `openssl rand -hex 32` makes it.
fn key_file(folder: &Path, name: &str, seed: u64) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, format!("{}\n", hex::encode(content::bytes(seed, 32))))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

/// An image whose parts are easy to find: one part small enough for the catalog, one large enough for the disks.
async fn push_marked(registry: &Registry) -> Result<()> {
    let config = Bytes::from(json!({ "architecture": "amd64", "os": "linux", "note": SMALL }).to_string());
    let layer = Bytes::from(format!("{LARGE} ").repeat(40_000));
    let mut parts = Vec::new();
    for (media, bytes) in [("config.v1+json", &config), ("layer.v1.tar", &layer)] {
        let digest = registry.push_blob(REPOSITORY, bytes).await?;
        let media = format!("application/vnd.oci.image.{media}");
        parts.push(json!({ "mediaType": media, "digest": digest, "size": bytes.len() }));
    }
    let media = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media, "config": parts[0], "layers": [parts[1]],
        "annotations": { "org.example.note": ANNOTATION },
    });
    registry.put_manifest(REPOSITORY, TAG, media, &Bytes::from(manifest.to_string())).await?.expect(201).map(drop)
}

async fn pull_marked(registry: &Registry) -> Result<()> {
    let manifest = registry.manifest(REPOSITORY, TAG).await?.expect(200)?.json()?;
    for part in [&manifest["config"], &manifest["layers"][0]] {
        let digest = part["digest"].as_str().context("a digest")?;
        let blob = registry.blob(REPOSITORY, digest).await?;
        ensure!(sha256(&blob) == digest, "{digest} has other bytes");
    }
    Ok(())
}

/// The marks that some file shows.
fn shown(data: &Path, marks: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (path, bytes) in contents(data, &IN_THE_CLEAR)? {
        for mark in marks {
            if bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                found.push(format!("{mark} in {}", path.display()));
            }
        }
    }
    Ok(found)
}

fn marks() -> Vec<String> {
    MARKS.map(str::to_owned).to_vec()
}

async fn until_settled(data: &Path) -> Result<Value> {
    eventually("nothing lies under an older key", REWRITTEN, async || {
        let status = query(data, &["encryption", "status"]).await?;
        ensure!(status["state"] == "settled", "{status}");
        Ok(Some(status))
    })
    .await
}

/// Keys of what lies anywhere; `null` is in the clear.
fn keys(status: &Value) -> Vec<Value> {
    status["files"].as_array().into_iter().flatten().map(|row| row["key"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stolen_disks_of_a_cluster_show_nothing() {
    let folder = TempDir::new().unwrap();
    let own = |number: u64| {
        let file = key_file(folder.path(), &format!("key{number}"), number).unwrap();
        vec![("encryption.key_file".to_owned(), file.display().to_string())]
    };
    let settings = Settings { own: (1..=3).map(own).collect(), closed: true, ..Settings::default() };
    let mut cluster = Cluster::start_with(3, settings).await.unwrap();
    let operator = Closed::of(&cluster).operator();
    push_marked(&operator).await.unwrap();
    add_user(cluster.node(0).data(), USER).await.unwrap();
    let mut seen = Vec::new();
    for node in cluster.nodes() {
        let status = query(node.data(), &["encryption", "status"]).await.unwrap();
        assert_eq!((&status["state"], &status["content"]), (&json!("settled"), &json!(true)), "{status}");
        assert!(!keys(&status).contains(&Value::Null), "{status}");
        seen.extend(keys(&status));
    }
    seen.sort_by_key(Value::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 3, "each node has a key of its own: {seen:?}");
    for number in 0..3 {
        cluster.node_mut(number).stop().await.unwrap();
        let secrets = [marks(), vec!["PRIVATE KEY".to_owned()]].concat();
        assert_eq!(shown(cluster.node(number).data(), &secrets).unwrap(), Vec::<String>::new());
    }
    cluster.restart_all().await.unwrap();
    for node in cluster.nodes() {
        let registry = node.registry();
        pull_marked(&registry.logged_in(tests::cluster::OPERATOR, tests::cluster::OPERATOR_PASSWORD)).await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// A node that refuses its start: its exit code is not that of success, and it says why.
async fn refuses(cluster: &mut Cluster, words: &[&str]) -> Result<()> {
    cluster.node_mut(0).serve()?;
    let code = cluster.node_mut(0).wait_ended(REFUSED).await?;
    ensure!(code == Some(1), "it ended with {code:?}");
    let log = cluster.node(0).log();
    let last = log.lines().rev().take(4).collect::<Vec<_>>().join(" ");
    ensure!(words.iter().all(|word| last.contains(word)), "it does not say {words:?}: {last}");
    Ok(())
}

/// The secrets of a node in the clear: its own key, and the key of the cluster.
fn secrets(data: &Path) -> Result<Vec<String>> {
    let identity = data.join("identity");
    let key = fs::read_to_string(identity.join("node.key"))?;
    let line = key.lines().nth(1).context("a PEM file has a second line")?.to_owned();
    let cluster = fs::read_to_string(identity.join("cluster.key"))?.trim().to_owned();
    Ok(vec![line, cluster])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_encrypted_afterwards_and_its_key_is_rotated() {
    let folder = TempDir::new().unwrap();
    let key = key_file(folder.path(), "key", 1).unwrap();
    let mut cluster = Cluster::start(1).await.unwrap();
    let (registry, data) = (cluster.registry(), cluster.node(0).data().to_owned());
    push_marked(&registry).await.unwrap();
    let all = [&marks()[..2], &marks()[3..], &secrets(&data).unwrap()].concat();
    cluster.node_mut(0).stop().await.unwrap();
    let clear = shown(&data, &all).unwrap();
    for mark in &all {
        assert!(clear.iter().any(|found| found.starts_with(mark)), "the search does not find {mark}: {clear:?}");
    }

    // Turned on: what is there is rewritten.
    cluster.node_mut(0).set("encryption.key_file", Some(key.to_str().unwrap()));
    cluster.node_mut(0).restart().await.unwrap();
    let status = until_settled(&data).await.unwrap();
    assert!(keys(&status).len() == 1 && !keys(&status).contains(&Value::Null), "{status}");
    pull_marked(&registry).await.unwrap();
    cluster.node_mut(0).stop().await.unwrap();
    assert_eq!(shown(&data, &all).unwrap(), Vec::<String>::new());

    // No start without the key.
    let other = key_file(folder.path(), "other", 2).unwrap();
    cluster.node_mut(0).set("encryption.key_file", Some(other.to_str().unwrap()));
    refuses(&mut cluster, &["does not give the key", "nothing was changed"]).await.unwrap();
    cluster.node_mut(0).set("encryption.key_file", None);
    refuses(&mut cluster, &["nothing in [encryption] says what opens it"]).await.unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    cluster.node_mut(0).set("encryption.key_file", Some(key.to_str().unwrap()));
    refuses(&mut cluster, &["may be read by others (mode 644)", "chmod 600"]).await.unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    cluster.node_mut(0).restart().await.unwrap();
    pull_marked(&registry).await.unwrap();

    // A new data key under load; the process dies on the way.
    let old = keys(&status)[0].clone();
    let pushes = Pushes::start(registry.clone(), "load/rotation", 7_000);
    pushes.wait_for(3).await.unwrap();
    let rotated = query(&data, &["encryption", "rotate"]).await.unwrap();
    assert!(keys(&rotated).contains(&old) && keys(&rotated).len() == 2, "{rotated}");
    pushes.wait_for(3).await.unwrap();
    let pushed = pushes.finish().await.unwrap();
    cluster.node_mut(0).kill().unwrap();
    cluster.node_mut(0).restart().await.unwrap();
    let status = until_settled(&data).await.unwrap();
    assert!(keys(&status).len() == 1 && !keys(&status).contains(&old), "{status}");
    cluster.node_mut(0).stop().await.unwrap();
    cluster.node_mut(0).restart().await.unwrap();
    pushed.check(&registry).await.unwrap();
    pull_marked(&registry).await.unwrap();
    let recorded = query(&data, &["audit", "search", "--action", "encryption"]).await.unwrap().to_string();
    assert!(recorded.contains(old.as_str().unwrap()), "{recorded}");
    cluster.check_sound().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tpm_gives_the_key_only_to_the_system_it_was_sealed_for() {
    let folder = TempDir::new().unwrap();
    let Some(tpm) = Tpm::start(folder.path()).await.unwrap() else { return };
    tpm.seal(&hex::encode(content::bytes(1, 32))).await.unwrap();
    let keys = vec![("encryption.key_command".to_owned(), tpm.key_command())];
    let mut cluster = Cluster::start_with(1, Settings { keys, ..Settings::default() }).await.unwrap();
    let (registry, data) = (cluster.registry(), cluster.node(0).data().to_owned());
    push_marked(&registry).await.unwrap();
    cluster.node_mut(0).stop().await.unwrap();
    assert_eq!(shown(&data, &marks()).unwrap(), Vec::<String>::new());
    cluster.node_mut(0).restart().await.unwrap();
    pull_marked(&registry).await.unwrap();

    // A passphrase takes its place, while the node runs.
    let words = folder.path().join("words");
    fs::write(&words, "correct horse battery staple\n").unwrap();
    fs::set_permissions(&words, fs::Permissions::from_mode(0o600)).unwrap();
    let file = folder.path().join("regnode.toml");
    fs::write(&file, format!("[encryption]\npassphrase_file = {words:?}\n")).unwrap();
    let told = run(&data, &["encryption", "rewrap", "--config", file.to_str().unwrap()]).await.unwrap();
    assert!(told.contains("encryption.passphrase_file"), "{told}");
    tpm.boot_otherwise().await.unwrap();
    cluster.node_mut(0).stop().await.unwrap();
    refuses(&mut cluster, &["encryption.key_command has given no key", "policy check failed"]).await.unwrap();
    cluster.node_mut(0).set("encryption.key_command", None);
    cluster.node_mut(0).set("encryption.passphrase_file", Some(words.to_str().unwrap()));
    cluster.node_mut(0).restart().await.unwrap();
    pull_marked(&registry).await.unwrap();
    cluster.check_sound().unwrap();
}
