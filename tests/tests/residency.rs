//! Where data rests, proved on real processes: a pinned namespace is where it may be, what was put elsewhere by hand is
//! found with its place, and what could not be looked at is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::image::{Image, Recipe};
use tests::operator::query;
use tests::regions::{NOTICE, Regions};
use tests::wait::eventually;
use tests::{command, damage, process};

/// One node in each region: the directory bears the loss of any.
const PLAN: [(&str, usize); 3] = [("eu", 1), ("us", 1), ("ap", 1)];
/// How long looking through some small disks may take, also when a node does not answer.
const LOOK: Duration = Duration::from_mins(2);
/// Exit codes of `regnode residency verify`.
const CLEAN: Option<i32> = Some(0);
const VIOLATED: Option<i32> = Some(1);
const INCOMPLETE: Option<i32> = Some(2);
/// Known in its home region alone.
const NAME: &str = "eu/secret/vault";

/// What `regnode residency verify --json` said, and how it ended.
#[derive(Debug)]
struct Verified {
    code: Option<i32>,
    report: Value,
}

impl Verified {
    /// Everything was looked at, and nothing is where it may not be.
    fn expect_clean(self) -> Result<Self> {
        ensure!(self.code == CLEAN && self.report["violations_total"] == 0, "{self:?}");
        ensure!(self.report["missing"].as_array().is_some_and(Vec::is_empty), "{self:?}");
        Ok(self)
    }

    /// Exactly these files are where they may not be.
    fn expect_planted(self, region: &str, node: &str, paths: &[&Path]) -> Result<Self> {
        let found = self.report["violations"].as_array().context("no violations")?;
        let mut told: Vec<&str> = found.iter().filter_map(|finding| finding["path"].as_str()).collect();
        let mut expected: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
        told.sort_unstable();
        expected.sort_unstable();
        ensure!(self.code == VIOLATED && told == expected, "{self:?}");
        for finding in found {
            let right = finding["region"] == region && finding["node"] == node && finding["namespace"] == "eu/secret";
            ensure!(right && finding["disk"].as_str().is_some_and(|disk| disk.len() == 32), "{self:?}");
        }
        Ok(self)
    }

    /// The row of a namespace in a region.
    fn row(&self, namespace: &str, region: &str) -> Option<&Value> {
        let rows = self.report["rows"].as_array()?;
        rows.iter().find(|row| row["namespace"] == namespace && row["region"] == region)
    }
}

async fn verify(data: &Path, words: &[&str]) -> Result<Verified> {
    let words = [&["residency", "verify", "--json"], words].concat();
    let ended = process::ended(command::operate(data, &words)?, LOOK).await?;
    let report = serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
    Ok(Verified { code: ended.code, report })
}

/// A shard file of a node, below its disk's directory.
fn a_shard(data: &Path) -> Result<PathBuf> {
    let files = damage::shard_files(data)?;
    let file = files.into_iter().find(|path| path.parent().is_some_and(|page| page.parent().is_some_and(is_shards)));
    file.context("no shard file")
}

fn is_shards(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == "shards")
}

