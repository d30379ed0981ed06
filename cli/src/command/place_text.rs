//! Where namespaces rest, as text for people.

use node::admin::{NamedElsewhere, NamedMoving, NamedResidency, OwnPlace, PlaceAnswer, PolicyField, ReplicationFields};
use raft::policy::Pattern;

use crate::arguments::root_or;
use crate::figures::moment;

/// What a namespace sets about it, each field as `name=value`.
pub(super) fn settings(place: &OwnPlace) -> Vec<String> {
    let fields = [
        (PolicyField::Home.name(), place.home.clone()),
        (PolicyField::Residency.name(), place.residency.as_ref().map(residency)),
        (PolicyField::Elsewhere.name(), place.elsewhere.map(|set| elsewhere(set).to_owned())),
        (PolicyField::Replication.name(), (!place.replication.is_empty()).then(|| replication(&place.replication))),
        ("moving to", place.moving.as_ref().map(moving)),
    ];
    let aside = place.aside.iter().map(|aside| format!("aside={}", aside.region));
    fields.into_iter().filter_map(|(field, value)| Some(format!("{field}={}", value?))).chain(aside).collect()
}

fn residency(residency: &NamedResidency) -> String {
    match residency {
        NamedResidency::Home => "home".to_owned(),
        NamedResidency::Pinned => "pinned".to_owned(),
        NamedResidency::Replicated(regions) => format!("replicated to {}", regions.join(", ")),
    }
}

const fn elsewhere(elsewhere: NamedElsewhere) -> &'static str {
    match elsewhere {
        NamedElsewhere::Proxy => "proxy",
        NamedElsewhere::Redirect => "redirect",
        NamedElsewhere::Refuse => "refuse",
    }
}

