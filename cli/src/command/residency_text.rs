//! Where data rests, as text for people and for auditors.

use std::fmt::Write as _;

use node::admin::{AuditsAnswer, NamedAudit};
use node::residency::{Finding, NodeReport, Report, Row, Tally};

use super::status_text::{table, trimmed};
use crate::figures::{count, duration, moment, size};

/// Findings of one kind that are written out; JSON has more.
const SHOWN: usize = 200;

/// The whole page.
pub(super) fn report(report: &Report) -> String {
    let mut page = format!("{}\n", verdict(report));
    if !report.violations.is_empty() {
        page.push_str("\nrests where it may not:\n");
        findings(&mut page, &report.violations, report.violations_total);
    }
    if !report.missing.is_empty() {
        page.push_str("\nwas not looked at:\n");
        for sentence in &report.missing {
            line(&mut page, format_args!("  - {sentence}"));
        }
    }
    if !report.leaving.is_empty() {
        page.push_str("\nleaves, by itself:\n");
        findings(&mut page, &report.leaving, report.leaving_total);
    }
    let asked = report.namespace.as_ref().map(|namespace| format!(", only {namespace:?}")).unwrap_or_default();
    line(
        &mut page,
        format_args!(
            "\nlooked at from {} to {}, judged by version {} of the namespaces{asked}\n",
            moment(report.began_milliseconds),
            moment(report.ended_milliseconds),
            report.policy_version
        ),
    );
    line(&mut page, format_args!("{}\n", namespaces(&report.rows)));
    line(&mut page, format_args!("{}", nodes(report)));
    page.push_str("\nto know of this result:\n");
    for note in &report.notes {
        line(&mut page, format_args!("  - {note}"));
    }
    trimmed(&page)
}

fn verdict(report: &Report) -> String {
    let nodes: usize = report.regions.iter().map(|region| region.nodes.len()).sum();
    let disks: usize = report.regions.iter().flat_map(|region| &region.nodes).map(|node| node.disks.len()).sum();
    let looked = format!(
        "{} of {} in {}",
        count(disks as u64, "disk", "disks"),
        count(nodes as u64, "node", "nodes"),
        count(report.regions.len() as u64, "region", "regions")
    );
    let leaving = match report.leaving_total {
        0 => String::new(),
        things => format!("; {} on the way out", count(things, "thing is", "things are")),
    };
    match (report.violations_total, report.is_complete()) {
        (0, true) => format!("everything rests where it may{leaving}: {looked}"),
        (0, false) => {
            format!("nothing was found that may not be there, but not everything could be looked at{leaving}")
        }
        (violations, complete) => format!(
            "VIOLATION: {} where it may not{}{leaving}",
            count(violations, "thing rests", "things rest"),
            if complete { "" } else { ", and not everything could be looked at" }
        ),
    }
}

fn findings(page: &mut String, findings: &[Finding], total: u64) {
    for finding in findings.iter().take(SHOWN) {
        let Finding { region, node, disk, path, namespace, repository, detail, bytes, leaving_seconds, .. } = finding;
        let mut place = format!("region {region}");
        for (name, value) in [(", node", node), (", disk", disk)] {
            if let Some(value) = value {
                write!(place, "{name} {value}").expect("a string takes any text");
            }
        }
        let whose = match (repository, namespace) {
            (Some(repository), _) => format!(" (repository {repository})"),
            (None, Some(namespace)) => format!(" (namespace {})", named(namespace)),
            (None, None) => String::new(),
        };
        let since = leaving_seconds.filter(|seconds| *seconds > 0);
        let since = since.map(|seconds| format!(", since {} at least", duration(seconds))).unwrap_or_default();
        line(page, format_args!("  - {place}: {detail}{whose}{since}"));
        if let Some(path) = path {
            let length = if *bytes > 0 { format!(", {}", size(*bytes)) } else { String::new() };
            line(page, format_args!("    {path}{length}"));
        }
    }
    let shown = findings.len().min(SHOWN) as u64;
    if total > shown {
        line(page, format_args!("  - and {} more", total - shown));
    }
}

