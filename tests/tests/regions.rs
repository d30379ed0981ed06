//! Three regions of real processes: each serves its own namespaces and hands requests for others on; what is far away,
//! cut off or dead slows down and stops nobody else.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Method;
use tempfile::TempDir;
use tests::cluster::Node;
use tests::content::{self, Content};
use tests::image::{Image, MANIFEST, Recipe, artifact};
use tests::operator::{query, run};
use tests::raw::Connection;
use tests::regions::{NOTICE, Regions};
use tests::registry::{Answer, Registry, blob_path, manifest_path, send, texts};
use tests::tools::{self, client};
use tests::wait::eventually;
use tests::{command, damage, digest, layout, process};
use tokio::time::Instant;

/// Two nodes in the first region, so that there is traffic between peers that no line delays.
const PLAN: [(&str, usize); 3] = [("eu", 2), ("us", 1), ("ap", 1)];
/// How long a request may take that has to find out that another region does not answer.
const FIND_OUT: Duration = Duration::from_secs(15);
/// How long one may take when that is known.
const KNOWN: Duration = Duration::from_secs(5);

/// Three regions; the namespaces `eu`, `us` and `ap` have their homes there.
async fn start() -> Result<Regions> {
    let regions = Regions::start(&PLAN).await?;
    for region in ["us", "ap"] {
        regions.set("eu", region, &["--home", region]).await?;
    }
    for region in ["us", "ap"] {
        regions.wait_home(region, region).await?;
    }
    Ok(regions)
}

/// An image of some hundred kilobytes.
fn image(seed: u64) -> Image {
    Recipe::new(seed).layers(2, 200_000).build().expect("no compressor fails on memory")
}

/// A region goes on with its own: what is there, and what comes.
async fn goes_on(regions: &Regions, region: &str, before: &Image, seed: u64) -> Result<()> {
    let (registry, repository) = (regions.registry(region), format!("{region}/own"));
    before.check(&registry, &repository, "before").await?;
    let pushed = image(seed);
    let tag = format!("during-{seed}");
    pushed.push(&registry, &repository, &tag).await?;
    pushed.check(&registry, &repository, &tag).await?;
    registry.delete(&manifest_path(&repository, &tag)).await?.expect(202)?;
    registry.manifest(&repository, &tag).await?.expect_error(404, "MANIFEST_UNKNOWN")?;
    pushed.push(&registry, &repository, &tag).await
}

/// Pushes an image before things go wrong to each region's own namespace.
async fn push_before(regions: &Regions, seed: u64) -> Result<Image> {
    let before = image(seed);
    for (region, _) in PLAN {
        before.push(&regions.registry(region), &format!("{region}/own"), "before").await?;
    }
    Ok(before)
}

/// Any node answers any request: each region's own, and those for others, as if they had been sent there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_region_answers_any_request() {
    let mut regions = start().await.unwrap();
    regions.set("eu", "us/secret", &["--residency", "pinned"]).await.unwrap();
    for (seed, (region, _)) in (10..).zip(PLAN) {
        image(seed).push(&regions.registry(region), &format!("{region}/own"), "v1").await.unwrap();
        for node in regions.nodes() {
            image(seed).check(&node.registry(), &format!("{region}/own"), "v1").await.unwrap();
        }
    }
    an_upload_passes_through_any_region(&regions).await.unwrap();
    answers_are_the_same_elsewhere(&regions).await.unwrap();
    deletions_pass_through(&regions).await.unwrap();
    nothing_rests_on_the_way(&regions).await.unwrap();
    the_catalog_is_of_all_regions(&regions).await.unwrap();
    reads_are_redirected_and_uploads_are_not(&regions).await.unwrap();
    requests_are_refused(&regions).await.unwrap();
    skopeo_copies_between_regions(&regions).await.unwrap();
    regions.check_sound().unwrap();
}

