//! Copies in other regions, of real processes: what is pushed at home appears in them and is served there; a namespace
//! moves with its content while clients push; a home that is lost is replaced, and what comes late from it stands aside.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::image::{Image, MANIFEST, Recipe};
use tests::operator::{COMMAND, query, run};
use tests::process::Ended;
use tests::pushes::Pushes;
use tests::regions::{NOTICE, Regions};
use tests::registry::manifest_path;
use tests::wait::eventually;
use tests::{command, process};

/// The first region is the root's home.
const PLAN: [(&str, usize); 3] = [("eu", 2), ("us", 1), ("ap", 1)];
/// How long content may take from one region to another: debug builds beside other work on two cores.
const ARRIVAL: Duration = Duration::from_mins(2);
/// How long nobody may be able to push while a namespace moves.
const FENCE: Duration = Duration::from_secs(10);
/// What pulls from a copy may cost the line to the home beside them: heartbeats and questions what is new.
const BESIDE_BYTES: u64 = 1 << 20;
/// Exit code of what was not confirmed.
const UNCONFIRMED: Option<i32> = Some(2);
/// Exit code of what would break what the cluster promises.
const REFUSED: Option<i32> = Some(6);

fn image(seed: u64, layers: usize, layer_bytes: usize) -> Image {
    Recipe::new(seed).layers(layers, layer_bytes).build().expect("no compressor fails on memory")
}

fn length_bytes(image: &Image) -> usize {
    image.blobs.iter().map(|blob| blob.bytes.len()).sum()
}

/// What `replication status` at a node says of the copy of a namespace in a region.
async fn copy(regions: &Regions, at: &str, region: &str, namespace: &str) -> Result<Value> {
    let words = ["replication", "status", "--namespace", namespace];
    let answer = query(regions.node(at).data(), &words).await?;
    let told = answer["regions"].as_array().and_then(|told| told.iter().find(|told| told["region"] == region));
    let copies = told.and_then(|told| told["copies"].as_array());
    let copy = copies.and_then(|copies| copies.iter().find(|copy| copy["namespace"] == namespace));
    copy.cloned().with_context(|| format!("{at} knows of no copy of {namespace} in {region}: {answer}"))
}

/// Waits until a region has so many tags in all, and the copy of a namespace there is in sync.
async fn wait_copied(regions: &Regions, region: &str, namespace: &str, tags: f64) -> Result<()> {
    let at = regions.of(region).next().context("a region without nodes")?;
    eventually("everything arrives", ARRIVAL, async || {
        let there = at.metrics().await?.sum(&["regnode_catalog_tags"])?;
        let copy = copy(regions, at.name(), region, namespace).await?;
        ensure!(there.total_cmp(&tags).is_eq() && copy["state"] == "in-sync", "{there} of {tags} tags; {copy}");
        Ok(Some(()))
    })
    .await
}

/// Waits until the catalog of a region holds nothing at all, uploads and blobs included.
async fn wait_empty(regions: &Regions, region: &str) -> Result<()> {
    eventually("nothing is left", ARRIVAL, async || {
        for node in regions.of(region) {
            let metrics = node.metrics().await?;
            for kind in ["repositories", "manifests", "tags", "uploads", "blobs_bytes"] {
                let left = metrics.sum(&[&format!("regnode_catalog_{kind}")])?;
                ensure!(left < 1.0, "{}: {left} {kind}", node.name());
            }
        }
        Ok(Some(()))
    })
    .await
}

/// Runs a command that may fail.
async fn attempt(regions: &Regions, at: &str, words: &[&str]) -> Result<Ended> {
    process::ended(command::operate(regions.node(at).data(), words)?, COMMAND).await
}

/// What is pushed at home is in the copy, verified; there it is pulled without the home, also while that is cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_from_a_copy_cost_the_home_nothing() {
    let mut regions = Regions::start(&PLAN).await.unwrap();
    regions.set("eu", "acme", &["--residency", "replicated", "--copies", "ap"]).await.unwrap();
    let (eu, ap, pushed) = (regions.registry("eu"), regions.registry("ap"), image(1, 4, 1_100_000));
    assert!(length_bytes(&pushed) >= 4 << 20);
    pushed.push(&eu, "acme/app", "v1").await.unwrap();
    wait_copied(&regions, "ap", "acme", 1.0).await.unwrap();
    // Every node tells it, whichever region it is in.
    for node in regions.nodes() {
        let told = copy(&regions, node.name(), "ap", "acme").await.unwrap();
        assert!(told["from"] == "eu" && told["items_waiting"] == 0 && told["items_failing"] == 0, "{told}");
    }

    let before = regions.links().carried("ap", "eu");
    assert!(before >= length_bytes(&pushed) as u64, "the copy came over the line, {before} bytes");
    for _ in 0..10 {
        pushed.check(&ap, "acme/app", "v1").await.unwrap();
        assert_eq!(ap.tags("acme/app").await.unwrap(), ["v1"]);
    }
    let carried = regions.links().carried("ap", "eu") - before;
    println!("ten pulls of {} bytes carried {carried} bytes to and from the home", length_bytes(&pushed));
    assert!(carried < BESIDE_BYTES, "{carried} bytes");

    shared_content_is_not_sent_twice(&regions, &pushed).await.unwrap();
    a_copy_serves_without_its_home(&regions, &pushed).await.unwrap();
    deletions_follow_where_they_are_to(&regions).await.unwrap();
    regions.check_sound().unwrap();
}

