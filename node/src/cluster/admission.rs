//! Admitting machines, on any node: the directory decides, this node signs.

use std::sync::Arc;

use bytes::Bytes;
use raft::directory::{ClusterRecord, Command, Directory, NodeState, Response, StateError, View};
use raft::group::Group;
use raft::id::{NodeId, RegionId, RequestId};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::application::Application;
use super::clock::{AgreedTime, catch_up};
use super::departure::find_node;
use super::gate::Gate;
use crate::environment::{BoxFuture, Environment};
use crate::identity::{Authority, AuthorityError, ClusterId, ClusterKey, JoinToken};
use crate::peer::{Admission, JoinAnswer, JoinError, JoinRequest};

/// The cluster with the authority that signs, and the other one, while it changes from one to the next.
struct Authorities {
    cluster: ClusterRecord,
    other: Option<Bytes>,
}

impl Authorities {
    /// Their certificates; the first one signs.
    fn certificates(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.cluster.ca_certificate).chain(&self.other)
    }

    /// The one whose fingerprint a token has.
    fn named_by(&self, token: &JoinToken) -> Option<&Bytes> {
        self.certificates().find(|certificate| *Sha256::digest(certificate) == token.authority_fingerprint)
    }
}

/// Admits machines to the cluster.
#[derive(Debug)]
pub struct Admitter {
    gate: Gate,
    directory: Arc<Group<Directory>>,
    time: AgreedTime,
    environment: Environment,
    /// `None` without certificates (the simulator).
    cluster_key: Option<ClusterKey>,
}

impl Admitter {
    /// The admission of one node.
    #[must_use]
    pub fn new(
        directory: Arc<Group<Directory>>,
        time: AgreedTime,
        environment: Environment,
        cluster_key: Option<ClusterKey>,
    ) -> Self {
        Self { gate: Gate::new(Arc::clone(&directory)), directory, time, environment, cluster_key }
    }

    async fn admit(&self, request: JoinRequest) -> Result<JoinAnswer, JoinError> {
        let refused = |message: String| JoinError::Refused(message);
        let token: JoinToken = request.token.parse().map_err(|error| refused(format!("{error}")))?;
        let application: Application =
            raft::codec::decode(&request.node).map_err(|error| refused(error.to_string()))?;
        if self.authorities()?.named_by(&token).is_none() {
            return Err(refused(
                "the join token is of another cluster, or was made before this one's certificate authority was changed: \
                 make a new one with: regnode token"
                    .to_owned(),
            ));
        }
        let _turn = self.gate.pass(&token, application.request).await?;
        // Whether the token has expired is judged by the directory's clock.
        catch_up(&self.directory, &self.time, self.environment.entropy.as_ref()).await;
        let replaces = match &application.replaces {
            Some(old) => Some(self.replaced(old, application.request)?),
            None => None,
        };
        let command = Command::AdmitNode {
            token: token.id,
            secret_hash: token.secret_hash(),
            region: self.region(application.region, replaces)?,
            node: application.info,
            replaces,
        };
        let response = self.directory.propose(application.request, command).await;
        let (node, region, founds) = match response.map_err(|error| JoinError::Unavailable(error.to_string()))? {
            Response::Admitted { node, region, founds } => (node, region, founds),
            Response::Refused(refusal) => return Err(refused(refusal.to_string())),
            Response::Done | Response::Bound { .. } => {
                return Err(JoinError::Unavailable("the directory gave no id".to_owned()));
            }
        };
        info!(%node, %region, founds, "node admitted");
        // As of after the admission: the change of an authority waits for this node from then on.
        let authorities = self.authorities()?;
        let certificates = match &self.cluster_key {
            Some(key) => self.sign(key.clone(), &authorities, (node, region), request.certificate_request).await?,
            None => Vec::new(),
        };
        Ok(JoinAnswer {
            node,
            region,
            founds,
            certificates,
            cluster: authorities.cluster.id,
            cluster_key: self.cluster_key.as_ref().map_or_else(Bytes::new, |key| Bytes::copy_from_slice(&key.0)),
            members: self.members()?,
        })
    }

