//! Attacks on who may do what, each as a hostile client would send it: forged tokens, tricks with paths and scopes, headers
//! that lie, guessing. What needs keys or clocks from the inside is tried in the rooms' own tests.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::access::{self, Closed, NOTICE, until_status};
use tests::cluster::Cluster;
use tests::content;
use tests::image::Recipe;
use tests::jwt;
use tests::operator::{query, run};
use tests::raw::Connection;
use tests::registry::{blob_path, manifest_path};
use tests::suite::Suite;

/// Addresses from which wrong passwords are sent, how many of each, and how many without waiting for an answer.
const GUESSERS: u8 = 100;
const GUESSES_OF_EACH: usize = 100;
const GUESSES_IN_A_ROW: usize = 50;
/// How long the flood may take: debug builds beside other tests on two cores.
const FLOOD: Duration = Duration::from_secs(50);

#[tokio::test]
async fn attacks_are_refused() -> Result<()> {
    let mut cluster = Cluster::start_closed(1).await?;
    let closed = Closed::of(&cluster);
    Recipe::new(950).build()?.push(&closed.operator(), "secret/app", "v1").await?;
    let mut suite = Suite::default();
    macro_rules! attacks {
        ($($name:ident),+ $(,)?) => { $( suite.add(stringify!($name), $name(closed.clone())); )+ };
    }
    attacks!(
        forged_tokens,
        a_token_of_another_cluster,
        keys_that_a_token_brings_along,
        paths_that_lead_elsewhere,
        scopes_that_ask_for_more,
        digests_of_what_is_elsewhere,
        addresses_that_a_client_claims,
        two_lengths_of_one_body,
        json_without_a_bottom,
        bodies_that_grow,
        headers_of_all_sizes,
        a_join_token_shown_twice,
    );
    let verdict = suite.run().await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// A user who may read `secret`, and one of his tokens.
async fn token_of_a_reader(closed: &Closed, name: &str) -> Result<String> {
    let password = access::add_user(&closed.data, name).await?;
    closed.grant(&format!("user:{name}"), "reader", "secret").await?;
    let user = closed.user(name, &password);
    until_status(&user, "/v2/secret/app/tags/list", 200).await?;
    user.token(&["repository:secret/app:pull"]).await
}

/// Whether a token lets in: to what it claims, and to be somebody at all.
async fn is_refused(closed: &Closed, token: &str, what: &str) -> Result<()> {
    let forger = closed.registry.with_token(token);
    for path in ["/v2/", "/v2/secret/app/tags/list"] {
        let answer = forger.get(path).await?;
        ensure!(answer.status == 401, "{what}: {path} is answered with {}: {}", answer.status, answer.text());
    }
    Ok(())
}

/// Another algorithm, another signature, other claims.
async fn forged_tokens(closed: Closed) -> Result<()> {
    let token = token_of_a_reader(&closed, "forger").await?;
    closed.registry.with_token(&token).get("/v2/secret/app/tags/list").await?.expect(200)?;
    let [head, claims, signature] = jwt::parts(&token)?;
    let (header, said) = (jwt::header(&token)?, jwt::claims(&token)?);
    let with = |field: &str, value: Value| {
        let mut said = said.clone();
        said[field] = value;
        jwt::part(&said)
    };
    let keys = closed.registry.get("/.well-known/jwks.json").await?.expect(200)?.json()?;
    let key = keys["keys"][0].clone();
    let point = [&key["x"], &key["y"]].map(|half| URL_SAFE_NO_PAD.decode(half.as_str().unwrap_or_default()));
    let [x, y] = point;
    let public = [&[4][..], &x?, &y?].concat();
    let with_hmac = |secret: &[u8]| {
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": header["kid"] });
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        jwt::signed(&header, &said, |text| hmac::sign(&secret, text).as_ref().to_vec())
    };
    let none =
        |name: &str| format!("{}.{claims}.", jwt::part(&json!({ "alg": name, "typ": "JWT", "kid": header["kid"] })));
    let kid =
        |kid: &str| format!("{}.{claims}.{signature}", jwt::part(&json!({ "alg": "ES256", "typ": "JWT", "kid": kid })));
    let access = json!([{ "type": "repository", "name": "secret/app", "actions": ["pull", "push", "delete"] }]);
    let forged = [
        ("nothing", String::new()),
        ("two parts", format!("{head}.{claims}")),
        ("four parts", format!("{token}.{signature}")),
        ("no signature", format!("{head}.{claims}.")),
        ("another subject", format!("{head}.{}.{signature}", with("sub", json!("user:admin")))),
        ("more rights", format!("{head}.{}.{signature}", with("access", access))),
        ("a later end", format!("{head}.{}.{signature}", with("exp", json!(4_102_444_800_u64)))),
        ("algorithm none", none("none")),
        ("algorithm None", none("None")),
        ("the public key as a secret", with_hmac(&public)),
        ("the key's text as a secret", with_hmac(key.to_string().as_bytes())),
        ("an empty secret", with_hmac(b"0")),
        ("another key", kid("0000000000000000")),
        ("a key by a path", kid("../../../../dev/null")),
        ("a key by a query", kid("' OR 1=1 --")),
        ("a long text", "a".repeat(6000)),
        ("dots", ".".repeat(300)),
    ];
    for (what, token) in forged {
        is_refused(&closed, &token, what).await?;
    }
    Ok(())
}

/// Another cluster's token is nothing here, though that cluster's operator has the same name.
async fn a_token_of_another_cluster(closed: Closed) -> Result<()> {
    let other = Cluster::start_closed(1).await?;
    let token = Closed::of(&other).operator().token(&["repository:secret/app:pull"]).await?;
    is_refused(&closed, &token, "another cluster's token").await
}

/// A key in the token's own header, or at an address that it names, is nobody's.
async fn keys_that_a_token_brings_along(closed: Closed) -> Result<()> {
    let token = token_of_a_reader(&closed, "bringer").await?;
    let said = jwt::claims(&token)?;
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?;
    let point = pair.public_key().as_ref();
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "mine",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    });
    let kid = jwt::header(&token)?["kid"].clone();
    let headers = [
        json!({ "alg": "ES256", "typ": "JWT", "kid": "mine", "jwk": jwk }),
        json!({ "alg": "ES256", "typ": "JWT", "kid": kid, "jwk": jwk }),
        json!({ "alg": "ES256", "typ": "JWT", "kid": kid, "jku": "http://127.0.0.1:1/keys" }),
        json!({ "alg": "ES256", "typ": "JWT", "jwk": jwk }),
        json!({ "alg": "ES256", "typ": "JWT" }),
    ];
    for header in headers {
        let sign = |text: &[u8]| pair.sign(&random, text).map(|made| made.as_ref().to_vec()).unwrap_or_default();
        is_refused(&closed, &jwt::signed(&header, &said, sign), &header.to_string()).await?;
    }
    Ok(())
}

