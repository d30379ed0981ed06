//! What clients do to a registry: whole pushes and pulls in the dialects of real clients, and what they do besides.
//!
//! From below: `http` does one exchange, `ask` says what a request means, `record` and `check` what its answer means for
//! the history and for the rules of the protocol, `line` ties them together; `client` adds habits and retries, `uploads`
//! follows a session. On top stands a file for each operation, and `driver`, which draws them. `verify` reads at the
//! end.
//!
//! Architecture invariant: nothing here knows whether it runs in the simulation. Everything goes through the
//! [`Surroundings`](crate::surroundings::Surroundings), tokio's timers and the streams of the seed, so the same clients
//! work on real processes.

mod abandon;
mod ask;
mod check;
mod client;
pub mod content;
mod delete;
mod dialect;
mod direct;
mod driver;
pub mod http;
mod line;
mod list;
mod mount;
mod pull;
mod push;
mod record;
mod referrers;
mod statistics;
mod tags;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod uploads;
mod verify;
mod work;

use std::fmt;

pub use ask::{Ask, Meaning};
pub use client::HopRule;
pub use dialect::Dialect;
pub use direct::Direct;
pub use driver::client_task;
pub(crate) use line::Line;
pub use statistics::Statistics;
pub use verify::{Verified, new_work, verify_all};
pub use work::Workload;

use serde::Serialize;

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// An image is pushed as docker does: HEAD, POST, PATCH, PUT for each blob, then the manifest by tag.
    PushDocker,
    /// An image is pushed as containerd does: POST, one PUT with the body.
    PushContainerd,
    /// An image is pushed in chunks with `Content-Range`, each through another node.
    PushChunked,
    /// An index of two images is pushed.
    PushIndex,
    /// An image is pulled by its tag, with every blob.
    Pull,
    /// Parts of a blob are read.
    PullRange,
    /// A tag is moved to a manifest that exists.
    MoveTag,
    /// A tag is resolved.
    ResolveTag,
    /// A tag is deleted.
    DeleteTag,
    /// A manifest is deleted by its digest.
    DeleteManifest,
    /// A blob is deleted.
    DeleteBlob,
    /// It is asked whether a blob exists.
    HeadBlob,
    /// A blob is mounted from another repository.
    Mount,
    /// An artifact that refers to a manifest is pushed, and the referrers are listed.
    Refer,
    /// An upload is begun and cancelled, or left alone.
    Abandon,
    /// Tags and repositories are listed.
    List,
}

impl OperationKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::PushDocker,
        Self::PushContainerd,
        Self::PushChunked,
        Self::PushIndex,
        Self::Pull,
        Self::PullRange,
        Self::MoveTag,
        Self::ResolveTag,
        Self::DeleteTag,
        Self::DeleteManifest,
        Self::DeleteBlob,
        Self::HeadBlob,
        Self::Mount,
        Self::Refer,
        Self::Abandon,
        Self::List,
    ];
}

impl fmt::Display for OperationKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}