/// POST, PATCH and PUT each through another region, with and without a length, with Expect, and mounts.
async fn an_upload_passes_through_any_region(regions: &Regions) -> Result<()> {
    let [eu, us, ap] = ["eu-1", "us-1", "ap-1"].map(|name| regions.node(name).registry());
    let bytes = content::bytes(20, 3_000_000);
    let location = ap.start_upload("us/moving").await?;
    let location = eu.patch(&location, bytes.slice(..1_000_000)).await?;
    for registry in [&us, &ap] {
        assert_eq!(registry.get(&location).await?.expect(204)?.need("range")?, "0-999999");
    }
    let location = ap.patch(&location, bytes.slice(1_000_000..2_500_000)).await?;
    let digest = digest::sha256(&bytes);
    let wrong = ap.finish(&location, &digest, bytes.slice(2_500_001..)).await?;
    wrong.expect_error(400, "DIGEST_INVALID")?;
    let done = eu.finish(&location, &digest, bytes.slice(2_500_000..)).await?.expect(201)?;
    assert_eq!(done.need("location")?, blob_path("us/moving", &digest));
    assert_eq!(us.blob("us/moving", &digest).await?, bytes);

    let long = Content::new(21, 20 << 20);
    ap.push_content("us/long", &long, &long.digest()).await?;
    eu.check_content("us/long", &long, &long.digest()).await?;
    let location = ap.start_upload("us/moving").await?;
    let mut connection = Connection::open(regions.node("ap-1").address()).await?;
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    connection.send(head).await?;
    assert_eq!(connection.head().await?.status, 100);
    connection.send("hello").await?;
    assert_eq!(connection.head().await?.status, 202);
    assert_eq!(us.delete(&location).await?.status, 204);
    assert_eq!(ap.get(&location).await?.status, 404);

    let mount = async |from: &str, digest: &str| {
        let path = format!("/v2/us/mounted/blobs/uploads/?mount={digest}&from={from}");
        ap.upload(Method::POST, &path, Bytes::new()).await
    };
    mount("us/moving", &digest).await?.expect(201)?;
    mount("ap/own", &image(12).blobs[1].digest).await?.expect(202)?;
    assert_eq!(eu.blob("us/mounted", &digest).await?, bytes);
    Ok(())
}

/// Status, headers and body of reads and of errors.
async fn answers_are_the_same_elsewhere(regions: &Regions) -> Result<()> {
    let image = image(11);
    let blob = blob_path("us/own", &image.blobs[1].digest);
    let nowhere = digest::sha256(b"nowhere");
    let etag = format!("\"{}\"", image.manifest.digest);
    let subject = artifact(22, "application/vnd.example.note", Some(&image.manifest));
    subject.push(&regions.registry("ap"), "us/own", &subject.manifest.digest).await?;
    regions.registry("eu").put_manifest("us/own", "v2", MANIFEST, &image.manifest.bytes).await?.expect(201)?;
    for (status, path, header) in [
        (200, &blob, None),
        (206, &blob, Some(("range", "bytes=100000-100099"))),
        (206, &blob, Some(("range", "bytes=-7"))),
        (416, &blob, Some(("range", "bytes=9999999-"))),
        (200, &manifest_path("us/own", "v1"), None),
        (200, &manifest_path("us/own", &image.manifest.digest), None),
        (304, &manifest_path("us/own", "v1"), Some(("if-none-match", etag.as_str()))),
        (200, &format!("/v2/us/own/referrers/{}", image.manifest.digest), None),
        (200, &"/v2/us/own/tags/list".to_owned(), None),
        (200, &"/v2/us/own/tags/list?n=1".to_owned(), None),
        (404, &blob_path("us/own", &nowhere), None),
        (404, &manifest_path("us/own", "nothing"), None),
        (404, &"/v2/us/nothing/tags/list".to_owned(), None),
        (400, &"/v2/us/own/blobs/sha256:short".to_owned(), None),
        (400, &"/v2/us/own/tags/list?n=-1".to_owned(), None),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let ask = async |node: &Node| {
                let request = node.registry().request(method.clone(), path);
                send(header.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
            };
            let expected = ask(regions.node("us-1")).await?;
            ensure!(method == Method::HEAD || expected.status == status, "{expected:?}");
            for elsewhere in ["eu-1", "eu-2", "ap-1"] {
                ask(regions.node(elsewhere)).await?.expect_like(&expected)?;
            }
        }
    }
    Ok(())
}

