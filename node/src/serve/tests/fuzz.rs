//! Fuzz targets: the names in clients' certificates, and what proxies say of clients.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls_pki_types::CertificateDer;

use crate::config::{Networks, ProxyHeaders};
use crate::fuzz::{damaged, explore, spelled};
use crate::serve::ClientCertificate;
use crate::serve::proxies::told;
use crate::serve::proxy_protocol::{self, Source};

/// Most names, and the longest one with its kind.
const NAMES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 512 + "email:".len();
/// The longest header of the PROXY protocol that is taken.
const PROXY_BYTES_MAX: usize = 16 + 4096;

fn certificate() -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![
        SanType::DnsName("CI.example.org".try_into().unwrap()),
        SanType::Rfc822Name("ada@example.org".try_into().unwrap()),
        SanType::URI("spiffe://example.org/ns/build".try_into().unwrap()),
        SanType::IpAddress("10.0.0.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
    ];
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

/// Whether bytes stand somewhere, capital letters or small ones.
fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what))
}

#[test]
fn a_certificate_has_no_names_but_those_that_stand_in_it() {
    let valid = certificate();
    explore!("certificate_names", |input: &[u8]| {
        let bytes = match input.split_first() {
            Some((first, rest)) if *first >= 0x80 => damaged(&valid, rest),
            _ => input.to_vec(),
        };
        let names = ClientCertificate::read(&CertificateDer::from(&bytes[..])).sans;
        assert!(names.len() <= NAMES_MAX, "{names:?}");
        for name in names {
            assert!(name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
            let (kind, text) = name.split_once(':').unwrap();
            let stands = match kind {
                "ip" => match text.parse::<IpAddr>().unwrap() {
                    IpAddr::V4(address) => holds(&bytes, &address.octets()),
                    IpAddr::V6(address) => address.to_ipv4_mapped().is_none() && holds(&bytes, &address.octets()),
                },
                "dns" => !text.bytes().any(|byte| byte.is_ascii_uppercase()) && holds(&bytes, text.as_bytes()),
                "email" | "uri" => bytes.windows(text.len()).any(|window| window == text.as_bytes()),
                _ => false,
            };
            assert!(stands && !text.is_empty(), "{name:?} is not in the certificate");
        }
    });
}

/// Reads a header, and how much of the bytes it took.
fn read(bytes: &[u8]) -> Option<(Source, usize)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut left = bytes;
    let source = runtime.block_on(proxy_protocol::read(&mut left)).ok()?;
    Some((source, bytes.len() - left.len()))
}

#[test]
fn a_proxys_first_bytes_are_read_to_their_end_and_no_further() {
    const WORDS: &[&str] = &[
        "PROXY ",
        "TCP4 ",
        "TCP6 ",
        "UNKNOWN",
        "192.0.2.1",
        "10.0.0.1",
        "2001:db8::1",
        "::ffff:192.0.2.1",
        " ",
        "56324",
        "443",
        "0",
        "65536",
        "\r\n",
        "\r",
        "\n",
        "GET / HTTP/1.1\r\n\r\n",
        "x",
    ];
    explore!("proxy_protocol", |input: &[u8]| {
        // The second form is binary: its first bytes are given, and the input is what follows.
        let signed = [&b"\r\n\r\n\0\r\nQUIT\n"[..], input].concat();
        for bytes in [input, &signed, spelled(input, WORDS).as_bytes()] {
            let Some((source, taken)) = read(bytes) else { continue };
            assert!(taken <= PROXY_BYTES_MAX, "{taken} bytes were read");
            // What follows is the client's and changes nothing; and nothing of the header can be left out.
            assert_eq!(read(&bytes[..taken]), Some((source, taken)));
            assert_eq!(read(&bytes[..taken - 1]), None);
            let Source::Client(client) = source else { continue };
            let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            let other = if client.is_ipv4() { "192.0.2.1" } else { "::1" };
            assert_eq!(client.ip(), client.ip().to_canonical());
            // The other form says the same.
            let line = format!("PROXY {family} {} {other} {} 1\r\n", client.ip(), client.port());
            assert_eq!(read(line.as_bytes()), Some((Source::Client(client), line.len())), "{line}");
        }
    });
}

#[test]
fn a_client_cannot_say_where_it_comes_from() {
    const WORDS: &[&str] = &[
        "for=",
        "proto=",
        "host=",
        "by=",
        "https",
        "http",
        "10.0.0.1",
        "6.6.6.6",
        "[::1]",
        "[2001:db8::1]:80",
        "unknown",
        "_x",
        "\"",
        "\\",
        ";",
        ",",
        " ",
        "a.example",
        ":443",
        "@",
        "/",
        "é",
    ];
    let (trusted, own): (Networks, IpAddr) = ("10.0.0.0/8".parse().unwrap(), "192.0.2.55".parse().unwrap());
    explore!("forwarded", |input: &[u8]| {
        let text = spelled(input, WORDS);
        let Ok(forged) = HeaderValue::from_bytes(text.as_bytes()) else { return };
        for (kind, name, nearest) in [
            (ProxyHeaders::XForwarded, "x-forwarded-for", "192.0.2.55, 10.1.1.1"),
            (ProxyHeaders::Forwarded, "forwarded", "for=192.0.2.55, for=10.1.1.1;proto=https;host=b.example"),
        ] {
            let mut headers = HeaderMap::new();
            for other in ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-for", "forwarded"] {
                headers.append(other, forged.clone());
            }
            // By itself: whatever is believed can be put into a URL and be compared with networks.
            let alone = told(&headers, kind, &trusted);
            let fits = |host: &str| host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/@\"\\;,".contains(&byte));
            assert!(alone.host.as_deref().is_none_or(fits), "{text:?}: {alone:?}");
            assert_eq!(alone.address, alone.address.map(|address| address.to_canonical()), "{text:?}");
            // The proxies' lines come behind the client's.
            headers.append(name, HeaderValue::from_static(nearest));
            let behind = told(&headers, kind, &trusted);
            assert_eq!(behind.address, Some(own), "{text:?}");
            if kind == ProxyHeaders::Forwarded {
                assert_eq!((behind.secure, behind.host.as_deref()), (Some(true), Some("b.example")), "{text:?}");
            }
            // A proxy that writes on the client's own line is no worse, unless quotes are left open across the elements.
            if let Ok(line) = HeaderValue::from_bytes(&[text.as_bytes(), b", ", nearest.as_bytes()].concat()) {
                let mut headers = HeaderMap::new();
                headers.insert(name, line);
                let found = told(&headers, kind, &trusted).address;
                assert!(found == Some(own) || (found.is_none() && !text.is_ascii()), "{text:?}: {found:?}");
            }
        }
    });
}