    fn authorities(&self) -> Result<Authorities, JoinError> {
        let unavailable = |error: StateError| JoinError::Unavailable(error.to_string());
        let view = View::new(self.directory.state());
        let unknown = || JoinError::Unavailable("this node does not know the cluster yet".to_owned());
        let cluster = view.cluster().map_err(unavailable)?.ok_or_else(unknown)?;
        let other = view.rotation().map_err(unavailable)?.map(|rotation| rotation.certificate);
        Ok(Authorities { cluster, other })
    }

    /// The node that is to be replaced. A repetition names one whose name its successor may have by now.
    fn replaced(&self, old: &str, request: RequestId) -> Result<NodeId, JoinError> {
        let nodes = View::new(self.directory.state()).nodes();
        let nodes = nodes.map_err(|error| JoinError::Unavailable(error.to_string()))?;
        let admitted = nodes.iter().find(|(_, record)| record.admitted_by == request);
        let repeated = admitted.and_then(|(_, record)| record.replaces);
        repeated.or_else(|| find_node(&nodes, old).map(|(node, _)| node)).ok_or_else(|| {
            JoinError::Refused(format!("there is no node {old:?} to replace: regnode nodes lists them by name and id"))
        })
    }

    /// Name of the region to join, where the machine did not say which: that of the node whose place it takes, or the only
    /// one there is.
    fn region(&self, named: String, replaces: Option<NodeId>) -> Result<String, JoinError> {
        if !named.is_empty() {
            return Ok(named);
        }
        let unavailable = |error: StateError| JoinError::Unavailable(error.to_string());
        let view = View::new(self.directory.state());
        let regions = view.regions().map_err(unavailable)?;
        if let Some(old) = replaces {
            let old = view.node(old).map_err(unavailable)?;
            let region = old.and_then(|old| regions.iter().find(|(region, _)| *region == old.region));
            return Ok(region.map_or(named, |(_, record)| record.name.clone()));
        }
        match regions.as_slice() {
            [(_, only)] => Ok(only.name.clone()),
            several => {
                let names: Vec<&str> = several.iter().map(|(_, record)| record.name.as_str()).collect();
                let names = names.join(", ");
                Err(JoinError::Refused(format!(
                    "the cluster has several regions: say which one this machine joins with --region: {names}"
                )))
            }
        }
    }

    fn members(&self) -> Result<Vec<(NodeId, String)>, JoinError> {
        let nodes = View::new(self.directory.state()).nodes();
        let nodes = nodes.map_err(|error| JoinError::Unavailable(error.to_string()))?;
        Ok(nodes
            .into_iter()
            .filter(|(_, record)| record.state != NodeState::Removed)
            .map(|(node, record)| (node, record.info.peer_address))
            .collect())
    }

    async fn sign(
        &self,
        key: ClusterKey,
        authorities: &Authorities,
        node: (NodeId, RegionId),
        request: Bytes,
    ) -> Result<Vec<Bytes>, JoinError> {
        let now = self.environment.clock.now();
        let cluster = authorities.cluster.clone();
        let signed = self.environment.exec.run(move || {
            let id = ClusterId(cluster.id);
            Authority::unwrap(id, &key, &cluster.ca_certificate, &cluster.wrapped_ca_key)?.sign(node, &request, now)
        });
        match signed.await {
            Ok(certificate) => {
                let own = Bytes::copy_from_slice(&certificate);
                Ok(std::iter::once(own).chain(authorities.certificates().cloned()).collect())
            }
            Err(error @ AuthorityError::Unwrap) => {
                warn!(%error, "this node cannot sign certificates");
                Err(JoinError::Unavailable(error.to_string()))
            }
            Err(AuthorityError::Certificate(error)) => {
                Err(JoinError::Refused(format!("the certificate request is not usable: {error}")))
            }
        }
    }
}

impl Admission for Admitter {
    fn join(&self, request: JoinRequest) -> BoxFuture<'_, Result<JoinAnswer, JoinError>> {
        Box::pin(self.admit(request))
    }
}
