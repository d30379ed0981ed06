//! Requests that two servers in a row could understand differently, from raw sockets: none is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use tokio::io::AsyncWriteExt;

use super::{DEADLINE, connect, read_all, start_behind};
use crate::serve::{Front, Limits, Protection};

/// What an attacker wants to be answered as a request of somebody else.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn ambiguous_requests_are_refused_and_nothing_behind_them_is_read() {
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    let router = Router::new().fallback(move |_body: Bytes| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { "served" }
    });
    let server = start_behind(Front::default(), router, Limits::clients(64), DEADLINE, Protection::Plaintext).await;
    for headers in [
        "host: a\r\nhost: b",
        "host: a\r\ncontent-length: 4\r\ncontent-length: 40",
        "host: a\r\ncontent-length: 4, 40",
        "host: a\r\ncontent-length: +4",
        "host: a\r\ncontent-length: -1",
        "host: a\r\ncontent-length: 0x4",
        "host: a\r\ncontent-length: 99999999999999999999999",
        "host: a\r\ntransfer-encoding: chunked, identity",
        "host: a\r\ntransfer-encoding: xchunked",
        "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity",
        "host: a\r\nx-folded: one\r\n two",
        "host: a\r\ncontent-length : 4",
        "host: a\r\n content-length: 4",
        "host: a\r\nx-null: a\0b",
        "host: a\r\nx-return: a\rb",
        "host: a\r\nno colon",
    ] {
        let mut stream = connect(server.address).await;
        stream.write_all(format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n{SMUGGLED}").as_bytes()).await.unwrap();
        let text = read_all(&mut stream).await.unwrap_or_default();
        assert!(text.starts_with("HTTP/1.1 400 ") || text.is_empty(), "{headers:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), usize::from(!text.is_empty()), "{headers:?}: {text}");
        assert_eq!(served.load(Ordering::Relaxed), 0, "{headers:?}");
    }
    let mut stream = connect(server.address).await;
    stream.write_all(b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await.unwrap();
    assert!(!read_all(&mut stream).await.unwrap_or_default().contains("served"));
    let mut stream = connect(server.address).await;
    let good = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody";
    stream.write_all(good.as_bytes()).await.unwrap();
    assert!(read_all(&mut stream).await.unwrap().ends_with("served"), "and a plain one is served");
    server.end().await;
}

#[tokio::test]
async fn a_transfer_coding_goes_before_a_length_and_ends_the_connection() {
    let router = Router::new().fallback(|uri: http::Uri, body: Bytes| async move { format!("{uri} {}", body.len()) });
    let server = start_behind(Front::default(), router, Limits::clients(64), DEADLINE, Protection::Plaintext).await;
    for headers in
        ["content-length: 6\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 6"]
    {
        let mut stream = connect(server.address).await;
        let bytes = format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n0\r\n\r\n{SMUGGLED}");
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let text = read_all(&mut stream).await.unwrap_or_default();
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
        assert!(text.contains("connection: close\r\n") && text.ends_with("/ 0"), "{text}");
    }
    server.end().await;
}
