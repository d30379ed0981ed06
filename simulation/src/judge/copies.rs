//! A copy in another region is true: a tag that is seen there has all its content there, at any time, and once everything
//! has arrived the copy has what the home has. Source: section 7 of the design ("a copy counts as made only when its digest
//! was verified at the destination") and issue 6 ("a tag is visible only when all it needs has arrived", "replicas
//! converge after healing").
//!
//! What a manifest needs is read from its bytes, not from what the catalog has counted for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node::start::Node;
use raft::catalog::{Digest, RepositoryName, StateError, Tag, View};
use raft::id::GroupId;
use raft::policy::Role;
use serde_json::Value;
use storage::kv::Engine;

use super::Court;

/// Its name.
pub const JUDGE: &str = "copies";
/// Rows of one page.
const PAGE_ROWS: usize = 256;
/// Things that one accusation spells out.
const NAMED: usize = 4;

type CatalogView = View<Arc<dyn Engine>>;

/// The judge.
#[derive(Debug)]
pub struct Copies {
    court: Court,
}

impl Copies {
    /// A judge that accuses before this court.
    #[must_use]
    pub const fn new(court: Court) -> Self {
        Self { court }
    }

    /// Looks whether the tags of all copies that a node has are whole.
    ///
    /// # Errors
    /// When an engine fails.
    pub fn inspect(&self, number: usize, node: &Node) -> Result<(), StateError> {
        let Some(view) = catalog(node) else { return Ok(()) };
        for (source, prefix, _) in view.replications()? {
            let mut content = Content::default();
            content.take(&view, &prefix, |role| role == Role::Replica)?;
            let lacks = content.lacks(&view)?;
            if !lacks.is_empty() {
                let text = format!("node {number} shows tags of {prefix:?}, a copy from region {source}, that lack");
                self.court.accuse(JUDGE, format!("{text} {}", spelled(lacks.iter())));
            }
        }
        Ok(())
    }
}

/// What a region has of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    tags: BTreeMap<(RepositoryName, Tag), Digest>,
    manifests: BTreeSet<(RepositoryName, Digest)>,
}

impl Content {
    /// What the catalog of a node has below a prefix; `None` while it has no catalog.
    ///
    /// # Errors
    /// When its engine fails.
    pub fn of(node: &Node, prefix: &str) -> Result<Option<Self>, StateError> {
        let Some(view) = catalog(node) else { return Ok(None) };
        let mut content = Self::default();
        content.take(&view, prefix, |_| true)?;
        Ok(Some(content))
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.manifests.is_empty()
    }

    /// Whether there is a tag of this name in any repository.
    #[must_use]
    pub fn has_tag(&self, name: &str) -> bool {
        self.tags.keys().any(|(_, tag)| tag.as_str() == name)
    }

    fn take(&mut self, view: &CatalogView, prefix: &str, is_meant: impl Fn(Role) -> bool) -> Result<(), StateError> {
        let mut last: Option<RepositoryName> = None;
        loop {
            let page = view.repositories_below(prefix, last.as_ref(), PAGE_ROWS)?;
            let Some(end) = page.last() else { return Ok(()) };
            last = Some(end.clone());
            for repository in page {
                if is_meant(view.role(&repository)?) {
                    self.take_repository(view, &repository)?;
                }
            }
        }
    }