/// A tag, a manifest and a blob, each deleted through another region; what is refused at home is refused elsewhere.
async fn deletions_pass_through(regions: &Regions) -> Result<()> {
    let [eu, us, ap] = ["eu-1", "us-1", "ap-1"].map(|name| regions.node(name).registry());
    let (digest, image) = (us.push_blob("us/own", &content::bytes(23, 90_000)).await?, image(11));
    ap.delete(&blob_path("us/own", &image.blobs[1].digest)).await?.expect(405)?;
    for path in [manifest_path("us/own", "v2"), blob_path("us/own", &digest)] {
        ap.delete(&path).await?.expect(202)?;
        eu.get(&path).await?.expect(404)?;
        us.delete(&path).await?.expect(404)?;
    }
    assert_eq!(ap.tags("us/own").await?, ["v1"]);
    Ok(())
}

/// What other regions handed on is on disks of its home only, and names of a pinned namespace are in no log elsewhere.
async fn nothing_rests_on_the_way(regions: &Regions) -> Result<()> {
    let line = format!("this rests in us only: {}\n", digest::sha256(b"us"));
    let bytes = Bytes::from(line.repeat(20_000));
    let digest = regions.registry("ap").push_blob("us/secret/vault", &bytes).await?;
    assert_eq!(regions.node("eu-2").registry().blob("us/secret/vault", &digest).await?, bytes);
    regions.registry("eu").manifest("us/secret/vault", "hidden").await?.expect(404)?;
    for node in regions.nodes() {
        let at_home = node.region() == "us";
        for text in [&line, "us/secret/vault"] {
            assert_eq!(damage::holds(node.data(), text)?, at_home, "{text} in files of {}", node.name());
        }
        assert!(at_home || !node.log().contains("vault"), "in the log of {}", node.name());
    }
    Ok(())
}

/// Each region lists all repositories, page by page, in order.
async fn the_catalog_is_of_all_regions(regions: &Regions) -> Result<()> {
    let expected = ["ap/own", "eu/own", "us/long", "us/mounted", "us/moving", "us/own", "us/secret/vault"];
    for node in regions.nodes() {
        for size in [1, 2, 100] {
            let (mut path, mut listed) = (Some(format!("/v2/_catalog?n={size}")), Vec::new());
            while let Some(next) = path {
                let answer = node.registry().get(&next).await?.expect(200)?;
                ensure!(answer.header("warning").is_none(), "{answer:?}");
                listed.extend(texts(&answer.json()?["repositories"])?);
                path = answer.next_page();
            }
            assert_eq!(listed, expected, "{}, {size} a page", node.name());
        }
    }
    Ok(())
}

/// Reads are sent to the home's public URL once it has one; everything else is handed on.
async fn reads_are_redirected_and_uploads_are_not(regions: &Regions) -> Result<()> {
    let (us, ap, image) = (regions.node("us-1"), regions.node("ap-1").registry(), image(30));
    regions.set("ap", "us/sent", &["--elsewhere", "redirect"]).await?;
    regions.wait_home("us/sent", "us").await?;
    image.push(&ap, "us/sent/image", "v1").await?;
    image.check(&ap, "us/sent/image", "v1").await?;
    run(us.data(), &["region", "set", "us", "--public-url", &us.url()]).await?;
    let manifest = manifest_path("us/sent/image", "v1");
    eventually("reads are redirected", NOTICE, async || ap.get(&manifest).await?.expect(307).map(Some)).await?;
    let referrers = format!("/v2/us/sent/image/referrers/{}", image.manifest.digest);
    let tags = "/v2/us/sent/image/tags/list?n=5".to_owned();
    for path in [manifest, blob_path("us/sent/image", &image.blobs[0].digest), referrers, tags] {
        for method in [Method::GET, Method::HEAD] {
            let answer = send(ap.request(method, &path)).await?.expect(307)?;
            assert_eq!(answer.need("location")?, format!("{}{path}", us.url()));
        }
        us.registry().get(&path).await?.expect(200)?;
    }
    Recipe::new(31).build()?.push(&ap, "us/sent/image", "v2").await?;
    let location = ap.start_upload("us/sent/image").await?;
    ap.get(&location).await?.expect(204)?;
    ap.delete(&location).await?.expect(204)?;
    ap.delete(&manifest_path("us/sent/image", "v2")).await?.expect(202)?;
    Ok(())
}

