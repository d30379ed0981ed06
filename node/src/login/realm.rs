//! Where clients find the token service, and the challenge that sends them there.

use http::header::HOST;
use http::{HeaderMap, HeaderValue};

use crate::serve::Client;

/// Path of the token service.
pub(super) const TOKEN_PATH: &str = "/token";
/// Longest host that is answered with.
const HOST_BYTES_MAX: usize = 261;

/// How the node is called by its operator.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// URL at which clients reach the registry; empty: they are told what they have asked for.
    pub(super) public_url: String,
    /// URL of this node, for clients that do not say what they have asked for.
    pub(super) api_url: String,
}

impl Addresses {
    /// URL of the token service for a client.
    pub(super) fn realm(&self, headers: &HeaderMap, client: &Client) -> String {
        if let Some(tenant) = &client.tenant {
            // At the very domain, whatever the registry is called otherwise: names mean something else there.
            let host = client.host.as_deref().filter(|host| is_host(host)).unwrap_or(tenant.domain());
            let secure = client.secure || self.public_url.starts_with("https://");
            return format!("{}://{host}{TOKEN_PATH}", if secure { "https" } else { "http" });
        }
        let base = if self.public_url.is_empty() {
            let asked = client.host.as_deref().or_else(|| headers.get(HOST)?.to_str().ok());
            let scheme = if client.secure { "https" } else { "http" };
            asked.filter(|host| is_host(host)).map(|host| format!("{scheme}://{host}"))
        } else {
            Some(self.public_url.clone())
        };
        let base = base.unwrap_or_else(|| self.api_url.clone());
        format!("{}{TOKEN_PATH}", base.trim_end_matches('/'))
    }
}

/// Whether a text can be `host[:port]`. Nothing else is repeated in an answer.
fn is_host(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (1..=HOST_BYTES_MAX).contains(&text.len()) && text.bytes().all(inside)
}

/// Whether a text can stand between quotes as it is (RFC 9110, `quoted-string`), as scopes and errors do.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\')
}

/// The Bearer challenge (RFC 6750, distribution's token authentication). What cannot be said in it is left out.
pub(super) fn challenge(realm: &str, service: &str, scope: Option<&str>, error: Option<&str>) -> HeaderValue {
    let parameters = [("realm", Some(realm)), ("service", Some(service)), ("scope", scope), ("error", error)];
    let said = parameters.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| is_plain(value))?)));
    let said: Vec<String> = said.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let text = format!("Bearer {}", said.join(","));
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::tenant::Tenant;

    fn realm(public_url: &str, host: Option<&str>, secure: bool, header: Option<&str>) -> String {
        let addresses = Addresses { public_url: public_url.to_owned(), api_url: "http://127.0.0.1:5000".to_owned() };
        let client = Client { host: host.map(str::to_owned), secure, ..Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST)) };
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(HOST, HeaderValue::from_str(header).unwrap());
        }
        addresses.realm(&headers, &client)
    }

    #[test]
    fn clients_are_sent_to_where_they_came_to_unless_the_operator_says_where() {
        assert_eq!(realm("", Some("r.example.org:5000"), true, Some("other")), "https://r.example.org:5000/token");
        assert_eq!(realm("", Some("[::1]:5000"), false, None), "http://[::1]:5000/token");
        assert_eq!(realm("", None, false, Some("r.example.org")), "http://r.example.org/token");
        assert_eq!(realm("", None, true, None), "http://127.0.0.1:5000/token");
        assert_eq!(realm("https://r.example.org/", Some("x"), false, None), "https://r.example.org/token");
        for host in ["", "a b", "a\"b", "a/b", "evil.example,x=", "a@b", "ü"] {
            assert_eq!(realm("", Some(host), false, None), "http://127.0.0.1:5000/token", "{host}");
        }
    }

    #[test]
    fn at_the_domain_of_a_tenant_tokens_are_there_too() {
        let realm = |public_url: &str, host: Option<&str>, secure: bool| {
            let addresses = Addresses { public_url: public_url.to_owned(), api_url: "http://127.0.0.1".to_owned() };
            let tenant = Tenant::new("registry.acme.example", "acme");
            let client = Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let client = Client { host: host.map(str::to_owned), secure, tenant, ..client };
            addresses.realm(&HeaderMap::new(), &client)
        };
        let own = Some("registry.acme.example:5000");
        assert_eq!(realm("", own, true), "https://registry.acme.example:5000/token");
        assert_eq!(realm("", own, false), "http://registry.acme.example:5000/token");
        assert_eq!(realm("https://r.example.org", own, false), "https://registry.acme.example:5000/token");
        assert_eq!(realm("", None, true), "https://registry.acme.example/token");
    }

    #[test]
    fn a_challenge_says_what_is_wanted() {
        assert_eq!(
            challenge("https://r/token", "regnode:1", None, None),
            "Bearer realm=\"https://r/token\",service=\"regnode:1\""
        );
        assert_eq!(
            challenge("https://r/token", "s", Some("repository:a/b:pull,push"), Some("insufficient_scope")),
            "Bearer realm=\"https://r/token\",service=\"s\",scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\""
        );
        assert_eq!(
            challenge("https://r/token", "s", Some("a\",x=\"y"), None),
            "Bearer realm=\"https://r/token\",service=\"s\""
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_breaks_out_of_its_quotes(scope in "\\PC{0,40}", host in "\\PC{0,40}") {
            let realm = realm("", Some(&host), true, None);
            let text = challenge(&realm, "s", Some(&scope), Some(&scope)).to_str().unwrap().to_owned();
            prop_assert_eq!(text.matches('"').count() % 2, 0);
            prop_assert!(text.matches('"').count() <= 8);
        }
    }
}
