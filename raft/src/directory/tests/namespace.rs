//! Namespaces and what holds for a repository.

use super::store::*;
use crate::directory::*;
use crate::id::RegionId;

fn set(prefix: &str, home: Option<u32>, residency: Option<Residency>) -> Command {
    let record = NamespaceRecord { home: home.map(RegionId), residency };
    Command::SetNamespace { prefix: prefix.to_owned(), record }
}

fn resolved(store: &Store, repository: &str) -> (String, Residency) {
    let found = store.view().namespace_of(&repository.parse().unwrap()).unwrap().unwrap();
    assert_eq!(found.home, RegionId(1));
    (found.prefix, found.residency)
}

#[test]
fn the_longest_prefix_of_whole_components_wins_and_unset_fields_inherit() {
    let mut store = Store::founded();
    assert_eq!(resolved(&store, "acme/prod/app"), (String::new(), Residency::Home));
    assert_eq!(store.apply(set("acme", None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(store.apply(set("acme/prod", Some(1), None)), Response::Done);
    assert_eq!(resolved(&store, "acme/prod/app"), ("acme/prod".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme/prod"), ("acme/prod".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme/production"), ("acme".to_owned(), Residency::Pinned));
    assert_eq!(resolved(&store, "acme-2/app"), (String::new(), Residency::Home));
    assert_eq!(store.view().namespaces().unwrap().len(), 3);
}

#[test]
fn the_root_keeps_what_is_left_out() {
    let mut store = Store::founded();
    assert_eq!(store.apply(set("", None, Some(Residency::Pinned))), Response::Done);
    assert_eq!(resolved(&store, "app"), (String::new(), Residency::Pinned));
    assert_eq!(store.apply(set("", None, None)), Response::Done);
    assert_eq!(resolved(&store, "app"), (String::new(), Residency::Pinned));
}

#[test]
fn malformed_prefixes_and_unknown_regions_are_refused() {
    let mut store = Store::founded();
    for prefix in ["/", "acme/", "/acme", "Acme", "a//b"] {
        let refusal = Refusal::NamespaceInvalid(prefix.to_owned());
        assert_eq!(store.apply(set(prefix, None, None)), refused(refusal));
    }
    assert_eq!(store.apply(set("acme", Some(2), None)), refused(Refusal::RegionUnknown("2".to_owned())));
    let copies = Residency::Replicated(vec![RegionId(1), RegionId(3)]);
    assert_eq!(store.apply(set("acme", None, Some(copies))), refused(Refusal::RegionUnknown("3".to_owned())));
    assert_eq!(store.view().namespaces().unwrap().len(), 1);
}
