//! Proxies in front, lists of networks, and headers of answers, over real sockets.

use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::{DEADLINE, Running, connect, read_all, start_behind};
use crate::config::{Networks, ProxyHeaders};
use crate::serve::{Client, Front, Limits, Metrics, Protection, SafeHeaders};

fn networks(text: &str) -> Networks {
    text.parse().unwrap()
}

/// A server that says who it takes the client for.
async fn start(front: Front) -> Running {
    let who = |Extension(client): Extension<Client>| async move {
        format!("{} {} {}", client.address, client.secure, client.host.unwrap_or_default())
    };
    let limits = Limits { handshake_timeout: Duration::from_millis(400), ..Limits::clients(64) };
    start_behind(front, Router::new().fallback(who), limits, DEADLINE, Protection::Plaintext).await
}

/// What a server answers to some bytes before a request, and to headers of it.
async fn ask(server: &Running, before: &[u8], headers: &str) -> String {
    let mut stream = connect(server.address).await;
    let head = format!("GET / HTTP/1.1\r\nhost: Node:5000\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(&[before, head.as_bytes()].concat()).await.unwrap();
    read_all(&mut stream).await.unwrap_or_default()
}

fn last_line(answer: &str) -> &str {
    answer.rsplit("\r\n").next().unwrap_or_default()
}

#[tokio::test]
async fn forwarded_headers_count_from_trusted_proxies_only() {
    let front = Front { trusted_proxies: networks("127.0.0.0/8, 10.0.0.0/8"), ..Front::default() };
    let (trusting, other) = (start(front.clone()).await, start(Front::default()).await);
    let rfc = start(Front { proxy_headers: ProxyHeaders::Forwarded, ..front }).await;
    let headers = "x-forwarded-for: 6.6.6.6, 192.0.2.1\r\nx-forwarded-for: 10.0.0.2\r\nx-forwarded-proto: https\r\n\
                   x-forwarded-host: registry.example\r\nforwarded: for=7.7.7.7;proto=https;host=seven.example\r\n";
    assert_eq!(last_line(&ask(&trusting, b"", headers).await), "192.0.2.1 true registry.example");
    assert_eq!(last_line(&ask(&rfc, b"", headers).await), "7.7.7.7 true seven.example");
    assert_eq!(last_line(&ask(&other, b"", headers).await), "127.0.0.1 false node:5000");
    assert_eq!(last_line(&ask(&trusting, b"", "").await), "127.0.0.1 false node:5000");
    assert_eq!(
        last_line(&ask(&trusting, b"", "x-forwarded-for: 6.6.6.6, junk\r\n").await),
        "127.0.0.1 false node:5000"
    );
    for server in [trusting, other, rfc] {
        server.end().await;
    }
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_client() {
    let metrics = Metrics::default();
    let front = Front {
        trusted_proxies: networks("127.0.0.0/8, 10.0.0.0/8"),
        proxy_protocol: true,
        metrics: metrics.clone(),
        ..Front::default()
    };
    let server = start(front.clone()).await;
    let said = ask(&server, b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 5000\r\n", "x-forwarded-for: 6.6.6.6\r\n").await;
    assert_eq!(last_line(&said), "192.0.2.1 false node:5000", "what the client itself says of it does not count");
    let version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x13\x88";
    assert_eq!(last_line(&ask(&server, version_2, "").await), "192.0.2.7 false node:5000");
    assert_eq!(last_line(&ask(&server, b"PROXY UNKNOWN\r\n", "").await), "127.0.0.1 false node:5000");
    let said = ask(&server, b"PROXY TCP4 10.0.0.9 127.0.0.1 1 5000\r\n", "x-forwarded-for: 192.0.2.3\r\n").await;
    assert_eq!(last_line(&said), "192.0.2.3 false node:5000", "a second proxy behind the first one");

    for wrong in [&b""[..], b"PROXY TCP4 localhost 127.0.0.1 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\nxxxx"] {
        assert_eq!(ask(&server, wrong, "").await, "", "{wrong:?}");
    }
    let mut silent = connect(server.address).await;
    silent.write_all(b"PROXY TCP4 ").await.unwrap();
    assert_eq!(read_all(&mut silent).await.unwrap_or_default(), "", "it has a deadline");
    assert_eq!(metrics.count("test", "proxy"), 4);
    server.end().await;

    let untrusting = start(Front { trusted_proxies: networks("10.0.0.0/8"), ..front }).await;
    let said = ask(&untrusting, b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 5000\r\n", "").await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{said}");
    assert_eq!(last_line(&ask(&untrusting, b"", "").await), "127.0.0.1 false node:5000");
    untrusting.end().await;
}

#[tokio::test]
async fn connections_from_networks_that_are_not_listed_are_let_go_before_anything_is_said() {
    let metrics = Metrics::default();
    let front = Front { allow: networks("10.0.0.0/8, ::1"), metrics: metrics.clone(), ..Front::default() };
    let server = start(front.clone()).await;
    let mut stream = connect(server.address).await;
    assert_eq!(read_all(&mut stream).await.unwrap_or_default(), "");
    assert_eq!(metrics.count("test", "address"), 1);
    server.end().await;
    let server = start(Front { allow: networks("127.0.0.1"), ..front }).await;
    assert_eq!(last_line(&ask(&server, b"", "").await), "127.0.0.1 false node:5000");
    server.end().await;
}

#[tokio::test]
async fn the_list_holds_for_clients_behind_proxies_too() {
    let metrics = Metrics::default();
    let (allow, trusted_proxies) = (networks("192.0.2.0/24"), networks("127.0.0.0/8"));
    let front = Front { allow, trusted_proxies, metrics: metrics.clone(), ..Front::default() };
    let server = start(front.clone()).await;
    assert_eq!(last_line(&ask(&server, b"", "x-forwarded-for: 192.0.2.9\r\n").await), "192.0.2.9 false node:5000");
    assert!(ask(&server, b"", "x-forwarded-for: 198.51.100.1\r\n").await.starts_with("HTTP/1.1 403 "));
    assert_eq!(last_line(&ask(&server, b"", "").await), "127.0.0.1 false node:5000", "the proxy's own health check");
    assert_eq!(metrics.count("test", "address"), 1);
    server.end().await;

    let server = start(Front { proxy_protocol: true, connections_per_address: 1, ..front }).await;
    let named = |host: u8| format!("PROXY TCP4 192.0.2.{host} 127.0.0.1 1 2\r\n").into_bytes();
    assert_eq!(ask(&server, b"PROXY TCP4 198.51.100.1 127.0.0.1 1 2\r\n", "").await, "");
    assert_eq!(metrics.count("test", "address"), 2);
    let mut held = connect(server.address).await;
    held.write_all(&named(1)).await.unwrap();
    while metrics.count("test", "crowd") == 0 {
        // The first one's header may not be read yet.
        ask(&server, &named(1), "").await;
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(last_line(&ask(&server, &named(2), "").await), "192.0.2.2 false node:5000");
    server.end().await;
}

#[tokio::test]
async fn answers_carry_safe_headers_and_hsts_only_where_tls_is_spoken() {
    let headers = SafeHeaders::new(Duration::from_mins(5));
    let front = Front { headers, trusted_proxies: networks("127.0.0.1"), ..Front::default() };
    let server = start(front).await;
    let plain = ask(&server, b"", "").await;
    for line in [
        "x-content-type-options: nosniff\r\n",
        "referrer-policy: no-referrer\r\n",
        "content-security-policy: default-src 'none'",
    ] {
        assert!(plain.contains(line), "{plain}");
    }
    assert!(!plain.contains("strict-transport-security"), "{plain}");
    let secure = ask(&server, b"", "x-forwarded-proto: https\r\n").await;
    assert!(secure.contains("strict-transport-security: max-age=300\r\n"), "{secure}");
    server.end().await;
}
