//! Namespaces as text for people: what holds, and which namespace says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::Table;
use node::admin::{ExplainAnswer, ExplainedTag, NamespaceAnswer, NamespaceEntry, PlaceAnswer};
use node::deletion::Bound;
use raft::catalog::UsageRecord;
use raft::policy::NamespacePolicy;

use super::place_text;
use super::policy_text::{immutable, quotas, rules, settings, switch, untagged};
use super::status_text::{table, trimmed};
use crate::arguments::root_or;
use crate::figures::{count, exact, size};

/// Namespaces with what they set.
pub(super) fn list(namespaces: &[NamespaceEntry]) -> String {
    if namespaces.is_empty() {
        return "no namespace sets anything: the defaults hold, regnode namespace show / tells them\n".to_owned();
    }
    let mut rows = table(&["NAMESPACE", "SETS"]);
    for entry in namespaces {
        let mut settings = settings(&entry.policy);
        settings.extend(place_text::settings(&entry.place));
        let text = if settings.is_empty() { "nothing: the defaults hold".to_owned() } else { settings.join("\n") };
        rows.add_row([root_or(&entry.prefix).to_owned(), text]);
    }
    trimmed(&format!("{rows}\n"))
}

/// One namespace.
pub(super) fn show(answer: &NamespaceAnswer) -> String {
    let mut page = format!("namespace {}", root_or(&answer.prefix));
    page.push_str(match &answer.own {
        Some(own) if !own.is_empty() => "\n",
        _ if !answer.own_place.is_empty() => "\n",
        _ => " sets nothing itself\n",
    });
    body(&mut page, &answer.place, &answer.effective, &answer.sources, &answer.bounds);
    page.push_str(&place_text::meaning(&answer.prefix, &answer.place));
    match &answer.usage {
        Some(usage) => held(&mut page, usage),
        None => line(
            &mut page,
            format_args!("\nwhat it holds is not known here: region {} does not answer", answer.place.home),
        ),
    }
    force(&mut page, answer.in_force);
    page.push_str(&place_text::age(answer.confirmed, answer.as_of_milliseconds));
    trimmed(&page)
}

/// What it holds.
fn held(page: &mut String, usage: &UsageRecord) {
    line(
        page,
        format_args!(
            "\nit holds {}, {}, {}, {} ({})",
            count(usage.repositories, "repository", "repositories"),
            count(usage.tags, "tag", "tags"),
            count(usage.manifests, "manifest", "manifests"),
            count(usage.blobs, "blob", "blobs"),
            size(usage.bytes),
        ),
    );
}

/// What decides for a repository, or for one of its tags.
pub(super) fn explain(answer: &ExplainAnswer) -> String {
    let mut page = format!("repository {}\n", answer.repository);
    body(&mut page, &answer.place, &answer.effective, &answer.sources, &answer.bounds);
    page.push_str(&place_text::meaning(answer.repository.as_str(), &answer.place));
    if let Some(tag) = &answer.tag {
        page.push('\n');
        of_tag(&mut page, tag, answer);
    }
    force(&mut page, answer.in_force);
    page.push_str(&place_text::age(answer.confirmed, answer.as_of_milliseconds));
    trimmed(&page)
}

/// Each field, and who decides it.
fn body(
    page: &mut String,
    place: &PlaceAnswer,
    policy: &NamespacePolicy,
    sources: &BTreeMap<String, Option<String>>,
    bounds: &[Bound],
) {
    let retention = policy.retention.as_ref().map_or_else(|| vec!["none".to_owned()], rules);
    let fields = [
        ("deletes", policy.deletes.map(|on| switch(on).to_owned())),
        ("untagged", policy.untagged.map(untagged)),
        ("grace_seconds", policy.grace_seconds.map(exact)),
        ("restore_seconds", policy.restore_seconds.map(exact)),
        ("immutable", policy.immutable.as_deref().map(|rules| immutable(rules).join("\n"))),
        ("retention", Some(retention.join("\n"))),
    ];
    let mut rows = table(&["FIELD", "VALUE", "SET BY"]);
    for (field, value) in fields {
        let name = field.strip_suffix("_seconds").unwrap_or(field);
        rows.add_row([name.to_owned(), value.unwrap_or_default(), decided(sources, field)]);
    }
    for row in place_text::rows(place) {
        rows.add_row(row);
    }
    line(page, format_args!("\n{rows}"));
    let quotas = quotas(bounds);
    if quotas.is_empty() {
        line(page, format_args!("\nno quota bounds it"));
        return;
    }
    let mut rows: Table = table(&["QUOTA OF", "RESOURCE", "USED", "ALLOWED", "PERCENT"]);
    for quota in quotas {
        rows.add_row(quota);
    }
    line(page, format_args!("\n{rows}"));
}

