//! Where namespaces rest, as text for people.

use node::admin::{NamedElsewhere, NamedResidency, OwnPlace, PlaceAnswer, PolicyField};

use crate::arguments::root_or;
use crate::figures::moment;

/// What a namespace sets about it, each field as `name=value`.
pub(super) fn settings(place: &OwnPlace) -> Vec<String> {
    let fields = [
        (PolicyField::Home.name(), place.home.clone()),
        (PolicyField::Residency.name(), place.residency.as_ref().map(residency)),
        (PolicyField::Elsewhere.name(), place.elsewhere.map(|set| elsewhere(set).to_owned())),
        ("moving to", place.moving.clone()),
    ];
    fields.into_iter().filter_map(|(field, value)| Some(format!("{field}={}", value?))).collect()
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

/// Each field, its value, and who decides it. Of one region alone there is nothing to say.
pub(super) fn rows(place: &PlaceAnswer) -> Vec<[String; 3]> {
    if is_common(place) {
        return Vec::new();
    }
    let source = |field: &str| root_or(place.sources.get(field).map_or("", String::as_str)).to_owned();
    let fields = [
        ("home", place.home.clone()),
        ("residency", residency(&place.residency)),
        ("elsewhere", elsewhere(place.elsewhere).to_owned()),
    ];
    fields.into_iter().map(|(field, value)| [field.to_owned(), value, source(field)]).collect()
}

fn is_common(place: &PlaceAnswer) -> bool {
    place.regions <= 1 && place.residency == NamedResidency::Home && place.moving.is_none()
}

/// What that means here, in sentences.
pub(super) fn meaning(prefix: &str, place: &PlaceAnswer) -> String {
    if is_common(place) {
        return String::new();
    }
    let PlaceAnswer { home, region, .. } = place;
    let mut text = match place.role.as_str() {
        "home" => format!("\nthis region, {region}, is its home: it is pushed and deleted here\n"),
        "replica" => {
            format!("\nthis region, {region}, has a copy: it is read here, and pushed and deleted in {home}\n")
        }
        _ => {
            let what = match place.elsewhere {
                NamedElsewhere::Proxy => format!("requests are passed on to {home}"),
                NamedElsewhere::Redirect => {
                    format!("reads are sent to the public URL of {home}, the rest is passed on")
                }
                NamedElsewhere::Refuse => "requests are refused".to_owned(),
            };
            format!("\nnothing of it rests in this region, {region}: {what}\n")
        }
    };
    if let Some(moving) = &place.moving {
        let prefix = root_or(prefix);
        text = format!(
            "{text}its home is changing to {moving}, and nobody can push until that has ended; if it was interrupted, end it with \
             regnode namespace set {prefix} --home {moving}, or take it back with --home {home}\n"
        );
    }
    text
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

    use super::*;

    fn place(role: &str) -> PlaceAnswer {
        PlaceAnswer {
            home: "eu".to_owned(),
            residency: NamedResidency::Pinned,
            elsewhere: NamedElsewhere::Proxy,
            moving: None,
            sources: BTreeMap::from([("residency".to_owned(), "acme".to_owned())]),
            region: "us".to_owned(),
            role: role.to_owned(),
            regions: 2,
        }
    }

    #[test]
    fn a_place_reads_well() {
        let rows = rows(&place("foreign"));
        assert_eq!(rows[0], ["home", "eu", "/"]);
        assert_eq!(rows[1], ["residency", "pinned", "acme"]);
        let text = meaning("acme", &place("foreign"));
        assert_eq!(text, "\nnothing of it rests in this region, us: requests are passed on to eu\n");
        let moving = PlaceAnswer { moving: Some("asia".to_owned()), ..place("home") };
        assert!(meaning("acme", &moving).contains("regnode namespace set acme --home asia, or take it back"));
        let own = OwnPlace { home: Some("eu".to_owned()), moving: Some("us".to_owned()), ..OwnPlace::default() };
        assert_eq!(settings(&own), ["home=eu", "moving to=us"]);
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
