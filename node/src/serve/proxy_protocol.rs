//! The PROXY protocol, versions 1 and 2 (haproxy's `proxy-protocol.txt`): a few bytes before everything else, in which a
//! proxy says whom it speaks for.
//!
//! Read byte by byte as far as it goes and not further: what follows is the client's. Version 2's extra fields are skipped.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// First bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, its end included.
const LINE_MAX_BYTES: usize = 107;
/// Most bytes of addresses and extra fields that are taken in version 2. The protocol allows 65535; proxies send a few
/// hundred.
const REST_MAX_BYTES: usize = 4096;

/// What the proxy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It speaks for this client.
    Client(SocketAddr),
    /// It speaks for itself, or for somebody without an address.
    Own,
}

/// Reads the header. Callers set a deadline.
///
/// # Errors
/// It is missing, broken off, or wrong.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Source> {
    let first = stream.read_u8().await?;
    if first == SIGNATURE[0] {
        let mut head = [0; 16];
        head[0] = first;
        stream.read_exact(&mut head[1..]).await?;
        let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
        if head[..12] != SIGNATURE || length > REST_MAX_BYTES {
            return Err(wrong());
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await?;
        return binary(head[12], head[13], &rest).ok_or_else(wrong);
    }
    let mut line = vec![first];
    while !line.ends_with(b"\r\n") {
        // Nothing is waited for that cannot become one.
        if line.len() == LINE_MAX_BYTES || !line.starts_with(&b"PROXY "[..line.len().min(6)]) {
            return Err(wrong());
        }
        line.push(stream.read_u8().await?);
    }
    text(&line[..line.len() - 2]).ok_or_else(wrong)
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header")
}

/// Version 1, without the end of the line.
fn text(line: &[u8]) -> Option<Source> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    if words.next()? != "PROXY" {
        return None;
    }
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Source::Own);
    }
    let (source, destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    let fits = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then(|| Source::Client(SocketAddr::new(source.to_canonical(), port)))
}

/// A number without a sign and without zeros before it.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

/// Version 2: version and command, family and transport, and what follows.
fn binary(version_command: u8, family: u8, rest: &[u8]) -> Option<Source> {
    match version_command {
        0x20 => return Some(Source::Own),
        0x21 => {}
        _ => return None,
    }
    match family {
        // Over TCP on IPv4: source, destination, ports.
        0x11 => {
            let source: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            let port: [u8; 2] = rest.get(8..10)?.try_into().ok()?;
            rest.get(10..12)?;
            Some(client(Ipv4Addr::from(source).into(), port))
        }
        // The same on IPv6.
        0x21 => {
            let source: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            let port: [u8; 2] = rest.get(32..34)?.try_into().ok()?;
            rest.get(34..36)?;
            Some(client(Ipv6Addr::from(source).into(), port))
        }
        // Unspecified, and sockets of the proxy's own machine: nobody has an address.
        0x00 | 0x31 => Some(Source::Own),
        _ => None,
    }
}

fn client(address: IpAddr, port: [u8; 2]) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a header, and what is left behind it.
    fn parse(bytes: &[u8]) -> io::Result<(Source, Vec<u8>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut left = bytes;
            let source = read(&mut left).await?;
            Ok((source, left.to_vec()))
        })
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn at(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    #[test]
    fn version_1_is_read() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n", at("192.0.2.1:56324")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", at("[2001:db8::1]:1")),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", at("192.0.2.1:1")),
            ("PROXY UNKNOWN\r\n", Source::Own),
            ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", Source::Own),
        ] {
            let found = parse(format!("{line}GET /").as_bytes()).unwrap();
            assert_eq!(found, (source, b"GET /".to_vec()), "{line}");
        }
        for wrong in [
            "GET / HTTP/1.1\r\n\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 056324 443\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +5 443\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 65536 443\r\n",
            "PROXY TCP4 ::1 ::1 1 1\r\n",
            "PROXY  TCP4 192.0.2.1 10.0.0.1 1 1\r\n",
            "PROXY UDP4 192.0.2.1 10.0.0.1 1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\n",
            "PROXY",
            "",
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse(format!("PROXY UNKNOWN {}\r\n", "x".repeat(200)).as_bytes()).is_err());
    }

    #[test]
    fn version_2_is_read() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 1, 187];
        let mut extra = four.to_vec();
        extra.extend([3, 0, 4, 1, 2, 3, 4]);
        let six: Vec<u8> = (0..36).collect();
        let own = |family| version_2(0x21, family, &[0; 216]);
        for (bytes, source) in [
            (version_2(0x21, 0x11, &four), at("192.0.2.1:4660")),
            (version_2(0x21, 0x11, &extra), at("192.0.2.1:4660")),
            (version_2(0x21, 0x21, &six), at("[1:203:405:607:809:a0b:c0d:e0f]:8225")),
            (version_2(0x20, 0x00, &[]), Source::Own),
            (version_2(0x20, 0x11, &four), Source::Own),
            (own(0x00), Source::Own),
            (own(0x31), Source::Own),
        ] {
            let mut all = bytes.clone();
            all.extend(b"\x16\x03");
            assert_eq!(parse(&all).unwrap(), (source, b"\x16\x03".to_vec()), "{bytes:?}");
            assert!(parse(&bytes[..bytes.len() - 1]).is_err());
        }
        for wrong in [
            version_2(0x11, 0x11, &four),
            version_2(0x22, 0x11, &four),
            version_2(0x21, 0x12, &four),
            version_2(0x21, 0x11, &four[..11]),
            version_2(0x21, 0x21, &six[..35]),
            version_2(0x21, 0x41, &six),
            version_2(0x20, 0x00, &[0; REST_MAX_BYTES + 1]),
            [&b"\r\n\r\n\0\r\nQUIX\n\x20\0\0\0"[..], &[0; 64]].concat(),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_proxies_write_is_read_back(
            source: SocketAddr, destination: [u8; 16], extra in proptest::collection::vec(any::<u8>(), 0..99),
        ) {
            let (mut rest, family, name, other) = match source.ip() {
                IpAddr::V4(address) => ([&address.octets()[..], &destination[..4]].concat(), 0x11, "TCP4", "10.0.0.1"),
                IpAddr::V6(address) => ([&address.octets()[..], &destination[..]].concat(), 0x21, "TCP6", "::2"),
            };
            rest.extend(source.port().to_be_bytes());
            rest.extend([1, 2]);
            rest.extend(&extra);
            let expected = Source::Client(SocketAddr::new(source.ip().to_canonical(), source.port()));
            prop_assert_eq!(parse(&version_2(0x21, family, &rest)).unwrap(), (expected, vec![]));
            let line = format!("PROXY {name} {} {other} {} 5000\r\n", source.ip(), source.port());
            prop_assert_eq!(parse(line.as_bytes()).unwrap(), (expected, vec![]));
        }

        #[test]
        fn no_bytes_make_it_panic_or_read_on(
            start in 0..3u8, bytes in proptest::collection::vec(any::<u8>(), 0..6000),
        ) {
            let mut all = match start { 0 => vec![], 1 => b"PROXY TCP4 ".to_vec(), _ => SIGNATURE.to_vec() };
            all.extend(&bytes);
            if let Ok((_, left)) = parse(&all) {
                prop_assert!(all.len() - left.len() <= 16 + REST_MAX_BYTES);
            }
        }
    }
}
