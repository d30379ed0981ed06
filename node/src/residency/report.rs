//! What a run has found: rows by region and namespace, what may not rest where it is, and what could not be looked at.

use raft::directory::ResidencyAudit;
use raft::id::RegionId;
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::judge::Standing;
pub use super::question::Tally;

/// Most rows that are kept; the others are counted together, in one row of each region.
const ROWS_MAX: usize = 5000;
/// What the namespaces beyond the bound are called together. No prefix is.
pub(super) const OTHERS: &str = "(others)";
/// Most findings of each kind that are kept; all are counted.
const FINDINGS_MAX: usize = 2000;
/// Most sentences about what could not be looked at.
const MISSING_MAX: usize = 500;
/// Examples in a record.
const EXAMPLES: usize = 16;

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Nodes whose disks have been gone through.
    pub nodes_done: u64,
    /// Nodes in all.
    pub nodes: u64,
    /// Files looked at so far.
    pub files: u64,
    /// Things found so far that may not be where they are.
    pub violations: u64,
    /// Whether it is over.
    pub ended: bool,
}

/// What holds for a namespace in a region, and what of it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the region.
    pub region: String,
    /// Prefix of the namespace; empty for the root.
    pub namespace: String,
    /// Name of its home.
    pub home: String,
    /// `home`, `pinned` or `replicated`.
    pub residency: String,
    /// What the region is for it: `home`, `copy` or `aside`.
    pub standing: String,
    /// Shard files on disks of the region. A file that several namespaces share counts for each.
    pub shards: Tally,
    /// Repositories in the catalog.
    pub repositories: u64,
    /// Their manifests.
    pub manifests: u64,
    /// Their tags.
    pub tags: u64,
    /// Open uploads.
    pub uploads: u64,
}

/// What was found where it may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A file of an object of another region.
    CopiedShard,
    /// A file of an object that only namespaces link that may not rest there.
    ForeignShard,
    /// A repository in a catalog, or an upload to one.
    ForeignRepository,
    /// The state of a group of another region.
    ForeignGroup,
    /// A node of another region that is in a catalog's group.
    ForeignMember,
}

/// Something that may not rest where it is, or leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Name of the region.
    pub region: String,
    /// Name of the node; none for what is in the region's catalog.
    pub node: Option<String>,
    /// Id of the disk.
    pub disk: Option<String>,
    /// The whole path.
    pub path: Option<String>,
    /// The namespace, if it is known.
    pub namespace: Option<String>,
    /// The repository, of what is in a catalog.
    pub repository: Option<String>,
    /// The object.
    pub object: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// In a sentence.
    pub detail: String,
    /// For how long it was seen that it has to go, of what the region knows itself.
    pub leaving_seconds: Option<u64>,
}

/// A disk of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskReport {
    /// Its id.
    pub id: String,
    /// Its directory.
    pub path: String,
    /// Why it was not looked at.
    pub error: Option<String>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Why not all of it was looked at.
    pub error: Option<String>,
    /// Its disks.
    pub disks: Vec<DiskReport>,
    /// All shard files.
    pub shards: Tally,
    /// Those of pinned namespaces.
    pub pinned: Tally,
    /// Those of uploads.
    pub uploads: Tally,
    /// Those of blobs that no repository links any more: they are removed in time.
    pub unlinked: Tally,
    /// Those of objects that no catalog knows: the scrub removes them after their grace.
    pub unknown: Tally,
    /// Files that are no shards.
    pub others: Tally,
    /// Some of those.
    pub other_paths: Vec<String>,
}

