//! Scopes, what a client asks a token for: `repository:NAME:pull,push`, `registry:catalog:*` (distribution's token scope), and
//! our own `registry:admin:*` to administer.
//!
//! What cannot be read is left out: the answer is the intersection of what is asked and what is allowed, never an error
//! (distribution's token specification). Names may begin with a registry's host, which is no part of a repository's name.

use raft::catalog::RepositoryName;

use crate::access::{Grant, GrantKind};
use crate::tenant::Tenant;

/// Most scopes of one request; more are left out. Clients ask for a few: the repository, and those that they mount from.
const SCOPES_MAX: usize = 64;

/// One thing that a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// Kind of thing.
    pub(super) kind: GrantKind,
    /// A repository's name, `catalog` or `admin`.
    pub(super) name: String,
    /// What is to be done, each once, in the order asked; only words that mean something: `pull`, `push`, `delete`, `*`.
    pub(super) actions: Vec<String>,
}

/// Reads scopes, separated by spaces, several texts of them. What is asked of one thing in several places is one scope.
/// `host` is what the client calls this registry.
pub(super) fn scopes<'a>(texts: impl IntoIterator<Item = &'a str>, host: Option<&str>) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = Vec::new();
    let words = texts.into_iter().flat_map(|text| text.split([' ', '\t', '\r', '\n'])).filter(|word| !word.is_empty());
    for scope in words.take(SCOPES_MAX).filter_map(|word| scope(word, host)).flatten() {
        match scopes.iter_mut().find(|known| known.kind == scope.kind && known.name == scope.name) {
            Some(known) => add(&mut known.actions, scope.actions),
            None => scopes.push(scope),
        }
    }
    scopes
}

/// Scopes of a tenant's names in full ones. What no name can be is left out.
pub(super) fn within(scopes: Vec<Scope>, tenant: &Tenant) -> Vec<Scope> {
    let full = |scope: Scope| match scope.kind {
        GrantKind::Repository => {
            let name = tenant.full(&scope.name);
            name.parse::<RepositoryName>().is_ok().then_some(Scope { name, ..scope })
        }
        _ => Some(scope),
    };
    scopes.into_iter().filter_map(full).collect()
}

fn add(actions: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for action in more {
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
}

/// One scope. A name that may or may not begin with the registry's own host is two: both are asked for, and each is
/// granted only what is allowed there.
fn scope(text: &str, host: Option<&str>) -> Option<Vec<Scope>> {
    let (resource, rest) = text.split_once(':')?;
    // The name may hold a host with a port.
    let (name, actions) = rest.rsplit_once(':')?;
    // `repository(plugin)`: the class says what the content is for, and changes nothing here.
    let resource = match resource.split_once('(') {
        Some((resource, class)) => class.strip_suffix(')').map(|_| resource)?,
        None => resource,
    };
    let mut known = Vec::new();
    add(&mut known, actions.split(',').filter(|action| is_action(action)).map(str::to_owned));
    if known.is_empty() {
        return None;
    }
    let of = |kind, name: &str| Scope { kind, name: name.to_owned(), actions: known.clone() };
    match resource {
        "repository" => {
            let names = names(name, host);
            let names = names.into_iter().filter(|name| name.parse::<RepositoryName>().is_ok());
            Some(names.map(|name| of(GrantKind::Repository, name)).collect())
        }
        "registry" if name == "catalog" || name == Grant::ADMINISTRATION => Some(vec![of(GrantKind::Registry, name)]),
        _ => None,
    }
}

/// The repository that is meant, or the two that may be.
fn names<'a>(name: &'a str, host: Option<&str>) -> Vec<&'a str> {
    let Some((first, rest)) = name.split_once('/') else { return vec![name] };
    // No component of a repository's name holds a colon.
    if first.contains(':') {
        return vec![rest];
    }
    let own = host.map(|host| host.rsplit_once(':').map_or(host, |(host, _port)| host));
    if own.is_some_and(|own| own.eq_ignore_ascii_case(first)) { vec![name, rest] } else { vec![name] }
}