/// The region has the bytes already, under another repository.
async fn shared_content_is_not_sent_twice(regions: &Regions, pushed: &Image) -> Result<()> {
    let before = regions.links().carried("ap", "eu");
    pushed.push(&regions.registry("eu"), "acme/other", "v1").await?;
    wait_copied(regions, "ap", "acme", 2.0).await?;
    let carried = regions.links().carried("ap", "eu") - before;
    ensure!(carried < BESIDE_BYTES, "{carried} bytes were carried of what was there");
    pushed.check(&regions.registry("ap"), "acme/other", "v1").await
}

/// What the copy has it answers; what it lacks is not called unknown as long as the home cannot be asked.
async fn a_copy_serves_without_its_home(regions: &Regions, pushed: &Image) -> Result<()> {
    let ap = regions.registry("ap");
    regions.links().cut("eu");
    pushed.check(&ap, "acme/app", "v1").await?;
    let missing = ap.manifest("acme/app", "v2").await?.expect_error(503, "UNAVAILABLE")?;
    missing.need("retry-after")?;
    regions.links().mend();
    eventually("the home is asked again", NOTICE, async || ap.manifest("acme/app", "v2").await?.expect(404).map(Some))
        .await?;
    regions.wait_settled(NOTICE).await
}

/// A tag that is deleted at home goes from the copy, once that is wished.
async fn deletions_follow_where_they_are_to(regions: &Regions) -> Result<()> {
    regions.set("ap", "acme", &["--replicate-deletes", "on"]).await?;
    regions.registry("us").delete(&manifest_path("acme/other", "v1")).await?.expect(202)?;
    wait_copied(regions, "ap", "acme", 1.0).await?;
    regions.registry("ap").manifest("acme/other", "v1").await?.expect(404)?;
    Ok(())
}

/// A namespace moves while clients push at its old home, at its new one and elsewhere: whatever was acknowledged is there,
/// pushes are refused for moments, and the old home holds nothing of it in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_moves_under_pushes_and_loses_nothing() {
    let mut regions = Regions::start(&PLAN).await.unwrap();
    let before = image(100, 2, 300_000);
    before.push(&regions.registry("eu"), "acme/app", "v1").await.unwrap();
    let clients = [("eu", 1000), ("ap", 2000), ("us", 3000)]
        .map(|(region, seed)| Pushes::start(regions.registry(region), &format!("acme/from-{region}"), seed));
    for client in &clients {
        client.wait_for(3).await.unwrap();
    }
    regions.set("us", "acme", &["--home", "ap"]).await.unwrap();
    for client in &clients {
        client.wait_for(3).await.unwrap();
    }
    regions.wait_home("acme", "ap").await.unwrap();
    for client in clients {
        let pushed = client.finish().await.unwrap();
        let (repository, count) = (&pushed.repository, pushed.images.len());
        println!("{repository}: {count} images, refused for {:?} at most: {:#?}", pushed.refused, pushed.reasons);
        assert!(pushed.refused < FENCE, "{repository} was refused for {:?}", pushed.refused);
        let lost = |reason: &&String| reason.contains("MANIFEST_BLOB_UNKNOWN");
        assert_eq!(pushed.reasons.iter().find(lost), None, "a blob that was acknowledged was not there");
        for region in ["ap", "eu", "us"] {
            pushed.check(&regions.registry(region)).await.unwrap();
        }
    }
    before.check(&regions.registry("ap"), "acme/app", "v1").await.unwrap();
    wait_empty(&regions, "eu").await.unwrap();
    before.check(&regions.registry("eu"), "acme/app", "v1").await.unwrap();
    regions.check_sound().unwrap();
}

/// What a former home has that the present one lacks, as a node tells it.
async fn aside(regions: &Regions, at: &str) -> Result<Value> {
    query(regions.node(at).data(), &["namespace", "aside", "team"]).await
}

