//! Two regions of real processes: the primary one is lost, and the other takes the directory over. What returns follows.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::image::{Image, Recipe};
use tests::operator::{query, run};
use tests::regions::{NOTICE, Regions};
use tests::wait::eventually;
use tests::{command, process};

/// Two votes of the directory are in `eu`, which is the primary, and one is in `us`.
const PLAN: [(&str, usize); 2] = [("eu", 2), ("us", 2)];
/// How long it may take until nodes that return have joined what goes on, and vote in it.
const RETURN: Duration = Duration::from_secs(90);
/// Exit code of what would break what the cluster promises.
const REFUSED: Option<i32> = Some(6);
const TAKEOVER: [&str; 3] = ["region", "takeover", "--yes"];

async fn start() -> Result<Regions> {
    let regions = Regions::start(&PLAN).await?;
    regions.set("eu", "us", &["--home", "us"]).await?;
    regions.wait_home("us", "us").await?;
    Ok(regions)
}

fn image(seed: u64) -> Image {
    Recipe::new(seed).layers(1, 100_000).build().expect("no compressor fails on memory")
}

async fn refused(regions: &Regions, node: &str, message: &str) -> Result<()> {
    let refused = process::ended(command::operate(regions.node(node).data(), &TAKEOVER)?, NOTICE).await?;
    ensure!(refused.code == REFUSED && refused.stderr.contains(message), "{message} is expected: {refused:?}");
    Ok(())
}

async fn show(regions: &Regions, node: &str, prefix: &str) -> Result<Value> {
    query(regions.node(node).data(), &["namespace", "show", prefix]).await
}

/// The quota of a namespace's own, as a node shows it once a quorum has confirmed it.
async fn wait_quota(regions: &Regions, node: &str, prefix: &str, tags: u64) -> Result<()> {
    eventually("the policy is known", RETURN, async || {
        let shown = show(regions, node, prefix).await?;
        ensure!(shown["own"]["quota"]["tags"] == tags && shown["in_force"] == true, "{node}: {shown}");
        Ok(Some(()))
    })
    .await
}

/// Regions with whether they are the primary, and their votes.
async fn listed(regions: &Regions, node: &str) -> Result<Vec<(Value, bool, u64)>> {
    let answer = query(regions.node(node).data(), &["region", "list"]).await?;
    ensure!(answer["directory"]["confirmed"] == true, "{answer}");
    let row = |region: &Value| {
        (region["name"].clone(), region["primary"] == true, region["directory_voters"].as_u64().unwrap_or(0))
    };
    Ok(answer["regions"].as_array().into_iter().flatten().map(row).collect())
}

async fn wait_listed(regions: &Regions, node: &str, expected: [(&str, bool, u64); 2]) -> Result<()> {
    let expected = expected.map(|(name, primary, voters)| (Value::from(name), primary, voters));
    eventually("the regions have these votes", RETURN, async || {
        let listed = listed(regions, node).await?;
        ensure!(listed == expected, "{node}: {listed:?}");
        Ok(Some(()))
    })
    .await
}

/// The primary region dies: the other one goes on with the directory, and the dead ones follow when they come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_goes_on_when_the_primary_is_lost() {
    let mut regions = start().await.unwrap();
    let before = image(1);
    before.push(&regions.registry("us"), "us/own", "before").await.unwrap();
    refused(&regions, "us-1", "the directory has a quorum").await.unwrap();
    regions.kill("eu").unwrap();
    let us = regions.node("us-2").data().to_owned();
    assert!(run(&us, &["namespace", "set", "us/early", "--quota-tags", "7"]).await.is_err());

    let text = run(&us, &TAKEOVER).await.unwrap();
    assert!(text.contains("region us has taken the directory over from region eu"), "{text}");
    wait_listed(&regions, "us-1", [("eu", false, 0), ("us", true, 2)]).await.unwrap();
    for node in ["us-1", "us-2"] {
        refused(&regions, node, "the directory has a quorum").await.unwrap();
    }
    // Everything can be changed again, the home of what is lost included.
    regions.set("us", "us/later", &["--quota-tags", "7"]).await.unwrap();
    run(&us, &["namespace", "set", "lost", "--home", "us", "--force", "--without-copy", "--yes"]).await.unwrap();
    run(&us, &["token", "--region", "us"]).await.unwrap();
    for node in ["us-1", "us-2"] {
        wait_quota(&regions, node, "us/later", 7).await.unwrap();
        before.check(&regions.node(node).registry(), "us/own", "before").await.unwrap();
    }
    image(2).push(&regions.registry("us"), "us/own", "during").await.unwrap();

    regions.restart_all().await.unwrap();
    for node in ["eu-1", "eu-2"] {
        wait_quota(&regions, node, "us/later", 7).await.unwrap();
        image(2).check(&regions.node(node).registry(), "us/own", "during").await.unwrap();
        let shown = show(&regions, node, "lost").await.unwrap();
        assert_eq!(shown["place"]["home"], "us", "{shown}");
    }
    regions.wait_settled(RETURN).await.unwrap();
    wait_listed(&regions, "eu-1", [("eu", false, 1), ("us", true, 2)]).await.unwrap();
    // Nothing is taken away from anybody until somebody has looked.
    let held = async |node: &str| {
        let listed = query(regions.node(node).data(), &["region", "list"]).await.unwrap();
        listed["removals_held_milliseconds"].as_u64()
    };
    assert!(held("eu-1").await.is_some() && held("us-1").await.is_some());
    let text = run(regions.node("us-1").data(), &["region", "release", "--yes"]).await.unwrap();
    assert!(text.contains("regnode residency verify"), "{text}");
    assert_eq!(held("us-1").await, None);
    regions.set("eu", "eu/again", &["--quota-tags", "8"]).await.unwrap();
    regions.check_sound().unwrap();
}

/// What was thought to be lost runs on behind a cut and agrees on changes. They are gone when it is back, and nothing that
/// it knew passes for what is agreed on now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_on_behind_a_cut_follows_when_it_is_back() {
    let mut regions = start().await.unwrap();
    regions.links().cut("us");
    let us = regions.node("us-1").data().to_owned();
    run(&us, &TAKEOVER).await.unwrap();
    for number in 0..5 {
        regions.set("eu", &format!("eu/unheard-{number}"), &["--quota-tags", "9"]).await.unwrap();
    }
    regions.set("us", "us/later", &["--quota-tags", "7"]).await.unwrap();
    wait_listed(&regions, "us-2", [("eu", false, 0), ("us", true, 2)]).await.unwrap();
    assert!(listed(&regions, "eu-1").await.unwrap().contains(&(Value::from("eu"), true, 2)), "it knows nothing yet");

    regions.links().mend();
    for node in ["eu-1", "eu-2"] {
        wait_quota(&regions, node, "us/later", 7).await.unwrap();
        for number in 0..5 {
            let shown = show(&regions, node, &format!("eu/unheard-{number}")).await.unwrap();
            assert!(shown["own"].is_null() && shown["in_force"] == true, "{node}: {shown}");
        }
    }
    regions.wait_settled(RETURN).await.unwrap();
    wait_listed(&regions, "eu-2", [("eu", false, 1), ("us", true, 2)]).await.unwrap();
    // Each region serves its own, and the other one through it.
    for (seed, region) in [(3, "eu"), (4, "us")] {
        image(seed).push(&regions.registry(region), &format!("{region}/after"), "v1").await.unwrap();
        for node in regions.nodes() {
            image(seed).check(&node.registry(), &format!("{region}/after"), "v1").await.unwrap();
        }
    }
    regions.check_sound().unwrap();
}