/// The namespace that decides a field.
fn decided(sources: &BTreeMap<String, Option<String>>, field: &str) -> String {
    let source = sources.get(field).and_then(Option::as_deref);
    source.map_or_else(|| "default".to_owned(), |prefix| root_or(prefix).to_owned())
}

fn of_tag(page: &mut String, tag: &ExplainedTag, answer: &ExplainAnswer) {
    let by = |field| decided(&answer.sources, field);
    match &tag.digest {
        Some(digest) => line(page, format_args!("tag {} points to {digest}", tag.tag)),
        None => line(page, format_args!("tag {} does not exist", tag.tag)),
    }
    let immutable = tag.immutable.as_ref().map(|pattern| {
        let rules = answer.effective.immutable.as_deref().unwrap_or_default();
        let except = rules.iter().find(|rule| rule.tags.as_str() == pattern).map(|rule| rule.except.join(", "));
        let except = except.filter(|except| !except.is_empty()).map(|except| format!(", except by {except}"));
        format!("immutable by {pattern:?} of {}{}", by("immutable"), except.unwrap_or_default())
    });
    let verdict = |allowed: bool, why: String| format!("{}, {why}", if allowed { "yes" } else { "no" });
    if tag.digest.is_none() {
        let why =
            immutable.map_or_else(|| "no pattern makes it immutable".to_owned(), |why| format!("then it is {why}"));
        line(page, format_args!("  may be set:     {}", verdict(true, why)));
        return;
    }
    let free = || "no pattern makes it immutable".to_owned();
    line(page, format_args!("  may be moved:   {}", verdict(tag.movable, immutable.clone().unwrap_or_else(free))));
    let deletes = match immutable {
        Some(why) => why,
        None => format!("deletes are {} by {}", switch(answer.effective.deletes == Some(true)), by("deletes")),
    };
    line(page, format_args!("  may be deleted: {}", verdict(tag.deletable, deletes)));
    let retention = match &tag.retention {
        None => "keeps it: there are no rules".to_owned(),
        Some(verdict) => {
            let what = if verdict.delete { "deletes it" } else { "keeps it" };
            format!("{what}: {} (rules of {})", verdict.why, by("retention"))
        }
    };
    line(page, format_args!("  retention:      {retention}"));
}