fn named(namespace: &str) -> &str {
    if namespace.is_empty() { "(root)" } else { namespace }
}

fn namespaces(rows: &[Row]) -> comfy_table::Table {
    let mut table = table(&[
        "NAMESPACE",
        "HOME",
        "RESIDENCY",
        "RESTS IN",
        "AS",
        "REPOSITORIES",
        "MANIFESTS",
        "TAGS",
        "UPLOADS",
        "SHARDS",
        "BYTES ON DISKS",
    ]);
    for row in rows {
        table.add_row([
            named(&row.namespace).to_owned(),
            row.home.clone(),
            row.residency.clone(),
            row.region.clone(),
            row.standing.clone(),
            row.repositories.to_string(),
            row.manifests.to_string(),
            row.tags.to_string(),
            row.uploads.to_string(),
            row.shards.files.to_string(),
            size(row.shards.bytes),
        ]);
    }
    table
}

fn nodes(report: &Report) -> comfy_table::Table {
    let mut table = table(&[
        "REGION",
        "NODE",
        "DISKS",
        "SHARDS",
        "OF PINNED",
        "OF UPLOADS",
        "TO BE REMOVED",
        "UNKNOWN",
        "OTHER FILES",
        "STATE",
    ]);
    let tally = |tally: Tally| format!("{} ({})", tally.files, size(tally.bytes));
    for (region, node) in report.regions.iter().flat_map(|region| region.nodes.iter().map(move |node| (region, node))) {
        let NodeReport { id, name, disks, shards, pinned, uploads, unlinked, unknown, others, error, .. } = node;
        table.add_row([
            region.name.clone(),
            format!("{id} ({name})"),
            disks.len().to_string(),
            tally(*shards),
            tally(*pinned),
            tally(*uploads),
            tally(*unlinked),
            tally(*unknown),
            tally(*others),
            if error.is_some() { "not looked through".to_owned() } else { "looked through".to_owned() },
        ]);
    }
    table
}

/// The list of audits.
pub(super) fn history(answer: &AuditsAnswer) -> String {
    let mut page = String::new();
    for alarm in &answer.alarms {
        line(
            &mut page,
            format_args!(
                "region {} holds {} that may not rest there, found on {}: regnode residency verify",
                alarm.region,
                count(alarm.violations, "thing", "things"),
                moment(alarm.time_milliseconds)
            ),
        );
    }
    if answer.audits.is_empty() {
        let own = match answer.audit_hours {
            0 => "audits by themselves are off (residency.audit_hours is 0)".to_owned(),
            hours => format!("each region is audited once in {}", count(u64::from(hours), "hour", "hours")),
        };
        line(&mut page, format_args!("no audit was written down yet; {own}, and regnode residency verify is one"));
        return page;
    }
    let mut table =
        table(&["TIME", "REGION", "VERDICT", "NODES", "DISKS", "OBJECTS", "BYTES", "PINNED OBJECTS", "PINNED BYTES"]);
    for audit in &answer.audits {
        table.add_row([
            moment(audit.time_milliseconds),
            audit.region.clone(),
            outcome(audit),
            audit.nodes.to_string(),
            audit.disks.to_string(),
            audit.objects.to_string(),
            size(audit.bytes),
            audit.pinned_objects.to_string(),
            size(audit.pinned_bytes),
        ]);
    }
    line(&mut page, format_args!("{table}"));
    for audit in answer.audits.iter().filter(|audit| audit.violations > 0) {
        line(&mut page, format_args!("\n{} in {}:", moment(audit.time_milliseconds), audit.region));
        for example in &audit.examples {
            line(&mut page, format_args!("  - {example}"));
        }
        let more = audit.violations.saturating_sub(audit.examples.len() as u64);
        if more > 0 {
            line(&mut page, format_args!("  - and {more} more"));
        }
    }
    trimmed(&page)
}

