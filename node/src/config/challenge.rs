//! How an ACME authority is shown that a domain is ours, as a value of the configuration.

use toml::de::DeValue;

use super::value::Value;

/// A kind of challenge (RFC 8555 §8, RFC 8737).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// The authority asks over HTTP, port 80.
    Http01,
    /// The authority makes a TLS handshake, port 443.
    TlsAlpn01,
    /// The authority looks into the DNS.
    Dns01,
}

impl AcmeChallenge {
    /// As operators and authorities write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }
}

impl Value for AcmeChallenge {
    const EXPECTED: &'static str = "\"http-01\", \"tls-alpn-01\" or \"dns-01\"";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        [Self::Http01, Self::TlsAlpn01, Self::Dns01].into_iter().find(|kind| kind.word() == text)
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.word().to_owned())
    }
}
