//! Usage: what is in use below each prefix, kept exact by every command, and quotas held against it.
//!
//! A blob counts once per prefix, however many repositories below it count it: `UsageBlobs` remembers how many do. The
//! repository whose name the prefix is stands apart, its link says whether it counts the blob; so a repository that has
//! none below it costs no row for each of its blobs.

use std::collections::BTreeMap;

use storage::switch;

use super::context::{Context, subtract};
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::RepositoryRecord;
use crate::catalog::response::Response;
use crate::catalog::table::{Links, Policies, Repositories, Usage, UsageBlobs};
use crate::catalog::usage::{UsageBlobRecord, UsageRecord};
use crate::machine::{ApplyError, State};
use crate::policy::{QuotaResource, prefixes};
use crate::table::Table;

/// What a command would add. What is there already costs nothing, so a blob may be named that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// New manifests.
    pub(super) manifests: u64,
    /// New tags.
    pub(super) tags: u64,
    /// Blobs that the repository would count, with their lengths in bytes.
    pub(super) blobs: Vec<(Digest, u64)>,
}

/// The repository begins to count a blob: its link has come, or is used again. The caller stores the link.
pub(super) fn count_blob(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    length_bytes: u64,
) -> Result<(), ApplyError> {
    for prefix in prefixes(repository) {
        let below = below(context.state, prefix, digest)?;
        let own = prefix == repository.as_str();
        let counted = below > 0 || (!own && counts(context.state, prefix, digest)?);
        if !own {
            let record = UsageBlobRecord { repositories: below + 1 };
            UsageBlobs::put(context.state, (digest, &prefix.to_owned()), &record);
        }
        if !counted || switch::broken("catalog.usage.count_twice") {
            edit(context, prefix, |usage| {
                usage.blobs += 1;
                usage.bytes += length_bytes;
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// The repository counts a blob no more: its link has gone, or its last use has. The caller stores the link.
pub(super) fn uncount_blob(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    length_bytes: u64,
) -> Result<(), ApplyError> {
    for prefix in prefixes(repository) {
        let mut below = below(context.state, prefix, digest)?;
        let own = prefix == repository.as_str();
        if !own {
            let key = prefix.to_owned();
            subtract(&mut below, 1, "repositories that count a blob")?;
            if below > 0 {
                UsageBlobs::put(context.state, (digest, &key), &UsageBlobRecord { repositories: below });
            } else {
                UsageBlobs::delete(context.state, (digest, &key));
            }
        }
        let counted = below > 0 || (!own && counts(context.state, prefix, digest)?);
        if !counted {
            edit(context, prefix, |usage| {
                subtract(&mut usage.blobs, 1, "blobs in use")?;
                subtract(&mut usage.bytes, length_bytes, "bytes in use")
            })?;
        }
    }
    Ok(())
}

/// The counts of a repository have changed; `None` where it does not exist.
pub(super) fn change(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    before: Option<&RepositoryRecord>,
    after: Option<&RepositoryRecord>,
) -> Result<(), ApplyError> {
    let counts = |record: Option<&RepositoryRecord>| record.map_or([0; 3], |record| [1, record.manifests, record.tags]);
    let (before, after) = (counts(before), counts(after));
    if before == after {
        return Ok(());
    }
    for prefix in prefixes(repository) {
        edit(context, prefix, |usage| {
            let fields = [&mut usage.repositories, &mut usage.manifests, &mut usage.tags];
            for ((field, before), after) in fields.into_iter().zip(before).zip(after) {
                *field += after;
                subtract(field, before, "what a namespace uses")?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The first quota that would be exceeded; `None` if all of them are kept. Looked at before the first write.
pub(super) fn refuse(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    demand: &Demand,
) -> Result<Option<Response>, ApplyError> {
    let blobs: BTreeMap<Digest, u64> = demand.blobs.iter().copied().collect();
    for prefix in prefixes(repository) {
        let namespace = prefix.to_owned();
        let quota = Policies::get(context.state, &namespace)?.map(|copy| copy.policy.quota);
        let Some(quota) = quota.filter(|quota| !quota.is_empty()) else { continue };
        let usage = Usage::get(context.state, &namespace)?.unwrap_or_default();
        for resource in QuotaResource::ALL {
            let Some(limit) = quota.limit(resource) else { continue };
            let needed = match resource {
                QuotaResource::Repositories => u64::from(!Repositories::contains(context.state, repository)?),
                QuotaResource::Manifests => demand.manifests,
                QuotaResource::Tags => demand.tags,
                QuotaResource::Bytes => new_bytes(context, prefix, &blobs)?,
            };
            let used = usage.of(resource);
            if needed > 0 && used.saturating_add(needed) > limit {
                return Ok(Some(Response::QuotaExceeded { namespace, resource, used, limit, needed }));
            }
        }
    }
    Ok(None)
}

/// A quota of bytes that an upload exceeds by its own length; `None` if none does. What it shares with others is not
/// known before it is published.
pub(super) fn refuse_offset(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    offset_bytes: u64,
) -> Result<Option<Response>, ApplyError> {
    for prefix in prefixes(repository) {
        let namespace = prefix.to_owned();
        let quota = Policies::get(context.state, &namespace)?.and_then(|copy| copy.policy.quota.bytes);
        if let Some(limit) = quota.filter(|limit| offset_bytes > *limit) {
            let used = Usage::get(context.state, &namespace)?.unwrap_or_default().bytes;
            let (resource, needed) = (QuotaResource::Bytes, offset_bytes);
            return Ok(Some(Response::QuotaExceeded { namespace, resource, used, limit, needed }));
        }
    }
    Ok(None)
}

/// Bytes of those blobs that nothing below a prefix counts yet.
fn new_bytes(context: &Context<'_, '_>, prefix: &str, blobs: &BTreeMap<Digest, u64>) -> Result<u64, ApplyError> {
    let mut bytes = 0_u64;
    for (digest, length_bytes) in blobs {
        if below(context.state, prefix, digest)? == 0 && !counts(context.state, prefix, digest)? {
            bytes = bytes.saturating_add(*length_bytes);
        }
    }
    Ok(bytes)
}

/// Repositories below a prefix that count a blob, without the one of that name.
fn below(state: &impl State, prefix: &str, digest: &Digest) -> Result<u64, ApplyError> {
    Ok(UsageBlobs::get(state, (digest, &prefix.to_owned()))?.map_or(0, |record| record.repositories))
}

/// Whether the repository of this name counts a blob. The root is not one.
fn counts(state: &impl State, name: &str, digest: &Digest) -> Result<bool, ApplyError> {
    let Ok(repository) = name.parse::<RepositoryName>() else { return Ok(false) };
    Ok(Links::get(state, (&repository, digest))?.is_some_and(|link| link.counted))
}

fn edit(
    context: &mut Context<'_, '_>,
    prefix: &str,
    change: impl FnOnce(&mut UsageRecord) -> Result<(), ApplyError>,
) -> Result<(), ApplyError> {
    let prefix = prefix.to_owned();
    let mut usage = Usage::get(context.state, &prefix)?.unwrap_or_default();
    change(&mut usage)?;
    if usage.is_empty() {
        Usage::delete(context.state, &prefix);
    } else {
        Usage::put(context.state, &prefix, &usage);
    }
    Ok(())
}
