//! Namespaces, tags and rules as they are typed.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use raft::catalog::{Digest, RepositoryName, Tag};
use raft::policy::{Pattern, RetentionRule, Untagged};

/// What a rule of a retention looks like.
const RULE_EXAMPLE: &str = "for example tags=*,keep-last=10,pushed-within=30d,pulled-within=90d";

/// A repository, or something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The repository.
    pub(crate) repository: RepositoryName,
    /// What in it.
    pub(crate) target: Option<Target>,
}

/// A tag or a manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A tag.
    Tag(Tag),
    /// A manifest.
    Manifest(Digest),
}

/// A namespace's prefix as people read it: the root is a slash.
pub(crate) fn root_or(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}

/// A namespace's prefix: `/` for the root, else whole path components, with or without a slash at the end.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    let prefix = text.strip_suffix('/').unwrap_or(text);
    if prefix.is_empty() {
        return if text == "/" { Ok(String::new()) } else { Err("name a namespace; / is the root".to_owned()) };
    }
    match prefix.parse::<RepositoryName>() {
        Ok(_) => Ok(prefix.to_owned()),
        Err(error) => {
            Err(format!("{error}; a namespace is the beginning of repository names up to a slash, / is the root"))
        }
    }
}

/// What becomes of manifests without a tag.
pub(super) fn untagged(text: &str) -> Result<Untagged, String> {
    match text.split_once('=') {
        None if text == "keep" => Ok(Untagged::Keep),
        Some(("collect", after)) => Ok(Untagged::Collect { after_seconds: duration(after)?.as_secs() }),
        _ => Err("keep, or collect=DURATION is expected, for example collect=7d".to_owned()),
    }
}

/// A rule of a retention.
pub(super) fn rule(text: &str) -> Result<RetentionRule, String> {
    let mut tags = None;
    let mut rule = (None, None, None);
    for part in text.split(',').map(str::trim) {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is no KEY=VALUE, {RULE_EXAMPLE}"))?;
        let again = match key {
            "tags" => tags.replace(parse::<Pattern>(value)?).is_some(),
            "keep-last" => {
                let number = value.parse().map_err(|_| format!("keep-last={value}: a whole number is expected"))?;
                rule.0.replace(number).is_some()
            }
            "pushed-within" => rule.1.replace(duration(value)?.as_secs()).is_some(),
            "pulled-within" => rule.2.replace(duration(value)?.as_secs()).is_some(),
            _ => {
                return Err(format!(
                    "{key:?} is none of tags, keep-last, pushed-within, pulled-within, {RULE_EXAMPLE}"
                ));
            }
        };
        if again {
            return Err(format!("{key} is there twice"));
        }
    }
    let tags = tags.ok_or_else(|| format!("a rule says which tags it is for, {RULE_EXAMPLE}"))?;
    if rule == (None, None, None) {
        return Err(format!("the rule keeps nothing: add keep-last, pushed-within or pulled-within, {RULE_EXAMPLE}"));
    }
    Ok(RetentionRule { tags, keep_last: rule.0, pushed_within_seconds: rule.1, pulled_within_seconds: rule.2 })
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{text:?} is no duration ({error}), for example 36h or 7d"))
}

/// `REPOSITORY`, `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
pub(super) fn named(text: &str) -> Result<Named, String> {
    let (repository, target) = if let Some((repository, digest)) = text.split_once('@') {
        (repository, Some(Target::Manifest(parse(digest)?)))
    } else if let Some((repository, tag)) = text.split_once(':') {
        (repository, Some(Target::Tag(parse(tag)?)))
    } else {
        (text, None)
    };
    let repository = parse(repository).map_err(|error| format!("{error}; leave the registry's address out"))?;
    Ok(Named { repository, target })
}

/// `REPOSITORY` or `REPOSITORY:TAG`.
pub(super) fn repository_and_tag(text: &str) -> Result<Named, String> {
    let named = named(text)?;
    match named.target {
        Some(Target::Manifest(_)) => Err("rules are for tags: name REPOSITORY or REPOSITORY:TAG".to_owned()),
        _ => Ok(named),
    }
}

/// `REPOSITORY:TAG`.
pub(super) fn tag(text: &str) -> Result<Named, String> {
    let named = named(text)?;
    match named.target {
        Some(Target::Tag(_)) => Ok(named),
        _ => Err("REPOSITORY:TAG is expected, for example acme/app:v1.2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_ends_at_a_slash_that_may_be_left_out() {
        assert_eq!(prefix("acme/ci/"), Ok("acme/ci".to_owned()));
        assert_eq!(prefix("acme"), Ok("acme".to_owned()));
        assert_eq!((prefix("/"), root_or("")), (Ok(String::new()), "/"));
        for bad in ["", "//", "/acme", "acme//", "Acme", "acme*"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn untagged_manifests_are_kept_or_collected_after_a_while() {
        assert_eq!(untagged("keep"), Ok(Untagged::Keep));
        assert_eq!(untagged("collect=7d"), Ok(Untagged::Collect { after_seconds: 7 * 86_400 }));
        for bad in ["collect", "collect=", "keep=1d", "collect=7"] {
            assert!(untagged(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rule_names_its_tags_and_what_keeps_them() {
        let read = rule("tags=pr-*, keep-last=3,pulled-within=30d").unwrap();
        assert_eq!((read.keep_last, read.pushed_within_seconds), (Some(3), None));
        assert_eq!((read.tags.to_string(), read.pulled_within_seconds), ("pr-*".to_owned(), Some(30 * 86_400)));
        let error = |text: &str| rule(text).unwrap_err();
        assert!(error("keep-last=3").contains("which tags"), "{}", error("keep-last=3"));
        assert!(error("tags=*").contains("keeps nothing"), "{}", error("tags=*"));
        assert!(error("tags=*,keep-last=3,keep-last=4").contains("twice"));
        assert!(error("tags=*,keep=3").contains("none of tags, keep-last"), "{}", error("tags=*,keep=3"));
        assert!(error("tags=*,pushed-within=soon").contains("36h or 7d"));
    }

    #[test]
    fn what_is_named_is_a_tag_or_a_manifest_of_a_repository() {
        let repository: RepositoryName = "acme/app".parse().unwrap();
        let is = |text: &str| named(text).unwrap();
        assert_eq!(is("acme/app"), Named { repository: repository.clone(), target: None });
        assert_eq!(is("acme/app:v1").target, Some(Target::Tag("v1".parse().unwrap())));
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(is(&format!("acme/app@{digest}")).target, Some(Target::Manifest(digest.parse().unwrap())));
        assert!(named("reg.example:5000/acme/app:v1").is_err());
        assert!(tag("acme/app").is_err() && repository_and_tag(&format!("acme/app@{digest}")).is_err());
    }
}
