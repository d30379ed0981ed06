//! Clients speak plain HTTP on loopback only, unless the operator says otherwise.

use std::net::IpAddr;

/// The listener would speak plain HTTP to the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "api.listen = {listen:?} would serve plain HTTP to the network: set api.tls_certificate and api.tls_key, or, behind \
     a proxy that ends TLS, api.allow_plaintext = true"
)]
pub struct PlaintextRefused {
    listen: String,
}

/// Refuses a listener (`host:port`) that is neither TLS nor loopback nor allowed.
pub fn check_plaintext(listen: &str, tls: bool, allowed: bool) -> Result<(), PlaintextRefused> {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if tls || allowed || loopback { Ok(()) } else { Err(PlaintextRefused { listen: listen.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_loopback() {
        for listen in ["127.0.0.1:5000", "127.8.0.1:5000", "[::1]:5000", "localhost:5000"] {
            assert_eq!(check_plaintext(listen, false, false), Ok(()), "{listen}");
        }
        for listen in ["0.0.0.0:5000", "[::]:5000", "10.0.0.1:5000", "registry.example.org:5000"] {
            assert!(check_plaintext(listen, false, false).is_err(), "{listen}");
            assert_eq!(check_plaintext(listen, true, false), Ok(()), "{listen}");
            assert_eq!(check_plaintext(listen, false, true), Ok(()), "{listen}");
        }
    }
}
