//! How a machine becomes a node: the one call that wants no certificate, but a one-time token.
//!
//! Tokens, certificates and the directory are not here: the server hands the request to an [`Admission`].

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::id::{NodeId, RegionId};
use tokio::time::timeout;

use super::channel::Link;
use super::proto::admission_client::AdmissionClient;
use super::status::Broken;
use super::{Metrics, Refusal, Security, limits, proto};
use crate::environment::{BoxFuture, Network};

/// What a machine that wants to join says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// One-time token as the operator was given it.
    pub token: String,
    /// Certificate signing request, DER.
    pub certificate_request: Bytes,
    /// What the node says of itself, in the encoding that both sides' admission agree on.
    pub node: Bytes,
}

/// What it gets back.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinAnswer {
    /// Its id.
    pub node: NodeId,
    /// Its region.
    pub region: RegionId,
    /// Whether it founds its region's catalog.
    pub founds: bool,
    /// Its certificate, then what leads to the cluster's CA, DER.
    pub certificates: Vec<Bytes>,
    /// Id of the cluster.
    pub cluster: [u8; 16],
    /// Unwraps the CA's key. Secret.
    pub cluster_key: Bytes,
    /// Nodes of the cluster and their peer addresses.
    pub members: Vec<(NodeId, String)>,
}

impl Debug for JoinAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("JoinAnswer")
            .field("node", &self.node)
            .field("region", &self.region)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// Why a machine was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// For good: the token, the name or the request itself.
    #[error("the cluster refuses: {0}")]
    Refused(String),
    /// For now: no quorum, no connection. The same request may be repeated.
    #[error("the cluster cannot admit nodes now: {0}")]
    Unavailable(String),
}

/// Admits machines to the cluster.
pub trait Admission: Debug + Send + Sync + 'static {
    /// Admits a machine, or says why not. A repetition of the same request gets the same answer.
    fn join(&self, request: JoinRequest) -> BoxFuture<'_, Result<JoinAnswer, JoinError>>;
}

/// Asks the node at `address` to admit this machine. `security` has no client certificate yet, and trusts what the
/// token's fingerprint names.
pub async fn join(
    network: Arc<dyn Network>,
    security: &Security,
    address: &str,
    request: JoinRequest,
    deadline: Duration,
) -> Result<JoinAnswer, JoinError> {
    let link = Link::new(&network, security, None, address, &Metrics::default());
    let mut client = AdmissionClient::new(link.control).max_decoding_message_size(limits::MESSAGE_LIMIT_BYTES);
    let message = proto::JoinRequest {
        token: request.token,
        certificate_request: request.certificate_request,
        node: request.node,
    };
    let answer = match timeout(deadline, client.join(message)).await {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => {
            return Err(match Refusal::of(&status) {
                Some(Refusal::NotAdmitted | Refusal::Invalid) => JoinError::Refused(status.message().to_owned()),
                Some(_) => JoinError::Unavailable(status.message().to_owned()),
                None => match Broken::of(&status) {
                    Broken::TooLarge(message) => JoinError::Refused(message),
                    Broken::NotSent(message) | Broken::MaybeSent(message) => JoinError::Unavailable(message),
                },
            });
        }
        Err(_elapsed) => {
            let message = format!("no answer from {address} within {} s", deadline.as_secs());
            return Err(JoinError::Unavailable(message));
        }
    };
    let cluster = answer.cluster.as_ref().try_into();
    let cluster = cluster.map_err(|_| JoinError::Refused("the answer names no cluster".to_owned()))?;
    Ok(JoinAnswer {
        node: NodeId(answer.node),
        region: RegionId(answer.region),
        founds: answer.founds,
        certificates: answer.certificates,
        cluster,
        cluster_key: answer.cluster_key,
        members: answer.members.into_iter().map(|member| (NodeId(member.node), member.address)).collect(),
    })
}

/// Answers a join for the server.
pub(super) async fn answer(
    admission: &dyn Admission,
    request: proto::JoinRequest,
) -> Result<proto::JoinAnswer, tonic::Status> {
    let request =
        JoinRequest { token: request.token, certificate_request: request.certificate_request, node: request.node };
    let answer = admission.join(request).await.map_err(|error| match error {
        JoinError::Refused(message) => Refusal::NotAdmitted.status(message),
        JoinError::Unavailable(message) => Refusal::Busy.status(message),
    })?;
    let member = |(node, address): (NodeId, String)| proto::MemberAddress { node: node.0, address };
    Ok(proto::JoinAnswer {
        node: answer.node.0,
        region: answer.region.0,
        founds: answer.founds,
        certificates: answer.certificates,
        cluster: Bytes::copy_from_slice(&answer.cluster),
        cluster_key: answer.cluster_key,
        members: answer.members.into_iter().map(member).collect(),
    })
}
