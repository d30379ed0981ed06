//! Answers entered in a report: what is counted, what leaves, and what is a violation.

use std::time::Duration;

use raft::directory::{DiskState, NodeRecord};
use raft::id::RegionId;

use super::judge::{Owner, Traced, is_copied, is_violation};
use super::question::{
    ForeignFile, ForeignRepository, HoldingsAnswer, HoldingsCursor, InventoryAnswer, LocatedPath, StrayFile,
    TracedObject,
};
use super::report::{DiskReport, Finding, FindingKind, NodeReport, Report};

/// Files that are no shards of which a node's report has the paths.
const OTHERS_TOLD: usize = 16;

/// Disks that the directory knows of and that were not looked at.
pub(super) fn not_looked_at(node: &NodeRecord, told: &NodeReport) -> Vec<String> {
    if told.error.is_some() {
        return Vec::new();
    }
    let name = |id: &str| format!("disk {id} of node {} ({})", told.id, told.name);
    let silent = told.disks.iter().filter_map(|disk| {
        disk.error.as_ref().map(|error| format!("{} was not looked through: {error}", name(&disk.id)))
    });
    let known = node.disks.iter().filter(|disk| disk.state != DiskState::Removed);
    let away = known.filter(|disk| told.disks.iter().all(|looked| looked.id != disk.id.to_string()));
    let away = away.map(|disk| format!("{} is not there", name(&disk.id.to_string())));
    silent.chain(away).collect()
}

/// Enters what is on a part of a node's disks.
pub(super) fn enter_inventory(
    report: &mut Report,
    (id, region): (RegionId, &str),
    told: &mut NodeReport,
    answer: InventoryAnswer,
) {
    let disks = answer.disks.into_iter().map(|disk| DiskReport { id: disk.id, path: disk.path, error: disk.error });
    told.disks.extend(disks);
    for (sum, more) in [
        (&mut told.shards, answer.shards),
        (&mut told.pinned, answer.pinned),
        (&mut told.uploads, answer.uploads),
        (&mut told.unlinked, answer.unlinked),
        (&mut told.others, answer.others),
    ] {
        sum.add_all(more);
    }
    told.other_paths.extend(answer.other_paths.into_iter().map(|at| at.path));
    told.other_paths.truncate(OTHERS_TOLD);
    for holding in answer.holdings {
        report.row(region, &holding.namespace, holding.standing).shards.add_all(holding.files);
    }
    for file in answer.foreign {
        let violates = is_violation(file.pinned, Duration::from_secs(file.leaving_seconds));
        let finding = foreign_shard(region, &told.name, file);
        if violates { report.violation(id, finding) } else { report.leaves(id, finding) }
    }
    for path in answer.foreign_groups {
        let finding = Finding {
            path: Some(path),
            node: Some(told.name.clone()),
            detail: "the state of a group that is none of this node's".to_owned(),
            ..finding(FindingKind::ForeignGroup, region)
        };
        report.violation(id, finding);
    }
    for error in answer.errors {
        report.misses(Some(id), format!("node {} ({}): {error}", told.id, told.name));
    }
}

/// Enters what is in a part of a region's catalog; where to go on.
pub(super) fn enter_holdings(
    report: &mut Report,
    region: RegionId,
    name: &str,
    answer: HoldingsAnswer,
) -> Option<HoldingsCursor> {
    for holding in answer.holdings {
        let row = report.row(name, &holding.namespace, holding.standing);
        row.repositories += holding.repositories;
        row.manifests += holding.manifests;
        row.tags += holding.tags;
        row.uploads += holding.uploads;
    }
    for foreign in answer.foreign {
        enter_repository(report, region, name, foreign);
    }
    for stranger in answer.strangers {
        report.violation(region, member(name, &stranger));
    }
    answer.next
}

/// Enters a file that its region does not know, with the region that does and what that says, if any.
pub(super) fn enter_stray(
    report: &mut Report,
    (id, region): (RegionId, &str),
    told: &mut NodeReport,
    known: Option<&(String, TracedObject)>,
    stray: StrayFile,
) {
    if known.is_some_and(|(_, found)| !found.asked) {
        return;
    }
    let owner = known.and_then(|(_, found)| found.owner.as_ref());
    let traced = match (known, owner) {
        (None, _) => Traced::Unknown,
        (Some(_), None) => Traced::Nobodys,
        (Some(_), Some(owner)) => Traced::Of(Owner { standing: owner.standing, pinned: owner.pinned }),
    };
    if owner.is_some_and(|owner| owner.pinned) {
        told.pinned.add(stray.bytes);
    }
    match known.filter(|_| is_copied(traced)) {
        Some((other, _)) => {
            let namespace = owner.map(|owner| owner.namespace.clone());
            report.violation(id, copied(region, &told.name, other, namespace, stray));
        }
        None => told.unknown.add(stray.bytes),
    }
}

fn enter_repository(report: &mut Report, region: RegionId, name: &str, foreign: ForeignRepository) {
    let violates = is_violation(foreign.pinned, Duration::from_secs(foreign.leaving_seconds));
    let finding = Finding {
        detail: format!("in the catalog: {}", foreign.what),
        namespace: Some(foreign.namespace),
        repository: Some(foreign.repository),
        leaving_seconds: Some(foreign.leaving_seconds),
        ..finding(FindingKind::ForeignRepository, name)
    };
    if violates { report.violation(region, finding) } else { report.leaves(region, finding) }
}

/// A finding of which nothing is said yet.
fn finding(kind: FindingKind, region: &str) -> Finding {
    Finding {
        kind,
        region: region.to_owned(),
        node: None,
        disk: None,
        path: None,
        namespace: None,
        repository: None,
        object: None,
        bytes: 0,
        detail: String::new(),
        leaving_seconds: None,
    }
}

fn located(kind: FindingKind, region: &str, node: &str, at: LocatedPath, object: String, bytes: u64) -> Finding {
    Finding {
        node: Some(node.to_owned()),
        disk: Some(at.disk),
        path: Some(at.path),
        object: Some(object),
        bytes,
        ..finding(kind, region)
    }
}

fn copied(region: &str, node: &str, other: &str, namespace: Option<String>, stray: StrayFile) -> Finding {
    let detail = format!("a shard file of region {other}, which region {region} does not know");
    let found = located(FindingKind::CopiedShard, region, node, stray.at, stray.object, stray.bytes);
    Finding { namespace, detail, ..found }
}

fn foreign_shard(region: &str, node: &str, file: ForeignFile) -> Finding {
    let detail = "a shard file of a namespace whose data may not rest here".to_owned();
    let found = located(FindingKind::ForeignShard, region, node, file.at, file.object, file.bytes);
    Finding { namespace: Some(file.namespace), leaving_seconds: Some(file.leaving_seconds), detail, ..found }
}

fn member(region: &str, node: &str) -> Finding {
    let detail = format!("node {node} is in the group of the catalog and no node of its region");
    Finding { detail, ..finding(FindingKind::ForeignMember, region) }
}
