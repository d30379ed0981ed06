//! Node certificates as they are read: which node of which region and cluster, and until when.
//!
//! A certificate names its node by two DNS names: `node-<id>.<cluster id>.regnode`, which is what the other side dials,
//! and `region-<id>.<cluster id>.regnode`. That it chains to the cluster's CA is checked by the TLS handshake, not here;
//! whether the directory has the node in that region, by whoever reads it.

use std::time::Duration;

use raft::id::{NodeId, RegionId};
use raft::time::Timestamp;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;

use super::ClusterId;
use super::tls::provider;

const DOMAIN: &str = "regnode";

/// What a node certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The node.
    pub node: NodeId,
    /// Its region.
    pub region: RegionId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Not valid before this time.
    pub not_before: Timestamp,
    /// Not valid after this time.
    pub not_after: Timestamp,
}

/// A certificate that names no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not a certificate.
    #[error("the certificate is malformed")]
    Malformed,
    /// It is a certificate of something else.
    #[error("the certificate does not name exactly one node and its region")]
    NoNode,
}

/// The DNS name that stands for a node in its certificate and in the handshake.
#[must_use]
pub fn server_name(node: NodeId, cluster: ClusterId) -> String {
    format!("node-{node}.{cluster}.{DOMAIN}")
}

/// The DNS name that stands for a node's region in its certificate.
pub(super) fn region_name(region: RegionId, cluster: ClusterId) -> String {
    format!("region-{region}.{cluster}.{DOMAIN}")
}

impl NodeCertificate {
    /// Reads a certificate (DER).
    pub fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, certificate) =
            x509_parser::parse_x509_certificate(der).map_err(|_malformed| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|_malformed| CertificateError::Malformed)?
            .ok_or(CertificateError::NoNode)?;
        let [GeneralName::DNSName(name), GeneralName::DNSName(region)] = names.value.general_names.as_slice() else {
            return Err(CertificateError::NoNode);
        };
        let (node, cluster) = parse_name(name).ok_or(CertificateError::NoNode)?;
        let region = parse_region(region, cluster).ok_or(CertificateError::NoNode)?;
        let time = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
        let validity = certificate.validity();
        Ok(Self {
            node,
            region,
            cluster,
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
        })
    }

    /// Whether a new one should be made: less than a third of its life is left.
    #[must_use]
    pub const fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after.0.saturating_sub(self.not_before.0);
        self.not_after.0.saturating_sub(now.0) < life / 3
    }
}

/// Whether an authority's key has signed a node's certificate. When it is valid is not looked at.
pub(crate) fn is_issued_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    let Ok(read) = NodeCertificate::read(certificate) else { return false };
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
    let mut roots = RootCertStore::empty();
    if roots.add(authority.clone().into_owned()).is_err() {
        return false;
    }
    let then = UnixTime::since_unix_epoch(Duration::from_millis(read.not_before.0));
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], then, algorithms).is_ok()
}

fn parse_name(name: &str) -> Option<(NodeId, ClusterId)> {
    let mut parts = name.split('.');
    let id = parts.next()?.strip_prefix("node-")?.parse().ok()?;
    let mut cluster = [0; 16];
    hex::decode_to_slice(parts.next()?, &mut cluster).ok()?;
    let (node, cluster) = (NodeId(id), ClusterId(cluster));
    (server_name(node, cluster) == name).then_some((node, cluster))
}

fn parse_region(name: &str, cluster: ClusterId) -> Option<RegionId> {
    let region = RegionId(name.split('.').next()?.strip_prefix("region-")?.parse().ok()?);
    (region_name(region, cluster) == name).then_some(region)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_name_is_a_node() {
        let cluster = ClusterId([7; 16]);
        let name = server_name(NodeId(12), cluster);
        assert_eq!(parse_name(&name), Some((NodeId(12), cluster)));
        assert_eq!(parse_name(&format!("{name}.")), None);
        assert_eq!(parse_name(&name.replace("node-12", "node-012")), None);
        assert_eq!(parse_name(&name.replace("node-12", "node-+12")), None);
        assert_eq!(parse_name("example.org"), None);
    }

    #[test]
    fn only_a_region_of_the_same_cluster_is_one() {
        let (cluster, other) = (ClusterId([7; 16]), ClusterId([8; 16]));
        let name = region_name(RegionId(3), cluster);
        assert_eq!(parse_region(&name, cluster), Some(RegionId(3)));
        assert_eq!(parse_region(&name, other), None);
        assert_eq!(parse_region(&name.replace("region-3", "region-03"), cluster), None);
        assert_eq!(parse_region(&server_name(NodeId(3), cluster), cluster), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            prop_assert_eq!(NodeCertificate::read(&bytes), Err(CertificateError::Malformed));
        }
    }
}
