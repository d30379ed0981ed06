//! Founding a cluster, first half: the data directory of its first node. The node founds the groups when it starts.
//!
//! Who may do what from the beginning is decided here: the operator who is named, and what everybody may if that is said.
//! Nobody else may anything. Of the operator's password only the hash is written.

use std::fmt;

use raft::directory::{FirstAccess, built_in_role, is_region_name, is_user_name};
use raft::id::{NodeId, RegionId};

use super::setup::{Certificates, Held, SetupError, hold, name, peer_address};
use crate::config::Settings;
use crate::environment::Environment;
use crate::identity::{Authority, CertificateRequest, ClusterId, ClusterKey, Founding, Identity, generate_key};
use crate::login::{check_password, hash_password, new_signing_key};

/// Id of the first node.
pub(crate) const FIRST_NODE: NodeId = NodeId(1);
/// Id of the first region.
pub(crate) const FIRST_REGION: RegionId = RegionId(1);

/// Who may do what in a cluster from the beginning. The default is nobody but who has a node's local socket.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct InitAccess {
    /// Name and password of a user who may everything.
    pub operator: Option<(String, String)>,
    /// Built-in role that everybody has everywhere, also without a login.
    pub anonymous: Option<String>,
}

impl fmt::Debug for InitAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = self.operator.as_ref().map(|(name, _password)| name);
        formatter
            .debug_struct("InitAccess")
            .field("operator", &operator)
            .field("anonymous", &self.anonymous)
            .finish_non_exhaustive()
    }
}

impl InitAccess {
    /// Everybody has this role everywhere, and there is no operator: for tests and the simulator.
    #[must_use]
    pub fn open(role: &str) -> Self {
        Self { operator: None, anonymous: Some(role.to_owned()) }
    }

    /// Refuses what the directory would refuse, before anything is written.
    fn check(&self) -> Result<(), SetupError> {
        if let Some((name, password)) = &self.operator {
            if !is_user_name(name) {
                return Err(SetupError::OperatorName(name.clone()));
            }
            check_password(name, password)?;
        }
        match &self.anonymous {
            Some(role) if built_in_role(role).is_none() => Err(SetupError::AnonymousRole(role.clone())),
            _ => Ok(()),
        }
    }
}

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
    access: InitAccess,
) -> Result<InitOutcome, SetupError> {
    peer_address(settings)?;
    access.check()?;
    if !is_region_name(region) {
        return Err(SetupError::RegionName(region.to_owned()));
    }
    let held = hold(environment, settings).await?;
    let (environment, settings, region) = (environment.clone(), settings.clone(), region.to_owned());
    let exec = environment.exec;
    exec.run(move || prepare(&held, &environment, &settings, region, certificates, access)).await
}

fn prepare(
    held: &Held,
    environment: &Environment,
    settings: &Settings,
    region: String,
    certificates: Certificates,
    access: InitAccess,
) -> Result<InitOutcome, SetupError> {
    if let Some(present) = &held.present {
        return Err(SetupError::AlreadySetUp {
            directory: settings.data_dir.clone(),
            node: present.node.0,
            name: present.name.clone(),
            cluster: present.cluster.to_string(),
        });
    }
    let store = &held.store;
    let entropy = environment.entropy.as_ref();
    let cluster = ClusterId(entropy.id());
    let operator = access.operator.map(|(name, password)| (name, hash_password(&password, entropy)));
    let access = FirstAccess { operator, key: None, anonymous: access.anonymous };
    let mut founding = Founding { region, wrapped_authority_key: Vec::new(), access };
    if certificates == Certificates::Issued {
        let now = environment.clock.now();
        let authority = Authority::generate(cluster, now)?;
        let cluster_key = ClusterKey::generate(entropy);
        let key = generate_key()?;
        let certificate = authority.sign((FIRST_NODE, FIRST_REGION), &CertificateRequest::new(&key)?.0, now)?;
        store.write_key(&key)?;
        store.write_certificate(&certificate)?;
        store.write_authorities(&[authority.certificate()])?;
        store.write_cluster_key(&cluster_key)?;
        founding.wrapped_authority_key = authority.wrap(entropy, &cluster_key);
        founding.access.key = Some(new_signing_key(entropy, cluster, &cluster_key)?);
    }
    store.write_founding(&founding)?;
    store.remove_joining()?;
    let identity = Identity { cluster, node: FIRST_NODE, region: FIRST_REGION, name: name(settings, entropy) };
    store.write_identity(&identity)?;
    tracing::info!(%cluster, name = identity.name, "cluster prepared");
    Ok(InitOutcome { cluster, node: FIRST_NODE, name: identity.name })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::disk::RealFiles;
    use storage::kv::MemoryEngines;

    use super::*;
    use crate::environment::real;
    use crate::identity::Store;

    fn operator(name: &str, password: &str) -> InitAccess {
        InitAccess { operator: Some((name.to_owned(), password.to_owned())), anonymous: None }
    }

    async fn founded(access: InitAccess) -> Result<FirstAccess, SetupError> {
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(RealFiles);
        let environment = real(files.clone(), Arc::new(MemoryEngines::new(files)));
        let settings = Settings { data_dir: directory.path().join("data"), ..Settings::default() };
        init(&environment, &settings, "main", Certificates::Issued, access).await?;
        let store = Store::new(environment.files, &settings.data_dir);
        Ok(store.founding().unwrap().unwrap().access)
    }

    #[tokio::test]
    async fn a_cluster_begins_closed_and_with_a_key() {
        let access = founded(InitAccess::default()).await.unwrap();
        assert_eq!((access.operator, access.anonymous), (None, None));
        assert!(access.key.is_some());
    }

    #[tokio::test]
    async fn only_the_hash_of_the_password_is_kept() {
        let access = founded(operator("admin", "correct horse")).await.unwrap();
        let (name, hash) = access.operator.unwrap();
        assert_eq!(name, "admin");
        assert!(hash.starts_with("$argon2id$") && !hash.contains("horse"), "{hash}");
        assert!(!format!("{:?}", operator("admin", "correct horse")).contains("horse"));
    }

    #[tokio::test]
    async fn what_the_directory_would_refuse_is_refused_at_once() {
        assert!(matches!(founded(operator("Admin", "correct horse")).await, Err(SetupError::OperatorName(_))));
        assert!(matches!(founded(operator("admin", "short")).await, Err(SetupError::OperatorPassword(_))));
        assert!(matches!(founded(InitAccess::open("everything")).await, Err(SetupError::AnonymousRole(_))));
        assert_eq!(founded(InitAccess::open("reader")).await.unwrap().anonymous.as_deref(), Some("reader"));
    }
}