async fn wait_alarm(regions: &Regions, node: &str, raised: bool) -> Result<()> {
    eventually("the alarm is told", NOTICE, async || {
        let status = regions.node(node).status().await?;
        let told = status.findings().iter().any(|finding| finding.contains("regnode residency verify"));
        ensure!(told == raised, "{status}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rests_where_it_may_not_is_found() {
    let mut regions = Regions::start(&PLAN).await.unwrap();
    regions.set("eu", "us", &["--home", "us"]).await.unwrap();
    regions.set("eu", "eu/secret", &["--residency", "pinned"]).await.unwrap();
    regions.wait_home("us", "us").await.unwrap();
    regions.wait_home("eu/secret", "eu").await.unwrap();
    let image: Image = Recipe::new(50).layers(2, 300_000).build().unwrap();
    for (region, repository) in [("ap", NAME), ("eu", "us/own"), ("us", "eu/open")] {
        // Each through another region than its home.
        image.push(&regions.registry(region), repository, "v1").await.unwrap();
    }
    let before = everything_is_where_it_may_be(&regions).await.unwrap();
    copies_by_hand_are_found(&regions).await.unwrap();
    what_does_not_answer_is_told(&mut regions).await.unwrap();
    audits_are_written_down(&regions, before).await.unwrap();
    regions.check_sound().unwrap();
}

/// Whoever is asked, and also what is below one prefix alone. Returns how many audits that were.
async fn everything_is_where_it_may_be(regions: &Regions) -> Result<usize> {
    for (name, _) in PLAN {
        let verified = verify(regions.node(&format!("{name}-1")).data(), &[]).await?.expect_clean()?;
        let row = verified.row("eu/secret", "eu").with_context(|| format!("{verified:?}"))?;
        ensure!(row["residency"] == "pinned" && row["standing"] == "home" && row["manifests"] == 1, "{row}");
        ensure!(row["shards"]["files"].as_u64() > Some(0) && row["shards"]["bytes"].as_u64() > Some(300_000), "{row}");
        for (region, _) in &PLAN[1..] {
            ensure!(verified.row("eu/secret", region).is_none(), "{verified:?}");
        }
        ensure!(verified.row("us", "us").is_some_and(|row| row["tags"] == 1), "{verified:?}");
    }
    let part = verify(regions.node("ap-1").data(), &["--namespace", "eu/secret"]).await?.expect_clean()?;
    ensure!(part.row("eu/secret", "eu").is_some() && part.row("us", "us").is_none(), "{part:?}");
    Ok(PLAN.len())
}

/// A shard under its own name in another region's page, and one under any name anywhere on a disk.
async fn copies_by_hand_are_found(regions: &Regions) -> Result<()> {
    let (eu, us, ap) = (regions.node("eu-1"), regions.node("us-1"), regions.node("ap-1"));
    // Of the shards of eu, one of the pinned namespace alone: what is not shared with what may rest elsewhere.
    let alone = Recipe::new(51).layers(1, 400_000).build()?;
    let present = damage::shard_files(eu.data())?;
    alone.push(&eu.registry(), NAME, "v2").await?;
    let pushed = damage::shard_files(eu.data())?;
    let shard = pushed.difference(&present).next().context("no shard file was written")?;
    let below = shard.strip_prefix(eu.data())?;
    let copy = us.data().join(below);
    fs::copy(shard, &copy)?;
    verify(ap.data(), &[]).await?.expect_planted("us", "us-1", &[&copy])?;
    for node in regions.nodes() {
        wait_alarm(regions, node.name(), true).await?;
    }
    let words = ["residency", "verify"];
    let text = process::ended(command::operate(us.data(), &words)?, LOOK).await?;
    let told = ["VIOLATION", "region us", "node us-1", "eu/secret"].iter().all(|word| text.stdout.contains(word));
    ensure!(text.code == VIOLATED && told && text.stdout.contains(&copy.display().to_string()), "{text:?}");
    let metrics = us.metrics().await?;
    ensure!(metrics.sum(&["regnode_residency_violations", "region=\"us\""])? >= 1.0, "no metric tells it");

    // Somebody's backup, on a disk but in no page, and one whose name says that it is another shard.
    fs::remove_file(&copy)?;
    let other = a_shard(us.data())?;
    let disk = other.ancestors().find(|folder| is_shards(folder)).and_then(Path::parent).context("no disk")?;
    let folder = disk.join("old");
    fs::create_dir(&folder)?;
    let hidden = folder.join("backup.bin");
    fs::copy(shard, &hidden)?;
    let name = other.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
    let disguised = other.with_file_name(format!("{}-ff", name.context("no shard's name")?.0));
    fs::copy(shard, &disguised)?;
    verify(us.data(), &["--namespace", "eu/secret"]).await?.expect_planted("us", "us-1", &[&hidden, &disguised])?;
    verify(us.data(), &["--namespace", "us"]).await?.expect_clean()?;
    fs::remove_dir_all(&folder)?;
    fs::remove_file(&disguised)?;

    // The state of another region's catalog.
    let group = us.data().join("groups/catalog-1");
    fs::create_dir(&group)?;
    let found = verify(eu.data(), &[]).await?;
    let first = &found.report["violations"][0];
    ensure!(found.code == VIOLATED && first["kind"] == "foreign_group", "{found:?}");
    ensure!(first["path"] == group.display().to_string() && first["node"] == "us-1", "{found:?}");
    fs::remove_dir(&group)?;
    verify(ap.data(), &[]).await?.expect_clean()?;
    for node in regions.nodes() {
        wait_alarm(regions, node.name(), false).await?;
    }
    // Looking has carried no name of what is pinned to where it may not rest.
    for node in [us, ap] {
        ensure!(!damage::holds(node.data(), NAME)? && !node.log().contains("vault"), "at {}", node.name());
    }
    Ok(())
}

/// A node that does not run leaves the proof incomplete, and says so with its name.
async fn what_does_not_answer_is_told(regions: &mut Regions) -> Result<()> {
    regions.kill("ap")?;
    let verified = verify(regions.node("eu-1").data(), &[]).await?;
    let missing = verified.report["missing"].to_string();
    ensure!(verified.code == INCOMPLETE && verified.report["violations_total"] == 0, "{verified:?}");
    ensure!(missing.contains("ap-1") && missing.contains("region ap"), "{missing}");
    regions.restart_all().await?;
    regions.wait_settled(NOTICE).await?;
    verify(regions.node("eu-1").data(), &[]).await?.expect_clean().map(drop)
}

/// Every look at all was an audit of each region, and every region has them.
async fn audits_are_written_down(regions: &Regions, before: usize) -> Result<()> {
    for node in regions.nodes() {
        let history = query(node.data(), &["residency", "history", "--limit", "1000"]).await?;
        let audits = history["audits"].as_array().context("no audits")?;
        ensure!(history["alarms"].as_array().is_some_and(Vec::is_empty), "{history}");
        let of = |region: &'static str| audits.iter().filter(move |audit| audit["region"] == region);
        ensure!(of("us").count() > before && of("us").count() == of("eu").count(), "{history}");
        ensure!(
            of("us").next().is_some_and(|audit| audit["complete"] == true && audit["violations"] == 0),
            "{history}"
        );
        let found: Vec<&Value> = of("us").filter(|audit| audit["violations"] == 1).collect();
        ensure!(found.iter().any(|audit| audit["examples"][0].to_string().contains("node us-1")), "{history}");
        ensure!(of("eu").all(|audit| audit["violations"] == 0), "{history}");
        ensure!(of("ap").any(|audit| audit["complete"] == false), "{history}");
        let pinned = of("eu").next().map(|audit| (&audit["pinned_objects"], &audit["pinned_bytes"]));
        ensure!(
            pinned.is_some_and(|(objects, bytes)| objects.as_u64() > Some(2) && bytes.as_u64() > Some(500_000)),
            "{history}"
        );
    }
    Ok(())
}
