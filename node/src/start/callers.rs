//! Who calls at the peer port: nodes of this cluster, by certificates that its authority has signed, until they are removed.

use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use crate::identity::{ClusterId, NodeCertificate, PeerTls};
use crate::members::Members;
use crate::peer::PeerIdentity;
use crate::serve::{Callers, Standing};

/// Knows the nodes of a cluster.
pub(super) struct PeerCallers {
    pub(super) cluster: ClusterId,
    pub(super) tls: PeerTls,
    pub(super) members: Members,
}

impl Callers for PeerCallers {
    /// A node that this replica has not heard of yet is one all the same: the CA has signed for it.
    fn identify(&self, certificate: &CertificateDer<'_>) -> Option<PeerIdentity> {
        named(self.cluster, certificate)
    }

    fn standing(&self, peer: PeerIdentity, certificate: &CertificateDer<'_>) -> Standing {
        if self.members.is_removed(peer.node) {
            Standing::Removed
        } else if self.tls.trusts(certificate) {
            Standing::Member
        } else {
            Standing::Outdated
        }
    }

    fn changes(&self) -> [watch::Receiver<u64>; 2] {
        [self.members.changes(), self.tls.changes()]
    }
}

/// The peer that a certificate names, if it names one of this cluster.
fn named(cluster: ClusterId, certificate: &CertificateDer<'_>) -> Option<PeerIdentity> {
    let read = NodeCertificate::read(certificate).ok().filter(|read| read.cluster == cluster)?;
    Some(PeerIdentity { node: read.node, region: read.region })
}

#[cfg(test)]
mod tests {
    use raft::id::{NodeId, RegionId};
    use raft::time::Timestamp;

    use super::*;
    use crate::identity::{Authority, generate_key};

    #[test]
    fn a_certificate_that_names_a_node_of_another_cluster_is_nobodys() {
        let (own, other, now) = (ClusterId([1; 16]), ClusterId([2; 16]), Timestamp(1_800_000_000_000));
        let authority = Authority::generate(own, now).unwrap();
        let certificate = authority.renew((NodeId(4), RegionId(2)), &generate_key().unwrap(), now).unwrap();
        assert_eq!(named(own, &certificate), Some(PeerIdentity { node: NodeId(4), region: RegionId(2) }));
        assert_eq!(named(other, &certificate), None);
        assert_eq!(named(own, authority.certificate()), None, "the authority is no node");
    }
}
