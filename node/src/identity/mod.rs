//! Who a node is, and how nodes know each other: the cluster's CA, node certificates, join tokens, and the files that
//! hold them.
//!
//! What holds: a private key never leaves the machine that made it; a certificate says one node of one cluster; the
//! CA's key rests only wrapped. The simulator runs without certificates and uses only the identity file.

mod authority;
mod certificate;
mod credentials;
mod domain;
mod founding;
mod pin;
mod signing;
mod store;
mod tls;
mod token;
mod trusted;

use std::fmt;

pub use authority::{Authority, AuthorityError, CertificateRequest, ClusterKey, generate_key};
pub(crate) use certificate::is_issued_by;
pub use certificate::{CertificateError, NodeCertificate, server_name};
pub use credentials::Credentials;
pub(crate) use domain::{challenge_certificate, domain_key, domain_request, validity};
pub use founding::Founding;
pub use pin::pinned_client;
pub(crate) use signing::{SigningKey, signing_point};
pub(crate) use store::SECRET_FILES;
pub use store::{Identity, IdentityError, Joining, Store};
pub(crate) use tls::TlsClock;
pub use tls::{PeerTls, PeerTlsError};
pub use token::{InvalidToken, JoinToken};

/// A cluster's id: random, and the trust domain of its certificates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

impl fmt::Display for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}