fn force(page: &mut String, in_force: bool) {
    if !in_force {
        page.push_str("\nthe region's catalog has not taken the last change of a policy up yet: it will by itself\n");
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use node::admin::{NamedElsewhere, NamedResidency, OwnPlace};
    use node::deletion::Verdict;
    use raft::directory::Replication;
    use raft::policy::{ImmutableRule, Quota, Retention, RetentionRule, Untagged};

    use super::*;

    fn place() -> PlaceAnswer {
        PlaceAnswer {
            home: "eu".to_owned(),
            residency: NamedResidency::Pinned,
            elsewhere: NamedElsewhere::Refuse,
            replication: Replication::default(),
            copies: Vec::new(),
            moving: None,
            aside: Vec::new(),
            sources: BTreeMap::from([("residency".to_owned(), "acme".to_owned())]),
            region: "eu".to_owned(),
            role: "home".to_owned(),
            regions: 2,
        }
    }

    fn answer() -> ExplainAnswer {
        let rule = RetentionRule {
            tags: "*".parse().unwrap(),
            keep_last: Some(10),
            pushed_within_seconds: None,
            pulled_within_seconds: Some(30 * 86_400),
        };
        let source = |field: &str, prefix: Option<&str>| (field.to_owned(), prefix.map(ToOwned::to_owned));
        ExplainAnswer {
            version: 1,
            repository: "acme/app".parse().unwrap(),
            place: place(),
            effective: NamespacePolicy {
                deletes: Some(true),
                untagged: Some(Untagged::Collect { after_seconds: 7 * 86_400 }),
                grace_seconds: Some(86_400),
                restore_seconds: Some(2 * 86_400),
                immutable: Some(vec![
                    ImmutableRule { tags: "v*".parse().unwrap(), except: vec!["robot".to_owned()] },
                    ImmutableRule { tags: "release".parse().unwrap(), except: Vec::new() },
                ]),
                retention: Some(Retention {
                    rules: vec![rule],
                    always_keep: Vec::new(),
                    keep_signed: true,
                    keep_referenced: true,
                    every_seconds: 86_400,
                }),
                quota: Quota::default(),
            },
            sources: BTreeMap::from([
                source("deletes", None),
                source("untagged", Some("acme")),
                source("grace_seconds", None),
                source("restore_seconds", Some("")),
                source("immutable", Some("acme")),
                source("retention", Some("acme/app")),
            ]),
            bounds: vec![Bound {
                namespace: "acme".to_owned(),
                quota: Quota { bytes: Some(4 << 30), tags: Some(100), ..Quota::default() },
                usage: UsageRecord { bytes: 3 << 30, tags: 7, ..UsageRecord::default() },
            }],
            tag: Some(ExplainedTag {
                tag: "v1".parse().unwrap(),
                digest: Some(format!("sha256:{}", "4f".repeat(32))),
                immutable: Some("v*".to_owned()),
                movable: false,
                deletable: false,
                retention: Some(Verdict { delete: false, why: "immutable by \"v*\"".to_owned() }),
            }),
            policy_version: 7,
            in_force: true,
            confirmed: true,
            as_of_milliseconds: 0,
        }
    }

    #[test]
    fn an_explanation_reads_well() {
        insta::assert_snapshot!(explain(&answer()));
    }

    #[test]
    fn a_free_tag_may_be_moved_and_one_that_is_not_there_set() {
        let mut answer = answer();
        let tag = answer.tag.as_mut().unwrap();
        (tag.immutable, tag.movable, tag.deletable) = (None, true, true);
        tag.retention = Some(Verdict { delete: true, why: "number 11 of \"*\"".to_owned() });
        let text = explain(&answer);
        assert!(text.contains("may be moved:   yes, no pattern"), "{text}");
        assert!(text.contains("may be deleted: yes, deletes are on by default"), "{text}");
        assert!(text.contains("deletes it: number 11 of \"*\" (rules of acme/app)"), "{text}");
        answer.tag.as_mut().unwrap().digest = None;
        assert!(explain(&answer).contains("tag v1 does not exist\n  may be set:     yes"), "{}", explain(&answer));
        answer.in_force = false;
        assert!(explain(&answer).contains("not taken the last change"));
    }

    #[test]
    fn a_namespace_reads_well() {
        let ExplainAnswer { effective, sources, bounds, .. } = answer();
        let mut told = NamespaceAnswer {
            version: 1,
            prefix: "acme".to_owned(),
            own: None,
            own_place: OwnPlace::default(),
            place: place(),
            effective,
            sources,
            usage: Some(bounds[0].usage),
            bounds,
            policy_version: 7,
            in_force: true,
            confirmed: true,
            as_of_milliseconds: 0,
        };
        let page = show(&told);
        assert!(page.starts_with("namespace acme sets nothing itself\n"), "{page}");
        assert!(page.contains("it holds 0 repositories, 7 tags, 0 manifests, 0 blobs (3.0 GiB)"), "{page}");
        (told.usage, told.confirmed) = (None, false);
        let page = show(&told);
        assert!(page.contains("what it holds is not known here: region eu does not answer"), "{page}");
        assert!(page.contains("the directory has no quorum"), "{page}");
        let (policy, place) = (NamespacePolicy::default(), OwnPlace::default());
        let root = NamespaceEntry { prefix: String::new(), policy, place };
        assert!(list(&[root]).contains('/') && list(&[]).starts_with("no namespace"));
    }
}
