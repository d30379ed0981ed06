//! Founding a cluster, first half: the data directory of its first node. The node founds the groups when it starts.

use raft::directory::is_region_name;
use raft::id::{NodeId, RegionId};

use super::setup::{Certificates, SetupError, hold, name, peer_address};
use crate::config::Settings;
use crate::environment::Environment;
use crate::identity::{Authority, CertificateRequest, ClusterId, ClusterKey, Founding, Identity, generate_key};

/// Id of the first node.
pub(crate) const FIRST_NODE: NodeId = NodeId(1);
/// Id of the first region.
pub(crate) const FIRST_REGION: RegionId = RegionId(1);

/// A data directory that was made the first node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitOutcome {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node: 1.
    pub node: NodeId,
    /// Its name.
    pub name: String,
}

/// Makes the data directory that of a new cluster's first node. A repetition after a crash begins anew; once it has
/// succeeded it is refused.
pub async fn init(
    environment: &Environment,
    settings: &Settings,
    region: &str,
    certificates: Certificates,
) -> Result<InitOutcome, SetupError> {
    let (environment, settings, region) = (environment.clone(), settings.clone(), region.to_owned());
    let exec = environment.exec;
    exec.run(move || prepare(&environment, &settings, region, certificates)).await
}

fn prepare(
    environment: &Environment,
    settings: &Settings,
    region: String,
    certificates: Certificates,
) -> Result<InitOutcome, SetupError> {
    peer_address(settings)?;
    if !is_region_name(&region) {
        return Err(SetupError::RegionName(region));
    }
    let held = hold(environment, settings)?;
    if let Some(present) = held.present {
        return Err(SetupError::AlreadySetUp {
            directory: settings.data_dir.clone(),
            node: present.node.0,
            name: present.name,
            cluster: present.cluster.to_string(),
        });
    }
    let store = &held.store;
    let entropy = environment.entropy.as_ref();
    let cluster = ClusterId(entropy.id());
    let mut founding = Founding { region, wrapped_authority_key: Vec::new() };
    if certificates == Certificates::Issued {
        let now = environment.clock.now();
        let authority = Authority::generate(cluster, now)?;
        let cluster_key = ClusterKey::generate(entropy);
        let key = generate_key()?;
        let certificate = authority.sign((FIRST_NODE, FIRST_REGION), &CertificateRequest::new(&key)?.0, now)?;
        store.write_key(&key)?;
        store.write_certificate(&certificate)?;
        store.write_authority(authority.certificate())?;
        store.write_cluster_key(&cluster_key)?;
        founding.wrapped_authority_key = authority.wrap(entropy, &cluster_key);
    }
    store.write_founding(&founding)?;
    store.remove_joining()?;
    let identity = Identity { cluster, node: FIRST_NODE, region: FIRST_REGION, name: name(settings, entropy) };
    store.write_identity(&identity)?;
    tracing::info!(%cluster, name = identity.name, "cluster prepared");
    Ok(InitOutcome { cluster, node: FIRST_NODE, name: identity.name })
}