/// Whoever reads `open` does not get to `secret` by a way around.
async fn paths_that_lead_elsewhere(closed: Closed) -> Result<()> {
    closed.grant("anonymous", "reader", "open").await?;
    Recipe::new(951).build()?.push(&closed.operator(), "open/app", "v1").await?;
    until_status(&closed.registry, "/v2/open/app/tags/list", 200).await?;
    let address = closed.registry.host().parse()?;
    let paths = [
        "/v2/open/../secret/app/tags/list",
        "/v2/open/app/../../secret/app/tags/list",
        "/v2/open/%2e%2e/secret/app/tags/list",
        "/v2/open%2f..%2fsecret/app/tags/list",
        "/v2/open/..%2fsecret%2fapp/manifests/v1",
        "/v2//secret/app/tags/list",
        "/v2/./secret/app/tags/list",
        "/v2/secret%2fapp/tags/list",
        "/v2/secret%252fapp/tags/list",
        "/v2/SECRET/app/tags/list",
        "/v2/open/app/tags/list/../../../../secret/app/tags/list",
        "//v2/secret/app/tags/list",
        "http://open/v2/secret/app/tags/list",
        "/v2/secret/app/tags/list?n=1&ns=open/app",
        "/v2/secret/app/manifests/v1&ns=open",
        "/v2/secret/app/manifests/v1#/../../../open/app/manifests/v1",
    ];
    for path in paths {
        let mut raw = Connection::open(address).await?;
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n")).await?;
        let head = raw.head().await?;
        ensure!((400..500).contains(&head.status), "{path} is answered with {}", head.status);
    }
    Ok(())
}

