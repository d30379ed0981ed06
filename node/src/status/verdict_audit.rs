//! What to make of the state of the own audit log. A pure function.

use super::verdict::{Findings, count};
use crate::admin::Verdict;
use crate::audit::AuditState;

/// Judges the audit log of the node that answers.
pub(super) fn judge_audit(audit: Option<&AuditState>, findings: &mut Findings) {
    let Some(AuditState { stuck, lost, .. }) = audit else { return };
    let lost = match lost {
        0 => String::new(),
        lost => format!("; {} not recorded since this node was started", count(*lost, "event")),
    };
    let text = match stuck {
        Some((why, _)) => format!(
            "the audit log of this node cannot be written: {why}{lost}; see to the disk of data_dir, it goes on by itself"
        ),
        None => format!("the audit log of this node is incomplete{lost}; regnode audit search --action lost says when"),
    };
    findings.add(Verdict::NeedsAttention, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(audit: Option<&AuditState>) -> Vec<String> {
        let mut findings = Findings::default();
        judge_audit(audit, &mut findings);
        findings.sorted()
    }

    #[test]
    fn a_log_that_cannot_be_written_needs_attention_and_so_do_lost_records() {
        assert!(found(None).is_empty());
        let stuck = AuditState { stuck: Some(("no space left".to_owned(), 1)), lost: 1, ..AuditState::default() };
        assert_eq!(
            found(Some(&stuck)),
            ["the audit log of this node cannot be written: no space left; 1 event not recorded since this node was \
              started; see to the disk of data_dir, it goes on by itself"]
        );
        let lost = AuditState { lost: 7, ..AuditState::default() };
        assert_eq!(
            found(Some(&lost)),
            [
                "the audit log of this node is incomplete; 7 events not recorded since this node was started; regnode audit \
              search --action lost says when"
            ]
        );
    }
}
