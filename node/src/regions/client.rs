//! The client of a request that is passed on: the node that it reached tells the one that answers.
//!
//! Whoever answers identifies the client anew and decides by its own rules, and needs for it what only the first node can
//! see: the address, the way, the host that was asked for, and the certificate. The header counts from peers alone; a
//! client's own is removed as all that begins with `regnode-` is.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::serve::{Client, ClientCertificate};
use crate::tenant::Tenant;

/// The header, with [`Told`] as JSON.
const CLIENT: HeaderName = HeaderName::from_static("regnode-client");

/// Largest header. A client whose host or certificate makes it longer is told of without them.
const TOLD_BYTES_MAX: usize = 4 << 10;

/// What is told of a client.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    address: IpAddr,
    #[serde(default)]
    secure: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sans: Option<Vec<String>>,
    /// Domain and namespace of the tenant whose names are said in the answer. Those of the request are full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<[String; 2]>,
}

/// Tells of the client that a request came from.
pub(super) fn tell(headers: &mut HeaderMap, client: &Client) {
    let sans = client.certificate.as_ref().map(|certificate| certificate.sans.clone());
    let (address, secure) = (client.address, client.secure);
    let value = |told: &Told| {
        let json = serde_json::to_vec(told).ok().filter(|json| json.len() <= TOLD_BYTES_MAX)?;
        HeaderValue::from_bytes(&json).ok()
    };
    let tenant = client.tenant.as_ref().map(|tenant| [tenant.domain(), tenant.namespace()].map(str::to_owned));
    let whole = value(&Told { address, secure, host: client.host.clone(), sans, tenant: tenant.clone() });
    if let Some(value) = whole.or_else(|| value(&Told { address, secure, host: None, sans: None, tenant })) {
        headers.insert(CLIENT, value);
    }
}

/// The client of a request that a peer has passed on; `None` if the peer does not tell, or nothing that makes sense.
pub(crate) fn told(headers: &HeaderMap) -> Option<Client> {
    let Told { address, secure, host, sans, tenant } = serde_json::from_slice(headers.get(CLIENT)?.as_bytes()).ok()?;
    let certificate = sans.map(|sans| Arc::new(ClientCertificate { sans }));
    let tenant = tenant.and_then(|[domain, namespace]| Tenant::new(&domain, &namespace));
    Some(Client { secure, host, certificate, tenant, ..Client::at(address) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(client: &Client) -> Option<Client> {
        let mut headers = HeaderMap::new();
        tell(&mut headers, client);
        told(&headers)
    }

    #[test]
    fn a_client_is_told_of_whole() {
        let plain = Client::at("192.0.2.7".parse().unwrap());
        assert_eq!(passed(&plain), Some(plain.clone()));
        let sans = vec!["dns:build.example".to_owned(), "uri:spiffe://a/ü\"\n".to_owned()];
        let certificate = Some(Arc::new(ClientCertificate { sans }));
        let address = "2001:db8::1".parse().unwrap();
        let host = Some("registry.example:5000".to_owned());
        let tenant = Tenant::new("registry.example", "acme");
        let whole = Client { secure: true, host, certificate, tenant, ..Client::at(address) };
        assert_eq!(passed(&whole), Some(whole));
    }

    #[test]
    fn what_is_too_long_is_left_out_but_never_the_address() {
        let certificate = Arc::new(ClientCertificate { sans: vec!["dns:x".repeat(2000)] });
        let tenant = Tenant::new("registry.example", "acme");
        let address = "192.0.2.7".parse().unwrap();
        let client = Client { secure: true, certificate: Some(certificate), tenant, ..Client::at(address) };
        assert_eq!(passed(&client), Some(Client { certificate: None, ..client }));
    }

    #[test]
    fn what_makes_no_sense_is_nobody() {
        for text in ["", "192.0.2.7", "{}", r#"{"address":"x"}"#, "[]"] {
            let headers = HeaderMap::from_iter([(CLIENT, text.parse().unwrap())]);
            assert_eq!(told(&headers), None, "{text}");
        }
        assert_eq!(told(&HeaderMap::new()), None);
    }
}
