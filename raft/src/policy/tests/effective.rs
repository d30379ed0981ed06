//! What holds for a repository, and which prefix decided it.

use crate::policy::*;

fn layer(text: &str) -> NamespacePolicy {
    toml::from_str(text).unwrap()
}

fn resolve(layers: &[(&str, &str)]) -> (Policy, Sources) {
    let layers: Vec<(&str, NamespacePolicy)> = layers.iter().map(|(prefix, text)| (*prefix, layer(text))).collect();
    Policy::resolve(layers.iter().map(|(prefix, policy)| (*prefix, policy)))
}

#[test]
fn defaults_hold_where_nobody_sets_anything() {
    let (policy, sources) = resolve(&[]);
    assert_eq!(policy, Policy::default());
    assert!(policy.deletes && policy.untagged == Untagged::Keep);
    assert_eq!((policy.grace_seconds, policy.restore_seconds), (86_400, 86_400));
    assert_eq!(sources, Sources::default());
}

#[test]
fn the_longest_prefix_that_sets_a_field_decides_it() {
    let (policy, sources) = resolve(&[
        ("", "deletes = false\ngrace_seconds = 10"),
        ("acme", "untagged = { collect = { after_seconds = 7 } }\ngrace_seconds = 20"),
        ("acme/app", "deletes = true"),
    ]);
    assert!(policy.deletes);
    assert_eq!(policy.untagged, Untagged::Collect { after_seconds: 7 });
    assert_eq!((policy.grace_seconds, policy.restore_seconds), (20, RESTORE_SECONDS));
    let named = |source: &Option<String>| source.clone().unwrap_or_else(|| "default".to_owned());
    let decided = [&sources.deletes, &sources.untagged, &sources.grace_seconds, &sources.restore_seconds].map(named);
    assert_eq!(decided, ["acme/app", "acme", "acme", "default"]);
}

#[test]
fn lists_are_inherited_whole_and_an_empty_one_ends_that() {
    let immutable = "[[immutable]]\ntags = \"v*\"";
    let retention = "[retention]\nrules = [{ tags = \"pr-*\", keep_last = 3 }]";
    let (inherited, sources) = resolve(&[("", immutable), ("acme", retention), ("acme/app", "deletes = true")]);
    assert_eq!((inherited.immutable.len(), sources.immutable.as_deref()), (1, Some("")));
    assert_eq!(inherited.retention.unwrap().rules.len(), 1);
    let ended = [("", immutable), ("acme", retention), ("acme/app", "immutable = []\nretention = { rules = [] }")];
    let (ended, sources) = resolve(&ended);
    assert_eq!((ended.immutable.len(), ended.retention), (0, None));
    assert_eq!((sources.immutable.as_deref(), sources.retention.as_deref()), (Some("acme/app"), Some("acme/app")));
}

#[test]
fn every_quota_on_the_way_holds() {
    let (policy, _) =
        resolve(&[("", "quota = { bytes = 100 }"), ("acme", "deletes = true"), ("acme/app", "quota = { tags = 5 }")]);
    let bytes = Quota { bytes: Some(100), ..Quota::default() };
    let tags = Quota { tags: Some(5), ..Quota::default() };
    assert_eq!(policy.quotas, [(String::new(), bytes), ("acme/app".to_owned(), tags)]);
}

#[test]
fn an_immutable_tag_is_open_to_those_whom_every_matching_rule_names() {
    let rules = "immutable = [{ tags = \"v*\", except = [\"ci\", \"ops\"] }, { tags = \"v1.*\", except = [\"ops\"] }]";
    let (policy, _) = resolve(&[("", rules)]);
    let by = |tag, principal| policy.immutable(tag, principal).map(Pattern::as_str);
    assert_eq!(by("latest", None), None);
    assert_eq!((by("v2", None), by("v2", Some("eve")), by("v2", Some("ci"))), (Some("v*"), Some("v*"), None));
    assert_eq!((by("v1.0", Some("ci")), by("v1.0", Some("ops"))), (Some("v1.*"), None));
    assert_eq!(by("v1.0", Some(OPERATOR)), Some("v*"), "the operator is not named either");
}
