//! What to make of a change of the cluster's certificate authority. A pure function.

use raft::directory::RotationPhase;

use super::verdict::Findings;
use crate::admin::Verdict;

/// A change that takes longer than this needs somebody to look.
const LONG_SECONDS: u64 = 600;

/// A change that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rotating {
    /// How far it is.
    pub(crate) phase: RotationPhase,
    /// Seconds since this phase began.
    pub(crate) seconds: u64,
    /// Nodes that it waits for: name, why, and whether they answer.
    pub(crate) awaited: Vec<(String, String, bool)>,
}

/// Judges a change of the authority, if there is one.
pub(super) fn judge_authority(rotating: Option<&Rotating>, findings: &mut Findings) {
    let Some(Rotating { phase, seconds, awaited }) = rotating else { return };
    let (step, can_abort) = match phase {
        RotationPhase::Introduced => ("all nodes learn to trust the new one", true),
        RotationPhase::Signing => ("all nodes get a certificate of the new one", false),
    };
    let silent: Vec<&str> = awaited.iter().filter(|(_, _, live)| !live).map(|(name, _, _)| name.as_str()).collect();
    if silent.is_empty() && *seconds < LONG_SECONDS {
        findings.add(Verdict::Healthy, format!("the certificate authority is being changed: {step}"));
        return;
    }
    let who: Vec<String> = awaited
        .iter()
        .map(|(name, why, live)| if *live { format!("{name} {why}") } else { format!("{name} does not answer") })
        .collect();
    let who = if who.is_empty() { "the directory's leader has yet to go on".to_owned() } else { who.join(", ") };
    let mut ways = Vec::new();
    if let [first, ..] = silent.as_slice() {
        ways.push(format!("bring it back, or let it go for good with regnode leave {first} --force"));
    }
    if can_abort {
        ways.push("take the change back with regnode ca rotate --abort".to_owned());
    }
    let ways = if ways.is_empty() { String::new() } else { format!("; {}", ways.join(", or ")) };
    let text = format!("the change of the certificate authority is held up while {step}: {who}{ways}");
    findings.add(Verdict::NeedsAttention, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(phase: RotationPhase, seconds: u64, awaited: &[(&str, bool)]) -> Vec<String> {
        let mut findings = Findings::default();
        let awaited =
            awaited.iter().map(|(name, live)| ((*name).to_owned(), "has yet to follow".to_owned(), *live)).collect();
        judge_authority(Some(&Rotating { phase, seconds, awaited }), &mut findings);
        findings.sorted()
    }

    #[test]
    fn a_change_is_told_and_needs_attention_only_when_it_is_held_up() {
        let mut none = Findings::default();
        judge_authority(None, &mut none);
        assert!(none.sorted().is_empty());
        let introduced = RotationPhase::Introduced;
        assert_eq!(
            found(introduced, 5, &[("n1", true)]),
            ["the certificate authority is being changed: all nodes learn to trust the new one"]
        );
        assert_eq!(
            found(introduced, 5, &[("n1", true), ("n3", false)]),
            [
                "the change of the certificate authority is held up while all nodes learn to trust the new one: n1 has yet \
              to follow, n3 does not answer; bring it back, or let it go for good with regnode leave n3 --force, or take \
              the change back with regnode ca rotate --abort"
            ]
        );
        let late = found(RotationPhase::Signing, LONG_SECONDS, &[]);
        assert_eq!(
            late,
            [
                "the change of the certificate authority is held up while all nodes get a certificate of the new one: the \
              directory's leader has yet to go on"
            ]
        );
    }
}
