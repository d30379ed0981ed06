//! What to make of audits of residency. A pure function.

use super::verdict::{Findings, count};
use crate::admin::Verdict;
use crate::residency::Alarm;

/// Judges the alarms.
pub(super) fn judge_residency(alarms: &[Alarm], findings: &mut Findings) {
    for Alarm { region, violations, example, .. } in alarms {
        let example = example.as_ref().map(|example| format!(", the first is {example}")).unwrap_or_default();
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "region {region} holds {} that may not rest there{example}; regnode residency verify names all of them",
                count(*violations, "thing")
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_may_not_rest_where_it_is_needs_attention() {
        let mut findings = Findings::default();
        judge_residency(&[], &mut findings);
        let alarm = Alarm {
            region: "us".to_owned(),
            violations: 2,
            time_milliseconds: 1,
            example: Some("node us-1: /data/x".to_owned()),
        };
        judge_residency(&[alarm], &mut findings);
        assert_eq!(
            findings.sorted(),
            [
                "region us holds 2 things that may not rest there, the first is node us-1: /data/x; regnode residency verify \
              names all of them"
            ]
        );
    }
}
