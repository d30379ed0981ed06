//! Two regions of a closed cluster: whoever asks in the wrong one is in the right one who he is, with all that he may and
//! may not; and the authority of the nodes' certificates is changed over both.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::Value;
use tests::access::{self, until_allowed};
use tests::cluster::{OPERATOR, OPERATOR_PASSWORD};
use tests::image::{Image, Recipe};
use tests::operator::{query, run};
use tests::regions::{NOTICE, Regions};
use tests::registry::{Registry, manifest_path, send};
use tests::wait::eventually;

/// Two nodes in the first region: one may lead the directory, and one may not.
const PLAN: [(&str, usize); 2] = [("eu", 2), ("us", 1)];
/// Where rules say that a client comes from, and another address.
const OFFICE: [u8; 4] = [127, 0, 0, 5];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 6];
/// An image of the namespace whose home is the second region.
const REPOSITORY: &str = "us/app";

/// Who asks.
struct People {
    /// Writes in the namespace of the second region, but in one part of it.
    ann: String,
    /// Reads there from one address alone.
    clerk: String,
    /// May nothing there.
    bob: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_in_the_wrong_region_is_himself_in_the_right_one_and_the_authority_changes_over_both() -> Result<()> {
    let mut regions = Regions::start_closed(&PLAN).await?;
    let verdict = over_both(&regions).await.and_then(|()| regions.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn over_both(regions: &Regions) -> Result<()> {
    regions.set("eu", "us", &["--home", "us"]).await?;
    regions.wait_home("us", "us").await?;
    let people = people(regions).await?;
    let image = Recipe::new(990).layers(2, 200_000).build()?;
    image.push(&at(regions, "us").logged_in("ann", &people.ann), REPOSITORY, "v1").await?;
    for region in ["us", "eu"] {
        let tag = format!("from-{region}");
        callers(&at(regions, region), &people, &image, &tag).await.with_context(|| format!("asked in {region}"))?;
    }
    recorded(regions).await?;
    rotated(regions).await?;
    callers(&at(regions, "eu"), &people, &image, "later").await.context("after the change of the authority")
}

/// Clients of a region's first node.
fn at(regions: &Regions, region: &str) -> Registry {
    regions.node(&format!("{region}-1")).registry()
}

async fn people(regions: &Regions) -> Result<People> {
    let data = regions.node("eu-1").data();
    let [ann, clerk, bob] = [
        access::add_user(data, "ann").await?,
        access::add_user(data, "clerk").await?,
        access::add_user(data, "bob").await?,
    ];
    access::grant(data, "user:ann", "writer", "us").await?;
    access::deny(data, "user:ann", "pull,push", "us/locked").await?;
    let network = format!("{}/32", IpAddr::from(OFFICE));
    run(data, &["access", "grant", "user:clerk", "reader", "us", "--from", &network]).await?;
    // The last of the rules: those before it are known with it.
    access::grant(data, "user:bob", "reader", "eu").await?;
    for node in regions.nodes() {
        until_allowed(node.data(), "user:bob", "pull", "eu/app").await?;
    }
    Ok(People { ann, clerk, bob })
}

/// What becomes of each of them at this node; what is pushed has this tag.
async fn callers(registry: &Registry, people: &People, image: &Image, tag: &str) -> Result<()> {
    let path = manifest_path(REPOSITORY, "v1");
    let ann = registry.logged_in("ann", &people.ann);
    image.check(&ann, REPOSITORY, "v1").await?;
    image.push(&ann, REPOSITORY, tag).await?;
    ann.delete(&path).await?.expect_error(403, "DENIED")?;
    // A right of a namespace, and a denial below it.
    ann.get(&manifest_path("us/locked", "v1")).await?.expect_error(403, "DENIED")?;
    ann.upload(Method::POST, "/v2/us/locked/blobs/uploads/", "").await?.expect_error(403, "DENIED")?;
    ann.get(&manifest_path("us/none", "v1")).await?.expect(404)?;

    registry.logged_in("bob", &people.bob).get(&path).await?.expect_error(403, "DENIED")?;
    registry.logged_in("bob", "a guess").get(&path).await?.expect(401)?;
    registry.get(&path).await?.expect(401)?;
    registry.logged_in(OPERATOR, OPERATOR_PASSWORD).get(&path).await?.expect(200)?;

    // Where he is, is where he is to the node that he asks.
    let clerk = registry.logged_in("clerk", &people.clerk);
    clerk.from_address(OFFICE.into()).get(&path).await?.expect(200)?;
    let elsewhere = clerk.from_address(ELSEWHERE.into());
    elsewhere.get(&path).await?.expect_error(403, "DENIED")?;
    let claim = format!("{{\"address\":\"{}\",\"secure\":true}}", IpAddr::from(OFFICE));
    for (name, value) in [("regnode-client", claim.as_str()), ("x-forwarded-for", "127.0.0.5")] {
        send(elsewhere.request(Method::GET, &path).header(name, value)).await?.expect_error(403, "DENIED")?;
    }

    // A token says who he is everywhere, and what for.
    let token = ann.token(&["repository:us/app:pull"]).await?;
    let bearer = registry.with_token(&token);
    bearer.get(&path).await?.expect(200)?;
    let refused = bearer.upload(Method::POST, "/v2/us/app/blobs/uploads/", "").await?;
    ensure!(matches!(refused.status, 401 | 403), "a token to read with writes: {refused:?}");
    Ok(())
}

/// The log of the cluster names who it was, wherever he has asked.
async fn recorded(regions: &Regions) -> Result<()> {
    let data = regions.node("us-1").data();
    let search = ["audit", "search", "--repository", REPOSITORY, "--action", "push", "--json"];
    eventually("pushes are recorded", NOTICE, async || {
        let records = run(data, &search).await?;
        for tag in ["\"from-eu\"", "\"from-us\""] {
            let named = records.lines().any(|line| line.contains(tag) && line.contains("user:ann"));
            ensure!(named, "nobody has pushed {tag}: {records}");
        }
        Ok(Some(()))
    })
    .await
}

/// The authority is changed: at once while all are there, and after a region was away.
async fn rotated(regions: &Regions) -> Result<()> {
    let first = until_stable(regions).await?;
    run(regions.node("us-1").data(), &["ca", "rotate", "--wait"]).await?;
    let second = until_stable(regions).await?;
    ensure!(second != first, "nothing has changed");

    regions.links().cut("us");
    run(regions.node("eu-1").data(), &["ca", "rotate"]).await?;
    eventually("the other region is awaited", NOTICE, async || {
        let answer = query(regions.node("eu-2").data(), &["ca", "status"]).await?;
        ensure!(answer["phase"] == "introduced" && awaited(&answer) == ["us-1"], "{answer}");
        Ok(Some(()))
    })
    .await?;
    regions.links().mend();
    let third = until_stable(regions).await?;
    ensure!(third != second, "the change was not finished");
    regions.wait_settled(NOTICE).await
}

/// Names of the nodes that a change waits for.
fn awaited(answer: &Value) -> Vec<&str> {
    let nodes = answer["nodes"].as_array().into_iter().flatten();
    nodes.filter(|node| !node["awaited"].is_null()).filter_map(|node| node["name"].as_str()).collect()
}

/// Waits until every node says that no change is under way and nobody lags behind; the fingerprint of the authority.
async fn until_stable(regions: &Regions) -> Result<String> {
    let said = async |node: &str| {
        let answer = query(regions.node(node).data(), &["ca", "status"]).await?;
        let fingerprint = answer["authorities"][0]["fingerprint"].as_str().context("no authority")?;
        let nodes = answer["nodes"].as_array().context("no nodes")?;
        let all = nodes.iter().all(|node| node["shows"] == fingerprint) && awaited(&answer).is_empty();
        ensure!(answer["phase"] == "stable" && nodes.len() == 3 && all, "{node}: {answer}");
        Ok(fingerprint.to_owned())
    };
    eventually("the authority is not being changed", NOTICE, async || {
        let fingerprint = said("eu-1").await?;
        ensure!(said("us-1").await? == fingerprint, "the regions do not agree");
        Ok(Some(fingerprint))
    })
    .await
}