/// A token never carries more than the rules allow, whatever the scope's text.
async fn scopes_that_ask_for_more(closed: Closed) -> Result<()> {
    let scopes = [
        "repository:open/../secret/app:pull",
        "repository:secret/app:pull",
        "repository:secret/app:*",
        "repository:*:*",
        "repository:secret%2Fapp:pull",
        "repository(plugin):secret/app:pull",
        "registry:catalog:*",
        "registry:*:*",
        "repository:secret/app",
        "repository::pull",
        ":::",
        "repository:secret/app:pull,pull,pull,push,delete,operate,admin",
        "REPOSITORY:secret/app:pull",
        "repository:secret/app:PULL",
    ];
    for scope in scopes {
        let answer = closed.registry.get(&format!("/token?scope={}", scope.replace('*', "%2A"))).await?;
        ensure!([200, 400].contains(&answer.status), "{scope}: {answer:?}");
        if answer.status == 400 {
            continue;
        }
        let token = access::text(&answer.json()?, "token")?;
        let granted = jwt::claims(&token)?["access"].clone();
        let pulls = granted.as_array().into_iter().flatten().any(|entry| {
            entry["name"].as_str().is_some_and(|name| name.contains("secret")) && entry["actions"] != json!([])
        });
        ensure!(!pulls, "{scope} gives {granted}");
        closed.registry.with_token(&token).get("/v2/secret/app/tags/list").await?.expect(401)?;
    }
    Ok(())
}

/// A digest of what is in somebody else's repository finds nothing in one's own.
async fn digests_of_what_is_elsewhere(closed: Closed) -> Result<()> {
    let bytes = content::bytes(952, 30_000);
    let digest = closed.operator().push_blob("secret/app", &bytes).await?;
    let manifest = closed.operator().manifest("secret/app", "v1").await?.expect(200)?;
    let manifest = manifest.need("docker-content-digest")?.to_owned();
    let password = access::add_user(&closed.data, "guesser").await?;
    closed.grant("user:guesser", "writer", "guesses").await?;
    let guesser = closed.user("guesser", &password);
    until_status(&guesser, "/v2/guesses/app/tags/list", 404).await?;
    guesser.push_blob("guesses/app", &content::bytes(953, 100)).await?;
    guesser.get(&blob_path("guesses/app", &digest)).await?.expect_error(404, "BLOB_UNKNOWN")?;
    guesser.get(&manifest_path("guesses/app", &manifest)).await?.expect(404)?;
    // Nor does a manifest that names it make it one's own.
    let stolen = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": bytes.len() },
        "layers": [],
    });
    let media = "application/vnd.oci.image.manifest.v1+json";
    let put = guesser.put_manifest("guesses/app", "v1", media, &stolen.to_string().into()).await?;
    put.expect_error(400, "MANIFEST_BLOB_UNKNOWN").map(drop)
}

/// No header makes a client come from somewhere else, nor makes it another node.
async fn addresses_that_a_client_claims(closed: Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "elsewhere").await?;
    let words = ["access", "grant", "user:elsewhere", "reader", "secret", "--from", "10.0.0.0/8"];
    let rule = query(&closed.data, &words).await?;
    ensure!(rule["rule"]["id"].is_u64(), "{rule}");
    let explained = ["access", "explain", "user:elsewhere", "pull", "secret/app", "--from", "10.1.2.3"];
    tests::wait::eventually("the rule holds for its network", NOTICE, async || {
        run(&closed.data, &explained).await.map(Some)
    })
    .await?;
    let user = closed.user("elsewhere", &password);
    let claims = [
        ("x-forwarded-for", "10.1.2.3"),
        ("forwarded", "for=10.1.2.3"),
        ("x-real-ip", "10.1.2.3"),
        ("regnode-client", "10.1.2.3"),
        ("regnode-forwarded", "1"),
        ("regnode-peer", "1"),
    ];
    for (name, value) in claims {
        let request = user.request(Method::GET, "/v2/secret/app/tags/list").header(name, value);
        let answer = tests::registry::send(request).await?;
        ensure!(answer.status == 403, "{name}: {answer:?}");
    }
    Ok(())
}

