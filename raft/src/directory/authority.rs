//! The cluster's certificate authorities: the one that signs is part of the cluster's record; here is the other one while
//! the cluster changes from one to the next, and what each node says of what it trusts and shows. Frozen by golden files.
//!
//! A change has two phases. *Introduced*: the present authority signs, all nodes learn to trust the new one as well.
//! *Signing*: the new one signs, all nodes get a certificate of it, the old one is still trusted. Then the old one is
//! dropped. Each step is refused until every node that was not removed has said that it is ready for it, so a node that
//! does not answer holds the change up, and no node is ever shown a certificate that it does not trust.

use std::fmt;

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;

use super::table::{AuthorityStandings, Rotation};
use super::view::View;
use crate::id::NodeId;
use crate::machine::State;
use crate::table::{StateError, Table};
use crate::time::Timestamp;

/// Most bytes of an authority's certificate, and of its wrapped key.
pub const AUTHORITY_BYTES_MAX: usize = 16 << 10;

/// Most authorities that a node may say it trusts: the two of a change, and that of one which was taken back.
pub const AUTHORITIES_TRUSTED_MAX: usize = 4;

/// Names an authority: BLAKE3 of its certificate (DER).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AuthorityId(pub [u8; 32]);

impl AuthorityId {
    /// That of the authority with this certificate (DER).
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(*blake3::hash(certificate).as_bytes())
    }
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuthorityId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// How far a change of the authority is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotationPhase {
    /// The nodes learn to trust the new authority. It signs nothing yet: the change can be taken back.
    Introduced,
    /// The new authority signs. The nodes get their certificates from it.
    Signing,
}

/// A change of the authority. One record, while there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationRecord {
    /// How far it is.
    pub phase: RotationPhase,
    /// Certificate of the authority that does not sign, DER: the new one at first, then the old one.
    pub certificate: Bytes,
    /// Its wrapped private key.
    pub wrapped_key: Bytes,
    /// When the change began.
    pub begun: Timestamp,
    /// When this phase began.
    pub since: Timestamp,
}

/// What a node says of its own trust. Key: the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityStanding {
    /// Authorities whose certificates it takes, in order.
    pub trusts: Vec<AuthorityId>,
    /// Authority of the certificate that it shows.
    pub shows: AuthorityId,
}

/// A change of the authority, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorityCommand {
    /// Begins a change. Refused while one is under way, unless it is this one.
    Introduce {
        /// Certificate of the new authority, DER.
        certificate: Bytes,
        /// Its wrapped private key.
        wrapped_key: Bytes,
        /// The authority that signs as the one who asks knows it: of two who begin, one is refused.
        replaces: AuthorityId,
    },
    /// Lets the new authority sign from now on. Refused until all nodes trust it. Done also if it signs already.
    Promote {
        /// The new authority.
        authority: AuthorityId,
    },
    /// Ends the change: the old authority is trusted no more. Refused until all nodes show a certificate of the other one.
    /// Done also if it was dropped before.
    Drop {
        /// The old authority.
        authority: AuthorityId,
    },
    /// Takes a change back that signs nothing yet. Done also if it was taken back before.
    Abort {
        /// The new authority.
        authority: AuthorityId,
    },
    /// A node says what it trusts and shows.
    Note {
        /// The node.
        node: NodeId,
        /// What it says.
        standing: AuthorityStanding,
    },
}

/// Why a step is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AuthorityRefusal {
    /// Another change is under way.
    #[error("the certificate authority is being changed already: regnode ca status says how far it is")]
    Running,
    /// Somebody else has changed it meanwhile.
    #[error("the certificate authority has changed meanwhile: look again with: regnode ca status")]
    Changed,
    /// There is no such change.
    #[error("no change of the certificate authority is under way")]
    NotRunning,
    /// It signs already.
    #[error(
        "the new certificate authority signs already: nodes have certificates of it, and the change can only go on; \
         regnode ca status says who is awaited"
    )]
    TooLate,
    /// A node is not ready for the step.
    #[error("node {0} has yet to follow: regnode ca status says why")]
    Awaited(NodeId),
    /// The cluster has no certificates at all, as in the simulator.
    #[error("this cluster has no certificate authority")]
    None,
    /// What is to be kept is malformed.
    #[error("{0}")]
    Invalid(String),
}

impl<S: State> View<S> {
    /// The change of the authority that is under way.
    pub fn rotation(&self) -> Result<Option<RotationRecord>, StateError> {
        Rotation::get(&self.state, ())
    }

    /// What a node has said of its own trust.
    pub fn authority_standing(&self, node: NodeId) -> Result<Option<AuthorityStanding>, StateError> {
        AuthorityStandings::get(&self.state, &node)
    }

    /// The same of all nodes that were not removed and have said it, by id.
    pub fn authority_standings(&self) -> Result<Vec<(NodeId, AuthorityStanding)>, StateError> {
        AuthorityStandings::scan::<()>(&self.state, (), None, usize::MAX)
    }
}

crate::versioned! {
    RotationRecord = 1, "rotation record";
    AuthorityStanding = 1, "authority standing";
}
