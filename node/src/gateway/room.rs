//! How large an upload may become: the largest object that is taken, and the quotas of its repository's namespaces.
//!
//! What a quota allows in all is the bound here, not what is left of it: bytes that the namespace has already cost
//! nothing, and which those are is known only once the digest is. What is left is checked by the command that publishes.

use raft::catalog::RepositoryName;
use raft::policy::{QuotaResource, REPLICATION};

use super::catalog::CatalogError;
use super::core::Core;
use super::error::UploadError;
use crate::deletion::Refusal;

/// Room for the bytes of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    offset_bytes: u64,
    object_bytes_max: u64,
    quota: Option<BytesQuota>,
}

/// The tightest quota of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BytesQuota {
    limit: u64,
    namespace: String,
    used: u64,
}

impl Room {
    /// Room behind so many bytes that were taken in before. What is copied was judged by the quotas of its home.
    pub(super) fn of(
        core: &Core,
        repository: &RepositoryName,
        principal: Option<&str>,
        offset_bytes: u64,
    ) -> Result<Self, UploadError> {
        let object_bytes_max = core.options.object_size_bytes_max;
        if principal == Some(REPLICATION) {
            return Ok(Self { offset_bytes, object_bytes_max, quota: None });
        }
        let view = core.records.view();
        let (policy, _) = view.policy(repository).map_err(CatalogError::from)?;
        let bounds = policy.quotas.into_iter().filter_map(|(namespace, quota)| Some((quota.bytes?, namespace)));
        let quota = match bounds.min() {
            Some((limit, namespace)) => {
                let used = view.usage(&namespace).map_err(CatalogError::from)?.bytes;
                Some(BytesQuota { limit, namespace, used })
            }
            None => None,
        };
        Ok(Self { offset_bytes, object_bytes_max, quota })
    }

    /// Whether there is room for so many more bytes.
    pub(super) fn check(&self, more_bytes: u64) -> Result<(), UploadError> {
        let needed = self.offset_bytes.saturating_add(more_bytes);
        match &self.quota {
            Some(BytesQuota { limit, namespace, used }) if needed > *limit => {
                let (namespace, resource) = (namespace.clone(), QuotaResource::Bytes);
                Err(UploadError::Refused(Box::new(Refusal::Quota {
                    namespace,
                    resource,
                    used: *used,
                    limit: *limit,
                    needed,
                })))
            }
            _ if needed > self.object_bytes_max => Err(UploadError::TooLarge { limit_bytes: self.object_bytes_max }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_ends_at_the_tightest_bound() {
        let mut room = Room { offset_bytes: 10, object_bytes_max: 100, quota: None };
        assert_eq!(room.check(90), Ok(()));
        assert_eq!(room.check(91), Err(UploadError::TooLarge { limit_bytes: 100 }));
        room.quota = Some(BytesQuota { limit: 50, namespace: "a".to_owned(), used: 7 });
        assert_eq!(room.check(40), Ok(()));
        let refusal = Refusal::Quota {
            namespace: "a".to_owned(),
            resource: QuotaResource::Bytes,
            used: 7,
            limit: 50,
            needed: 51,
        };
        assert_eq!(room.check(41), Err(UploadError::Refused(Box::new(refusal))));
    }
}
