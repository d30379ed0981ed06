//! The files of `<data_dir>/identity`: who the node is, its key and certificates, its disks, and how far its set-up has
//! come.
//!
//! `node.toml` is written last: a directory without it belongs to no node yet, whatever else is there, and the set-up
//! goes on where it stopped. All calls block.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft::id::{NodeId, RegionId, RequestId};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use storage::disk::{Files, KnownDisks};
use storage::seal::KeyId;
use storage::shard::DiskId;
use zeroize::Zeroizing;

use super::certificate::is_issued_by;
use super::founding::{Founding, FoundingFile};
use super::{ClusterId, ClusterKey, Credentials};
use crate::vault::{Locked, Vault};

/// Version of the text files that this program writes and reads.
const VERSION: u32 = 1;

const NODE: &str = "node.toml";
const FOUNDING: &str = "founding.toml";
const JOINING: &str = "joining.toml";
const REGION_FOUNDING: &str = "founding-region.toml";
const DISKS: &str = "disks.toml";
const LOG: &str = "log.toml";
const KEY: &str = "node.key";
const CERTIFICATE: &str = "node.crt";
const AUTHORITY: &str = "ca.crt";
const CLUSTER_KEY: &str = "cluster.key";

/// Files that nobody else may ever read: sealed when the node has keys.
pub(crate) const SECRET_FILES: [&str; 3] = [KEY, CLUSTER_KEY, FOUNDING];

/// Why an identity file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system failed.
    #[error("identity file {path:?} cannot {action}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The content is not what this program writes.
    #[error("identity file {path:?} is damaged: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// It is encrypted with a key that is not at hand.
    #[error(
        "identity file {path:?} is encrypted with key {key}, which this node's keyring does not hold: bring the keyring \
         back that belongs to it (identity/keyring)"
    )]
    Locked {
        /// The file.
        path: PathBuf,
        /// The key.
        key: KeyId,
    },
    /// Another version of the program wrote it.
    #[error("identity file {path:?} has version {found}, this program knows {VERSION}: use the newer program")]
    Version {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
    },
}

/// Who a node is. Never changes once written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Its region.
    pub region: RegionId,
    /// Its name.
    pub name: String,
}