/// What one server takes for a body, another one takes for the next request.
async fn two_lengths_of_one_body(closed: Closed) -> Result<()> {
    let address = closed.registry.host().parse()?;
    let smuggled = "GET /v2/secret/app/tags/list HTTP/1.1\r\nHost: registry\r\n\r\n";
    let heads = [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked", smuggled.len() + 5),
        "Transfer-Encoding: chunked\r\nContent-Length: 3".to_owned(),
        "Content-Length: 0\r\nContent-Length: 5".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        "Content-Length: +5".to_owned(),
    ];
    for head in heads {
        let mut raw = Connection::open(address).await?;
        raw.send(format!("POST /token HTTP/1.1\r\nHost: registry\r\n{head}\r\n\r\n0\r\n\r\n{smuggled}")).await?;
        let first = raw.head().await?;
        ensure!((400..500).contains(&first.status), "{head}: {}", first.status);
        // Nothing of the rest is answered as a request of its own.
        raw.closed().await.with_context(|| head)?;
    }
    Ok(())
}

/// Deep nesting is an error of the client's, in manifests and in tokens.
async fn json_without_a_bottom(closed: Closed) -> Result<()> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!("{{\"schemaVersion\":2,\"config\":{deep}}}");
    let media = "application/vnd.oci.image.manifest.v1+json";
    let put = closed.operator().put_manifest("secret/app", "deep", media, &body.into()).await?;
    put.expect_error(400, "MANIFEST_INVALID")?;
    let nested = format!("{}{}", "{\"a\":".repeat(1000), format_args!("1{}", "}".repeat(1000)));
    let nested = URL_SAFE_NO_PAD.encode(nested);
    for token in [format!("{nested}.{nested}.{nested}"), format!("e30.{nested}.e30")] {
        is_refused(&closed, &token, "deep JSON").await?;
    }
    Ok(())
}

/// What is sent packed stays packed: a small body that would be a large one is no manifest and no form.
async fn bodies_that_grow(closed: Closed) -> Result<()> {
    let large = format!("{{\"schemaVersion\":2,\"a\":\"{}\"}}", "0".repeat(64 << 20));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(large.as_bytes())?;
    let bomb = bytes::Bytes::from(encoder.finish()?);
    ensure!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let media = "application/vnd.oci.image.manifest.v1+json";
    let before = closed.peak_memory_bytes()?;
    for encoding in ["gzip", "gzip, gzip", "br"] {
        let request = closed.operator().request(Method::PUT, &manifest_path("secret/app", "bomb"));
        let request = request.header("content-type", media).header("content-encoding", encoding);
        let answer = tests::registry::send(request.body(bomb.clone())).await?;
        ensure!((400..500).contains(&answer.status), "{encoding}: {answer:?}");
        let request = closed.registry.request(Method::POST, "/token").header("content-encoding", encoding);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = tests::registry::send(request.body(bomb.clone())).await?;
        ensure!((400..500).contains(&answer.status), "{encoding}: {answer:?}");
    }
    let grown = closed.peak_memory_bytes()?.saturating_sub(before);
    ensure!(grown < 48 << 20, "memory grew by {grown} bytes");
    Ok(())
}

/// Whatever stands in the header, it is an answer and not an end.
async fn headers_of_all_sizes(closed: Closed) -> Result<()> {
    let long = "x".repeat(7000);
    let values = [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !!!".to_owned(),
        "Basic Og==".to_owned(),
        format!("Basic {long}"),
        format!("Bearer {long}"),
        "Bearer".to_owned(),
        "Bearer a.b.c".to_owned(),
        "Digest username=\"admin\"".to_owned(),
        "bearer bearer bearer".to_owned(),
        "\u{1}".to_owned(),
    ];
    let address = closed.registry.host().parse()?;
    for value in values {
        let mut raw = Connection::open(address).await?;
        let head =
            format!("GET /v2/ HTTP/1.1\r\nHost: registry\r\nAuthorization: {value}\r\nConnection: close\r\n\r\n");
        raw.send(head).await?;
        let answer = raw.head().await?;
        ensure!([400, 401].contains(&answer.status), "{}: {}", &value[..value.len().min(40)], answer.status);
    }
    let two =
        "GET /v2/ HTTP/1.1\r\nHost: registry\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YWRtaW46eA==\r\n\r\n";
    let mut raw = Connection::open(address).await?;
    raw.send(two).await?;
    let answer = raw.head().await?;
    ensure!([400, 401].contains(&answer.status), "two headers: {}", answer.status);
    Ok(())
}

