//! Behind a real proxy: whose word counts of who a client is, and that nobody's request is taken for a part of another's.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use tempfile::TempDir;
use tests::access::{self, Closed, NOTICE, until_allowed, until_status};
use tests::certificates::{Authority, Pair};
use tests::cluster::{Cluster, Settings};
use tests::haproxy::{ADDRESS, Haproxy, Way};
use tests::image::Recipe;
use tests::operator::run;
use tests::raw::Connection;
use tests::registry::{Registry, send};
use tests::tools::{self, client};
use tokio::time::timeout;

/// Of the clients: where the rules of the tests say that they come from, and two others.
const OFFICE: [u8; 4] = [127, 0, 0, 5];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 6];
const HOME: [u8; 4] = [127, 0, 0, 7];
/// Failures of one address that cost no delay, and some more.
const GUESSES: usize = 25;
/// How long a proxy may think about a request that it cannot understand.
const PROXY_THINKS: Duration = Duration::from_secs(3);

/// A closed cluster of one node that trusts the proxy.
async fn trusting(keys: &[(&str, &str)]) -> Result<Cluster> {
    let keys = [&[("api.trusted_proxies", ADDRESS)], keys].concat();
    let keys = keys.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Cluster::start_with(1, Settings { keys, closed: true, ..Settings::default() }).await
}

fn pair() -> Result<(Authority, Pair)> {
    let authority = Authority::new("the proxy's")?;
    let pair = authority.issue(&["127.0.0.1"])?;
    Ok((authority, pair))
}

fn from(registry: &Registry, address: [u8; 4]) -> Registry {
    registry.from_address(IpAddr::from(address))
}

/// A user who may read `office` from one address alone, and an image there.
async fn with_office(closed: &Closed) -> Result<String> {
    let password = access::add_user(&closed.data, "clerk").await?;
    let network = format!("{}/32", IpAddr::from(OFFICE));
    run(&closed.data, &["access", "grant", "user:clerk", "reader", "office", "--from", &network]).await?;
    Recipe::new(980).build()?.push(&closed.operator(), "office/app", "v1").await?;
    let explained = ["access", "explain", "user:clerk", "pull", "office/app", "--from", &network[..9]];
    tests::wait::eventually("the rule holds", NOTICE, async || run(&closed.data, &explained).await.map(Some)).await?;
    Ok(password)
}