fn is_action(text: &str) -> bool {
    matches!(text, "pull" | "push" | "delete" | "*")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(texts: &[&str]) -> Vec<(String, String)> {
        let scopes = scopes(texts.iter().copied(), Some("registry.example.org:5000"));
        scopes
            .into_iter()
            .map(|scope| {
                let kind = if scope.kind == GrantKind::Registry { "registry " } else { "" };
                (format!("{kind}{}", scope.name), scope.actions.join(","))
            })
            .collect()
    }

    fn one(name: &str, actions: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), actions.to_owned())]
    }

    #[test]
    fn scopes_are_read_from_several_parameters_and_by_spaces() {
        let expected: Vec<_> =
            [one("acme/app", "pull,push"), one("acme/base", "pull"), one("registry catalog", "*")].concat();
        assert_eq!(read(&["repository:acme/app:pull,push repository:acme/base:pull", "registry:catalog:*"]), expected);
        assert_eq!(
            read(&[
                "repository:acme/app:pull",
                " repository:acme/app:push,pull,pull  repository:acme/base:pull registry:catalog:*"
            ]),
            expected
        );
        assert_eq!(read(&["repository:acme/app:*"]), one("acme/app", "*"));
    }

    #[test]
    fn classes_and_hosts_in_front_are_looked_through() {
        assert_eq!(read(&["repository(plugin):acme/app:pull"]), one("acme/app", "pull"));
        assert_eq!(read(&["repository:localhost:5000/acme/app:pull"]), one("acme/app", "pull"));
        assert_eq!(read(&["repository:[::1]:5000/app:pull"]), one("app", "pull"));
        let both = [one("registry.example.org/app", "pull"), one("app", "pull")].concat();
        assert_eq!(read(&["repository:registry.example.org/app:pull"]), both, "either may be meant");
        assert_eq!(read(&["repository:docker.io/library/alpine:pull"]), one("docker.io/library/alpine", "pull"));
    }

    #[test]
    fn what_a_tenant_asks_for_is_its_own() {
        let tenant = Tenant::new("registry.acme.example", "acme").unwrap();
        let long = format!("repository:{}:pull", "a".repeat(251));
        let asked = [
            "repository:app:pull",
            "repository:acme/app:pull",
            "repository:registry.acme.example/app:pull",
            "repository:registry.acme.example:443/lib:pull",
            "registry:catalog:*",
            "repository:../other:pull",
            &long,
        ];
        let scopes = within(scopes(asked, Some("registry.acme.example:443")), &tenant);
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name.as_str()).collect();
        assert_eq!(names, ["acme/app", "acme/acme/app", "acme/registry.acme.example/app", "acme/lib", "catalog"]);
    }

    #[test]
    fn what_means_nothing_is_left_out() {
        for text in [
            "",
            " ",
            "repository",
            "repository:acme/app",
            "repository:acme/app:",
            "repository:acme/app:fly",
            "repository::pull",
            "repository:ACME:pull",
            "repository:../x:pull",
            "repository(plugin:acme/app:pull",
            "registry:other:*",
            "namespace:acme:*",
            "repository:acme/app:PULL",
            "repository:*:pull",
            "repository:acme/*:pull",
            ":::",
            "repository:a//b:pull",
        ] {
            assert_eq!(read(&[text]), [], "{text}");
        }
        assert_eq!(read(&["repository:acme/app:fly,pull,swim"]), one("acme/app", "pull"));
    }

    #[test]
    fn no_more_are_read_than_a_token_has_room_for() {
        let many: Vec<String> = (0..1000).map(|index| format!("repository:app{index}:pull")).collect();
        assert_eq!(scopes([many.join(" ").as_str()], None).len(), SCOPES_MAX);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((repository|registry)?(\\([a-z]*\\)?)?:?[a-z/.:\\[\\]]*:(pull|push|\\*|,)*| |\\PC){0,10}", host in prop::option::of("\\PC{0,8}")) {
            for scope in scopes([text.as_str()], host.as_deref()) {
                prop_assert!(!scope.actions.is_empty());
                prop_assert!(scope.kind == GrantKind::Registry || scope.name.parse::<RepositoryName>().is_ok());
            }
        }
    }
}
