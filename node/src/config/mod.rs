//! The configuration: one list of keys, from which come the typed settings, their sources and their reference.
//!
//! A value is taken from, in rising order: the default, the file, an environment variable, a flag. What is not in the
//! list is refused by name. No key stands here that nothing reads.

mod challenge;
mod error;
mod load;
mod networks;
mod reference;
mod schema;
mod settings;
mod value;

pub use challenge::AcmeChallenge;
pub use error::{ConfigError, Source};
pub use load::{Resolved, Sources, load, resolve};
pub use networks::{InvalidNetwork, Networks};
pub use reference::{example_toml, reference};
pub use schema::Key;
pub use settings::{
    AccessSettings, AcmeSettings, ApiSettings, AuditSettings, ClockSettings, EncryptionSettings, KEYS, LdapSettings,
    LimitSettings, LogSettings, ManifestSettings, MetricsSettings, NodeSettings, PeerSettings, RaftSettings,
    RebalanceSettings, RepairSettings, ScrubSettings, Settings, ShutdownSettings, StorageSettings, UploadSettings,
};
pub use value::{LogFormat, ProxyHeaders};
