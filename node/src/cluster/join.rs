//! Joining a cluster: the request is written down first, so that every repetition of it gets the same node id.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use raft::directory::NodeInfo;
use raft::id::{NodeId, RegionId, RequestId};
use rustls_pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tracing::info;

use super::FEATURE_LEVEL;
use super::application::Application;
use super::setup::{Certificates, Held, SetupError, hold, name, peer_address};
use crate::config::Settings;
use crate::environment::Environment;
use crate::identity::{
    CertificateRequest, ClusterId, ClusterKey, Identity, JoinToken, Joining, NodeCertificate, generate_key,
    pinned_client,
};
use crate::peer::{self, JoinAnswer, JoinError, JoinRequest, Security};

/// Bound on one node's answer: it may wait out an election.
const DEADLINE: Duration = Duration::from_secs(20);
/// Rounds over all addresses before giving up.
const ROUNDS: u32 = 5;
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// A data directory that was made a member's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinOutcome {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Its region.
    pub region: RegionId,
    /// Its name.
    pub name: String,
    /// Whether it is the first node of its region, and has yet to found its catalog.
    pub founds: bool,
}

impl JoinOutcome {
    fn new(identity: Identity, founds: bool) -> Self {
        let Identity { cluster, node, region, name } = identity;
        Self { cluster, node, region, name, founds }
    }
}

/// Joins the cluster that `token` comes from, by asking the nodes at `addresses` (`host:port` of their peer ports).
/// Repeating it is harmless; a directory that has joined already answers at once. `region` is empty for the only region
/// there is, or for that of the node that is replaced. With `replaces`, the name or the id of a node, that one is emptied
/// and removed as soon as this one runs.
pub async fn join(
    environment: &Environment,
    settings: &Settings,
    addresses: &[String],
    token: &str,
    region: &str,
    certificates: Certificates,
    replaces: Option<&str>,
) -> Result<JoinOutcome, SetupError> {
    let token: JoinToken = token.parse()?;
    let own_address = peer_address(settings)?;
    let held = hold(environment, settings).await?;
    let begun = {
        let (environment, settings, token) = (environment.clone(), settings.clone(), token.clone());
        environment.exec.run(move || begin(held, &environment, &settings, &token, certificates)).await?
    };
    let Begun { held, request, key, name } = match begun {
        Progress::Done(outcome) => return Ok(outcome),
        Progress::Begun(begun) => begun,
    };
    let application = Application {
        request,
        region: region.to_owned(),
        info: NodeInfo {
            name: name.clone(),
            zone: settings.node.zone.clone(),
            peer_address: own_address,
            api_url: settings.api_url(),
            disks: Vec::new(),
            feature_level: FEATURE_LEVEL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        replaces: replaces.map(ToOwned::to_owned),
    };
    let certificate_request = match &key {
        Some(key) => CertificateRequest::new(key)?.0,
        None => Vec::new(),
    };
    let request = JoinRequest {
        token: token.to_string(),
        certificate_request: Bytes::from(certificate_request),
        node: Bytes::from(raft::codec::encode(&application)),
    };
    let security = match certificates {
        Certificates::Issued => {
            // The pinned verifier takes any node of the cluster: which name is dialled does not matter.
            let name = ServerName::from(IpAddr::from(Ipv4Addr::UNSPECIFIED));
            Security::tls(pinned_client(token.authority_fingerprint, &environment.clock)?, name)
        }
        Certificates::None => Security::Plaintext,
    };
    let (address, answer) = ask(environment, &security, addresses, &request).await?;
    let exec = environment.exec;
    let outcome = exec.run(move || finish(&held, &token, name, certificates, &answer, &address)).await?;
    info!(cluster = %outcome.cluster, node = %outcome.node, "joined");
    Ok(outcome)
}

/// How far a data directory is.
enum Progress {
    Done(JoinOutcome),
    Begun(Begun),
}

struct Begun {
    held: Held,
    request: RequestId,
    key: Option<String>,
    name: String,
}

/// Writes the request and the key down, unless an earlier attempt has. Blocks.
fn begin(
    held: Held,
    environment: &Environment,
    settings: &Settings,
    token: &JoinToken,
    certificates: Certificates,
) -> Result<Progress, SetupError> {
    if let Some(present) = held.present.clone() {
        let joined = match held.store.credentials()? {
            Some(held) => held.authorities().any(|authority| fingerprint(authority) == token.authority_fingerprint),
            None => certificates == Certificates::None,
        };
        if !joined {
            return Err(already(settings.data_dir.clone(), &present));
        }
        let founds = held.store.is_founding_region()?;
        return Ok(Progress::Done(JoinOutcome::new(present, founds)));
    }
    let entropy = environment.entropy.as_ref();
    let joining = if let Some(joining) = held.store.joining()? {
        joining
    } else {
        let joining = Joining { request: RequestId(entropy.id()), name: name(settings, entropy) };
        held.store.write_joining(&joining)?;
        joining
    };
    let key = match (certificates, held.store.key()?) {
        (Certificates::None, _) => None,
        (Certificates::Issued, Some(key)) => Some(key),
        (Certificates::Issued, None) => {
            let key = generate_key()?;
            held.store.write_key(&key)?;
            Some(key)
        }
    };
    // A name that the operator has changed since then is taken: the first one may be what was refused.
    let name = if settings.node.name.is_empty() { joining.name } else { settings.node.name.clone() };
    Ok(Progress::Begun(Begun { held, request: joining.request, key, name }))
}

fn already(directory: PathBuf, present: &Identity) -> SetupError {
    SetupError::AlreadySetUp {
        directory,
        node: present.node.0,
        name: present.name.clone(),
        cluster: present.cluster.to_string(),
    }
}

/// Asks one node after the other until one answers.
async fn ask(
    environment: &Environment,
    security: &Security,
    addresses: &[String],
    request: &JoinRequest,
) -> Result<(String, JoinAnswer), SetupError> {
    let mut last = "no address was given".to_owned();
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        for address in addresses {
            let network = std::sync::Arc::clone(&environment.network);
            match peer::join(network, security, address, request.clone(), DEADLINE).await {
                Ok(answer) => return Ok((address.clone(), answer)),
                Err(JoinError::Refused(message)) => {
                    return Err(SetupError::Refused { address: address.clone(), message });
                }
                Err(JoinError::Unavailable(message)) => {
                    info!(address, message, "a node could not admit this one");
                    last = format!("{address}: {message}");
                }
            }
        }
    }
    Err(SetupError::Unavailable(last))
}