fn outcome(audit: &NamedAudit) -> String {
    match (audit.violations, audit.complete) {
        (0, true) => "clean".to_owned(),
        (0, false) => "incomplete".to_owned(),
        (violations, true) => count(violations, "violation", "violations"),
        (violations, false) => format!("{}, incomplete", count(violations, "violation", "violations")),
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use node::residency::{Alarm, DiskReport, FindingKind, RegionReport};

    use super::*;

    fn finding() -> Finding {
        Finding {
            kind: FindingKind::CopiedShard,
            region: "us".to_owned(),
            node: Some("us-1".to_owned()),
            disk: Some("11111111".to_owned()),
            path: Some("/data/shards/0a/file".to_owned()),
            namespace: Some("acme/eu".to_owned()),
            repository: None,
            object: Some("0a".to_owned()),
            bytes: 4096,
            detail: "a shard file of region eu, which region us does not know".to_owned(),
            leaving_seconds: None,
        }
    }

    fn found() -> Report {
        let disk = DiskReport { id: "11111111".to_owned(), path: "/data".to_owned(), error: None };
        let shards = Tally { files: 3, bytes: 30_000 };
        let node = NodeReport { id: 3, name: "us-1".to_owned(), disks: vec![disk], shards, ..NodeReport::default() };
        let region = RegionReport { id: 2, name: "us".to_owned(), nodes: vec![node], ..RegionReport::default() };
        let row = Row {
            region: "eu".to_owned(),
            namespace: "acme/eu".to_owned(),
            home: "eu".to_owned(),
            residency: "pinned".to_owned(),
            standing: "home".to_owned(),
            shards,
            repositories: 1,
            manifests: 2,
            tags: 2,
            uploads: 0,
        };
        Report {
            began_milliseconds: 1_763_700_000_000,
            ended_milliseconds: 1_763_700_060_000,
            policy_version: 7,
            regions: vec![region],
            rows: vec![row],
            violations: vec![finding()],
            violations_total: 3,
            missing: vec!["node 4 (us-2) was not looked through: it does not answer".to_owned()],
            notes: vec!["a note".to_owned()],
            ..Report::default()
        }
    }

    #[test]
    fn a_report_reads_well() {
        insta::assert_snapshot!(report(&found()));
    }

    #[test]
    fn a_clean_report_says_so_first() {
        let clean = Report { violations: Vec::new(), violations_total: 0, missing: Vec::new(), ..found() };
        assert!(report(&clean).starts_with("everything rests where it may: 1 disk of 1 node in 1 region\n"));
        let unsure = Report { violations: Vec::new(), violations_total: 0, ..found() };
        assert!(report(&unsure).starts_with("nothing was found"), "{}", report(&unsure));
    }

    #[test]
    fn the_history_reads_well() {
        let audit = |violations, complete| NamedAudit {
            time_milliseconds: 1_763_700_000_000,
            region: "us".to_owned(),
            complete,
            nodes: 1,
            disks: 2,
            objects: 10,
            bytes: 1_000_000,
            pinned_objects: 0,
            pinned_bytes: 0,
            violations,
            examples: vec!["node us-1: /data/shards/0a/file: a shard file of region eu".to_owned()],
        };
        let alarm =
            Alarm { region: "us".to_owned(), violations: 2, time_milliseconds: 1_763_700_000_000, example: None };
        let audits = vec![audit(2, true), audit(0, false), audit(0, true)];
        insta::assert_snapshot!(history(&AuditsAnswer { version: 1, audits, alarms: vec![alarm], audit_hours: 24 }));
        let none = AuditsAnswer { version: 1, audits: Vec::new(), alarms: Vec::new(), audit_hours: 0 };
        assert!(history(&none).contains("off"));
    }
}
