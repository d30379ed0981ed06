//! From where the administration over the network is asked for: from which networks, and by which way.
//!
//! It is answered over TLS, and over plain HTTP on this machine alone. A proxy on this machine looks like somebody of it, and
//! what it passes on may have come to it from afar in the clear. So plain HTTP is answered only where nothing says that there
//! is one: no header of a proxy, HTTP/1.1 or more, a name that means this machine alone (which a page of another site that has
//! its name stand for 127.0.0.1 does not ask for either), and settings that know of no proxy and of no URL at which others
//! reach the registry.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, Uri, Version};

use crate::config::{Networks, Settings};
use crate::serve::Client;

/// Headers that proxies add.
const OF_PROXIES: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// Where requests may come from.
#[derive(Debug)]
pub(super) struct Origin {
    /// Networks that may administer; empty: all.
    allow: Networks,
    /// Whether the settings say that others come by something in front of this node.
    is_fronted: bool,
}

impl Origin {
    /// As the settings say.
    pub(super) fn new(allow: Networks, settings: &Settings) -> Self {
        let public = settings.api.public_url.as_str();
        let is_own = public.is_empty() || public.parse::<Uri>().is_ok_and(|url| url.host().is_some_and(is_loopback));
        Self { allow, is_fronted: !is_own || !settings.api.trusted_proxies.is_empty() }
    }

    /// Refuses what comes from elsewhere than it may, or could be read on its way.
    pub(super) fn check(&self, client: &Client, version: Version, headers: &HeaderMap) -> Result<(), &'static str> {
        if !self.allow.is_empty() && !self.allow.contains(client.address) {
            return Err("the administration is not served to this address (admin.allow)");
        }
        let is_passed_on =
            self.is_fronted || version < Version::HTTP_11 || OF_PROXIES.iter().any(|name| headers.contains_key(*name));
        if client.secure || client.address.is_loopback() && names_this_machine(client) && !is_passed_on {
            return Ok(());
        }
        Err(
            "the administration is served over TLS only, and over plain HTTP to this machine's own clients, at 127.0.0.1 \
             or localhost, where no proxy is: set api.tls_certificate, or name the proxy that ends TLS in \
             api.trusted_proxies; a password that was sent just now could be read by others: change it",
        )
    }
}

/// Whether somebody asks for this machine by a name that means no other one.
fn names_this_machine(client: &Client) -> bool {
    let authority = client.host.as_deref().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| is_loopback(authority.host()))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn open() -> Origin {
        Origin { allow: Networks::default(), is_fronted: false }
    }

    fn networks(texts: &[&str]) -> Networks {
        texts.join(",").parse().unwrap()
    }

    fn client(address: &str, host: Option<&str>) -> Client {
        Client { host: host.map(str::to_owned), ..Client::at(address.parse().unwrap()) }
    }

    fn is_taken(origin: &Origin, client: &Client) -> bool {
        origin.check(client, Version::HTTP_11, &HeaderMap::new()).is_ok()
    }

    #[test]
    fn plain_http_is_for_clients_of_this_machine_who_ask_for_it() {
        for host in ["127.0.0.1:5000", "localhost", "LOCALHOST:80", "[::1]:5000", "127.8.0.1"] {
            for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
                assert!(is_taken(&open(), &client(address, Some(host))), "{address} {host}");
            }
            assert!(!is_taken(&open(), &client("192.0.2.1", Some(host))), "{host} from afar");
        }
        for host in ["registry.example.org", "127.0.0.1.example.org", "localhost.example.org:5000", "192.0.2.1", "a b"]
        {
            assert!(!is_taken(&open(), &client("127.0.0.1", Some(host))), "a proxy has passed on {host}");
        }
        assert!(!is_taken(&open(), &client("127.0.0.1", None)));
    }

    #[test]
    fn what_a_proxy_says_of_itself_is_heard() {
        let own = client("127.0.0.1", Some("127.0.0.1:5000"));
        for name in OF_PROXIES {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            assert!(open().check(&own, Version::HTTP_11, &headers).is_err(), "{name}");
        }
        assert!(open().check(&own, Version::HTTP_10, &HeaderMap::new()).is_err(), "proxies alone speak it");
        assert!(open().check(&own, Version::HTTP_2, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn where_the_settings_tell_of_a_proxy_plain_http_is_of_it() {
        let own = client("127.0.0.1", Some("127.0.0.1:5000"));
        let secure = Client { secure: true, ..client("192.0.2.1", Some("registry.example.org")) };
        let of = |public: &str, proxies: &[&str]| {
            let mut settings = Settings::default();
            public.clone_into(&mut settings.api.public_url);
            settings.api.trusted_proxies = networks(proxies);
            Origin::new(Networks::default(), &settings)
        };
        for (public, proxies, is_own) in [
            ("", &[][..], true),
            ("http://127.0.0.1:5000", &[][..], true),
            ("http://localhost", &[][..], true),
            ("https://registry.example.org", &[][..], false),
            ("", &["127.0.0.1/32"][..], false),
            ("", &["10.0.0.0/8"][..], false),
        ] {
            assert_eq!(is_taken(&of(public, proxies), &own), is_own, "{public} {proxies:?}");
            assert!(is_taken(&of(public, proxies), &secure), "{public} {proxies:?}");
        }
    }

    #[test]
    fn who_is_in_no_allowed_network_is_refused_over_tls_too() {
        let origin = Origin { allow: networks(&["10.0.0.0/8"]), is_fronted: false };
        let at = |address| Client { secure: true, ..client(address, Some("registry.example.org")) };
        assert!(is_taken(&origin, &at("10.1.2.3")) && !is_taken(&origin, &at("192.0.2.1")));
    }
}