/// Checks the answer and makes the data directory the node's. Blocks.
fn finish(
    held: &Held,
    token: &JoinToken,
    name: String,
    certificates: Certificates,
    answer: &JoinAnswer,
    address: &str,
) -> Result<JoinOutcome, SetupError> {
    let bad = |message: &str| SetupError::BadAnswer { address: address.to_owned(), message: message.to_owned() };
    let cluster = ClusterId(answer.cluster);
    if certificates == Certificates::Issued {
        // The CA that has signed, then another one, while the cluster changes from one to the next.
        let (certificate, authorities) = match answer.certificates.as_slice() {
            [certificate, authorities @ ..] if !authorities.is_empty() => (certificate, authorities),
            _ => return Err(bad("a certificate and its CA are expected")),
        };
        let read = NodeCertificate::read(certificate).map_err(|error| bad(&error.to_string()))?;
        if (read.node, read.region, read.cluster) != (answer.node, answer.region, cluster) {
            return Err(bad("the certificate is for another node"));
        }
        if !authorities.iter().any(|authority| fingerprint(authority) == token.authority_fingerprint) {
            return Err(bad("the CA is not that of the token"));
        }
        let cluster_key =
            answer.cluster_key.as_ref().try_into().map_err(|_| bad("the cluster key has a wrong length"))?;
        held.store.write_certificate(certificate)?;
        held.store.write_authorities(authorities)?;
        held.store.write_cluster_key(&ClusterKey(cluster_key))?;
    }
    let identity = Identity { cluster, node: answer.node, region: answer.region, name };
    // An earlier attempt may have been told otherwise: that node was removed since.
    if answer.founds {
        held.store.write_founding_region()?;
    } else {
        held.store.remove_founding_region()?;
    }
    held.store.write_identity(&identity)?;
    held.store.remove_joining()?;
    Ok(JoinOutcome::new(identity, answer.founds))
}

fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}
