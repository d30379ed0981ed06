//! What a trusted proxy tells of the client: `X-Forwarded-*`, or `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address that it saw. Read from the end, the first that is no trusted proxy's is the client;
//! what stands before it is the client's own word and never looked at. What is malformed is taken for nothing: the
//! address of the connection counts then.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::config::{Networks, ProxyHeaders};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Longest `host[:port]` that is believed.
const HOST_MAX_BYTES: usize = 255 + 6;

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The client's address.
    pub(super) address: Option<IpAddr>,
    /// Whether the client came over TLS.
    pub(super) secure: Option<bool>,
    /// The `host[:port]` that the client asked for.
    pub(super) host: Option<String>,
}

/// Reads what the proxy at the other end says. Only for connections from trusted ones.
pub(super) fn told(headers: &HeaderMap, kind: ProxyHeaders, trusted: &Networks) -> Told {
    match kind {
        ProxyHeaders::XForwarded => Told {
            address: client(items(headers, &X_FORWARDED_FOR).map(|hop| hop.and_then(node)), trusted),
            secure: items(headers, &X_FORWARDED_PROTO).next().flatten().and_then(scheme),
            host: items(headers, &X_FORWARDED_HOST).next().flatten().and_then(host),
        },
        ProxyHeaders::Forwarded => forwarded(headers, trusted),
    }
}

/// Whether the proxy at the other end says that it speaks for somebody else, whatever can be read of it.
pub(super) fn is_forwarded(headers: &HeaderMap, kind: ProxyHeaders) -> bool {
    match kind {
        ProxyHeaders::XForwarded => {
            [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].iter().any(|name| headers.contains_key(name))
        }
        ProxyHeaders::Forwarded => headers.contains_key(FORWARDED),
    }
}

fn forwarded(headers: &HeaderMap, trusted: &Networks) -> Told {
    let hops = || items(headers, &FORWARDED).map(|element| element.and_then(pairs));
    let address = client(hops().map(|hop| node(hop?.node?)), trusted);
    let nearest = hops().next().flatten().unwrap_or_default();
    Told { address, secure: nearest.proto.and_then(scheme), host: nearest.host.and_then(host) }
}

/// The client, of the hops from the nearest one on. `None` when a hop that matters cannot be read.
fn client(hops: impl Iterator<Item = Option<IpAddr>>, trusted: &Networks) -> Option<IpAddr> {
    let mut furthest = None;
    for hop in hops {
        let address = hop?;
        furthest = Some(address);
        if !trusted.contains(address) {
            break;
        }
    }
    furthest
}

/// The items of all lines of a header, the last one first; `None` for what is no text.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().flat_map(|line| match line.to_str() {
        Ok(text) => unquoted_split(text, ',').map(|part| Some(part.trim())).collect(),
        Err(_) => vec![None],
    })
}

/// Parts of a text between separators that do not stand in double quotes, the last part first. Read from the end, so that
/// a quote that the client has left open hides nothing of what proxies have appended.
fn unquoted_split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.rsplit(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
}

/// One element of `Forwarded`.
#[derive(Clone, Copy, Default)]
struct Pairs<'a> {
    node: Option<&'a str>,
    proto: Option<&'a str>,
    host: Option<&'a str>,
}

/// Reads `for=…;proto=…;host=…;by=…`. A name that stands there twice, or a pair without a value, spoils all of it.
fn pairs(element: &str) -> Option<Pairs<'_>> {
    let mut pairs = Pairs::default();
    for pair in unquoted_split(element, ';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = match value.strip_prefix('"') {
            // An escape has no place in an address, a scheme or a host.
            Some(quoted) => quoted.strip_suffix('"').filter(|value| !value.contains(['"', '\\']))?,
            None => value,
        };
        let slot = match name.to_ascii_lowercase().as_str() {
            "for" => &mut pairs.node,
            "proto" => &mut pairs.proto,
            "host" => &mut pairs.host,
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return None;
        }
    }
    Some(pairs)
}

/// An address, with a port or without, in brackets or without. Names such as `unknown` and `_hidden` are none.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let address = text.parse().ok().or_else(bracketed).or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn scheme(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("https") {
        Some(true)
    } else if text.eq_ignore_ascii_case("http") {
        Some(false)
    } else {
        None
    }
}