#[tokio::test]
async fn a_proxys_headers_count_and_a_clients_do_not() -> Result<()> {
    let mut cluster = trusting(&[]).await?;
    let verdict = headers(&cluster).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn headers(cluster: &Cluster) -> Result<()> {
    let (folder, closed) = (TempDir::new()?, Closed::of(cluster));
    let (authority, pair) = pair()?;
    let node = cluster.node(0).address();
    let Some(proxy) = Haproxy::start(node, Way::Headers, &pair).await? else { return Ok(()) };
    let password = with_office(&closed).await?;
    let through = Registry::new(&[format!("http://{}", proxy.plain())]).logged_in("clerk", &password);
    let path = "/v2/office/app/tags/list";

    from(&through, OFFICE).get(path).await?.expect(200)?;
    let elsewhere = from(&through, ELSEWHERE);
    elsewhere.get(path).await?.expect_error(403, "DENIED")?;
    let office = IpAddr::from(OFFICE).to_string();
    let direct = from(&closed.user("clerk", &password), ELSEWHERE);
    let said = format!("for={office}");
    for (name, value) in [
        ("x-forwarded-for", &*office),
        ("X_Forwarded_For", &*office),
        ("x-real-ip", &*office),
        ("forwarded", &*said),
        // A proxy must not take its own header away because a client calls it one of the connection's.
        ("connection", "close, x-forwarded-for"),
    ] {
        for registry in [&elsewhere, &direct] {
            let answer = send(registry.request(Method::GET, path).header(name, value)).await?;
            ensure!(answer.status == 403, "{name}: {value}: {answer:?}");
        }
    }
    // Nor does a proxy in front of that proxy count that nobody has named.
    let twice =
        elsewhere.request(Method::GET, path).header("x-forwarded-for", &*office).header("x-forwarded-for", "::1");
    send(twice).await?.expect(403)?;

    realms(folder.path(), &authority, &proxy).await?;
    health(&closed, &elsewhere).await?;
    the_next_request_is_its_own(&proxy, &through).await?;
    guessers_are_told_apart(&through, &closed).await
}

/// Clients are sent for tokens the way that they came, whatever they claim.
async fn realms(home: &Path, authority: &Authority, proxy: &Haproxy) -> Result<()> {
    let file = authority.write(home.join("authority.pem"))?;
    let plain = Registry::new(&[format!("http://{}", proxy.plain())]);
    let forged = plain.request(Method::GET, "/v2/").header("x-forwarded-proto", "https");
    let challenge = send(forged.header("x-forwarded-host", "evil.example")).await?.expect(401)?;
    let realm = format!("Bearer realm=\"http://{}/token\"", proxy.plain());
    ensure!(challenge.need("www-authenticate")?.starts_with(&realm), "{challenge:?}");

    let Some(mut curl) = client("curl", home)? else { return Ok(()) };
    curl.args(["--silent", "--show-error", "--include", "--header", "x-forwarded-proto: http", "--cacert"]).arg(&file);
    let answer = tools::run({
        curl.arg(format!("https://{}/v2/", proxy.tls()));
        curl
    })
    .await?;
    let realm = format!("Bearer realm=\"https://{}/token\"", proxy.tls());
    ensure!(answer.contains(&realm), "{answer}");
    Ok(())
}

/// The metrics name namespaces: they are for the machine itself, and a proxy's clients are not it.
async fn health(closed: &Closed, through: &Registry) -> Result<()> {
    // The clients of these tests are of this machine, too; one of another machine is what the proxy tells of.
    let proxied = closed.registry.from_address(ADDRESS.parse()?);
    for (client, status) in [("192.0.2.7", 403), ("127.0.0.1", 200), ("2001:db8::1", 403), ("::1", 200)] {
        let request = proxied.request(Method::GET, "/metrics").header("x-forwarded-for", client);
        let answer = send(request).await?;
        ensure!(answer.status == status, "{client}: {}", answer.status);
        ensure!(status == 200 || !answer.text().contains("regnode_"), "{client}: {}", answer.text());
    }
    // Whoever is not trusted says nothing by it.
    let claimed = through.request(Method::GET, "/metrics").header("x-forwarded-for", "192.0.2.7");
    send(claimed).await?.expect(200).map(drop)
}

/// What two servers could take for one request or for two is never two: the next client on the proxy's connection gets
/// the answer to what he has asked.
async fn the_next_request_is_its_own(proxy: &Haproxy, clerk: &Registry) -> Result<()> {
    let smuggled = "GET /v2/office/app/manifests/smuggled HTTP/1.1\r\nHost: registry\r\n\r\n";
    let length = smuggled.len();
    let chunk = format!("{length:x}\r\n{smuggled}\r\n0\r\n\r\n");
    let behind = format!("0\r\n\r\n{smuggled}");
    let bodies = [
        (format!("Content-Length: {}\r\nTransfer-Encoding: chunked", behind.len()), behind.clone()),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {}", behind.len()), behind.clone()),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked".to_owned(), chunk.clone()),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nContent-Length: 4".to_owned(), chunk.clone()),
        ("Transfer-Encoding: xchunked\r\nContent-Length: 4".to_owned(), chunk.clone()),
        ("Transfer-Encoding: \x0bchunked\r\nContent-Length: 4".to_owned(), chunk.clone()),
        ("Transfer-Encoding: chunked, identity".to_owned(), behind.clone()),
        ("Transfer-Encoding : chunked".to_owned(), behind.clone()),
        ("X: y\r\n Transfer-Encoding: chunked".to_owned(), behind.clone()),
        ("Foo: bar\nTransfer-Encoding: chunked".to_owned(), behind.clone()),
        (format!("Content-Length: 0\r\nContent-Length: {length}"), smuggled.to_owned()),
        (format!("Content-Length: 0, {length}"), smuggled.to_owned()),
        (format!("Content-Length: +{length}"), smuggled.to_owned()),
        (format!("Content-Length: 0{length}\r\nContent-Length : 0"), smuggled.to_owned()),
        ("Transfer-Encoding: chunked".to_owned(), format!("0;x=\n\r\n\r\n{smuggled}")),
        ("Transfer-Encoding: chunked".to_owned(), format!("0\n\n{smuggled}")),
        ("Transfer-Encoding: chunked".to_owned(), format!("00000000000000000\r\n\r\n{smuggled}")),
    ];
    for (head, body) in bodies {
        let mut raw = Connection::open(proxy.plain()).await?;
        raw.send(format!("POST /token HTTP/1.1\r\nHost: registry\r\n{head}\r\n\r\n{body}")).await?;
        // What the sender himself gets is the proxy's business: it may see two requests of his, and answer both.
        let _ = timeout(PROXY_THINKS, raw.head()).await;
        for _ in 0..2 {
            let answer = from(clerk, OFFICE).get("/v2/office/app/tags/list").await?;
            let own = answer.status == 200 && answer.text().contains("\"tags\":[\"v1\"]");
            ensure!(own, "after {head:?} somebody else's answer: {answer:?}");
        }
    }
    Ok(())
}

