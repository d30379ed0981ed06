//! What an operator may set, and what he is told otherwise.

use crate::policy::*;

fn refused(text: &str) -> String {
    toml::from_str::<NamespacePolicy>(text).unwrap().check().unwrap_err().to_string()
}

fn rules(count: usize, rule: &str) -> String {
    vec![rule; count].join(", ")
}

#[test]
fn an_error_names_the_field_and_the_way_out() {
    let too_long = SECONDS_MAX + 1;
    for (text, start) in [
        (format!("grace_seconds = {too_long}"), "grace_seconds: 315360001 seconds are more than ten years"),
        (format!("restore_seconds = {too_long}"), "restore_seconds: 315360001 seconds"),
        (format!("untagged = {{ collect = {{ after_seconds = {too_long} }} }}"), "untagged.collect.after_seconds: "),
        ("quota = { bytes = 0 }".to_owned(), "quota.bytes: 0 would refuse every push: set at least 1, or leave it out"),
        ("quota = { repositories = 0 }".to_owned(), "quota.repositories: 0"),
        (
            "immutable = [{ tags = \"*\", except = [\"robot:ci\", \" \"] }]".to_owned(),
            "immutable[0].except[1]: a principal",
        ),
        ("immutable = [{ tags = \"*\", except = [\"ci\"] }]".to_owned(), "immutable[0].except[0]: \"ci\" is nobody"),
        (
            "immutable = [{ tags = \"*\", except = [\"user:\"] }]".to_owned(),
            "immutable[0].except[0]: \"user:\" is nobody",
        ),
        ("retention = { rules = [{ tags = \"*\" }] }".to_owned(), "retention.rules[0]: it keeps nothing, so every tag"),
        (
            "retention = { rules = [{ tags = \"*\", keep_last = 0 }] }".to_owned(),
            "retention.rules[0].keep_last: 0 keeps",
        ),
        (
            "retention = { rules = [{ tags = \"*\", keep_last = 1, pulled_within_seconds = 0 }] }".to_owned(),
            "retention.rules[0].pulled_within_seconds: 0 keeps nothing",
        ),
        (
            format!("retention = {{ rules = [{{ tags = \"*\", pushed_within_seconds = {too_long} }}] }}"),
            "retention.rules[0].pushed_within_seconds: ",
        ),
        (
            "retention = { rules = [], every_seconds = 59 }".to_owned(),
            "retention.every_seconds: 59 seconds are too few",
        ),
        (format!("retention = {{ rules = [], every_seconds = {too_long} }}"), "retention.every_seconds: "),
        (format!("immutable = [{}]", rules(65, "{ tags = \"*\" }")), "immutable: 65 rules, at most 64 are allowed"),
        (
            format!("retention = {{ rules = [{}] }}", rules(65, "{ tags = \"*\", keep_last = 1 }")),
            "retention.rules: 65 rules",
        ),
        (format!("retention = {{ rules = [], always_keep = [{}] }}", rules(65, "\"*\"")), "retention.always_keep: 65"),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn the_ends_of_what_is_allowed_are_allowed() {
    for text in [
        "grace_seconds = 0\nrestore_seconds = 0\nuntagged = { collect = { after_seconds = 0 } }".to_owned(),
        format!("grace_seconds = {SECONDS_MAX}\nquota = {{ bytes = 1, tags = 1, repositories = 1, manifests = 1 }}"),
        format!("immutable = [{}]", rules(64, "{ tags = \"*\" }")),
        "retention = { rules = [{ tags = \"*\", keep_last = 1 }], every_seconds = 60 }".to_owned(),
    ] {
        assert_eq!(toml::from_str::<NamespacePolicy>(&text).unwrap().check(), Ok(()), "{text}");
    }
}
