//! Who may come to a listener, what proxies in front of it are believed, and what its answers carry.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

use super::metrics::Metrics;
use crate::config::{Networks, ProxyHeaders, Settings};

/// The front of a listener. The default one lets everybody in and believes nobody.
#[derive(Clone, Debug)]
pub struct Front {
    /// Networks that may come; empty: all.
    pub allow: Networks,
    /// Networks of proxies that are believed.
    pub trusted_proxies: Networks,
    /// Headers that count if they come from such a proxy.
    pub proxy_headers: ProxyHeaders,
    /// Whether connections of such proxies begin with the PROXY protocol.
    pub proxy_protocol: bool,
    /// Connections from one address at the same time, but for trusted proxies; 0: as many as there are.
    pub connections_per_address: u32,
    /// What every answer carries, unless it says something else itself.
    pub headers: SafeHeaders,
    /// Counts who was let go.
    pub metrics: Metrics,
}

/// Headers against what browsers do with content that others have pushed.
#[derive(Clone, Debug, Default)]
pub struct SafeHeaders {
    always: Vec<(HeaderName, HeaderValue)>,
    /// Where the client came over TLS.
    secure: Option<HeaderValue>,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            allow: Networks::default(),
            trusted_proxies: Networks::default(),
            proxy_headers: ProxyHeaders::XForwarded,
            proxy_protocol: false,
            connections_per_address: 0,
            headers: SafeHeaders::default(),
            metrics: Metrics::default(),
        }
    }
}

impl Front {
    /// Of the listener for clients.
    #[must_use]
    pub fn clients(settings: &Settings, metrics: Metrics) -> Self {
        let api = &settings.api;
        Self {
            allow: api.allow.clone(),
            trusted_proxies: api.trusted_proxies.clone(),
            proxy_headers: api.proxy_headers,
            proxy_protocol: api.proxy_protocol,
            connections_per_address: settings.limits.address_connections,
            headers: SafeHeaders::new(Duration::from_secs(api.hsts_seconds)),
            metrics,
        }
    }

    /// Of the listener for the administration, if it has one of its own.
    #[must_use]
    pub fn administration(settings: &Settings, metrics: Metrics) -> Self {
        Self { allow: settings.admin.allow.clone(), ..Self::clients(settings, metrics) }
    }

    /// Of the listener for metrics.
    #[must_use]
    pub fn metrics(settings: &Settings, metrics: Metrics) -> Self {
        Self { allow: settings.metrics.allow.clone(), metrics, ..Self::default() }
    }

    /// Whether an address may come at all.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.contains(address) || self.trusts(address)
    }

    /// Whether what comes from there is believed.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.contains(address)
    }
}

impl SafeHeaders {
    /// Those for content that anybody may have pushed; with a time, browsers use only TLS with this host for so long.
    ///
    /// # Panics
    /// Never: a number is a header's value.
    #[must_use]
    pub fn new(strict_transport: Duration) -> Self {
        let seconds = strict_transport.as_secs();
        let always = vec![
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            // What was pushed may be a page with a script in it: it runs nowhere, and not in the registry's name.
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        let secure = (seconds > 0)
            .then(|| HeaderValue::from_str(&format!("max-age={seconds}")).expect("a number is a header's value"));
        Self { always, secure }
    }

    /// Writes them.
    pub(super) fn apply(&self, headers: &mut HeaderMap, secure: bool) {
        for (name, value) in &self.always {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
        if let Some(value) = self.secure.as_ref().filter(|_| secure) {
            headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}
