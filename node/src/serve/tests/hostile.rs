//! Slow, endless and many: what clients send to use up a server, from raw sockets, and that it holds.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{any, get};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::{DEADLINE, Running, connect, read_all, start_behind};
use crate::serve::{Front, Limits, Metrics, Patience, Protection};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
/// The most that any of these may get rid of.
const FLOOD_BYTES: usize = 16 << 20;

async fn start(router: Router, limits: Limits) -> Running {
    start_behind(Front::default(), router, limits, Duration::from_secs(1), Protection::Plaintext).await
}

fn hello() -> Router {
    Router::new().fallback(any(|_body: Bytes| async { "hello" }))
}

/// Sends a beginning, then a part again and again, until the server has enough. What it said to that.
async fn flood(server: &Running, begin: &[u8], part: &[u8]) -> Vec<u8> {
    let mut stream = connect(server.address).await;
    stream.write_all(begin).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut said = Vec::new();
    let mut sent = begin.len();
    let sending = async {
        while writer.write_all(part).await.is_ok() {
            sent += part.len();
            assert!(sent < FLOOD_BYTES, "the server takes everything: {:?}", text(&part[..part.len().min(20)]));
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut bytes).await {
            said.extend(&bytes[..count]);
        }
    };
    timeout(DEADLINE, async { tokio::join!(sending, reading) }).await.expect("the server ends the connection");
    said
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let limits = Limits { header_timeout: Duration::from_millis(400), ..Limits::clients(64) };
    let server = start(hello(), limits).await;
    let begun = Instant::now();
    let mut stream = connect(server.address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let mut said = Vec::new();
    let ended = async { tokio::join!(reader.read_to_end(&mut said), dripping).0 };
    let _ = timeout(DEADLINE, ended).await.expect("the connection ends");
    assert!(begun.elapsed() < Duration::from_secs(5) && !text(&said).contains("hello"), "{:?}", begun.elapsed());
    server.end().await;
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let server = start(hello(), Limits::clients(64)).await;
    let line = format!("x: {}\r\n", "a".repeat(8000));
    let said = text(&flood(&server, b"GET / HTTP/1.1\r\nhost: a\r\n", line.as_bytes()).await);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    let said = text(&flood(&server, b"GET / HTTP/1.1\r\n", b"y: 1\r\n").await);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    let said = text(&flood(&server, b"GET /", &[b'a'; 4096]).await);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 41") || said.starts_with("HTTP/1.1 43"), "{said}");
    server.end().await;
}

#[tokio::test]
async fn endless_chunk_extensions_and_trailers_are_refused() {
    let server = start(hello(), Limits::clients(64)).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for (begin, part) in [
        (format!("{head}1;"), vec![b'a'; 4096]),
        (head.to_owned(), format!("1;{}\r\nx\r\n", "a".repeat(4000)).into_bytes()),
        (format!("{head}0\r\n"), b"x: y\r\n".to_vec()),
        (format!("{head}0\r\nx: "), vec![b'a'; 4096]),
    ] {
        let said = text(&flood(&server, begin.as_bytes(), &part).await);
        assert!(!said.contains("hello"), "{said}");
    }
    server.end().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let metrics = Metrics::default();
    let front = Front { connections_per_address: 3, metrics: metrics.clone(), ..Front::default() };
    let server = start_behind(front, hello(), Limits::clients(64), DEADLINE, Protection::Plaintext).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(server.address).await;
        stream.write_all(REQUEST).await.unwrap();
        stream.read_exact(&mut [0; 8]).await.unwrap();
        held.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(read_all(&mut connect(server.address).await).await.unwrap_or_default(), "");
    }
    assert_eq!(metrics.count("test", "crowd"), 5);
    held.pop();
    let again = async {
        loop {
            let mut stream = connect(server.address).await;
            // It may be reset before it is written to.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
            if read_all(&mut stream).await.unwrap_or_default().ends_with("hello") {
                break;
            }
        }
    };
    timeout(DEADLINE, again).await.expect("a place is free again");
    drop(held);
    server.end().await;
}

/// Tells when it is dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Answers without an end, and who is told when one is given up.
fn endless() -> (Router, Arc<Notify>) {
    let dropped = Arc::new(Notify::new());
    let tells = Arc::clone(&dropped);
    let handler = get(move || {
        let told = Told(Arc::clone(&tells));
        async move {
            let parts = stream::repeat(Bytes::from(vec![0; 32 << 10]));
            Body::from_stream(parts.map(move |part| {
                let _held = &told;
                Ok::<_, std::io::Error>(part)
            }))
        }
    });
    (Router::new().route("/", handler), dropped)
}

