//! What each namespace uses: counted anew from what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::Audit;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::table::{BlobLinks, Blobs, Links, Repositories, Usage, UsageBlobs};
use crate::catalog::usage::UsageRecord;
use crate::machine::State;
use crate::policy::prefixes;
use crate::table::StateError;

const USAGE: &str = "the usage of each namespace is exact";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    let mut found: BTreeMap<String, UsageRecord> = BTreeMap::new();
    audit.each::<Repositories>(|_, name, record| {
        for prefix in prefixes(&name) {
            let usage = found.entry(prefix.to_owned()).or_default();
            usage.repositories += 1;
            usage.manifests += record.manifests;
            usage.tags += record.tags;
        }
        Ok(())
    })?;
    let mut shared = 0;
    audit.each::<Blobs>(|audit, digest, record| {
        let (below, at) = counting(audit, &digest)?;
        for (prefix, repositories) in &below {
            shared += 1;
            let kept = audit.get::<UsageBlobs>((&digest, prefix))?.map(|kept| kept.repositories);
            audit.expect(kept == Some(*repositories), USAGE, || {
                format!("{digest} is counted by {repositories} repositories below {prefix:?}, not by {kept:?}")
            });
        }
        for prefix in below.into_keys().chain(at).collect::<BTreeSet<_>>() {
            let usage = found.entry(prefix).or_default();
            usage.blobs += 1;
            usage.bytes += record.length_bytes;
        }
        Ok(())
    })?;
    let kept = audit.count::<UsageBlobs, ()>(())?;
    audit.expect(kept == shared, USAGE, || format!("{kept} rows of counted blobs, there should be {shared}"));
    audit.each::<Usage>(|audit, prefix, kept| {
        let found = found.remove(&prefix).unwrap_or_default();
        audit.expect(kept == found && !kept.is_empty(), USAGE, || {
            format!("{prefix:?} uses {found:?}, its record says {kept:?}")
        });
        Ok(())
    })?;
    let missing = found.into_iter().find(|(_, usage)| !usage.is_empty());
    audit.expect(missing.is_none(), USAGE, || format!("{missing:?} has no record"));
    Ok(())
}

/// How many repositories strictly below each prefix count a blob, and the names of those that do.
fn counting<S: State>(
    audit: &mut Audit<'_, S>,
    digest: &Digest,
) -> Result<(BTreeMap<String, u64>, Vec<String>), StateError> {
    let (mut below, mut at) = (BTreeMap::new(), Vec::new());
    audit.each_of::<BlobLinks, Digest>(digest, |audit, (_, repository), ()| {
        if audit.get::<Links>((&repository, digest))?.is_some_and(|link| link.counted) {
            count(&mut below, &repository);
            at.push(repository.to_string());
        }
        Ok(())
    })?;
    Ok((below, at))
}

fn count(below: &mut BTreeMap<String, u64>, repository: &RepositoryName) {
    for prefix in prefixes(repository).filter(|prefix| *prefix != repository.as_str()) {
        *below.entry(prefix.to_owned()).or_default() += 1;
    }
}
