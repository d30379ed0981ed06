//! Whose a request is, and what its names are.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::Request;
use proptest::prelude::*;
use raft::catalog::RepositoryName;
use raft::directory::DomainRecord;
use raft::time::{Clock, Timestamp};

use super::*;
use crate::access::{Access, Records, Rights};
use crate::serve::Client;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

fn domains() -> Domains {
    let record = |namespace: &str| DomainRecord { namespace: namespace.to_owned(), created: Timestamp(0) };
    Domains::new([
        ("registry.acme.example".to_owned(), record("acme")),
        ("docker.acme.example".to_owned(), record("acme")),
        ("evil.example".to_owned(), record("acme-evil")),
        ("registry.example.org".to_owned(), record("")),
    ])
}

fn access(domains: Domains) -> Access {
    Access::fixed(Rights::new(Records { domains, ..Records::default() }), Arc::new(Still))
}

/// The namespace of a request for `host` on a connection for `greeted`.
fn entered(tenants: &Tenants, host: Option<&str>, greeted: Option<&str>) -> Result<Option<String>, Strayed> {
    let (mut parts, ()) = Request::new(()).into_parts();
    let client = Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (host, server_name) = (host.map(str::to_owned), greeted.map(Into::into));
    parts.extensions.insert(Client { host, server_name, ..client });
    tenants.enter(&mut parts)?;
    let client = parts.extensions.get::<Client>().unwrap();
    Ok(client.tenant.as_ref().map(|tenant| tenant.namespace().to_owned()))
}

#[test]
fn the_name_that_was_asked_for_says_whose_a_request_is() {
    let tenants = Tenants::new(access(domains()), []);
    let acme = Ok(Some("acme".to_owned()));
    for host in [
        "registry.acme.example",
        "registry.acme.example:443",
        "registry.acme.example.",
        "registry.acme.example.:5000",
        "registry.acme.example:",
        "docker.acme.example:x",
    ] {
        assert_eq!(entered(&tenants, Some(host), None), acme, "{host}");
    }
    for host in [
        "registry.example.org",
        "example.org",
        "acme.example",
        "a.registry.acme.example",
        "xregistry.acme.example",
        "127.0.0.1:5000",
        "[::1]:5000",
        "[registry.acme.example]",
        "localhost",
        "",
    ] {
        assert_eq!(entered(&tenants, Some(host), None), Ok(None), "{host}");
    }
    assert_eq!(entered(&tenants, None, None), Ok(None));
    assert_eq!(entered(&tenants, Some("evil.example"), None), Ok(Some("acme-evil".to_owned())));
}

#[test]
fn a_connection_for_one_tenant_does_not_serve_another_one() {
    let tenants = Tenants::new(access(domains()), []);
    let asked = |host, greeted| entered(&tenants, Some(host), Some(greeted));
    let misdirected =
        |greeted: &str, asked: &str| Err(Strayed::Misdirected { greeted: greeted.to_owned(), asked: asked.to_owned() });
    assert_eq!(
        asked("evil.example:443", "registry.acme.example"),
        misdirected("registry.acme.example", "evil.example")
    );
    assert_eq!(asked("registry.example.org", "evil.example"), misdirected("evil.example", "registry.example.org"));
    assert_eq!(asked("evil.example", "registry.example.org"), misdirected("registry.example.org", "evil.example"));
    // The same tenant by its other name, and names that are nobody's.
    assert_eq!(asked("docker.acme.example", "registry.acme.example"), Ok(Some("acme".to_owned())));
    assert_eq!(asked("registry.acme.example", "node1.example.org"), Ok(Some("acme".to_owned())));
    assert_eq!(asked("node1.example.org", "registry.acme.example"), Ok(None));
}

#[test]
fn a_name_that_may_be_a_tenants_is_not_served_before_it_is_known() {
    let urls = ["https://Registry.example.net:5000/", "http://10.0.0.7:5000"];
    let unconfirmed = Tenants::new(access(domains()).unconfirmed(), urls);
    assert_eq!(entered(&unconfirmed, Some("registry.acme.example"), None), Ok(Some("acme".to_owned())));
    assert_eq!(
        entered(&unconfirmed, Some("new.example:443"), None),
        Err(Strayed::Unconfirmed("new.example".to_owned()))
    );
    for own in ["registry.example.net:5000", "registry.example.org", "10.0.0.9", "[::1]", "node1:5000"] {
        assert_eq!(entered(&unconfirmed, Some(own), None), Ok(None), "{own}");
    }
    // The first domain of all may have come meanwhile.
    let empty = Tenants::new(access(Domains::default()).unconfirmed(), []);
    assert!(matches!(entered(&empty, Some("new.example"), None), Err(Strayed::Unconfirmed(_))));
    let unread = Tenants::new(Access::fixed(Rights::default(), Arc::new(Still)).unconfirmed(), []);
    assert_eq!(entered(&unread, Some("10.0.0.9"), None), Err(Strayed::Unknown));
    let confirmed = Tenants::new(access(Domains::default()), []);
    assert_eq!(entered(&confirmed, Some("new.example"), None), Ok(None));
}

fn acme() -> Tenant {
    Tenant::new("registry.acme.example", "acme").unwrap()
}

#[test]
fn names_are_the_tenants_own_or_none() {
    let tenant = acme();
    assert_eq!(tenant.full("app"), "acme/app");
    assert_eq!(tenant.full("acme/app"), "acme/acme/app");
    assert_eq!(tenant.full(""), "acme");
    for (full, own) in [
        ("acme/app", Some("app")),
        ("acme/acme/app", Some("acme/app")),
        ("acme", None),
        ("acme/", None),
        ("acme-evil/app", None),
        ("acmeapp", None),
        ("other/acme/app", None),
        ("", None),
    ] {
        assert_eq!(tenant.own(full), own, "{full}");
        assert_eq!(tenant.has(full), own.is_some());
    }
    assert_eq!(
        (tenant.own_namespace("acme/team"), tenant.own_namespace("acme"), tenant.own_namespace("")),
        ("team", "", "")
    );
    assert_eq!(Tenant::new("registry.example.org", ""), None);
}

proptest! {
    #[test]
    fn names_come_back_as_they_went(name in "[a-z0-9]{1,4}((\\.|_|-|/)[a-z0-9]{1,4}){0,4}") {
        let full = acme().full(&name);
        prop_assert!(full.parse::<RepositoryName>().is_ok());
        prop_assert_eq!(acme().own(&full), Some(name.as_str()));
    }

    /// Whatever is asked for at a domain is no name, or one below its namespace.
    #[test]
    fn nothing_leads_out_of_the_namespace(text in "(\\.\\.|\\.|/|acme|other|-evil|%2f|%2e|A|\\PC){0,8}") {
        if let Ok(full) = acme().full(&text).parse::<RepositoryName>() {
            let is_below = full.as_str().starts_with("acme/");
            prop_assert!(is_below || (text.is_empty() && full.as_str() == "acme"), "{}", full);
            prop_assert!(!full.as_str().split('/').any(|part| part == ".." || part == "."));
        }
    }
}
