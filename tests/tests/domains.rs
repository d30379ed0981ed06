//! Domains of tenants: one cluster, several names, at each of which the names of repositories are a tenant's own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use reqwest::Method;
use tempfile::TempDir;
use tests::access::{self, Closed, NOTICE, until_allowed};
use tests::certificates::Authority;
use tests::cluster::{Cluster, Settings};
use tests::haproxy::{self, Haproxy, Way};
use tests::image::{Blob, Image, MANIFEST, Recipe};
use tests::operator::{query, run};
use tests::registry::{Registry, blob_path, send, texts};
use tests::tools::{self, client};
use tests::tunnel::Tunnel;
use tests::wait::eventually;
use tests::{layout, ports, process};

const ACME: &str = "registry.acme.example";
const BETA: &str = "registry.beta.example";

/// Two tenants with a domain each, and somebody who writes in each, and nowhere else.
struct Tenants {
    closed: Closed,
    ann: String,
    bob: String,
}

impl Tenants {
    async fn of(cluster: &Cluster) -> Result<Self> {
        let closed = Closed::of(cluster);
        for (domain, namespace) in [(ACME, "acme"), (BETA, "beta")] {
            run(&closed.data, &["domain", "add", domain, "--namespace", namespace]).await?;
        }
        let (ann, bob) = (access::add_user(&closed.data, "ann").await?, access::add_user(&closed.data, "bob").await?);
        closed.grant("user:ann", "writer", "acme").await?;
        closed.grant("user:bob", "writer", "beta").await?;
        for node in cluster.nodes() {
            until_allowed(node.data(), "user:bob", "push", "beta/app").await?;
        }
        Ok(Self { closed, ann, bob })
    }

    /// The tenant's writer at its domain, at one node.
    fn ann(&self, node: usize) -> Registry {
        self.closed.user("ann", &self.ann).only(node).called(ACME)
    }

    fn bob(&self, node: usize) -> Registry {
        self.closed.user("bob", &self.bob).only(node).called(BETA)
    }
}

