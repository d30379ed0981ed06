//! What a namespace uses.

use serde::{Deserialize, Serialize};

use crate::policy::QuotaResource;

/// What is in use below a prefix, exact after each command. Key: prefix. Gone when all counts are zero.
///
/// A blob counts from the moment that a repository links it until the last manifest of the repository that used it is
/// gone: what is deleted is free at once, although its bytes wait for their grace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Repositories with content.
    pub repositories: u64,
    /// Manifests, once per repository.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs, each distinct one once.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
}

impl UsageRecord {
    /// Whether nothing is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is in use of a resource that a quota can bound.
    #[must_use]
    pub const fn of(&self, resource: QuotaResource) -> u64 {
        match resource {
            QuotaResource::Bytes => self.bytes,
            QuotaResource::Tags => self.tags,
            QuotaResource::Repositories => self.repositories,
            QuotaResource::Manifests => self.manifests,
        }
    }
}

/// How many repositories below a prefix count a blob. Key: blob, prefix. Gone when it is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageBlobRecord {
    /// Repositories, without the one whose name the prefix is.
    pub repositories: u64,
}

crate::versioned! {
    UsageBlobRecord = 1, "usage blob record";
    UsageRecord = 1, "usage record";
}
