//! Referrers of a manifest, page by page, with what clients keep in a fallback tag folded in.
//!
//! A client that once met a registry without this list keeps an index of the referrers under the tag
//! `<algorithm>-<hex>` (distribution-spec 1.1, "Referrers Tag Schema"). What it names and is there is listed too, so
//! that nothing is lost when a repository moves in (same, "Enabling the Referrers API").

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::catalog::{Digest, ReferrerRecord, RepositoryName, Tag, View};
use serde::Deserialize;
use storage::kv::Engine;

use super::{Registry, RegistryError, media_type};

/// Records read at a time: each may hold annotations as large as a manifest.
const BATCH: usize = 16;

/// Records looked at for one page, so that a filter that nothing passes does not read the whole list at once.
const EXAMINED_MAX: usize = 4096;

/// Bytes of annotations and names after which a page ends: the size of the largest manifest a client must take.
const PAGE_BYTES: usize = 4 << 20;

/// A manifest that refers to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length.
    pub length_bytes: u64,
    /// Its artifact type, or the media type of its config.
    pub artifact_type: Option<String>,
    /// Its annotations, in key order.
    pub annotations: Vec<(String, String)>,
}

impl Referrer {
    fn size_bytes(&self) -> usize {
        // A digest and the names of the fields take about as much as the constant.
        256 + self.media_type.len() + self.annotations.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    }
}

/// A page of referrers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferrersPage {
    /// The referrers, in the order of their digests.
    pub referrers: Vec<Referrer>,
    /// Digest behind which the next page begins, if there may be more.
    pub next: Option<Digest>,
}

impl Registry {
    /// Referrers of `subject` behind `after`, of one artifact type if a filter is given, at most `limit`. Nothing has
    /// to exist: the list is empty then.
    ///
    /// # Errors
    /// That the catalog cannot be reached.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: Digest,
        artifact_type: Option<String>,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<ReferrersPage, RegistryError> {
        self.barrier().await?;
        let repository = repository.clone();
        self.scan(move |view| {
            let fallback = fallback(view, &repository, &subject)?;
            let stored = |after: Option<&Digest>| {
                view.referrers(&repository, &subject, after, BATCH).map_err(RegistryError::state)
            };
            let exists =
                |digest: &Digest| Ok(view.manifest(&repository, digest).map_err(RegistryError::state)?.is_some());
            page(stored, fallback, exists, artifact_type.as_deref(), after, limit)
        })
        .await
    }
}

/// Merges the stored referrers with those of the fallback index into a page.
fn page(
    stored: impl Fn(Option<&Digest>) -> Result<Vec<(Digest, ReferrerRecord)>, RegistryError>,
    mut fallback: BTreeMap<Digest, Referrer>,
    exists: impl Fn(&Digest) -> Result<bool, RegistryError>,
    artifact_type: Option<&str>,
    after: Option<Digest>,
    limit: usize,
) -> Result<ReferrersPage, RegistryError> {
    if let Some(after) = &after {
        fallback = fallback.split_off(after);
        fallback.remove(after);
    }
    let mut page = ReferrersPage::default();
    let (mut examined, mut bytes, mut cursor) = (0, 0, after);
    loop {
        let batch = stored(cursor.as_ref())?;
        let end = (batch.len() == BATCH).then(|| batch.last().map(|(digest, _)| *digest)).flatten();
        let mut merged: BTreeMap<Digest, (Referrer, bool)> =
            batch.into_iter().map(|(digest, record)| (digest, (referrer(digest, record), true))).collect();
        // Of the fallback, what lies within the batch; with the last batch, all.
        let rest = end.map_or_else(BTreeMap::new, |end| {
            let mut rest = fallback.split_off(&end);
            rest.remove(&end);
            rest
        });
        for (digest, listed) in std::mem::replace(&mut fallback, rest) {
            merged.entry(digest).or_insert((listed, false));
        }
        for (digest, (referrer, certain)) in merged {
            if page.referrers.len() >= limit || bytes >= PAGE_BYTES || examined >= EXAMINED_MAX {
                page.next = cursor;
                return Ok(page);
            }
            examined += 1;
            cursor = Some(digest);
            let wanted = artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted));
            if wanted && (certain || exists(&digest)?) {
                bytes += referrer.size_bytes();
                page.referrers.push(referrer);
            }
        }
        if end.is_none() {
            return Ok(page);
        }
    }
}

fn referrer(digest: Digest, record: ReferrerRecord) -> Referrer {
    Referrer {
        digest,
        media_type: record.media_type,
        length_bytes: record.length_bytes,
        artifact_type: record.artifact_type,
        annotations: record.annotations,
    }
}

/// The tag under which clients keep the referrers themselves: both parts of the digest cut to 32 and 64 characters.
fn fallback_tag(subject: &Digest) -> Option<Tag> {
    let digits = hex::encode(subject.as_bytes());
    format!("{}-{}", subject.algorithm().name(), &digits[..64.min(digits.len())]).parse().ok()
}