/// A home is lost. What is not there is told before another region takes its place; when it comes back, what it took in
/// alone stands aside until somebody has seen it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_home_is_replaced_and_its_late_pushes_stand_aside() {
    let mut regions = Regions::start(&PLAN).await.unwrap();
    let fields = ["--home", "us", "--residency", "replicated", "--copies", "ap"];
    regions.set("eu", "team", &fields).await.unwrap();
    regions.wait_home("team", "us").await.unwrap();
    let [first, late, next] = [1, 2, 3].map(|seed| image(200 + seed, 1, 200_000));
    first.push(&regions.registry("us"), "team/app", "v1").await.unwrap();
    first.push(&regions.registry("us"), "team/app", "latest").await.unwrap();
    wait_copied(&regions, "ap", "team", 2.0).await.unwrap();

    // The last push reaches the home alone.
    regions.links().cut("us");
    for tag in ["late", "latest"] {
        late.push(&regions.registry("us"), "team/app", tag).await.unwrap();
    }
    regions.kill("us").unwrap();
    regions.links().mend();
    the_home_is_forced(&regions).await.unwrap();

    let ap = regions.registry("ap");
    first.check(&regions.registry("eu"), "team/app", "v1").await.unwrap();
    next.push(&regions.registry("eu"), "team/app", "v2").await.unwrap();
    ap.put_manifest("team/app", "latest", MANIFEST, &next.manifest.bytes).await.unwrap().expect(201).unwrap();

    regions.restart_all().await.unwrap();
    regions.wait_settled(NOTICE).await.unwrap();
    regions.wait_home("team", "ap").await.unwrap();
    what_came_late_is_aside(&regions, &late, &next).await.unwrap();
    // The present home is what clients see, at the former one too.
    for region in ["us", "ap", "eu"] {
        let registry = regions.registry(region);
        next.check(&registry, "team/app", "latest").await.unwrap();
        assert_eq!(registry.tags("team/app").await.unwrap(), ["latest", "v1", "v2"]);
        registry.manifest("team/app", "late").await.unwrap().expect(404).unwrap();
    }
    what_came_late_is_aside(&regions, &late, &next).await.unwrap();

    let unsure = attempt(&regions, "eu-1", &["namespace", "aside", "team", "--settle", "us"]).await.unwrap();
    assert!(unsure.code == UNCONFIRMED && unsure.stderr.contains("--yes"), "{unsure:?}");
    run(regions.node("eu-1").data(), &["namespace", "aside", "team", "--settle", "us", "--yes"]).await.unwrap();
    let settled = aside(&regions, "ap-1").await.unwrap();
    assert_eq!(settled["regions"], Value::Array(Vec::new()), "{settled}");
    wait_empty(&regions, "us").await.unwrap();
    next.check(&regions.registry("us"), "team/app", "latest").await.unwrap();
    regions.check_sound().unwrap();
}

/// What would be lost is told and has to be confirmed; a region without a copy is refused.
async fn the_home_is_forced(regions: &Regions) -> Result<()> {
    let force = ["namespace", "set", "team", "--home", "ap", "--force"];
    let told = eventually("the home is known to be silent", NOTICE, async || {
        let told = attempt(regions, "eu-1", &force).await?;
        ensure!(told.stdout.contains("region us, the home of team, does not answer"), "{told:?}");
        Ok(Some(told))
    })
    .await?;
    ensure!(told.code == UNCONFIRMED && told.stderr.contains("--yes"), "{told:?}");
    for text in ["nothing is known of that would be lost", "what us has acknowledged after "] {
        ensure!(told.stdout.contains(text), "{text:?} is not told: {told:?}");
    }
    let shown = query(regions.node("eu-1").data(), &["namespace", "show", "team"]).await?;
    ensure!(shown["place"]["home"] == "us", "nothing was confirmed: {shown}");
    let without = ["namespace", "set", "team", "--home", "eu", "--force", "--yes"];
    let refused = attempt(regions, "eu-1", &without).await?;
    ensure!(refused.code == REFUSED && refused.stderr.contains("copy"), "{refused:?}");
    run(regions.node("eu-1").data(), &[&force[..], &["--yes"]].concat()).await?;
    regions.wait_home_at(regions.nodes().iter().filter(|node| node.region() != "us"), "team", "ap").await
}

/// Both tags that the former home set alone, with what the present one has instead.
async fn what_came_late_is_aside(regions: &Regions, late: &Image, next: &Image) -> Result<()> {
    for at in ["eu-1", "ap-1", "us-1"] {
        let told = eventually("the former home tells what it has", NOTICE, async || {
            let told = aside(regions, at).await?;
            ensure!(told["compared"] == "us", "{told}");
            Ok(Some(told))
        })
        .await?;
        let differences = told["differences"].as_array().context("no differences")?;
        let of = |tag: &str| differences.iter().find(|difference| difference["tag"] == tag);
        let (alone, moved) = (of("late").context("late is not told")?, of("latest").context("latest is not told")?);
        let digest = late.manifest.digest.as_str();
        ensure!(alone["digest"] == digest && alone["at_home"].is_null(), "{told}");
        ensure!(moved["digest"] == digest && moved["at_home"] == next.manifest.digest.as_str(), "{told}");
        ensure!(alone["pushed_milliseconds"].as_u64().is_some_and(|time| time > 0), "{told}");
        ensure!(differences.len() == 2, "{told}");
    }
    Ok(())
}
