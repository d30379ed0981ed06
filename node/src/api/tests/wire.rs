//! What goes over the wire: HTTP/1.1 by hand over a pipe.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::Method;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

use super::callers::LOCAL;
use super::{Rig, content, sha256};
use crate::serve::Client;

impl Rig {
    fn connect(&self) -> DuplexStream {
        self.open().0
    }

    /// A connection, and what ends with it.
    fn open(&self) -> (DuplexStream, JoinHandle<()>) {
        let (near, far) = tokio::io::duplex(16 << 10);
        let router = self.router.clone().layer(axum::Extension(Client::at(LOCAL)));
        let service = TowerToHyperService::new(router);
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(far), service);
        // How it ends is for the client to see.
        (near, tokio::spawn(connection.map(drop)))
    }
}

/// Sends a head and reads all heads that come back, until an answer is whole.
async fn ask(stream: &mut DuplexStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    head(stream).await
}

async fn head(stream: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(tokio::time::timeout(Duration::from_secs(10), stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(text).unwrap().to_ascii_lowercase()
}

/// Begins an upload, and a request that adds so many bytes to it. Says where it is.
async fn announce(stream: &mut DuplexStream, length: usize) -> String {
    let answer = ask(stream, "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    let request = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    location
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_go_on_only_if_it_may() {
    let rig = Rig::start().await;
    let session = "00000000-0000-0000-0000-000000000000";
    let mut stream = rig.connect();
    let request = format!(
        "PATCH /v2/a/blobs/uploads/{session} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n"
    );
    assert!(ask(&mut stream, &request).await.starts_with("http/1.1 404"));

    let mut stream = rig.connect();
    let digest = sha256(b"abc");
    let request = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    );
    assert!(ask(&mut stream, &request).await.starts_with("http/1.1 100"));
    assert!(ask(&mut stream, "abc").await.starts_with("http/1.1 201"));
}

#[tokio::test]
async fn an_early_answer_is_not_lost() {
    let rig = Rig::start().await;
    let session = "00000000-0000-0000-0000-000000000000";
    let mut stream = rig.connect();
    let body = content(1 << 20);
    let request =
        format!("PATCH /v2/a/blobs/uploads/{session} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    // The client reads nothing before it has sent everything, and goes on on the same connection.
    stream.write_all(&body).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("http/1.1 404"), "{answer}");
}

#[tokio::test]
async fn heads_have_lengths_and_no_bodies() {
    let rig = Rig::start().await;
    let digest = rig.push_blob("a", content(100_000)).await;
    let mut stream = rig.connect();
    let head_of = |path: &str| format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let blob = format!("/v2/a/blobs/{digest}");
    for _ in 0..2 {
        let answer = ask(&mut stream, &head_of(&blob)).await;
        assert!(answer.starts_with("http/1.1 200") && answer.contains("content-length: 100000\r\n"), "{answer}");
    }
    let request = format!("GET {blob} HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"{digest}\"\r\n\r\n");
    let answer = ask(&mut stream, &request).await;
    assert!(answer.starts_with("http/1.1 304"), "{answer}");
    assert!(!answer.contains("content-length") && !answer.contains("transfer-encoding"), "{answer}");
    let answer = ask(&mut stream, "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 202") && answer.contains("content-length: 0\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_cut_off_commits_nothing() {
    let rig = Rig::start().await;
    let (mut stream, connection) = rig.open();
    let location = announce(&mut stream, 1_000_000).await;
    stream.write_all(&content(500_000)).await.unwrap();
    drop(stream);
    connection.await.unwrap();
    assert_eq!(rig.get(&location).await.expect(204).header("range"), "0-0");
    let finish = format!("{location}?digest={}", sha256(b"abc"));
    rig.send(Method::PUT, &finish, &[], "abc").await.expect(201);
}

#[tokio::test]
async fn a_client_that_falls_silent_is_told_so_and_its_connection_ends() {
    let rig = Rig::impatient().await;
    let (mut stream, connection) = rig.open();
    let location = announce(&mut stream, 1000).await;
    stream.write_all(&content(500)).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("http/1.1 408"), "{answer}");
    connection.await.unwrap();
    assert!(stream.write_all(&content(500)).await.is_err(), "it is too late for the rest");
    assert_eq!(rig.get(&location).await.expect(204).header("range"), "0-0");
}