    fn take_repository(&mut self, view: &CatalogView, repository: &RepositoryName) -> Result<(), StateError> {
        let mut after: Option<Tag> = None;
        loop {
            let page = view.tags_with(repository, after.as_ref(), PAGE_ROWS)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            self.tags.extend(page.into_iter().map(|(tag, digest)| ((repository.clone(), tag), digest)));
        }
        let mut after: Option<Digest> = None;
        loop {
            let page = view.manifests_of(repository, after.as_ref(), PAGE_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            self.manifests.extend(page.into_iter().map(|(digest, _)| (repository.clone(), digest)));
        }
    }

    /// What the tags need and is not there.
    fn lacks(&self, view: &CatalogView) -> Result<Vec<String>, StateError> {
        let mut lacks = Vec::new();
        for ((repository, tag), digest) in &self.tags {
            let mut wanted = vec![*digest];
            let mut seen = BTreeSet::new();
            while let Some(digest) = wanted.pop().filter(|digest| seen.insert(*digest)) {
                let Some(bytes) = view.manifest_bytes(repository, &digest)? else {
                    lacks.push(format!("{repository}:{tag}: manifest {digest}"));
                    continue;
                };
                let needs = Needs::of(&bytes);
                wanted.extend(needs.manifests);
                for blob in needs.blobs {
                    if view.linked_blob(repository, &blob)?.is_none() {
                        lacks.push(format!("{repository}:{tag}: blob {blob}"));
                    }
                }
            }
        }
        Ok(lacks)
    }

    /// How a copy differs from its home; `None` if it does not. Where deletions do not follow, it may have more.
    #[must_use]
    pub fn differs(&self, copy: &Self, deletes: bool) -> Option<String> {
        let other = |(name, digest): &(&(RepositoryName, Tag), &Digest)| copy.tags.get(*name) != Some(*digest);
        let tags =
            self.tags.iter().filter(other).map(|((repository, tag), _)| format!("{repository}:{tag} is missing"));
        let missing = self.manifests.difference(&copy.manifests);
        let missing = missing.map(|(repository, digest)| format!("{repository}@{digest} is missing"));
        let more_tags = copy.tags.keys().filter(|name| deletes && !self.tags.contains_key(*name));
        let more_tags = more_tags.map(|(repository, tag)| format!("{repository}:{tag} is too much"));
        let more = copy.manifests.difference(&self.manifests).filter(|_| deletes);
        let more = more.map(|(repository, digest)| format!("{repository}@{digest} is too much"));
        let all: Vec<String> = tags.chain(missing).chain(more_tags).chain(more).collect();
        (!all.is_empty()).then(|| format!("{} things differ: {}", all.len(), spelled(all.iter())))
    }
}

/// What a manifest names that must be there with it.
#[derive(Debug, Default)]
struct Needs {
    blobs: Vec<Digest>,
    manifests: Vec<Digest>,
}

impl Needs {
    fn of(bytes: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let named = |field: &Value| field["digest"].as_str().and_then(|digest| digest.parse().ok());
        let listed = |field: &str| value[field].as_array().into_iter().flatten().filter_map(named).collect::<Vec<_>>();
        let mut blobs = listed("layers");
        blobs.extend(named(&value["config"]));
        Self { blobs, manifests: listed("manifests") }
    }
}

fn catalog(node: &Node) -> Option<CatalogView> {
    let is_catalog = |group: &GroupId| matches!(group, GroupId::Catalog(_));
    let catalog = node.group_statuses().into_iter().map(|status| status.group).find(is_catalog)?;
    node.group_state(catalog).map(View::new)
}

fn spelled<'a>(things: impl Iterator<Item = &'a String>) -> String {
    things.take(NAMED).cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        format!("sha256:{}", hex::encode([number; 32])).parse().unwrap()
    }

    fn content(tags: &[(&str, u8)], manifests: &[u8]) -> Content {
        let repository: RepositoryName = "acme/app".parse().unwrap();
        let tag = |(tag, number): &(&str, u8)| ((repository.clone(), tag.parse().unwrap()), digest(*number));
        let manifest = |number: &u8| (repository.clone(), digest(*number));
        Content { tags: tags.iter().map(tag).collect(), manifests: manifests.iter().map(manifest).collect() }
    }

    #[test]
    fn a_copy_lacks_nothing_and_has_no_more_where_deletions_follow() {
        let home = content(&[("v1", 1), ("v2", 2)], &[1, 2]);
        assert_eq!(home.differs(&home, true), None);
        for copy in [content(&[("v1", 1)], &[1, 2]), content(&[("v1", 1), ("v2", 1)], &[1, 2])] {
            assert!(home.differs(&copy, false).unwrap().contains("acme/app:v2 is missing"));
        }
        assert!(home.differs(&content(&[("v1", 1), ("v2", 2)], &[2]), false).unwrap().contains("is missing"));
        let more = content(&[("v1", 1), ("v2", 2), ("v3", 3)], &[1, 2, 3]);
        assert_eq!(home.differs(&more, false), None);
        assert!(home.differs(&more, true).unwrap().contains("2 things differ: acme/app:v3 is too much"));
    }

    #[test]
    fn a_manifest_needs_its_config_its_layers_and_its_children() {
        let named = |number: u8| serde_json::json!({ "digest": digest(number).to_string() });
        let image = serde_json::json!({ "config": named(1), "layers": [named(2), named(3)], "subject": named(9) });
        let needs = Needs::of(image.to_string().as_bytes());
        assert_eq!((needs.blobs, needs.manifests), (vec![digest(2), digest(3), digest(1)], vec![]));
        let index = serde_json::json!({ "manifests": [named(4)] });
        let needs = Needs::of(index.to_string().as_bytes());
        assert_eq!((needs.blobs, needs.manifests), (vec![], vec![digest(4)]));
    }
}