/// Whoever guesses through the proxy is slowed down, and not those beside him.
async fn guessers_are_told_apart(through: &Registry, closed: &Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "worker").await?;
    let worker = closed.user("worker", &password);
    until_status(&worker, "/v2/", 200).await?;
    let (guesser, home) = (from(through, ELSEWHERE), from(through, HOME));
    let mut last = 0;
    for guess in 0..GUESSES {
        last = guesser.logged_in(&format!("nobody{guess}"), "a guess").get("/v2/").await?.status;
    }
    ensure!(last == 429, "nothing slows down who guesses: {last}");
    let refused = guesser.logged_in("worker", &password).get("/v2/").await?.expect(429)?;
    ensure!(refused.need("retry-after")?.parse::<u64>()? > 0, "{refused:?}");
    home.logged_in("worker", &password).get("/v2/").await?.expect(200)?;
    worker.get("/v2/").await?.expect(200).map(drop)
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_address_by_which_clients_are_judged() -> Result<()> {
    // The network of the proxy itself need not be named.
    let [office, home] = [OFFICE, HOME].map(|address| IpAddr::from(address).to_string());
    let allowed = format!("{office},{home},127.0.0.1");
    let health = tests::ports::reserve()?;
    let health = (health.address().to_string(), health);
    let keys = [("api.proxy_protocol", "true"), ("api.allow", &*allowed), ("metrics.listen", &*health.0)];
    let mut cluster = trusting(&[&keys[..], &[("metrics.allow", "127.0.0.1, 127.0.0.5")]].concat()).await?;
    let verdict = proxy_protocol(&cluster, &health.0).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn proxy_protocol(cluster: &Cluster, health: &str) -> Result<()> {
    let closed = Closed::of(cluster);
    let (_, pair) = pair()?;
    let node = cluster.node(0).address();
    let Some(proxy) = Haproxy::start(node, Way::ProxyProtocol, &pair).await? else { return Ok(()) };
    let password = with_office(&closed).await?;
    until_allowed(&closed.data, "user:admin", "pull", "office/app").await?;
    let through = Registry::new(&[format!("http://{}", proxy.plain())]).logged_in("clerk", &password);
    let path = "/v2/office/app/tags/list";

    from(&through, OFFICE).get(path).await?.expect(200)?;
    from(&through, HOME).get(path).await?.expect_error(403, "DENIED")?;
    // Not among those who may come: nothing is answered, through the proxy or without it.
    let direct = closed.user("clerk", &password);
    for registry in [&through, &direct] {
        ensure!(from(registry, ELSEWHERE).get(path).await.is_err(), "an address that is not allowed is answered");
    }
    from(&direct, OFFICE).get(path).await?.expect(200)?;
    // A client's own word, in the protocol's form: it is no request, and nobody's address.
    for first in [
        &b"PROXY TCP4 127.0.0.5 127.0.0.1 1 2\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x05\x7f\0\0\x01\0\x01\0\x02",
    ] {
        for address in [node, proxy.plain()] {
            let mut raw = Connection::open(address).await?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n");
            raw.send([first, request.as_bytes()].concat()).await?;
            if let Ok(head) = raw.head().await {
                ensure!(head.status == 400, "{}: {address}", head.status);
            }
        }
    }
    // The proxy itself has to use it.
    let silent = direct.from_address(ADDRESS.parse()?);
    ensure!(silent.get(path).await.is_err(), "a trusted proxy's connection without a header is answered");

    guessers_are_told_apart_at(&through, HOME, &password).await?;
    from(&through, OFFICE).get(path).await?.expect(200)?;
    metrics(health).await
}

/// Guesses from one address of the proxy's clients.
async fn guessers_are_told_apart_at(through: &Registry, address: [u8; 4], password: &str) -> Result<()> {
    let guesser = from(through, address);
    let mut last = 0;
    for guess in 0..GUESSES {
        last = guesser.logged_in(&format!("nobody{guess}"), "a guess").get("/v2/").await?.status;
    }
    ensure!(last == 429, "nothing slows down who guesses: {last}");
    guesser.logged_in("clerk", password).get("/v2/").await?.expect(429).map(drop)
}

/// The listener of its own takes whom it is told to take.
async fn metrics(address: &str) -> Result<()> {
    let metrics = Registry::new(&[format!("http://{address}")]);
    for client in [[127, 0, 0, 1], OFFICE] {
        let text = from(&metrics, client).get("/metrics").await?.expect(200)?.text();
        ensure!(
            text.contains("regnode_node_serve_refused_connections_total{") && text.contains("reason=\"address\""),
            "{text}"
        );
    }
    for path in ["/metrics", "/livez", "/readyz"] {
        let refused = from(&metrics, ELSEWHERE).get(path).await.err();
        refused.with_context(|| format!("{path} is told to everybody"))?;
    }
    Ok(())
}