/// The second machine that shows a join token stays outside.
async fn a_join_token_shown_twice(_closed: Closed) -> Result<()> {
    let mut cluster = Cluster::start_closed(1).await?;
    let text = run(cluster.node(0).data(), &["token"]).await?;
    let invitation = tests::command::parse_invitation(&text)?;
    cluster.join_with("second", &invitation).await?;
    let third = cluster.join_with("third", &invitation).await.err().context("a used token admits nobody")?;
    let told = format!("{third:#}{}", cluster.nodes().last().map(tests::cluster::Node::log).unwrap_or_default());
    ensure!(told.contains("used by node 2 already"), "{told}");
    Ok(())
}

/// Whoever guesses, from many addresses and as fast as a node answers, keeps nobody out who may come in, and costs neither
/// memory nor an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_guesses_keep_nobody_out() -> Result<()> {
    let mut cluster = Cluster::start_closed(1).await?;
    let closed = Closed::of(&cluster);
    let token = closed.operator().token(&["repository:calm/app:pull,push"]).await?;
    let (user, calm) = (closed.operator(), closed.registry.with_token(&token));
    Recipe::new(960).build()?.push(&calm, "calm/app", "v1").await?;
    let password = access::add_user(&closed.data, "newcomer").await?;
    let before = cluster.node(0).peak_memory_bytes()?;
    let (address, started) = (cluster.node(0).address(), Instant::now());
    // From elsewhere: whoever guesses from one's own address is slowed down together with oneself.
    let flood = async {
        let guessers = (1..=GUESSERS).map(|guesser| tokio::spawn(guess(address, guesser)));
        let mut statuses = BTreeMap::<u16, usize>::new();
        for told in try_join_all(guessers).await? {
            for status in told? {
                *statuses.entry(status).or_default() += 1;
            }
        }
        anyhow::Ok(statuses)
    };
    let calm = async {
        // Nobody has seen him before: his password is checked among all those that are wrong.
        let newcomer = closed.user("newcomer", &password);
        tests::wait::eventually("a newcomer is let in", FLOOD, async || {
            newcomer.get("/v2/").await?.expect(200).map(Some)
        })
        .await?;
        loop {
            for registry in [&calm, &user, &newcomer] {
                let answer = registry.get("/v2/").await?;
                ensure!(answer.status == 200, "{answer:?}");
            }
            calm.manifest("calm/app", "v1").await?.expect(200)?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let statuses = tokio::select! {
        statuses = tokio::time::timeout(FLOOD, flood) => statuses.context("the flood takes too long")??,
        ended = calm => return ended,
    };
    let (count, elapsed) = (statuses.values().sum::<usize>(), started.elapsed());
    eprintln!("{count} guesses within {elapsed:.1?}: {statuses:?}");
    ensure!(count == usize::from(GUESSERS) * GUESSES_OF_EACH, "{count} answers");
    ensure!(statuses.keys().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
    ensure!(statuses.contains_key(&429), "nothing slows down who guesses: {statuses:?}");
    closed.user("newcomer", &password).get("/v2/").await?.expect(200)?;
    let grown = cluster.node(0).peak_memory_bytes()?.saturating_sub(before);
    ensure!(grown < 256 << 20, "memory grew by {grown} bytes");
    cluster.check_sound()
}

/// Guesses from one address, many in a row without waiting for the answers; what they are answered.
async fn guess(node: SocketAddr, guesser: u8) -> Result<Vec<u16>> {
    let mut connection = Connection::open_from([127, 0, 1, guesser].into(), node).await?;
    let mut statuses = Vec::new();
    for start in (0..GUESSES_OF_EACH).step_by(GUESSES_IN_A_ROW) {
        let mut requests = String::new();
        for number in start..start + GUESSES_IN_A_ROW {
            // At the operator, at some others, and now and then at a name that nobody has tried before, which costs the
            // most: it is not known yet that it is guessed at.
            let name = match number % 50 {
                0 => format!("nobody-{guesser}-{number}"),
                odd if odd % 2 == 1 => "admin".to_owned(),
                even => format!("nobody-{even}"),
            };
            let basic = STANDARD.encode(format!("{name}:guess {number}"));
            requests.push_str("GET /v2/ HTTP/1.1\r\nHost: registry\r\nAuthorization: Basic ");
            requests.push_str(&basic);
            requests.push_str("\r\n\r\n");
        }
        connection.send(requests).await?;
        for _ in 0..GUESSES_IN_A_ROW {
            let head = connection.head().await?;
            let length = head.header("content-length").context("an answer without a length")?.parse()?;
            connection.body(length).await?;
            statuses.push(head.status);
        }
    }
    Ok(statuses)
}
