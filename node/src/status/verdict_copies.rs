//! What to make of the copies in this region: which of them lag, what cannot be copied, and which are not complete yet.

use super::verdict::{Findings, count};
use super::verdict_regions::age;
use crate::admin::{CopyState, CopyStatus, Verdict};

/// A copy that is further behind its home needs attention, in seconds.
const LAG_SECONDS_MAX: u64 = 300;

/// Copies that are named one by one.
const NAMED: usize = 5;

/// Judges the copies. That a home does not answer is said of its region.
pub(super) fn judge_copies(copies: &[CopyStatus], findings: &mut Findings) {
    let said = copies.iter().filter_map(finding);
    let (named, more): (Vec<_>, Vec<_>) = said.enumerate().partition(|(index, _)| *index < NAMED);
    for (_, (verdict, sentence)) in named {
        findings.add(verdict, sentence);
    }
    if let Some(verdict) = more.iter().map(|(_, (verdict, _))| *verdict).max() {
        let more = more.len() as u64;
        let (are, they) = if more == 1 { ("copy is", "it is") } else { ("copies are", "they are") };
        findings.add(verdict, format!("{more} more {are} not in sync: regnode replication status says how far {they}"));
    }
}

/// What there is to say of a copy.
fn finding(copy: &CopyStatus) -> Option<(Verdict, String)> {
    let (name, from) = (if copy.namespace.is_empty() { "/" } else { &copy.namespace }, &copy.from);
    let attention = |sentence: String| Some((Verdict::NeedsAttention, sentence));
    if copy.items_failing > 0 {
        let first = copy.failures.first();
        let why = first.map_or_else(String::new, |first| format!(" ({}: {})", first.what, first.error));
        return attention(format!(
            "{} of namespace {name} cannot be copied from region {from} so far{why}: regnode replication status names \
             them",
            count(copy.items_failing, "thing")
        ));
    }
    match (copy.state, copy.lag_seconds) {
        (CopyState::InSync | CopyState::Waiting, _) => None,
        (_, Some(lag)) if lag <= LAG_SECONDS_MAX => None,
        (_, Some(lag)) => {
            let why = copy.waits_for.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
            attention(format!(
                "the copy of namespace {name} is {} behind its home in region {from}{why}: regnode replication status says \
                 what is still to come",
                age(lag)
            ))
        }
        (_, None) => {
            let why = copy.waits_for.as_ref().map(|reason| format!("; it waits: {reason}"));
            let verdict = if why.is_some() { Verdict::NeedsAttention } else { Verdict::Healthy };
            let sentence = format!(
                "a copy of namespace {name} is being made from region {from}: regnode replication status says how far it is"
            );
            Some((verdict, format!("{sentence}{}", why.unwrap_or_default())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::CopyFailure;

    fn copy(namespace: &str, state: CopyState, lag_seconds: Option<u64>) -> CopyStatus {
        CopyStatus {
            namespace: namespace.to_owned(),
            from: "eu".to_owned(),
            state,
            moving: false,
            synced_milliseconds: lag_seconds.map(|_| 1),
            lag_seconds,
            events_behind: Some(0),
            items_waiting: 0,
            items_failing: 0,
            failures: Vec::new(),
            waits_for: None,
            items_arrived: 0,
            bytes_arrived: 0,
            bytes_per_second: 0,
        }
    }

    #[test]
    fn a_copy_that_keeps_up_needs_nobody() {
        for (state, lag) in [
            (CopyState::InSync, Some(0)),
            (CopyState::Behind, Some(300)),
            (CopyState::Waiting, Some(100_000)),
            (CopyState::Waiting, None),
        ] {
            assert_eq!(finding(&copy("acme", state, lag)), None, "{state:?} {lag:?}");
        }
    }

    #[test]
    fn a_copy_that_lags_needs_attention_and_one_that_is_new_does_not() {
        let lags =
            CopyStatus { waits_for: Some("the disks are full".to_owned()), ..copy("", CopyState::Behind, Some(7_300)) };
        let text = "the copy of namespace / is 2 hours behind its home in region eu (the disks are full): regnode \
                    replication status says what is still to come";
        assert_eq!(finding(&lags), Some((Verdict::NeedsAttention, text.to_owned())));
        let (verdict, text) = finding(&copy("acme", CopyState::Comparing, None)).unwrap();
        assert_eq!(verdict, Verdict::Healthy);
        assert!(text.starts_with("a copy of namespace acme is being made from region eu"), "{text}");
    }

    #[test]
    fn what_cannot_be_copied_is_named_with_the_reason() {
        let failure = CopyFailure { what: "tag v1 of acme/app".to_owned(), error: "it is bad".to_owned(), failures: 3 };
        let fails =
            CopyStatus { items_failing: 2, failures: vec![failure], ..copy("acme", CopyState::Behind, Some(1)) };
        let text = "2 things of namespace acme cannot be copied from region eu so far (tag v1 of acme/app: it is bad): \
                    regnode replication status names them";
        assert_eq!(finding(&fails), Some((Verdict::NeedsAttention, text.to_owned())));
    }

    #[test]
    fn many_are_counted() {
        let copies: Vec<CopyStatus> =
            (0..7).map(|number| copy(&format!("n{number}"), CopyState::Behind, Some(1_000))).collect();
        let mut findings = Findings::default();
        judge_copies(&copies, &mut findings);
        let sentences = findings.sorted();
        assert_eq!(sentences.len(), NAMED + 1);
        assert!(sentences[NAMED].starts_with("2 more copies are not in sync"), "{sentences:?}");
    }
}