#[tokio::test]
async fn a_domain_is_its_namespace_at_every_node() -> Result<()> {
    let mut cluster = Cluster::start_closed(3).await?;
    let verdict = at_every_node(&mut cluster).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn at_every_node(cluster: &mut Cluster) -> Result<()> {
    let tenants = Tenants::of(cluster).await?;
    let image = Recipe::new(940).layers(2, 100_000).build()?;
    image.push(&tenants.ann(0), "app", "v1").await?;
    image.push(&tenants.ann(1), "app", "v2").await?;
    image.push(&tenants.bob(2), "app", "v1").await?;
    image.check(&tenants.ann(2), "app", "v1").await?;
    // The same under the registry's other names, at another node.
    let ann = tenants.closed.user("ann", &tenants.ann);
    image.check(&ann.only(1), "acme/app", "v1").await?;
    ann.only(1).get("/v2/app/tags/list").await?.expect_error(403, "DENIED")?;

    names_come_out_as_they_went_in(&tenants, &image).await?;
    tokens_are_for_full_names(&tenants).await?;

    let operator = tenants.closed.operator();
    let listed =
        async |registry: Registry| texts(&registry.get("/v2/_catalog").await?.expect(200)?.json()?["repositories"]);
    ensure!(listed(operator.only(1).called(ACME)).await? == ["app", "lib"], "another list at the domain");
    ensure!(listed(operator.only(1).called(BETA)).await? == ["app"], "another list at the other domain");
    ensure!(listed(operator.only(2)).await? == ["acme/app", "acme/lib", "beta/app"], "another list of everything");

    let search = ["audit", "search", "--repository", "acme/app", "--action", "push", "--json"];
    let records = run(&tenants.closed.data, &search).await?;
    ensure!(records.contains(&format!("\"domain\":\"{ACME}\"")), "no domain in {records}");
    changes(cluster, &tenants).await
}

/// Locations, links, names in answers, and where blobs are mounted from.
async fn names_come_out_as_they_went_in(tenants: &Tenants, image: &Image) -> Result<()> {
    let ann = tenants.ann(1);
    let begun = ann.upload(Method::POST, "/v2/lib/blobs/uploads/", Bytes::new()).await?.expect(202)?;
    ensure!(begun.need("location")?.starts_with("/v2/lib/blobs/uploads/"), "{:?}", begun.headers);
    // An upload goes on at another node, which the same location leads to.
    let location = begun.need("location")?.to_owned();
    let content = Blob::new("application/octet-stream", Bytes::from_static(b"a tenant's own"));
    let ended = tenants.ann(2).finish(&location, &content.digest, content.bytes.clone()).await?.expect(201)?;
    ensure!(ended.need("location")? == blob_path("lib", &content.digest), "{:?}", ended.headers);

    let first = ann.get("/v2/app/tags/list?n=1").await?.expect(200)?;
    ensure!(first.json()?["name"] == "app", "{}", first.text());
    let next = first.next_page().context("no second page")?;
    ensure!(next.starts_with("/v2/app/tags/list?"), "{next}");
    let second = ann.get(&next).await?.expect(200)?;
    ensure!(texts(&second.json()?["tags"])? == ["v2"], "{}", second.text());

    let mount = |from: &str| format!("/v2/lib/blobs/uploads/?mount={}&from={from}", image.blobs[0].digest);
    let mounted = ann.upload(Method::POST, &mount("app"), Bytes::new()).await?.expect(201)?;
    ensure!(mounted.need("location")? == blob_path("lib", &image.blobs[0].digest), "{:?}", mounted.headers);
    let other = tenants.closed.operator().only(1).called(BETA);
    for from in ["acme/app", "../acme/app", "lib"] {
        other
            .upload(Method::POST, &format!("/v2/new/blobs/uploads/?mount={}&from={from}", content.digest), Bytes::new())
            .await?
            .expect(202)?;
    }
    ann.get("/v2/none/tags/list").await?.expect_error(404, "NAME_UNKNOWN")?;
    ann.get("/v2/../beta/app/tags/list").await?.expect(404)?;
    let escaped = ann.get("/v2/%2e%2e%2fbeta%2fapp/tags/list").await?;
    ensure!(matches!(escaped.status, 400 | 404), "{}: {}", escaped.status, escaped.text());
    Ok(())
}

async fn tokens_are_for_full_names(tenants: &Tenants) -> Result<()> {
    let anonymous = tenants.closed.registry.only(0);
    let refused = anonymous.called(ACME).get("/v2/app/tags/list").await?.expect(401)?;
    let challenge = refused.need("www-authenticate")?;
    ensure!(challenge.contains(&format!("realm=\"http://{ACME}")), "{challenge}");
    ensure!(challenge.contains("scope=\"repository:app:pull\""), "{challenge}");
    let token = tenants.ann(0).token(&["repository:app:pull,push"]).await?;
    let shown = |node: usize, domain: &str| tenants.closed.registry.only(node).with_token(&token).called(domain);
    shown(1, ACME).get("/v2/app/tags/list").await?.expect(200)?;
    tenants.closed.registry.only(2).with_token(&token).get("/v2/acme/app/tags/list").await?.expect(200)?;
    shown(1, BETA).get("/v2/app/tags/list").await?.expect_error(403, "DENIED")?;
    tenants.closed.registry.only(2).with_token(&token).get("/v2/app/tags/list").await?.expect_error(403, "DENIED")?;
    tenants.ann(0).called(BETA).get("/v2/app/tags/list").await?.expect_error(403, "DENIED").map(drop)
}

/// What an operator does to domains.
async fn changes(cluster: &mut Cluster, tenants: &Tenants) -> Result<()> {
    let data = &tenants.closed.data;
    let list = query(data, &["domain", "list"]).await?;
    ensure!(list["domains"][0]["domain"] == ACME && list["domains"][0]["namespace"] == "acme", "{list}");
    run(data, &["namespace", "set", "acme", "--deletes", "off"]).await?;
    let error = run(data, &["namespace", "remove", "acme"]).await.expect_err("a namespace with a domain is removed");
    ensure!(format!("{error:#}").contains("regnode domain remove registry.acme.example"), "{error:#}");
    let error = run(data, &["domain", "add", ACME, "--namespace", "beta"]).await.expect_err("a domain of two");
    ensure!(format!("{error:#}").contains("stands for \"acme\" already"), "{error:#}");

    cluster.node_mut(2).kill()?;
    eventually("the node that is gone is known to be", NOTICE, async || {
        let added = run(data, &["domain", "add", "new.example", "--namespace", "acme"]).await;
        let Err(error) = added else {
            run(data, &["domain", "remove", "new.example"]).await?;
            return Ok(None);
        };
        ensure!(format!("{error:#}").contains("--force"), "{error:#}");
        Ok(Some(()))
    })
    .await?;
    run(data, &["domain", "add", "new.example", "--namespace", "acme", "--force"]).await?;
    cluster.node_mut(2).serve()?;
    let ann = tenants.closed.user("ann", &tenants.ann).only(2);
    eventually("the node that comes back knows the domain", NOTICE, async || {
        ann.called("new.example").get("/v2/app/tags/list").await?.expect(200).map(Some)
    })
    .await?;

    run(data, &["domain", "remove", "new.example"]).await?;
    let first = tenants.closed.user("ann", &tenants.ann).only(0);
    eventually("the domain is a name like any other", NOTICE, async || {
        first.called("new.example").get("/v2/acme/app/tags/list").await?.expect(200).map(Some)
    })
    .await
    .map(drop)
}

#[tokio::test]
async fn a_trusted_proxy_says_by_which_domain_its_clients_came() -> Result<()> {
    let keys = vec![("api.trusted_proxies".to_owned(), haproxy::ADDRESS.to_owned())];
    let mut cluster = Cluster::start_with(1, Settings { keys, closed: true, ..Settings::default() }).await?;
    let verdict = by_a_proxy(&cluster).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn by_a_proxy(cluster: &Cluster) -> Result<()> {
    let tenants = Tenants::of(cluster).await?;
    let image = Recipe::new(942).build()?;
    image.push(&tenants.ann(0), "app", "v1").await?;
    let ann = tenants.closed.user("ann", &tenants.ann);
    let tags = "/v2/app/tags/list";

    // A proxy that calls the node by another name than its clients call it, and one that is nobody's.
    let proxy = ann.from_address(haproxy::ADDRESS.parse()?);
    let said = async |registry: &Registry, header: &str, value: &str| {
        send(registry.request(Method::GET, tags).header(header, value)).await
    };
    let answer = said(&proxy, "x-forwarded-host", ACME).await?.expect(200)?;
    ensure!(answer.json()?["name"] == "app", "{}", answer.text());
    said(&proxy, "x-forwarded-host", &format!("{ACME}:443")).await?.expect(200)?;
    said(&proxy, "x-forwarded-host", BETA).await?.expect_error(403, "DENIED")?;
    // The last one is the proxy's own word; what stands before it, its client's.
    said(&proxy, "x-forwarded-host", &format!("{BETA}, {ACME}")).await?.expect(200)?;
    said(&proxy, "x-forwarded-host", &format!("{ACME}, {BETA}")).await?.expect_error(403, "DENIED")?;
    said(&proxy, "forwarded", &format!("host={ACME}")).await?.expect_error(403, "DENIED")?;
    // It counts more than the name that the proxy uses itself.
    said(&proxy.called(BETA), "x-forwarded-host", ACME).await?.expect(200)?;
    said(&proxy.called(ACME), "x-forwarded-host", BETA).await?.expect_error(403, "DENIED")?;
    let challenge = send(proxy.anonymous().request(Method::GET, tags).header("x-forwarded-host", ACME)).await?;
    let realm = challenge.expect(401)?.need("www-authenticate")?.to_owned();
    ensure!(realm.contains(&format!("realm=\"http://{ACME}/token\"")), "{realm}");

    // Anybody else says nothing by it: neither into a domain nor out of one.
    for value in [ACME, BETA, "registry.example"] {
        for header in ["x-forwarded-host", "X_Forwarded_Host", "x-host", "x-original-host"] {
            said(&ann, header, value).await?.expect_error(403, "DENIED")?;
            said(&ann.called(ACME), header, value).await?.expect(200)?;
            said(&ann.called(BETA), header, value).await?.expect_error(403, "DENIED")?;
        }
    }
    by_haproxy(&tenants, &image).await
}

/// A real proxy, whose clients call it by the tenant's domain, and lie.
async fn by_haproxy(tenants: &Tenants, image: &Image) -> Result<()> {
    let own = Authority::new("the proxy's")?;
    let pair = own.issue(&["127.0.0.1"])?;
    let node = tenants.closed.registry.only(0).host().parse()?;
    let Some(proxy) = Haproxy::start(node, Way::Headers, &pair).await? else { return Ok(()) };
    let through = Registry::new(&[format!("http://{}", proxy.plain())]).logged_in("ann", &tenants.ann);
    image.push(&through.called(ACME), "behind", "v1").await?;
    image.check(&through.called(ACME), "behind", "v1").await?;
    image.check(&through, "acme/behind", "v1").await?;
    let begun = through.called(ACME).start_upload("behind").await?;
    ensure!(begun.contains("/v2/behind/blobs/uploads/") && !begun.contains("acme/"), "{begun}");
    let lie =
        |called: &Registry| send(called.request(Method::GET, "/v2/behind/tags/list").header("x-forwarded-host", ACME));
    lie(&through.called(BETA)).await?.expect_error(403, "DENIED")?;
    lie(&through).await?.expect_error(403, "DENIED").map(drop)
}

#[tokio::test]
async fn each_tenant_has_its_certificate_and_its_connections() -> Result<()> {
    let (folder, pairs) = (TempDir::new()?, TempDir::new()?);
    let own = Authority::new("the registry's")?;
    let main = own.issue(&["registry.example.org"])?.write(folder.path(), "main")?;
    let acme = own.issue(&[ACME])?;
    acme.write(pairs.path(), "acme")?;
    // One certificate for both of them: clients may use a connection for either.
    let both = own.issue(&[BETA, "docker.acme.example"])?;
    both.write(pairs.path(), "both")?;
    let health = ports::reserve()?;
    let keys = [
        ("api.tls_certificate", main.certificate.display().to_string()),
        ("api.tls_key", main.key.display().to_string()),
        ("api.tls_directory", pairs.path().display().to_string()),
        ("metrics.listen", health.address().to_string()),
    ];
    let keys = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut cluster = Cluster::start_with(1, Settings { keys, closed: true, ..Settings::default() }).await?;
    let verdict = async {
        let tenants = Tenants::of(&cluster).await?;
        let address = cluster.node(0).address();
        for (domain, pair) in [(ACME, &acme), (BETA, &both)] {
            ensure!(own.shown_by(address, domain).await? == pair.shown()?, "{domain} has another certificate");
        }
        // Nothing else lies there: skopeo takes all of it for its own.
        let home = TempDir::new()?;
        let authority = own.write(home.path().join("ca.crt"))?;
        misdirected(&tenants, home.path(), &authority, address.port()).await?;
        let tunnel = Tunnel::to(address).await?;
        with_skopeo(&tenants, home.path(), &tunnel).await?;
        cluster.check_sound()
    };
    let verdict = verdict.await;
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// A connection that was made for one tenant answers nothing for another one, with either protocol.
async fn misdirected(tenants: &Tenants, home: &Path, authority: &Path, port: u16) -> Result<()> {
    let data = &tenants.closed.data;
    run(data, &["domain", "add", "docker.acme.example", "--namespace", "acme"]).await?;
    // A node takes up rules and domains together.
    tenants.closed.grant("user:ann", "reader", "later").await?;
    until_allowed(data, "user:ann", "pull", "later/app").await?;
    for (protocol, greeted, asked, expected) in [
        ("--http1.1", ACME, ACME, "200"),
        ("--http2", ACME, ACME, "200"),
        ("--http1.1", BETA, "docker.acme.example", "421"),
        ("--http2", BETA, "docker.acme.example", "421"),
        ("--http2", ACME, "docker.acme.example", "401"),
    ] {
        let Some(mut command) = client("curl", home)? else { return Ok(()) };
        command
            .args(["--silent", "--show-error", "--write-out", "\n%{http_code}", protocol, "--cacert"])
            .arg(authority);
        command.arg("--resolve").arg(format!("{greeted}:{port}:127.0.0.1"));
        if asked == greeted {
            command.arg("--user").arg(format!("ann:{}", tenants.ann));
        } else {
            command.arg("--header").arg(format!("Host: {asked}:{port}"));
        }
        let ended = process::ended(
            {
                command.arg(format!("https://{greeted}:{port}/v2/"));
                command
            },
            NOTICE,
        )
        .await?;
        let status = ended.stdout.lines().last().unwrap_or_default();
        ensure!(status == expected, "{protocol} {greeted} {asked}: {expected} expected: {ended:?}");
    }
    Ok(())
}

/// A real client at the tenant's own name and nothing else: login, push, pull, and a refusal at the other one's.
async fn with_skopeo(tenants: &Tenants, home: &Path, tunnel: &Tunnel) -> Result<()> {
    let auth = home.join("auth.json").display().to_string();
    std::fs::write(&auth, "{}")?;
    let trusted = home.display().to_string();
    let skopeo = |arguments: &[&str]| -> Result<Option<Command>> {
        Ok(client("skopeo", home)?.map(|mut command| {
            command.env("HTTPS_PROXY", tunnel.url()).arg("--insecure-policy").args(arguments);
            command
        }))
    };
    let image = Recipe::new(941).layers(2, 100_000).build()?;
    layout::write(&home.join("image"), &[&image], None, "v1")?;
    let source = format!("oci:{}:v1", home.join("image").display());
    let login = skopeo(&["login", "--cert-dir", &trusted, "--authfile", &auth, "-u", "ann", "-p", &tenants.ann, ACME])?;
    let Some(login) = login else { return Ok(()) };
    tools::run(login).await?;
    let gone = || "skopeo went away";
    let target = format!("docker://{ACME}/app:v1");
    let push = |to: &str| skopeo(&["copy", "--dest-cert-dir", &trusted, "--authfile", &auth, &source, to]);
    tools::run(push(&target)?.with_context(gone)?).await?;
    let back = format!("oci:{}:v1", home.join("back").display());
    let pull = skopeo(&["copy", "--src-cert-dir", &trusted, "--authfile", &auth, &target, &back])?;
    tools::run(pull.with_context(gone)?).await?;
    layout::check(&home.join("back"), &image.blobs.iter().chain([&image.manifest]).collect::<Vec<_>>())?;
    let tags = skopeo(&["list-tags", "--cert-dir", &trusted, "--authfile", &auth, &format!("docker://{ACME}/app")])?;
    let tags = tools::run(tags.with_context(gone)?).await?;
    ensure!(tags.contains("\"v1\""), "{tags}");
    let login = skopeo(&["login", "--cert-dir", &trusted, "--authfile", &auth, "-u", "ann", "-p", &tenants.ann, BETA])?;
    tools::run(login.with_context(gone)?).await?;
    tools::refused(push(&format!("docker://{BETA}/app:v1"))?.with_context(gone)?).await?;
    let known = query(&tenants.closed.data, &["history", "acme/app:v1"]).await?;
    ensure!(known.to_string().contains(&image.manifest.digest), "{known}");
    ensure!(image.manifest.media == MANIFEST, "an image of another type");
    Ok(())
}
