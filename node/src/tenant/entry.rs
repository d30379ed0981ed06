//! By which domain a request came, and what is answered where that cannot be told.
//!
//! A node takes up the domains together with the rules (`access`), and answers nothing before. After a start in a region
//! that is cut off it goes on after a while with what it knew; a domain may have come meanwhile. So a name that may be a
//! domain, and that is not known to be one of the registry's own, is not served until the directory's quorum has confirmed
//! the replica: what is meant by it may be a tenant's.

use std::sync::Arc;

use http::request::Parts;
use raft::directory::is_domain;

use super::Tenant;
use super::domains::{Domains, name_of};
use crate::access::Access;
use crate::serve::Client;

/// Why a request is not taken. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Strayed {
    /// The connection was made for another tenant (RFC 9110 §15.5.20).
    #[error("this connection was made for {greeted}, and {asked} stands for something else: make another one")]
    Misdirected {
        /// The name of the TLS handshake.
        greeted: String,
        /// The name in the request.
        asked: String,
    },
    /// Nothing is known yet.
    #[error("this node does not know the rules of the cluster yet: try again")]
    Unknown,
    /// The name may be a tenant's.
    #[error(
        "this node was started while the cluster's directory could not be asked, and does not know whether {0} is the domain \
         of a tenant: it answers when the directory does; names of the whole registry are served meanwhile if the cluster \
         knows them (api.public_url, regnode domain add NAME --namespace /)"
    )]
    Unconfirmed(String),
}

/// Finds out whose a request is. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tenants {
    access: Access,
    /// Names that this node is called by, whatever the directory says.
    own: Arc<[String]>,
}

impl Tenants {
    /// By the domains that are known with these rules. `urls` are those of the node, which clients reach it by.
    pub fn new<'a>(access: Access, urls: impl IntoIterator<Item = &'a str>) -> Self {
        let host = |url: &str| {
            let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
            name_of(rest.split('/').next().unwrap_or_default()).to_ascii_lowercase()
        };
        Self { access, own: urls.into_iter().map(host).collect() }
    }

    /// Notes with the client of a request the tenant that it has come to, if any.
    ///
    /// # Errors
    /// That the request cannot be answered here, or not now.
    pub fn enter(&self, parts: &mut Parts) -> Result<(), Strayed> {
        let Some(client) = parts.extensions.get_mut::<Client>() else { return Ok(()) };
        let rights = self.access.rights();
        let (domains, confirmed) = (rights.domains(), self.access.is_confirmed());
        // The usual.
        if confirmed && domains.is_empty() {
            return Ok(());
        }
        if !rights.is_known() {
            return Err(Strayed::Unknown);
        }
        client.tenant = self.of(client, domains, confirmed)?;
        Ok(())
    }

    fn of(&self, client: &Client, domains: &Domains, confirmed: bool) -> Result<Option<Tenant>, Strayed> {
        let Some(asked) = client.host.as_deref().map(name_of) else { return Ok(None) };
        let Some(tenant) = domains.of(asked) else {
            let is_known = confirmed || !is_domain(asked) || self.own.iter().any(|own| own == asked);
            return if is_known { Ok(None) } else { Err(Strayed::Unconfirmed(asked.to_owned())) };
        };
        if let Some(greeted) = client.server_name.as_deref().map(name_of)
            && let Some(other) = domains.of(greeted)
            && other.map(Tenant::namespace) != tenant.map(Tenant::namespace)
        {
            let (greeted, asked) = (greeted.to_owned(), asked.to_owned());
            return Err(Strayed::Misdirected { greeted, asked });
        }
        Ok(tenant.cloned())
    }
}