fn fallback(
    view: &View<Arc<dyn Engine>>,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<BTreeMap<Digest, Referrer>, RegistryError> {
    let Some(tag) = fallback_tag(subject) else { return Ok(BTreeMap::new()) };
    let Some(record) = view.tag(repository, &tag).map_err(RegistryError::state)? else { return Ok(BTreeMap::new()) };
    let Some(manifest) = view.manifest(repository, &record.digest).map_err(RegistryError::state)? else {
        return Ok(BTreeMap::new());
    };
    if manifest.media_type != media_type::INDEX {
        return Ok(BTreeMap::new());
    }
    let bytes = view.manifest_bytes(repository, &record.digest).map_err(RegistryError::state)?;
    Ok(bytes.map(|bytes| listed(&bytes)).unwrap_or_default())
}

/// Descriptors of a fallback index. What cannot be read is left out: the index is a client's and was stored as such.
fn listed(index: &[u8]) -> BTreeMap<Digest, Referrer> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Option<Vec<Descriptor>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Descriptor {
        media_type: String,
        digest: String,
        size: u64,
        artifact_type: Option<String>,
        annotations: Option<BTreeMap<String, String>>,
    }
    let Ok(Index { manifests: Some(descriptors) }) = serde_json::from_slice(index) else { return BTreeMap::new() };
    descriptors
        .into_iter()
        .filter_map(|descriptor| {
            let digest: Digest = descriptor.digest.parse().ok()?;
            let referrer = Referrer {
                digest,
                media_type: descriptor.media_type,
                length_bytes: descriptor.size,
                artifact_type: descriptor.artifact_type.filter(|text| !text.is_empty()),
                annotations: descriptor.annotations.unwrap_or_default().into_iter().collect(),
            };
            Some((digest, referrer))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::from_bytes(raft::catalog::Algorithm::Sha256, &[number; 32]).unwrap()
    }

    fn record(artifact_type: &str) -> ReferrerRecord {
        ReferrerRecord {
            media_type: media_type::IMAGE.to_owned(),
            length_bytes: 9,
            artifact_type: Some(artifact_type.to_owned()),
            annotations: Vec::new(),
        }
    }

    /// Reads all pages of even numbers stored and every third number in the fallback index, of which 3 is not there.
    fn all(limit: usize, filter: Option<&str>) -> Vec<u8> {
        let kind = |number: u8| if number.is_multiple_of(4) { "a/four" } else { "a/other" };
        let stored = |after: Option<&Digest>| {
            let records = (0..100).step_by(2).map(|number| (digest(number), record(kind(number))));
            Ok(records.filter(|(digest, _)| after.is_none_or(|after| digest > after)).take(BATCH).collect::<Vec<_>>())
        };
        let fallback: BTreeMap<_, _> = (0..120)
            .step_by(3)
            .map(|number| (digest(number), referrer(digest(number), record(kind(number)))))
            .collect();
        let exists = |digest: &Digest| Ok(digest.as_bytes()[0] != 3);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = page(stored, fallback.clone(), exists, filter, after, limit).unwrap();
            assert!(page.referrers.len() <= limit);
            found.extend(page.referrers.iter().map(|referrer| referrer.digest.as_bytes()[0]));
            match page.next {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    }

    #[test]
    fn pages_hold_each_referrer_once_in_order() {
        let expected: Vec<u8> = (0..120)
            .filter(|number: &u8| (*number < 100 && number.is_multiple_of(2)) || number.is_multiple_of(3))
            .filter(|number| *number != 3)
            .collect();
        for limit in [1, 2, 7, 15, 16, 17, 1000] {
            assert_eq!(all(limit, None), expected, "{limit}");
            let fours: Vec<u8> = expected.iter().copied().filter(|number| number.is_multiple_of(4)).collect();
            assert_eq!(all(limit, Some("a/four")), fours, "{limit}");
        }
    }

    #[test]
    fn the_fallback_tag_is_cut() {
        assert_eq!(fallback_tag(&digest(0xab)).unwrap().as_str(), format!("sha256-{}", "ab".repeat(32)));
        let long = Digest::from_bytes(raft::catalog::Algorithm::Sha512, &[0xcd; 64]).unwrap();
        assert_eq!(fallback_tag(&long).unwrap().as_str(), format!("sha512-{}", "cd".repeat(32)));
    }

    #[test]
    fn a_fallback_index_that_makes_no_sense_lists_nothing() {
        for bad in ["", "{}", "[]", r#"{"manifests":null}"#, r#"{"manifests":[{"digest":1}]}"#] {
            assert!(listed(bad.as_bytes()).is_empty(), "{bad}");
        }
        let index = format!(r#"{{"manifests":[{{"mediaType":"m","digest":"{}","size":1}}]}}"#, digest(1));
        assert_eq!(listed(index.as_bytes()).len(), 1);
    }
}
