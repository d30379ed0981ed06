//! Domains that stand for namespaces.

use super::store::*;
use crate::directory::*;

const DOMAIN: &str = "registry.acme.example";

fn set(domain: &str, namespace: &str) -> Command {
    Command::SetDomain { domain: domain.to_owned(), namespace: namespace.to_owned() }
}

fn remove_domain(domain: &str) -> Command {
    Command::RemoveDomain { domain: domain.to_owned() }
}

fn refused_for(refusal: DomainRefusal) -> Response {
    refused(refusal.into())
}

/// What the domains stand for, and the version that counts their changes.
fn domains(store: &Store) -> (Vec<(String, String)>, u64) {
    let all = store.view().domains().unwrap().into_iter().map(|(domain, record)| (domain, record.namespace));
    (all.collect(), store.view().access_version().unwrap())
}

#[test]
fn a_domain_stands_for_a_namespace_until_it_is_removed() {
    let mut store = Store::founded();
    let (_, version) = domains(&store);
    assert_eq!(store.apply(set(DOMAIN, "acme")), Response::Done);
    let stands = vec![(DOMAIN.to_owned(), "acme".to_owned())];
    assert_eq!(domains(&store), (stands.clone(), version + 1));
    assert_eq!(store.apply(set(DOMAIN, "acme")), Response::Done, "a repetition");
    assert_eq!(domains(&store), (stands.clone(), version + 1), "changes nothing");
    for other in ["acme/app", "other", ""] {
        let taken = DomainRefusal::Taken { domain: DOMAIN.to_owned(), namespace: "acme".to_owned() };
        assert_eq!(store.apply(set(DOMAIN, other)), refused_for(taken));
    }
    assert_eq!(store.apply(set("docker.acme.example", "acme")), Response::Done, "a namespace has several");
    assert_eq!(store.apply(set("registry.example.org", "")), Response::Done, "or it is the whole registry");
    assert_eq!(store.apply(remove_domain(DOMAIN)), Response::Done);
    assert_eq!(store.apply(remove_domain(DOMAIN)), Response::Done, "a repetition");
    assert_eq!(domains(&store).1, version + 4);
    assert_eq!(store.apply(set(DOMAIN, "other")), Response::Done);
}

#[test]
fn what_is_no_domain_or_no_namespace_is_refused() {
    let mut store = Store::new();
    assert_eq!(store.apply(set(DOMAIN, "acme")), refused(Refusal::NotFounded));
    let mut store = Store::founded();
    let before = domains(&store);
    for bad in ["", "registry", "Registry.acme.example", "*.acme.example", "10.0.0.1", "registry.acme.example:443"] {
        assert_eq!(store.apply(set(bad, "acme")), refused_for(DomainRefusal::Invalid(bad.to_owned())));
    }
    for bad in ["/", "acme/", "../acme", "Acme"] {
        assert_eq!(store.apply(set(DOMAIN, bad)), refused(Refusal::NamespaceInvalid(bad.to_owned())));
    }
    assert_eq!(domains(&store), before);
}

#[test]
fn a_name_that_nodes_or_regions_are_reached_by_stands_for_no_namespace() {
    let mut store = Store::founded();
    let own = |whom: &str, domain: &str| {
        let (domain, namespace, whom) = (domain.to_owned(), "acme".to_owned(), whom.to_owned());
        refused_for(DomainRefusal::Own { domain, namespace, whom })
    };
    let node = NodeInfo { api_url: "https://Registry.example.org.:5000/".to_owned(), ..info("one") };
    assert_eq!(store.apply(Command::UpdateNode { node: crate::id::NodeId(1), info: node }), Response::Done);
    assert_eq!(store.apply(set("registry.example.org", "acme")), own("node one", "registry.example.org"));
    let public_url = Some("https://eu.example.org".to_owned());
    let region = Command::SetRegion { region: crate::id::RegionId(1), public_url, inbound_bytes_per_second: None };
    assert_eq!(store.apply(region), Response::Done);
    assert_eq!(store.apply(set("eu.example.org", "acme")), own("region home", "eu.example.org"));
    assert_eq!(store.apply(set("eu.example.org", "")), Response::Done, "it is the whole registry anyway");
}

#[test]
fn a_namespace_stays_while_a_domain_stands_for_it() {
    let mut store = Store::founded();
    assert_eq!(store.set("acme", NamespaceRecord::default()), Response::Done);
    assert_eq!(store.set("acme/app", NamespaceRecord::default()), Response::Done);
    assert_eq!(store.apply(set(DOMAIN, "acme")), Response::Done);
    let remove = |prefix: &str| Command::RemoveNamespace { prefix: prefix.to_owned() };
    let named = DomainRefusal::Named { namespace: "acme".to_owned(), domain: DOMAIN.to_owned() };
    assert_eq!(store.apply(remove("acme")), refused_for(named));
    assert_eq!(store.apply(remove("acme/app")), Response::Done);
    assert_eq!(store.apply(remove_domain(DOMAIN)), Response::Done);
    assert_eq!(store.apply(remove("acme")), Response::Done);
}

#[test]
fn there_are_no_more_than_may_be() {
    let mut store = Store::founded();
    for number in 0..DOMAINS_MAX {
        assert_eq!(store.apply(set(&format!("d{number}.example"), "acme")), Response::Done);
    }
    assert_eq!(store.apply(set(DOMAIN, "acme")), refused_for(DomainRefusal::TooMany(DOMAINS_MAX as u64)));
    assert_eq!(store.apply(set("d0.example", "acme")), Response::Done, "a repetition");
}
