//! Records and checks of audit logs as text: for people, and as comma-separated values.

use std::fmt::Write as _;

use node::admin::AuditVerifyAnswer;
use node::audit::{Fault, Record};

use super::audit_nodes::Found;
use crate::figures::{count, size};

/// The first line of a table.
pub(super) const CSV_HEADER: &str = "node_name,sequence,time,node,action,actor,way,address,repository,target,before,after,outcome,detail,previous,hash,domain\r\n";

/// A record in a line.
pub(super) fn line(found: &Found) -> String {
    let Ok(record) = serde_json::from_str::<Record<'_>>(&found.line) else { return shown(&found.line) };
    let mut line = format!("{} {} {} {}", record.time, found.node, record.actor, record.action);
    let within = [record.repository.as_ref(), record.target.as_ref()].into_iter().filter(|text| !text.is_empty());
    let object = within.collect::<Vec<_>>().join(" ");
    if !object.is_empty() {
        line.extend([" ", &object]);
    }
    match (&record.before, &record.after) {
        (None, None) => {}
        (before, after) => {
            let text = |side: &Option<std::borrow::Cow<'_, str>>| side.as_deref().unwrap_or("nothing").to_owned();
            line.extend([": ", &text(before), " -> ", &text(after)]);
        }
    }
    if record.outcome != node::audit::Outcome::Done {
        line.extend([" ", &record.outcome.name().to_uppercase()]);
    }
    let from = [record.address.as_deref().unwrap_or(""), record.way.as_ref(), record.domain.as_ref()];
    let from: Vec<&str> = from.into_iter().filter(|text| !text.is_empty()).collect();
    if !from.is_empty() {
        line.extend([" (", &from.join(", "), ")"]);
    }
    if !record.detail.is_empty() {
        line.extend([" ", record.detail.as_ref()]);
    }
    shown(&line)
}

/// A text without what a terminal would obey, and without what turns the direction of reading: strangers choose their names.
fn shown(text: &str) -> String {
    let turns =
        |character| matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|character| if character.is_control() || turns(character) { '\u{fffd}' } else { character })
        .collect()
}

/// A record as a row (RFC 4180).
pub(super) fn csv(found: &Found) -> String {
    let Ok(record) = serde_json::from_str::<Record<'_>>(&found.line) else { return String::new() };
    let (sequence, node) = (record.sequence.to_string(), record.node.to_string());
    let cells = [
        found.node.as_str(),
        &sequence,
        &record.time,
        &node,
        &record.action,
        &record.actor,
        &record.way,
        record.address.as_deref().unwrap_or(""),
        &record.repository,
        &record.target,
        record.before.as_deref().unwrap_or(""),
        record.after.as_deref().unwrap_or(""),
        record.outcome.name(),
        &record.detail,
        &record.previous,
        &record.hash,
        &record.domain,
    ];
    cells.map(cell).join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if is_formula { format!("'{text}") } else { text.to_owned() };
    if guarded.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

/// What a check of a node's log has found.
pub(super) fn verified(name: &str, answer: &AuditVerifyAnswer, faults: &[Fault], faults_total: u64) -> String {
    let mut text = checked(name, &answer.checked, faults, faults_total);
    if let Some((why, _)) = &answer.state.stuck {
        writeln!(text, "  nothing can be written at present: {why}").expect("a string takes any text");
    }
    if answer.state.lost > 0 {
        let lost = count(answer.state.lost, "event was", "events were");
        writeln!(text, "  {lost} not recorded since the node was started, as the log says (--action lost)")
            .expect("a string takes any text");
    }
    text
}

/// The same for files.
pub(super) fn checked(name: &str, checked: &node::audit::Checked, faults: &[Fault], faults_total: u64) -> String {
    let range = match (checked.first, checked.last, &checked.last_time) {
        (Some(first), Some(last), Some(time)) => {
            format!("records {first} to {last}, the last of {time}, {}", size(checked.bytes))
        }
        _ => "no record".to_owned(),
    };
    let verdict = if faults_total == 0 { "whole".to_owned() } else { count(faults_total, "fault", "faults") };
    let mut text = format!("{name}: {verdict} ({range})\n");
    // Always: whoever owns the machine could have written this.
    if let Some(removed) = &checked.removed {
        let time = checked.removed_time.as_deref().unwrap_or("an unknown time");
        let last = removed.last;
        writeln!(text, "  records 1 to {last} were removed by retention (announced at {time})")
            .expect("a string takes any text");
    }
    for fault in faults {
        writeln!(text, "  {fault}").expect("a string takes any text");
    }
    let untold = faults_total.saturating_sub(faults.len() as u64);
    if untold > 0 {
        writeln!(text, "  and {untold} more").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Found {
        Found { time: String::new(), node: "n1".to_owned(), line: line.to_owned() }
    }

    const TAG: &str = r#"{"sequence":7,"time":"2027-01-15T08:00:00.042Z","node":3,"action":"tag","actor":"user:anna","way":"token","address":"10.0.0.7","repository":"acme/app","target":"v1","after":"sha256:2b","outcome":"done","previous":"ab","hash":"cd"}"#;
    const DENIED: &str = r#"{"sequence":8,"time":"2027-01-15T08:00:00.042Z","node":3,"action":"login","actor":"=cmd\u001b[2J\u202e,\"x\"","outcome":"refused","detail":"wrong password","previous":"ab","hash":"cd"}"#;

    #[test]
    fn a_record_is_a_line() {
        assert_eq!(
            line(&found(TAG)),
            "2027-01-15T08:00:00.042Z n1 user:anna tag acme/app v1: nothing -> sha256:2b (10.0.0.7, token)"
        );
        assert_eq!(
            line(&found(DENIED)),
            "2027-01-15T08:00:00.042Z n1 =cmd\u{fffd}[2J\u{fffd},\"x\" login REFUSED wrong password"
        );
        assert_eq!(line(&found("nonsense")), "nonsense");
    }

    #[test]
    fn a_record_is_a_row_that_no_spreadsheet_obeys() {
        assert_eq!(
            csv(&found(TAG)),
            "n1,7,2027-01-15T08:00:00.042Z,3,tag,user:anna,token,10.0.0.7,acme/app,v1,,sha256:2b,done,,ab,cd,\r\n"
        );
        let row = csv(&found(DENIED));
        assert!(row.contains(",\"'=cmd\u{1b}[2J\u{202e},\"\"x\"\"\","), "{row}");
        assert_eq!(CSV_HEADER.split(',').count(), csv(&found(TAG)).split(',').count());
    }

    #[test]
    fn a_check_names_what_it_has_found() {
        let whole = node::audit::Checked::default();
        assert_eq!(checked("n1", &whole, &[], 0), "n1: whole (no record)\n");
        let removed = node::audit::Removed { first: 4, last: 6, hash: String::new() };
        let time = Some("2027-01-15T08:00:00.042Z".to_owned());
        let mut shorter = whole.clone();
        (shorter.removed, shorter.removed_time) = (Some(removed), time);
        assert_eq!(
            checked("n1", &shorter, &[], 0),
            "n1: whole (no record)\n  records 1 to 6 were removed by retention (announced at 2027-01-15T08:00:00.042Z)\n"
        );
        let faults = [Fault::Missing { first: 3, last: 4 }];
        assert_eq!(
            checked("n1", &whole, &faults, 3),
            "n1: 3 faults (no record)\n  records 3 to 4 are missing, and no retention has removed that\n  and 2 more\n"
        );
    }
}