/// Refused everywhere but at home, with the way there; and not listed.
async fn requests_are_refused(regions: &Regions) -> Result<()> {
    let (us, ap) = (regions.node("us-1"), regions.node("ap-1").registry());
    regions.set("eu", "us/kept", &["--elsewhere", "refuse"]).await?;
    regions.wait_home("us/kept", "us").await?;
    let image = image(32);
    image.push(&us.registry(), "us/kept/image", "v1").await?;
    let (manifest, uploads) = (manifest_path("us/kept/image", "v1"), "/v2/us/kept/image/blobs/uploads/");
    eventually("requests are refused", NOTICE, async || ap.get(&manifest).await?.expect(403).map(Some)).await?;
    for (method, path) in [(Method::GET, manifest.as_str()), (Method::POST, uploads), (Method::DELETE, &manifest)] {
        let answer = send(ap.request(method, path)).await?.expect_error(403, "DENIED")?;
        ensure!(answer.text().contains("region us ") && answer.text().contains(&us.url()), "{}", answer.text());
    }
    let listed = |answer: &Answer| answer.text().contains("us/kept/image");
    assert!(!listed(&ap.get("/v2/_catalog").await?) && listed(&us.registry().get("/v2/_catalog").await?));
    image.check(&us.registry(), "us/kept/image", "v1").await
}