fn impatient() -> Limits {
    let patience = Patience { idle: Duration::from_millis(400), stall: Duration::from_millis(400) };
    Limits { patience: Some(patience), ..Limits::clients(64) }
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_its_answer_is_let_go() {
    let (router, dropped) = endless();
    let server = start(router, impatient()).await;
    let mut stream = connect(server.address).await;
    stream.write_all(REQUEST).await.unwrap();
    timeout(DEADLINE, dropped.notified()).await.expect("the answer is given up");
    let mut second = connect(server.address).await;
    second.write_all(&h2(&[settings(), headers(1)])).await.unwrap();
    timeout(DEADLINE, dropped.notified()).await.expect("the same over HTTP/2");
    server.end().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_served() {
    let (router, dropped) = endless();
    // A busy machine adds to the client's pauses: each is far shorter than the stall, all together are longer.
    let patience = Patience { idle: Duration::from_secs(2), stall: Duration::from_secs(2) };
    let server = start(router, Limits { patience: Some(patience), ..Limits::clients(64) }).await;
    let mut stream = connect(server.address).await;
    stream.write_all(REQUEST).await.unwrap();
    let mut bytes = vec![0; 4 << 20];
    for _ in 0..8 {
        timeout(DEADLINE, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        sleep(Duration::from_millis(350)).await;
    }
    assert!(timeout(Duration::from_millis(1), dropped.notified()).await.is_err());
    server.end().await;
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// `GET /` of `localhost`, whole.
fn headers(stream: u32) -> Vec<u8> {
    frame(1, 5, stream, b"\x82\x86\x84\x41\x09localhost")
}

fn h2(frames: &[Vec<u8>]) -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frames.concat()].concat()
}

/// Error codes of the GOAWAY frames in what a server said.
fn farewells(said: &[u8]) -> Vec<u32> {
    let (mut rest, mut codes) = (said, Vec::new());
    while rest.len() >= 9 {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let Some(payload) = rest.get(9..9 + length) else { break };
        if rest[3] == 7 {
            codes.push(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = &rest[9 + length..];
    }
    codes
}

const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let server = start(hello(), Limits::clients(64)).await;
    let mut stream = connect(server.address).await;
    let mut bytes = h2(&[settings()]);
    for number in 0..5000 {
        bytes.extend(headers(2 * number + 1));
        bytes.extend(frame(3, 0, 2 * number + 1, &8u32.to_be_bytes()));
    }
    let _ = stream.write_all(&bytes).await;
    let mut said = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("the server ends the connection");
    assert!(farewells(&said).contains(&ENHANCE_YOUR_CALM), "{:?}", farewells(&said));
    server.end().await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let server = start(hello(), Limits::clients(64)).await;
    // A header that is never complete: literal fields, none of them indexed.
    let field = [&b"\x00\x01x\x7f\x81\x1f"[..], &vec![b'a'; 4096 - 6]].concat();
    let begin = h2(&[settings(), frame(1, 1, 1, b"\x82\x86\x84")]);
    let said = flood(&server, &begin, &frame(9, 0, 1, &field)).await;
    assert!(!text(&said).contains("hello"));
    let said = flood(&server, &begin, &frame(9, 0, 1, &[])).await;
    assert!(!text(&said).contains("hello"), "empty ones as well");
    server.end().await;
}

#[tokio::test]
async fn floods_of_pings_and_settings_take_no_memory() {
    let server = start(hello(), Limits::clients(64)).await;
    for part in [frame(6, 0, 0, &[0; 8]).repeat(100), settings().repeat(100), frame(4, 0, 0, &[0, 1, 0, 0, 16, 0])] {
        let mut stream = connect(server.address).await;
        stream.write_all(&h2(&[settings()])).await.unwrap();
        // Nothing is read of the answers: the server stops to read, or ends the connection.
        let mut sent = 0;
        while let Ok(Ok(())) = timeout(Duration::from_millis(500), stream.write_all(&part)).await {
            sent += part.len();
            assert!(sent < 4 * FLOOD_BYTES, "the server keeps answers that nobody reads");
        }
    }
    server.end().await;
}

#[tokio::test]
async fn an_idle_http_2_connection_ends() {
    let server = start(hello(), impatient()).await;
    let mut said = Vec::new();
    let begun = Instant::now();
    let mut stream: TcpStream = connect(server.address).await;
    stream.write_all(&h2(&[settings(), frame(4, 1, 0, &[])])).await.unwrap();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("it ends");
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
    assert_eq!(farewells(&said).last(), Some(&0), "with a farewell");
    server.end().await;
}