/// A `host[:port]` that may be put into a URL as it is.
pub(super) fn host(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= HOST_MAX_BYTES
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    fits.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn read(kind: ProxyHeaders, lines: &[(&'static str, &str)]) -> Told {
        told(&headers(lines), kind, &"10.0.0.0/8, 2001:db8::/32".parse().unwrap())
    }

    fn address(kind: ProxyHeaders, lines: &[(&'static str, &str)]) -> Option<String> {
        read(kind, lines).address.map(|address| address.to_string())
    }

    #[test]
    fn the_rightmost_hop_that_is_not_trusted_is_the_client() {
        for (value, client) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1, 10.0.0.2", Some("192.0.2.1")),
            ("6.6.6.6, 192.0.2.1,10.0.0.2 , 10.0.0.3", Some("192.0.2.1")),
            ("nonsense, \", 192.0.2.1", Some("192.0.2.1")),
            ("nonsense, 192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:4711, [2001:db8::1]:80", Some("192.0.2.1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("2001:db9::1, 2001:db8::1", Some("2001:db9::1")),
            ("10.0.0.9, 10.0.0.2", Some("10.0.0.9")),
            ("192.0.2.1, unknown", None),
            ("192.0.2.1, nonsense, 10.0.0.2", None),
            ("192.0.2.1,", None),
            ("", None),
        ] {
            let found = address(ProxyHeaders::XForwarded, &[("x-forwarded-for", value)]);
            assert_eq!(found.as_deref(), client, "{value}");
        }
    }

    #[test]
    fn lines_that_are_repeated_are_one_list() {
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1, 10.0.0.2")];
        assert_eq!(address(ProxyHeaders::XForwarded, &lines).as_deref(), Some("192.0.2.1"));
        let lines = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(address(ProxyHeaders::XForwarded, &lines).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_header_of_rfc_7239_is_read() {
        for (value, client) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            ("For=\"[2001:db9::17]:4711\"", Some("2001:db9::17")),
            ("for=6.6.6.6;by=\"a,b;for=1.1.1.1\", for=192.0.2.1;proto=http , for=10.0.0.2", Some("192.0.2.1")),
            ("for=192.0.2.1, for=unknown", None),
            ("for=192.0.2.1, proto=https", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for", None),
            ("for=\"192.0.2.1", None),
            ("for=_hidden", None),
            ("for=\"6.6.6.6, for=192.0.2.1, for=10.0.0.2", Some("192.0.2.1")),
        ] {
            let found = address(ProxyHeaders::Forwarded, &[("forwarded", value)]);
            assert_eq!(found.as_deref(), client, "{value}");
        }
        let value = "for=6.6.6.6, for=192.0.2.1;proto=https;host=\"a.example:8443\"";
        let told = read(ProxyHeaders::Forwarded, &[("forwarded", value)]);
        assert_eq!((told.secure, told.host.as_deref()), (Some(true), Some("a.example:8443")));
    }

    #[test]
    fn only_the_headers_that_were_chosen_count() {
        let lines = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=6.6.6.6")];
        assert_eq!(address(ProxyHeaders::XForwarded, &lines).as_deref(), Some("192.0.2.1"));
        assert_eq!(address(ProxyHeaders::Forwarded, &lines).as_deref(), Some("6.6.6.6"));
        assert_eq!(read(ProxyHeaders::Forwarded, &lines[..2]), Told::default());
    }

    #[test]
    fn scheme_and_host_are_the_nearest_proxys_word() {
        let lines = [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "evil.example, Good.example:5000")];
        let told = read(ProxyHeaders::XForwarded, &lines);
        assert_eq!((told.secure, told.host.as_deref()), (Some(false), Some("good.example:5000")));
        for wrong in ["a b", "a/b", "user@host", "a\"", &"a".repeat(300), ""] {
            assert_eq!(read(ProxyHeaders::XForwarded, &[("x-forwarded-host", wrong)]).host, None, "{wrong}");
        }
        assert_eq!(read(ProxyHeaders::XForwarded, &[("x-forwarded-proto", "gopher")]).secure, None);
    }

    proptest! {
        #[test]
        fn what_a_client_writes_before_its_proxy_changes_nothing(forged in "[ -~]{0,60}", address: [u8; 4]) {
            let own = IpAddr::from(address);
            let trusted: Networks = "10.0.0.0/8".parse().unwrap();
            prop_assume!(!trusted.contains(own));
            let value = format!("{forged}, {own}, 10.1.1.1");
            let found = told(&headers(&[("x-forwarded-for", &value)]), ProxyHeaders::XForwarded, &trusted);
            prop_assert_eq!(found.address, Some(own));
            let plain = forged.replace(',', "");
            let value = format!("for={plain}, for={own}, for=10.1.1.1");
            let found = told(&headers(&[("forwarded", &value)]), ProxyHeaders::Forwarded, &trusted);
            prop_assert_eq!(found.address, Some(own));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            for name in [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST] {
                headers.append(name, value.clone());
            }
            for kind in [ProxyHeaders::XForwarded, ProxyHeaders::Forwarded] {
                let _ = told(&headers, kind, &Networks::default());
            }
        }
    }
}