/// How it is copied, as far as that is set.
fn replication(set: &ReplicationFields) -> String {
    let tags = set.tags.as_deref().map(|tags| match tags {
        [] => "everything".to_owned(),
        tags => format!("tags {}", tags.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ")),
    });
    let deletes = set.deletes.map(|deletes| if deletes { "deletions too" } else { "no deletions" }.to_owned());
    let priority = set.priority.map(|priority| format!("priority {priority}"));
    tags.into_iter().chain(deletes).chain(priority).collect::<Vec<_>>().join("; ")
}

fn moving(moving: &NamedMoving) -> String {
    format!("{}{}", moving.to, if moving.fenced { " (nobody writes)" } else { "" })
}

/// Each field, its value, and who decides it. Of one region alone there is nothing to say.
pub(super) fn rows(place: &PlaceAnswer) -> Vec<[String; 3]> {
    if is_common(place) {
        return Vec::new();
    }
    let source = |field: &str| root_or(place.sources.get(field).map_or("", String::as_str)).to_owned();
    let copied = (!place.copies.is_empty()).then(|| replication(&place.replication.clone().into()));
    let fields = [
        ("home", Some(place.home.clone())),
        ("residency", Some(residency(&place.residency))),
        ("elsewhere", Some(elsewhere(place.elsewhere).to_owned())),
        ("replication", copied),
    ];
    fields.into_iter().filter_map(|(field, value)| Some([field.to_owned(), value?, source(field)])).collect()
}

fn is_common(place: &PlaceAnswer) -> bool {
    let rests = place.residency == NamedResidency::Home && place.moving.is_none() && place.aside.is_empty();
    place.regions <= 1 && rests
}

/// What that means here, in sentences.
pub(super) fn meaning(prefix: &str, place: &PlaceAnswer) -> String {
    if is_common(place) {
        return String::new();
    }
    let mut sentences = vec![here(place)];
    sentences.extend(place.moving.as_ref().map(|moving| moves(prefix, place, moving)));
    for aside in &place.aside {
        sentences.push(format!(
            "region {} was its home until {}: what it held then stays there, out of use, until it is settled; regnode \
             namespace aside {} tells what that is",
            aside.region,
            moment(aside.since_milliseconds),
            root_or(prefix)
        ));
    }
    let mut text = String::new();
    for sentence in sentences {
        text.extend(["\n", &sentence, "\n"]);
    }
    text
}

/// What this region is for it.
fn here(place: &PlaceAnswer) -> String {
    let PlaceAnswer { home, region, .. } = place;
    match place.role.as_str() {
        "home" => format!("this region, {region}, is its home: it is pushed and deleted here"),
        "replica" => {
            let all = if place.replication.tags.is_empty() { "a copy" } else { "a copy of some tags" };
            format!(
                "this region, {region}, has {all}: it is read here, and what is not here is read in {home}; it is pushed \
                 and deleted in {home}. regnode replication status tells how far the copy is"
            )
        }
        "aside" => format!("this region, {region}, was its home: requests are passed on to {home}"),
        _ => {
            let what = match place.elsewhere {
                NamedElsewhere::Proxy => format!("requests are passed on to {home}"),
                NamedElsewhere::Redirect => {
                    format!("reads are sent to the public URL of {home}, the rest is passed on")
                }
                NamedElsewhere::Refuse => "requests are refused".to_owned(),
            };
            format!("nothing of it rests in this region, {region}: {what}")
        }
    }
}

/// How far a move is, and what there is to do if it was interrupted.
fn moves(prefix: &str, place: &PlaceAnswer, moving: &NamedMoving) -> String {
    let (prefix, home, to) = (root_or(prefix), &place.home, &moving.to);
    let what = if moving.fenced {
        format!("its home changes to {to}: nobody can push until that has ended, some seconds")
    } else {
        format!("its home is moving to {to}: everything is copied there, and pushed in {home} until that is done")
    };
    format!(
        "{what}; if it was interrupted, go on with regnode namespace set {prefix} --home {to}, or take it back with --home \
         {home}"
    )
}

/// How old it is, where nobody confirms it.
pub(super) fn age(confirmed: bool, as_of_milliseconds: u64) -> String {
    if confirmed {
        return String::new();
    }
    format!(
        "\nthe directory has no quorum, or this node does not reach it: this is what was known here at {}; changes have to \
         wait\n",
        moment(as_of_milliseconds)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use node::admin::NamedAside;
    use raft::directory::Replication;

    use super::*;

    fn place(role: &str) -> PlaceAnswer {
        PlaceAnswer {
            home: "eu".to_owned(),
            residency: NamedResidency::Pinned,
            elsewhere: NamedElsewhere::Proxy,
            replication: Replication::default(),
            copies: Vec::new(),
            moving: None,
            aside: Vec::new(),
            sources: BTreeMap::from([("residency".to_owned(), "acme".to_owned())]),
            region: "us".to_owned(),
            role: role.to_owned(),
            regions: 2,
        }
    }

    fn copied() -> PlaceAnswer {
        let copies = vec!["us".to_owned(), "asia".to_owned()];
        let tags = vec!["v*".parse().unwrap(), "latest".parse().unwrap()];
        PlaceAnswer {
            residency: NamedResidency::Replicated(copies.clone()),
            replication: Replication { tags, deletes: true, ..Replication::default() },
            copies,
            ..place("replica")
        }
    }

    #[test]
    fn a_place_reads_well() {
        let rows = rows(&place("foreign"));
        assert_eq!(rows[0], ["home", "eu", "/"]);
        assert_eq!(rows[1], ["residency", "pinned", "acme"]);
        assert_eq!(rows.len(), 3, "what has no copies is not copied in any way");
        let text = meaning("acme", &place("foreign"));
        assert_eq!(text, "\nnothing of it rests in this region, us: requests are passed on to eu\n");
    }

    #[test]
    fn a_copy_says_what_of_it_is_copied() {
        let rows = rows(&copied());
        assert_eq!(rows[1], ["residency", "replicated to us, asia", "acme"]);
        assert_eq!(rows[3], ["replication", "tags v*, latest; deletions too; priority 5", "/"]);
        insta::assert_snapshot!(meaning("acme", &copied()));
        let own = OwnPlace {
            residency: Some(NamedResidency::Replicated(vec!["us".to_owned()])),
            replication: Replication::default().into(),
            ..OwnPlace::default()
        };
        let expected = ["residency=replicated to us", "replication=everything; no deletions; priority 5"];
        assert_eq!(settings(&own), expected);
    }

    #[test]
    fn a_move_says_whether_anybody_can_push() {
        let moving = |fenced| Some(NamedMoving { to: "asia".to_owned(), fenced });
        let place = || PlaceAnswer { region: "eu".to_owned(), ..place("home") };
        let copying = PlaceAnswer { moving: moving(false), ..place() };
        let fenced = PlaceAnswer { moving: moving(true), ..place() };
        insta::assert_snapshot!(format!("{}{}", meaning("acme", &copying), meaning("acme", &fenced)));
        let own = OwnPlace { home: Some("eu".to_owned()), moving: moving(true), ..OwnPlace::default() };
        assert_eq!(settings(&own), ["home=eu", "moving to=asia (nobody writes)"]);
    }

    #[test]
    fn what_was_left_aside_is_named_until_it_is_settled() {
        let aside = vec![NamedAside { region: "us".to_owned(), since_milliseconds: 1_700_000_000_000 }];
        let own = OwnPlace { aside: aside.clone(), ..OwnPlace::default() };
        assert_eq!(settings(&own), ["aside=us"]);
        insta::assert_snapshot!(meaning("acme", &PlaceAnswer { aside, ..place("aside") }));
    }

    #[test]
    fn one_region_alone_is_not_spoken_of() {
        let alone = PlaceAnswer { regions: 1, residency: NamedResidency::Home, ..place("home") };
        assert!(rows(&alone).is_empty() && meaning("acme", &alone).is_empty());
    }

    #[test]
    fn what_nobody_confirms_has_an_age() {
        assert_eq!(age(true, 0), "");
        assert!(age(false, 1_700_000_000_000).contains("at 2023-11-14T22:13:20Z"));
    }
}
