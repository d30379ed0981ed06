//! The client against small servers on loopback.

use std::sync::Arc;

use storage::disk::RealFiles;
use storage::kv::RocksEngines;
use storage::seal::Keys;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::environment::real;

fn environment() -> Environment {
    real(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear())))
}

fn limits() -> WebLimits {
    WebLimits { deadline: Duration::from_secs(10), body_bytes_max: 1000, plaintext: Plaintext::Loopback }
}

async fn serve_once(mut stream: impl crate::environment::Stream, answer: &[u8]) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the request ended early");
        request.extend_from_slice(&buffer[..read]);
    }
    // The client may be gone before all is written.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8(request).unwrap()
}

/// Asks a server that answers so; what the server heard, and what the client got.
async fn ask(path: &str, answer: &[u8]) -> (String, Result<WebResponse, WebError>) {
    let environment = environment();
    let listener = environment.network.listen("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_address().unwrap());
    let client = WebClient::new(&environment);
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        serve_once(stream, answer).await
    };
    tokio::join!(server, client.send(WebRequest::get(url), limits()))
}

#[tokio::test]
async fn an_answer_is_read() {
    let (heard, answer) = ask("/keys?a=b", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(heard.starts_with("GET /keys?a=b HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("host: 127.0.0.1:"), "{heard}");
    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"hello"[..]));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let (_, answer) = ask("/", head).await;
    assert_eq!(answer.unwrap().status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_long_answer_is_refused_whether_it_says_so_or_not() {
    let body = "x".repeat(1001);
    let told = format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{body}");
    let untold = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    for answer in [told, untold] {
        let (_, got) = ask("/", answer.as_bytes()).await;
        assert!(matches!(got, Err(WebError::TooLong { limit_bytes: 1000, .. })), "{got:?}");
    }
}

#[tokio::test]
async fn a_broken_answer_is_an_error() {
    for answer in [&b"nonsense\r\n\r\n"[..], b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
        let (_, got) = ask("/", answer).await;
        assert!(matches!(got, Err(WebError::Exchange { .. })), "{got:?}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let environment = environment();
    let listener = environment.network.listen("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_address().unwrap());
    let short = WebLimits { deadline: Duration::from_millis(50), ..limits() };
    let client = WebClient::new(&environment);
    let (accepted, answer) = tokio::join!(listener.accept(), client.send(WebRequest::get(url), short));
    accepted.unwrap();
    assert!(matches!(answer, Err(WebError::Late { .. })), "{answer:?}");
}

#[tokio::test]
async fn tls_is_spoken_with_the_given_authority_only() {
    let environment = environment();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = environment.network.listen("127.0.0.1:0").await.unwrap();
    let port = listener.local_address().unwrap().port();
    let trusting = WebClient::new(&environment).with_authorities(&own.cert.pem()).unwrap();
    let distrusting = WebClient::new(&environment).with_authorities(&other.cert.pem()).unwrap();

    let url = format!("https://localhost:{port}/");
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        serve_once(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await
    };
    let (_, answer) = tokio::join!(server, trusting.send(WebRequest::get(url.as_str()), limits()));
    assert_eq!(&answer.unwrap().body[..], b"hi");

    for (client, url) in [(&distrusting, url.clone()), (&trusting, format!("https://127.0.0.1:{port}/"))] {
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            assert!(acceptor.accept(stream).await.is_err());
        };
        let ((), answer) = tokio::join!(server, client.send(WebRequest::get(url), limits()));
        assert!(matches!(answer, Err(WebError::Tls { .. })), "{answer:?}");
    }
}

#[test]
fn urls_are_read_as_they_are_meant() {
    let target = |url| Target::of(url, Plaintext::Loopback).unwrap();
    assert_eq!(target("https://issuer.test").address, "issuer.test:443");
    assert_eq!(target("https://issuer.test").path, "/");
    assert_eq!(target("https://[::1]:8443/a?b=c").address, "[::1]:8443");
    assert_eq!(target("https://[::1]:8443/a?b=c").host, "::1");
    assert_eq!(target("http://127.0.0.1/x").address, "127.0.0.1:80");
}

#[test]
fn urls_that_lead_elsewhere_are_refused() {
    for url in [
        "",
        "issuer.test",
        "/path",
        "ftp://issuer.test/",
        "file:///etc/passwd",
        "http://issuer.test/",
        "http://127.0.0.1.evil.test/",
        "https://user:secret@issuer.test/",
        "https://issuer.test@evil.test/",
        "https://:443/",
        "https://issuer.test:/",
        "https://issuer.test:99999/",
        "https://issuer.test/a b",
        "https://issuer.test/\r\nx: y",
    ] {
        assert!(Target::of(url, Plaintext::Loopback).is_err(), "{url:?}");
    }
    assert!(Target::of("http://127.0.0.1/", Plaintext::Refused).is_err());
    assert!(Target::of("http://receiver.test/", Plaintext::Allowed).is_ok());
}

#[test]
fn authorities_must_be_certificates() {
    let client = WebClient::new(&environment());
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(client.with_authorities(pem), Err(WebError::Authorities(_))), "{pem:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(url in ".{0,80}") {
        let _ = Target::of(&url, Plaintext::Allowed);
    }
}