/// A real client, through the wrong regions: handed on, and redirected.
async fn skopeo_copies_between_regions(regions: &Regions) -> Result<()> {
    let (folder, image) = (TempDir::new()?, image(33));
    let path = |name: &str| format!("oci:{}:v1", folder.path().join(name).display());
    let at = |name: &str, repository: &str| format!("docker://{}/{repository}:v1", regions.node(name).address());
    layout::write(&folder.path().join("source"), &[&image], None, "v1")?;
    for (from, to) in [
        (path("source"), at("ap-1", "us/skopeo")),
        (at("eu-2", "us/skopeo"), at("ap-1", "us/sent/skopeo")),
        (at("eu-1", "us/sent/skopeo"), at("us-1", "eu/skopeo")),
        (at("ap-1", "eu/skopeo"), path("target")),
    ] {
        let Some(mut skopeo) = client("skopeo", folder.path())? else { return Ok(()) };
        skopeo.args(["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        skopeo.args(["--preserve-digests", &from, &to]);
        tools::run(skopeo).await?;
    }
    let blobs: Vec<_> = image.blobs.iter().chain([&image.manifest]).collect();
    layout::check(&folder.path().join("target"), &blobs)
}

/// How long a push to a region's own namespace takes.
async fn push_time(registry: &Registry, region: &str, seed: u64) -> Result<Duration> {
    let pushed = Recipe::new(seed).layers(1, 150_000).build()?;
    let begin = Instant::now();
    pushed.push(registry, &format!("{region}/timed"), "latest").await?;
    Ok(begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Pushes take as long at 0 as at 50 and at 200 ms between the regions; what crosses a line takes longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_distance_to_other_regions_does_not_slow_pushes() {
    const ROUNDS: u64 = 3;
    const PUSHES: u64 = 4;
    let mut regions = start().await.unwrap();
    push_before(&regions, 100).await.unwrap();
    let delays = [0, 50, 200].map(Duration::from_millis);
    for region in ["eu", "us"] {
        let registry = regions.registry(region);
        let mut times: [Vec<Duration>; 3] = Default::default();
        // In turns, so that a machine that gets busier slows all of them.
        for seed in 0..ROUNDS * PUSHES * delays.len() as u64 {
            let turn = usize::try_from(seed / PUSHES).unwrap() % delays.len();
            regions.links().delay(delays[turn]);
            times[turn].push(push_time(&registry, region, 1000 + seed).await.unwrap());
        }
        let medians = times.map(median);
        println!("a push in {region}: {medians:?} at {delays:?} to the other regions");
        // Half a dozen requests; a single round trip would make the last one ten times as long.
        assert!(medians.iter().all(|median| *median < 4 * medians[0]), "{region}: {medians:?}");
    }

    // What has to cross does wait for the line: it is there.
    let begin = Instant::now();
    regions.node("ap-1").registry().manifest("us/own", "before").await.unwrap().expect(200).unwrap();
    assert!(begin.elapsed() >= 2 * delays[2], "there and back in {:?}", begin.elapsed());
    regions.wait_told("us-1", ["serves"; 3], true).await.unwrap();
    regions.check_sound().unwrap();
}

/// The lines of a region are cut: it goes on with its own and so do the others, also if its node restarts meanwhile.
/// Requests that would have to cross are told so soon. Policies change on the side with the directory's quorum, and on the
/// other one when the lines are mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_cut_off_goes_on_with_its_own() {
    let mut regions = start().await.unwrap();
    let before = push_before(&regions, 200).await.unwrap();
    regions.links().cut("us");
    let (there, back) = tokio::join!(
        regions.check_unreachable("ap-1", "us", FIND_OUT),
        regions.check_unreachable("us-1", "eu", FIND_OUT)
    );
    there.unwrap();
    back.unwrap();
    for (seed, (region, _)) in (210..).zip(PLAN) {
        goes_on(&regions, region, &before, seed).await.unwrap();
    }

    // What is known is told at once.
    for (node, region) in [("ap-1", "us"), ("eu-2", "us"), ("us-1", "ap")] {
        regions.check_unreachable(node, region, KNOWN).await.unwrap();
    }
    let catalog = regions.node("ap-1").registry().get("/v2/_catalog").await.unwrap().expect(200).unwrap();
    assert!(catalog.need("warning").unwrap().contains("region us does not answer"), "{catalog:?}");
    assert_eq!(catalog.json().unwrap()["repositories"], serde_json::json!(["ap/own", "eu/own"]));

    // Without a quorum of the directory each of these waits some seconds for one.
    let set = command::operate(regions.node("us-1").data(), &["namespace", "set", "us/never", "--quota-tags", "7"]);
    let (here, there, text, set) = tokio::join!(
        regions.wait_told("eu-2", ["serves", "silent", "serves"], true),
        regions.wait_told("us-1", ["silent", "serves", "silent"], false),
        regions.node("us-1").status_text(),
        process::ended(set.unwrap(), NOTICE),
    );
    here.and(there).unwrap();
    let (text, refused) = (text.unwrap(), set.unwrap());
    assert!(text.contains("the directory has no quorum") && text.contains("region eu does not answer"), "{text}");
    assert!(refused.code != Some(0) && refused.stderr.contains("directory"), "{refused:?}");
    regions.set("eu", "us/later", &["--quota-tags", "7"]).await.unwrap();

    // Its only node restarts, and places bytes again without the directory's quorum.
    regions.kill("us").unwrap();
    regions.restart_all().await.unwrap();
    goes_on(&regions, "us", &before, 220).await.unwrap();
    regions.check_unreachable("us-1", "eu", KNOWN).await.unwrap();

    regions.links().mend();
    regions.wait_settled(NOTICE).await.unwrap();
    for node in regions.nodes() {
        image(211).check(&node.registry(), "us/own", "during-211").await.unwrap();
        image(220).check(&node.registry(), "us/own", "during-220").await.unwrap();
    }
    let quota = async |prefix: &str| query(regions.node("us-1").data(), &["namespace", "show", prefix]).await;
    eventually("the change of policy is known", NOTICE, async || {
        let shown = quota("us/later").await?;
        ensure!(shown["own"]["quota"]["tags"] == 7 && shown["in_force"] == true, "{shown}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert!(quota("us/never").await.unwrap()["own"].is_null(), "what was refused was not done");
    regions.check_sound().unwrap();
}

/// The region of the root, which is the primary and has most nodes, dies: the others go on, the directory included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_may_die_and_come_back() {
    let mut regions = start().await.unwrap();
    let before = push_before(&regions, 300).await.unwrap();
    regions.kill("eu").unwrap();
    let survivors = ["us", "ap"].map(|region| regions.registry(region));
    for (seed, region) in [(310, "us"), (311, "ap")] {
        goes_on(&regions, region, &before, seed).await.unwrap();
    }
    for name in ["us-1", "ap-1"] {
        regions.check_unreachable(name, "eu", FIND_OUT).await.unwrap();
        regions.wait_told(name, ["silent", "serves", "serves"], true).await.unwrap();
        let status = regions.node(name).status().await.unwrap();
        assert_eq!(status.dead_nodes(), ["eu-1", "eu-2"], "{status}");
        let finding = "region eu does not answer; namespaces whose home is eu cannot be read or pushed here";
        assert!(status.findings().contains(&finding.to_owned()), "{status}");
    }
    // The two that are left are a quorum of the directory, and serve each other.
    regions.set("us", "ap/later", &["--quota-tags", "7"]).await.unwrap();
    before.check(&survivors[0], "ap/own", "before").await.unwrap();
    image(310).check(&survivors[1], "us/own", "during-310").await.unwrap();

    regions.restart_all().await.unwrap();
    regions.wait_settled(NOTICE).await.unwrap();
    goes_on(&regions, "eu", &before, 320).await.unwrap();
    regions.wait_told("us-1", ["serves"; 3], true).await.unwrap();
    for node in regions.nodes() {
        before.check(&node.registry(), "eu/own", "before").await.unwrap();
        image(320).check(&node.registry(), "eu/own", "during-320").await.unwrap();
    }
    let shown = query(regions.node("eu-1").data(), &["namespace", "show", "ap/later"]).await.unwrap();
    assert_eq!(shown["own"]["quota"]["tags"], 7, "{shown}");
    regions.check_sound().unwrap();
}

/// A namespace gets another home with what is below it, whoever is asked, and an empty one goes round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_changes_with_what_is_there() {
    let mut regions = start().await.unwrap();
    let (eu, ap) = (regions.node("eu-1").registry(), regions.node("ap-1").registry());
    let pushed = image(400);
    for repository in ["team/one", "team/two"] {
        pushed.push(&ap, repository, "v1").await.unwrap();
    }
    let bytes = content::bytes(401, 5_000);
    let digest = eu.push_blob("team/three", &bytes).await.unwrap();

    for (asked, home) in [("ap", "us"), ("eu", "ap")] {
        regions.set(asked, "team", &["--home", home]).await.unwrap();
        regions.wait_home("team", home).await.unwrap();
        for node in regions.nodes() {
            pushed.check(&node.registry(), "team/one", "v1").await.unwrap();
            pushed.check(&node.registry(), "team/two", "v1").await.unwrap();
            assert_eq!(node.registry().blob("team/three", &digest).await.unwrap(), bytes, "at {home}");
        }
    }
    image(402).push(&eu, "team/one", "v2").await.unwrap();
    image(402).check(&ap, "team/one", "v2").await.unwrap();

    // Nothing is below this one.
    for (asked, home) in [("eu", "us"), ("us", "ap"), ("us", "eu")] {
        regions.set(asked, "fresh", &["--home", home]).await.unwrap();
        regions.wait_home("fresh", home).await.unwrap();
    }
    regions.set("ap", "fresh", &["--home", "us"]).await.unwrap();
    regions.wait_home("fresh", "us").await.unwrap();
    pushed.push(&eu, "fresh/image", "v1").await.unwrap();
    for node in regions.nodes() {
        pushed.check(&node.registry(), "fresh/image", "v1").await.unwrap();
    }

    let data = regions.node("eu-1").data();
    // A region without nodes may go, and its name is free again.
    for _ in 0..2 {
        run(data, &["region", "add", "sa"]).await.unwrap();
        let listed = query(data, &["region", "list"]).await.unwrap();
        assert!(listed["regions"][3]["name"] == "sa" && listed["regions"][3]["state"] == "empty", "{listed}");
        run(data, &["region", "retire", "sa"]).await.unwrap();
    }
    // Regions that namespaces name and that have nodes are not retired, and unknown ones are named.
    for (words, message) in [
        (&["region", "retire", "us"][..], "regnode leave"),
        (&["region", "add", "us"], "us"),
        (&["namespace", "set", "other", "--home", "mars"], "there is no region \"mars\", there are eu, us, ap"),
        (&["token", "--region", "mars"], "mars"),
    ] {
        let refused = process::ended(command::operate(data, words).unwrap(), NOTICE).await.unwrap();
        assert!(refused.code != Some(0) && refused.stderr.contains(message), "{words:?}: {refused:?}");
    }
    regions.check_sound().unwrap();
}
