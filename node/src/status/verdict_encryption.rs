//! What to make of files that cannot be brought under the newest data key. A pure function.

use super::verdict::Findings;
use crate::admin::Verdict;

/// Judges the rewriting of the node that answers, of which it is known why it has not come further for a while.
pub(super) fn judge_encryption(stuck: Option<&str>, findings: &mut Findings) {
    let Some(why) = stuck else { return };
    let text = format!(
        "older data keys of this node stay in use, as not everything is rewritten: {why}; regnode encryption status shows \
         how much is left, and it goes on by itself"
    );
    findings.add(Verdict::NeedsAttention, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(stuck: Option<&str>) -> Vec<String> {
        let mut findings = Findings::default();
        judge_encryption(stuck, &mut findings);
        findings.sorted()
    }

    #[test]
    fn a_rewriting_that_is_stuck_needs_attention() {
        assert!(found(None).is_empty());
        assert_eq!(
            found(Some("a disk is not there")),
            ["older data keys of this node stay in use, as not everything is rewritten: a disk is not there; regnode \
              encryption status shows how much is left, and it goes on by itself"]
        );
    }
}