/// A region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionReport {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Why not all of its catalog was looked at.
    pub error: Option<String>,
    /// Its nodes.
    pub nodes: Vec<NodeReport>,
    /// Things that may not be there.
    pub violations: u64,
    /// Things that leave.
    pub leaving: u64,
    /// Whether something of it could not be looked at.
    pub incomplete: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it began, by the directory's clock, milliseconds since the Unix epoch.
    pub began_milliseconds: u64,
    /// When it ended.
    pub ended_milliseconds: u64,
    /// Version of the namespaces that was judged by.
    pub policy_version: u64,
    /// What was looked for; all without it.
    pub namespace: Option<String>,
    /// The regions that were looked at.
    pub regions: Vec<RegionReport>,
    /// What rests where.
    pub rows: Vec<Row>,
    /// What may not be where it is: the first of them.
    pub violations: Vec<Finding>,
    /// All of them.
    pub violations_total: u64,
    /// What leaves: the first of it.
    pub leaving: Vec<Finding>,
    /// All of it.
    pub leaving_total: u64,
    /// What could not be looked at: without this nothing is proved.
    pub missing: Vec<String>,
    /// What to know of the result.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether everything was looked at.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    pub(super) fn region(&mut self, region: RegionId) -> Option<&mut RegionReport> {
        self.regions.iter_mut().find(|report| report.id == region.0)
    }

    /// The row of a namespace in a region. Beyond the bound there is one for all others.
    pub(super) fn row(&mut self, region: &str, namespace: &str, standing: Standing) -> &mut Row {
        let find = |rows: &[Row], namespace: &str| {
            rows.iter().position(|row| row.region == region && row.namespace == namespace)
        };
        let is_full = self.rows.len() >= ROWS_MAX;
        let present = find(&self.rows, namespace);
        let namespace = if present.is_none() && is_full { OTHERS } else { namespace };
        let at = present.or_else(|| find(&self.rows, namespace)).unwrap_or_else(|| {
            self.rows.push(Row {
                region: region.to_owned(),
                namespace: namespace.to_owned(),
                home: String::new(),
                residency: String::new(),
                standing: name(standing).to_owned(),
                shards: Tally::default(),
                repositories: 0,
                manifests: 0,
                tags: 0,
                uploads: 0,
            });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Something may not be where it is.
    pub(super) fn violation(&mut self, region: RegionId, finding: Finding) {
        self.violations_total += 1;
        if let Some(report) = self.region(region) {
            report.violations += 1;
        }
        if self.violations.len() < FINDINGS_MAX {
            self.violations.push(finding);
        }
    }

    /// Something leaves.
    pub(super) fn leaves(&mut self, region: RegionId, finding: Finding) {
        self.leaving_total += 1;
        if let Some(report) = self.region(region) {
            report.leaving += 1;
        }
        if self.leaving.len() < FINDINGS_MAX {
            self.leaving.push(finding);
        }
    }

    /// Something of a region could not be looked at; of all of them without one.
    pub(super) fn misses(&mut self, region: Option<RegionId>, sentence: String) {
        for report in &mut self.regions {
            report.incomplete |= region.is_none_or(|region| region.0 == report.id);
        }
        if self.missing.len() < MISSING_MAX {
            self.missing.push(sentence);
        }
    }

    /// The record of one region's audit. Names of repositories stay out: every region keeps the record.
    pub(super) fn audit(&self, region: RegionId) -> Option<ResidencyAudit> {
        let report = self.regions.iter().find(|report| report.id == region.0)?;
        let (mut shards, mut pinned) = (Tally::default(), Tally::default());
        for node in &report.nodes {
            shards.add_all(node.shards);
            pinned.add_all(node.pinned);
        }
        let answered = report.nodes.iter().filter(|node| node.error.is_none());
        let disks = report.nodes.iter().flat_map(|node| &node.disks).filter(|disk| disk.error.is_none());
        let rows = self.rows.iter().filter(|row| row.region == report.name);
        let manifests = |rows: &mut dyn Iterator<Item = &Row>| rows.map(|row| row.manifests).sum::<u64>();
        let examples = self.violations.iter().filter(|finding| finding.region == report.name).take(EXAMPLES);
        Some(ResidencyAudit {
            time: Timestamp(self.ended_milliseconds),
            region,
            complete: !report.incomplete,
            nodes: u32::try_from(answered.count()).unwrap_or(u32::MAX),
            disks: u32::try_from(disks.count()).unwrap_or(u32::MAX),
            objects: shards.files + manifests(&mut rows.clone()),
            bytes: shards.bytes,
            pinned_objects: pinned.files + manifests(&mut rows.filter(|row| row.residency == "pinned")),
            pinned_bytes: pinned.bytes,
            violations: report.violations,
            examples: examples.map(example).collect(),
        })
    }
}

/// What a region is for a namespace, as it is told.
pub(super) const fn name(standing: Standing) -> &'static str {
    match standing {
        Standing::Home => "home",
        Standing::Copy => "copy",
        Standing::Aside => "aside",
        Standing::Foreign => "foreign",
    }
}

/// A finding in a line.
fn example(finding: &Finding) -> String {
    let node = finding.node.as_ref().map(|node| format!("node {node}: ")).unwrap_or_default();
    let path = finding.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
    let namespace = finding.namespace.as_ref().map(|namespace| format!(" (namespace {namespace:?})"));
    format!("{node}{path}{}{}", finding.detail, namespace.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(region: &str) -> Finding {
        Finding {
            kind: FindingKind::CopiedShard,
            region: region.to_owned(),
            node: Some("us-1".to_owned()),
            disk: Some("11".repeat(16)),
            path: Some("/data/shards/00/x".to_owned()),
            namespace: Some("eu/secret".to_owned()),
            repository: Some("eu/secret/vault".to_owned()),
            object: None,
            bytes: 5,
            detail: "a shard of region eu".to_owned(),
            leaving_seconds: None,
        }
    }

    fn report() -> Report {
        let region = |id, name: &str| RegionReport { id, name: name.to_owned(), ..RegionReport::default() };
        Report { regions: vec![region(1, "eu"), region(2, "us")], ended_milliseconds: 7, ..Report::default() }
    }

    #[test]
    fn a_record_is_of_one_region_and_names_no_repository() {
        let mut report = report();
        report.violation(RegionId(2), finding("us"));
        report.misses(Some(RegionId(2)), "node us-2 does not answer".to_owned());
        let shards = Tally { files: 3, bytes: 30 };
        report.region(RegionId(2)).unwrap().nodes.push(NodeReport { shards, ..NodeReport::default() });
        report.row("us", "us/own", Standing::Home).manifests = 4;
        let (eu, us) = (report.audit(RegionId(1)).unwrap(), report.audit(RegionId(2)).unwrap());
        assert_eq!((eu.violations, eu.complete, eu.objects), (0, true, 0));
        assert_eq!((us.violations, us.complete, us.objects, us.bytes), (1, false, 7, 30));
        assert_eq!(us.examples, ["node us-1: /data/shards/00/x: a shard of region eu (namespace \"eu/secret\")"]);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_counted() {
        let mut report = report();
        for number in 0..ROWS_MAX as u64 + 5 {
            report.row("eu", &format!("n{number}"), Standing::Home).repositories += 1;
        }
        assert_eq!(report.row("eu", OTHERS, Standing::Home).repositories, 5);
        assert_eq!(report.row("eu", "n1", Standing::Home).repositories, 1);
        for _ in 0..=FINDINGS_MAX {
            report.violation(RegionId(1), finding("eu"));
        }
        assert_eq!((report.violations.len(), report.violations_total), (FINDINGS_MAX, FINDINGS_MAX as u64 + 1));
        assert!(report.is_complete());
    }
}
