//! Which tags go, and the reasons that an operator reads.

use proptest::prelude::*;

use crate::catalog::{Algorithm, Digest};
use crate::policy::*;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn digest(number: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &[number; 32]).unwrap()
}

/// A tag pushed so many seconds ago and never pulled.
fn tag(name: &str, pushed_ago: u64) -> TagFacts {
    TagFacts {
        tag: name.parse().unwrap(),
        digest: digest(1),
        pushed: Timestamp(NOW.0 - pushed_ago * 1000),
        pulled: None,
        signed: false,
        referenced: false,
        immutable: None,
    }
}

fn retention(text: &str) -> Retention {
    toml::from_str(text).unwrap()
}

fn said(retention: &Retention, tags: &[TagFacts]) -> Vec<String> {
    let decisions = decide(retention, tags, NOW, |_| true);
    decisions
        .iter()
        .map(|decision| format!("{}: {decision}", if decision.deletes() { "delete" } else { "keep" }))
        .collect()
}

#[test]
fn the_last_ones_are_kept_by_the_time_of_their_push() {
    let tags = [tag("v1", 300), tag("v2", 200), tag("other", 900), tag("v3", 100)];
    assert_eq!(
        said(&retention("rules = [{ tags = \"v*\", keep_last = 2 }]"), &tags),
        [
            "delete: not kept by \"v*\": number 3 of its kind, pushed 5m ago, never pulled",
            "keep: number 2 of the last 2 of \"v*\"",
            "keep: no rule speaks of it",
            "keep: number 1 of the last 2 of \"v*\"",
        ]
    );
}

#[test]
fn what_was_pushed_or_pulled_lately_is_kept() {
    let pulled =
        |name, pushed, pulled: u64| TagFacts { pulled: Some(Timestamp(NOW.0 - pulled * 1000)), ..tag(name, pushed) };
    let tags = [tag("a", 59), tag("b", 60), pulled("c", 500, 99), pulled("d", 500, 100), tag("e", 99)];
    let by_push = retention("rules = [{ tags = \"*\", pushed_within_seconds = 60 }]");
    let deleted: Vec<bool> = decide(&by_push, &tags, NOW, |_| true).iter().map(Decision::deletes).collect();
    assert_eq!(deleted, [false, true, true, true, true]);
    assert_eq!(
        said(&retention("rules = [{ tags = \"*\", pulled_within_seconds = 100 }]"), &tags),
        [
            "keep: used 59s ago, \"*\" is kept for 1m 40s after a pull",
            "keep: used 1m ago, \"*\" is kept for 1m 40s after a pull",
            "keep: used 1m 39s ago, \"*\" is kept for 1m 40s after a pull",
            "delete: not kept by \"*\": number 4 of its kind, pushed 8m 20s ago, last pulled 1m 40s ago",
            "keep: used 1m 39s ago, \"*\" is kept for 1m 40s after a pull",
        ]
    );
}

#[test]
fn one_rule_that_keeps_a_tag_is_enough() {
    let rules = "rules = [{ tags = \"*\", keep_last = 1 }, { tags = \"v*\", pushed_within_seconds = 1000 }]";
    assert_eq!(
        said(&retention(rules), &[tag("new", 1), tag("v1", 500), tag("v0", 1000)]),
        [
            "keep: number 1 of the last 1 of \"*\"",
            "keep: pushed 8m 20s ago, \"v*\" is kept for 16m 40s",
            "delete: not kept by \"*\", \"v*\": number 3 of its kind, pushed 16m 40s ago, never pulled",
        ]
    );
}

#[test]
fn what_is_protected_stays_whatever_the_rules_say() {
    let old = |name| tag(name, 9000);
    let tags = [
        old("latest"),
        TagFacts { immutable: Some("v*".parse().unwrap()), ..old("v1") },
        TagFacts { signed: true, ..old("signed") },
        TagFacts { referenced: true, ..old("listed") },
        old("plain"),
    ];
    let rules = "rules = [{ tags = \"*\", pushed_within_seconds = 1 }]\nalways_keep = [\"lat*\"]";
    assert_eq!(
        said(&retention(rules), &tags),
        [
            "keep: always kept by \"lat*\"",
            "keep: immutable by \"v*\"",
            "keep: its manifest is signed",
            "keep: an index lists its manifest",
            "delete: not kept by \"*\": number 3 of its kind, pushed 2h 30m ago, never pulled",
        ]
    );
    let off = format!("keep_signed = false\nkeep_referenced = false\n{rules}");
    let deleted: Vec<bool> = decide(&retention(&off), &tags, NOW, |_| true).iter().map(Decision::deletes).collect();
    assert_eq!(deleted, [false, false, true, true, true]);
}

#[test]
fn attached_tags_stay_with_their_manifest_and_take_no_place_among_the_last_ones() {
    let attached = |number: u8, ending: &str, ago| tag(&format!("sha256-{}.{ending}", hex::encode([number; 32])), ago);
    let tags = [attached(1, "sig", 3), attached(2, "att", 2), attached(3, "sig", 1), tag("old", 900), tag("new", 10)];
    let deleted = |rules: &str| -> Vec<bool> {
        let decisions = decide(&retention(rules), &tags, NOW, |manifest| *manifest == digest(1));
        assert_eq!(decisions[0].to_string(), format!("attached to {}, which exists", digest(1)));
        decisions.iter().map(Decision::deletes).collect()
    };
    assert_eq!(deleted("rules = [{ tags = \"*\", keep_last = 1 }]"), [false, true, false, true, false]);
    assert_eq!(deleted("rules = [{ tags = \"old\", keep_last = 1 }]"), [false; 5], "no rule speaks of signatures");
}

proptest! {
    /// Whatever the order of the tags, and however many have the same age, exactly the last ones stay.
    #[test]
    fn keeping_the_last_ones_keeps_that_many(ages in prop::collection::vec(0..4_u64, 0..12), keep in 1..6_u32) {
        let tags: Vec<TagFacts> =
            ages.iter().enumerate().map(|(number, age)| tag(&format!("t{number}"), *age)).collect();
        let rules = retention(&format!("rules = [{{ tags = \"t*\", keep_last = {keep} }}]"));
        let mut decided: Vec<_> = tags.iter().cloned().zip(decide(&rules, &tags, NOW, |_| true)).collect();
        let kept = decided.iter().filter(|(_, decision)| !decision.deletes()).count();
        prop_assert_eq!(kept, tags.len().min(keep as usize));
        let oldest_kept = decided.iter().filter(|(_, decision)| !decision.deletes()).map(|(tag, _)| tag.pushed).min();
        for (facts, decision) in &decided {
            prop_assert!(!decision.deletes() || Some(facts.pushed) <= oldest_kept);
        }
        let mut reversed = tags.clone();
        reversed.reverse();
        decided.reverse();
        let again: Vec<_> = reversed.iter().cloned().zip(decide(&rules, &reversed, NOW, |_| true)).collect();
        prop_assert_eq!(again, decided);
    }
}
