//! What somebody sees in lists.

use std::borrow::Cow;

use raft::directory::{Action, Condition};

use super::world::{NOW, World, caller, with_token};
use crate::access::{Caller, Rights};

/// All names that somebody sees of these, by going from one to the next as a catalog does.
fn walk(rights: &Rights, caller: &Caller, names: &[&str]) -> Vec<String> {
    let mut names: Vec<&str> = names.to_vec();
    names.sort_unstable();
    let listing = rights.listing(caller, NOW);
    let (mut seen, mut from) = (Vec::new(), String::new());
    while let Some(next) = listing.next(&from).map(Cow::into_owned) {
        assert!(*next >= *from);
        let Some(name) = names.iter().find(|name| ***name >= *next) else { break };
        assert!(names.iter().all(|name| **name < *from || **name >= *next || !listing.shows(name)));
        if listing.shows(name) {
            seen.push((*name).to_owned());
        }
        from = format!("{name}\0");
    }
    assert_eq!(seen, names.iter().filter(|name| listing.shows(name)).map(|&name| name.to_owned()).collect::<Vec<_>>());
    seen
}

const NAMES: [&str; 11] = [
    "acme",
    "acme-x/a",
    "acme.x",
    "acme/app",
    "acme/app-1",
    "acme/app/x",
    "acme/secret",
    "acme/secret/open",
    "acme0",
    "other/a",
    "zoo",
];

#[test]
fn a_list_shows_what_may_be_pulled() {
    let world = World::new().allow("user:ann", "reader", "acme").deny("group:core", "pull", "acme/secret");
    let world = world.allow("user:ann", "reader", "acme/secret/open").allow("user:bob", "reader", "zoo");
    let over = Condition { not_after: Some(NOW), ..Condition::default() };
    let rights = world.allow("user:ann", "tagger", "other").allow_when("user:ann", "reader", "", over).rights();
    let ann = caller(&rights, "user:ann");
    assert_eq!(walk(&rights, &ann, &NAMES), ["acme", "acme/app", "acme/app-1", "acme/app/x"]);
    assert_eq!(walk(&rights, &caller(&rights, "user:bob"), &NAMES), ["zoo"]);
    assert!(walk(&rights, &caller(&rights, "anonymous"), &NAMES).is_empty());
    assert_eq!(walk(&rights, &caller(&rights, "operator"), &NAMES), NAMES);
}

#[test]
fn what_may_not_be_seen_is_passed_over_in_one_step() {
    let world = World::new().allow("user:ann", "reader", "").deny("user:ann", "pull", "m");
    let rights = world.allow("user:bob", "reader", "m/n").rights();
    let (ann, bob) = (caller(&rights, "user:ann"), caller(&rights, "user:bob"));
    let (ann, bob) = (rights.listing(&ann, NOW), rights.listing(&bob, NOW));
    let next = |from| ann.next(from).map(Cow::into_owned);
    assert_eq!(next("a").as_deref(), Some("a"));
    assert_eq!(next("m").as_deref(), Some("m\0"));
    assert_eq!(next("m-x").as_deref(), Some("m-x"));
    assert_eq!(next("m/a/b").as_deref(), Some("m0"));
    let next = |from| bob.next(from).map(Cow::into_owned);
    assert_eq!(next("").as_deref(), Some("m/n"));
    assert_eq!(next("m/n\0").as_deref(), Some("m/n/"));
    assert_eq!(next("m/n/x").as_deref(), Some("m/n/x"));
    assert_eq!(next("m/n0"), None);
}

#[test]
fn a_token_lists_if_it_says_so_and_shows_else_what_it_names() {
    let rights = World::new().allow("user:ann", "reader", "acme").deny("anonymous", "pull", "acme/secret").rights();
    let ann = |grants: &[&str]| with_token(caller(&rights, "user:ann"), grants);
    let all = ["acme", "acme/app", "acme/app-1", "acme/app/x"];
    assert_eq!(walk(&rights, &ann(&["catalog"]), &NAMES), all);
    assert_eq!(walk(&rights, &ann(&["acme/app:pull", "acme/secret:pull", "zoo:pull"]), &NAMES), ["acme/app"]);
    assert!(walk(&rights, &ann(&["acme/app:push"]), &NAMES).is_empty());
    let gitlab = |grants: &[&str]| with_token(caller(&rights, "token:gitlab/x"), grants);
    let open = NAMES.iter().filter(|name| !name.starts_with("acme/secret")).copied().collect::<Vec<_>>();
    assert_eq!(walk(&rights, &gitlab(&["catalog"]), &NAMES), open);
    assert_eq!(walk(&rights, &gitlab(&["zoo:pull", "acme/secret:pull"]), &NAMES), ["zoo"]);
    assert!(walk(&rights, &caller(&rights, "token:gitlab/x"), &NAMES).is_empty());
}

#[test]
fn something_is_seen_at_a_prefix_if_a_repository_there_may_be_pulled() {
    let world = World::new().allow("user:ann", "reader", "acme/app").deny("group:core", "pull", "acme/app/no");
    let world = world.allow("user:ann", "reader", "acme/app/no/yes").allow("user:bob", "tagger", "acme");
    let rights = world.allow("user:bob", "reader", "shut/in").deny("user:bob", "pull", "shut").rights();
    let sees = |principal: &str, prefix: &str| rights.sees_any(&caller(&rights, principal), prefix, NOW);
    for prefix in ["", "acme", "acme/app", "acme/app/x"] {
        assert!(sees("user:ann", prefix), "{prefix}");
    }
    for prefix in ["other", "acme/ap", "acme/apps", "acme/app/no", "acme/app/no/yes"] {
        assert!(!sees("user:ann", prefix), "{prefix}");
    }
    for prefix in ["", "acme", "shut", "shut/in"] {
        assert!(!sees("user:bob", prefix), "{prefix}");
    }
    assert!(sees("operator", "nothing/there"));
    let ann = with_token(caller(&rights, "user:ann"), &["acme/app/x:pull", "other:pull"]);
    assert!(rights.sees_any(&ann, "acme", NOW) && rights.sees_any(&ann, "acme/app/x", NOW));
    assert!(!rights.sees_any(&ann, "acme/app/y", NOW) && !rights.sees_any(&ann, "other", NOW));
    assert!(!rights.allows(&ann, Action::Pull, "acme/app", NOW));
}