/// A join that has been begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// The request, the same at each attempt, so that each gets the same node id.
    pub request: RequestId,
    /// Name of the node.
    pub name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    version: u32,
    cluster: String,
    node: u64,
    region: u32,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoiningFile {
    version: u32,
    request: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisksFile {
    version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<String>,
    #[serde(default)]
    disk: Vec<DiskEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<DiskEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskEntry {
    directory: String,
    id: String,
}

#[derive(Serialize, Deserialize)]
struct VersionOnly {
    version: u32,
}

/// The identity files of one data directory.
#[derive(Clone, Debug)]
pub struct Store {
    files: Arc<dyn Files>,
    directory: PathBuf,
    vault: Vault,
    /// One change at a time: what is sealed anew must not come back after it was removed.
    changes: Arc<Mutex<()>>,
}

impl Store {
    /// The store of a data directory. It opens no sealed secrets.
    #[must_use]
    pub fn new(files: Arc<dyn Files>, data_dir: &Path) -> Self {
        Self { files, directory: data_dir.join("identity"), vault: Vault::none(), changes: Arc::default() }
    }

    /// The same with the keys of the node, if it has any: its secrets are sealed from now on.
    #[must_use]
    pub fn with_vault(self, vault: Vault) -> Self {
        Self { vault, ..self }
    }

    /// Writes those secrets anew that are in the clear or lie under an older key, and says how many. A crash leaves each
    /// of them as it was or as it is to be.
    pub fn seal_secrets(&self) -> Result<usize, IdentityError> {
        let _alone = self.alone();
        let mut sealed = 0;
        for name in SECRET_FILES {
            let Some(written) = self.read_raw(name)?.filter(|written| !self.vault.is_current(written)) else {
                continue;
            };
            self.put(name, &self.open(name, &written)?)?;
            sealed += 1;
        }
        Ok(sealed)
    }

    /// Makes the directory, durably.
    pub fn prepare(&self) -> Result<(), IdentityError> {
        let error = |source| IdentityError::Io { path: self.directory.clone(), action: "be created", source };
        self.files.create_directory_all(&self.directory).map_err(error)?;
        for ancestor in self.directory.ancestors().skip(1).take(2).filter(|path| !path.as_os_str().is_empty()) {
            match self.files.sync_directory(ancestor) {
                // A parent that belongs to somebody else was there before.
                Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {}
                result => result.map_err(error)?,
            }
        }
        Ok(())
    }

    /// Who the node is; `None` when the data directory is not set up.
    pub fn identity(&self) -> Result<Option<Identity>, IdentityError> {
        let Some(file) = self.read_toml::<NodeFile>(NODE)? else { return Ok(None) };
        let cluster = ClusterId(self.hex(NODE, "cluster", &file.cluster)?);
        Ok(Some(Identity { cluster, node: NodeId(file.node), region: RegionId(file.region), name: file.name }))
    }

    /// Makes the data directory that of this node. Written last.
    pub fn write_identity(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.write_toml(
            NODE,
            &NodeFile {
                version: VERSION,
                cluster: identity.cluster.to_string(),
                node: identity.node.0,
                region: identity.region.0,
                name: identity.name.clone(),
            },
        )
    }

    /// What is still to be proposed to found the cluster.
    pub fn founding(&self) -> Result<Option<Founding>, IdentityError> {
        let Some(file) = self.read_toml::<FoundingFile>(FOUNDING)? else { return Ok(None) };
        file.read().map(Some).map_err(|message| self.damaged(FOUNDING, message))
    }

    /// Remembers what is to be proposed. Only the owner of the process can read it.
    pub fn write_founding(&self, founding: &Founding) -> Result<(), IdentityError> {
        self.write_toml(FOUNDING, &FoundingFile::new(VERSION, founding))
    }

    /// The cluster is founded.
    pub fn remove_founding(&self) -> Result<(), IdentityError> {
        self.remove(FOUNDING)
    }

    /// Whether the node is the first one of its region and has yet to found its catalog.
    pub fn is_founding_region(&self) -> Result<bool, IdentityError> {
        Ok(self.read_toml::<VersionOnly>(REGION_FOUNDING)?.is_some())
    }

    /// Remembers that the node founds its region's catalog, as the cluster has said.
    pub fn write_founding_region(&self) -> Result<(), IdentityError> {
        self.write_toml(REGION_FOUNDING, &VersionOnly { version: VERSION })
    }

    /// The region's catalog is founded, or another node founds it.
    pub fn remove_founding_region(&self) -> Result<(), IdentityError> {
        self.remove(REGION_FOUNDING)
    }

    /// The join that was begun.
    pub fn joining(&self) -> Result<Option<Joining>, IdentityError> {
        let Some(file) = self.read_toml::<JoiningFile>(JOINING)? else { return Ok(None) };
        let request = RequestId(self.hex(JOINING, "request", &file.request)?);
        Ok(Some(Joining { request, name: file.name }))
    }

    /// Remembers a join before its first attempt.
    pub fn write_joining(&self, joining: &Joining) -> Result<(), IdentityError> {
        self.write_toml(
            JOINING,
            &JoiningFile { version: VERSION, request: hex::encode(joining.request.0), name: joining.name.clone() },
        )
    }

    /// The join is done.
    pub fn remove_joining(&self) -> Result<(), IdentityError> {
        self.remove(JOINING)
    }

    /// The disks that the node had when it last started; none before the first start.
    pub fn known_disks(&self) -> Result<KnownDisks, IdentityError> {
        let file = self.read_toml::<DisksFile>(DISKS)?;
        let mut known = KnownDisks { list: self.directory.join(DISKS), ..KnownDisks::default() };
        let Some(file) = file else { return Ok(known) };
        let read = |entry: DiskEntry| -> Result<(PathBuf, DiskId), IdentityError> {
            let id = entry.id.parse().map_err(|error| self.damaged(DISKS, format!("{}: {error}", entry.directory)))?;
            Ok((PathBuf::from(entry.directory), id))
        };
        for entry in file.disk {
            let (directory, id) = read(entry)?;
            known.disks.insert(directory, id);
        }
        for entry in file.removed {
            let (directory, id) = read(entry)?;
            known.removed.insert(id, directory);
        }
        known.added = file.added.into_iter().map(PathBuf::from).collect();
        Ok(known)
    }

    /// Remembers the disks that the node has. A directory whose name is not text is left out: nothing is known of it.
    pub fn write_known_disks(&self, known: &KnownDisks) -> Result<(), IdentityError> {
        let entry = |directory: &Path, id: &DiskId| {
            Some(DiskEntry { directory: directory.to_str()?.to_owned(), id: id.to_string() })
        };
        let file = DisksFile {
            version: VERSION,
            added: known.added.iter().filter_map(|directory| Some(directory.to_str()?.to_owned())).collect(),
            disk: known.disks.iter().filter_map(|(directory, id)| entry(directory, id)).collect(),
            removed: known.removed.iter().filter_map(|(id, directory)| entry(directory, id)).collect(),
        };
        self.write_toml(DISKS, &file)
    }

    /// Whether the node has a log: without it, it has forgotten how it voted, and may not go on under its id.
    pub fn has_log(&self) -> Result<bool, IdentityError> {
        Ok(self.read_toml::<VersionOnly>(LOG)?.is_some())
    }

    /// Remembers that the node has a log. Written before the node votes for the first time.
    pub fn write_has_log(&self) -> Result<(), IdentityError> {
        self.write_toml(LOG, &VersionOnly { version: VERSION })
    }

    /// The node's private key, PEM.
    pub fn key(&self) -> Result<Option<String>, IdentityError> {
        self.read_text(KEY)
    }

    /// Stores the node's private key.
    pub fn write_key(&self, key: &str) -> Result<(), IdentityError> {
        self.write(KEY, key.as_bytes())
    }

    /// Stores the node's certificate.
    pub fn write_certificate(&self, certificate: &[u8]) -> Result<(), IdentityError> {
        self.write(CERTIFICATE, pem(certificate).as_bytes())
    }

    /// Stores the certificates of the CAs that the node trusts. One of them has signed its own.
    pub fn write_authorities<C: AsRef<[u8]>>(&self, certificates: &[C]) -> Result<(), IdentityError> {
        let text: String = certificates.iter().map(|certificate| pem(certificate.as_ref())).collect();
        self.write(AUTHORITY, text.as_bytes())
    }

    /// Stores the cluster key.
    pub fn write_cluster_key(&self, key: &ClusterKey) -> Result<(), IdentityError> {
        self.write(CLUSTER_KEY, format!("{}\n", hex::encode(key.0)).as_bytes())
    }

    /// Key and certificates; `None` for a node without them (the simulator).
    pub fn credentials(&self) -> Result<Option<Credentials>, IdentityError> {
        let Some(key) = self.key()? else { return Ok(None) };
        let missing = |name: &str| self.damaged(name, "it is missing although the node has a key".to_owned());
        let certificate = self.read_certificate(CERTIFICATE)?.ok_or_else(|| missing(CERTIFICATE))?;
        let mut also = self.read_certificates(AUTHORITY)?.ok_or_else(|| missing(AUTHORITY))?;
        let issuer = also.iter().position(|authority| is_issued_by(&certificate, authority)).unwrap_or(0);
        let authority = also.remove(issuer);
        let cluster_key = self.read_text(CLUSTER_KEY)?.ok_or_else(|| missing(CLUSTER_KEY))?;
        let cluster_key = ClusterKey(self.hex(CLUSTER_KEY, "the key", cluster_key.trim())?);
        Ok(Some(Credentials { key, certificate, authority, also, cluster_key }))
    }

    fn read_certificate(&self, name: &str) -> Result<Option<CertificateDer<'static>>, IdentityError> {
        Ok(self.read_certificates(name)?.map(|mut certificates| certificates.remove(0)))
    }

    /// The certificates of a file: one at least.
    fn read_certificates(&self, name: &str) -> Result<Option<Vec<CertificateDer<'static>>>, IdentityError> {
        let Some(text) = self.read_text(name)? else { return Ok(None) };
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let certificates = read.map_err(|error| self.damaged(name, format!("not a PEM certificate: {error}")))?;
        if certificates.is_empty() {
            return Err(self.damaged(name, "not a PEM certificate: it holds none".to_owned()));
        }
        Ok(Some(certificates))
    }

    fn read_toml<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, IdentityError> {
        let Some(text) = self.read_text(name)? else { return Ok(None) };
        let damaged = |error: toml::de::Error| self.damaged(name, error.message().to_owned());
        let found = toml::from_str::<VersionOnly>(&text).map_err(damaged)?.version;
        if found != VERSION {
            return Err(IdentityError::Version { path: self.directory.join(name), found });
        }
        toml::from_str(&text).map(Some).map_err(damaged)
    }

    fn write_toml(&self, name: &str, value: &impl Serialize) -> Result<(), IdentityError> {
        let text = toml::to_string(value).expect("a flat table of texts and numbers is valid TOML");
        self.write(name, text.as_bytes())
    }

    fn read_text(&self, name: &str) -> Result<Option<String>, IdentityError> {
        let Some(mut bytes) = self.read_raw(name)? else { return Ok(None) };
        if SECRET_FILES.contains(&name) {
            bytes = self.open(name, &bytes)?.to_vec();
        }
        String::from_utf8(bytes).map(Some).map_err(|_| self.damaged(name, "it is not text".to_owned()))
    }

    /// A file as it was written.
    fn read_raw(&self, name: &str) -> Result<Option<Vec<u8>>, IdentityError> {
        let path = self.directory.join(name);
        match self.files.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IdentityError::Io { path, action: "be read", source }),
        }
    }

    /// A secret, whether it is sealed or not.
    fn open(&self, name: &str, written: &[u8]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        self.vault.unseal(name, written).map_err(|locked| match locked {
            Locked::NoKey(key) => IdentityError::Locked { path: self.directory.join(name), key },
            Locked::Damaged => self.damaged(name, "what is encrypted in it is not what was written".to_owned()),
        })
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), IdentityError> {
        let _alone = self.alone();
        self.put(name, content)
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<(), IdentityError> {
        let path = self.directory.join(name);
        let failed = |source| IdentityError::Io { path: path.clone(), action: "be written", source };
        if SECRET_FILES.contains(&name) {
            return self.files.replace(&path, &self.vault.seal(name, content)).map_err(failed);
        }
        self.files.replace(&path, content).map_err(failed)
    }

    fn remove(&self, name: &str) -> Result<(), IdentityError> {
        let _alone = self.alone();
        let path = self.directory.join(name);
        match self.files.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(IdentityError::Io { path, action: "be removed", source }),
            Ok(()) => self.files.sync_directory(&self.directory).map_err(|source| IdentityError::Io {
                path,
                action: "be removed",
                source,
            }),
        }
    }

    fn hex<const N: usize>(&self, name: &str, what: &str, text: &str) -> Result<[u8; N], IdentityError> {
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes).map_err(|error| self.damaged(name, format!("{what}: {error}")))?;
        Ok(bytes)
    }

    fn damaged(&self, name: &str, message: String) -> IdentityError {
        IdentityError::Damaged { path: self.directory.join(name), message }
    }
}

/// A certificate as PEM.
fn pem(certificate: &[u8]) -> String {
    use base64::Engine as _;

    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests;
