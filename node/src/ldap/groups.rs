//! Their groups: all that a person is in, directly or through others, and which of ours they are.

use std::collections::{BTreeMap, VecDeque};

use raft::directory::is_access_name;

use super::connection::Failure;
use super::options::{GroupNames, LdapOptions};

/// Most groups of one person.
const GROUPS_MAX: usize = 1000;

/// A group of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) dn: String,
    /// Values of the attribute that names it.
    pub(super) names: Vec<String>,
}

/// Looks for groups.
pub(super) trait FindGroups {
    /// The groups that a person or a group is a member of, directly as far as the filter says.
    async fn groups_of(&mut self, options: &LdapOptions, name: &str, dn: &str) -> Result<Vec<Group>, Failure>;
}

/// All groups of a person, up to `group_depth` groups inside each other. Each is asked about once, so circles end.
pub(super) async fn all_of(
    directory: &mut impl FindGroups,
    options: &LdapOptions,
    name: &str,
    dn: &str,
) -> Result<Vec<Group>, Failure> {
    let mut found: BTreeMap<String, Group> = BTreeMap::new();
    let mut next = VecDeque::from([(dn.to_owned(), 0)]);
    while let Some((dn, depth)) = next.pop_front() {
        for group in directory.groups_of(options, name, &dn).await? {
            let key = normal(&group.dn);
            if found.contains_key(&key) {
                continue;
            }
            if found.len() == GROUPS_MAX {
                return Err(Failure::TooManyGroups);
            }
            if depth + 1 < options.group_depth {
                next.push_back((group.dn.clone(), depth + 1));
            }
            found.insert(key, group);
        }
    }
    Ok(found.into_values().collect())
}

/// Which of ours they are, sorted.
pub(super) fn ours(names: &GroupNames, theirs: &[Group]) -> Vec<String> {
    let mut groups: Vec<String> = match names {
        GroupNames::Same => {
            let names = theirs.iter().flat_map(|group| &group.names);
            names.map(|name| name.to_ascii_lowercase()).filter(|name| is_access_name(name)).collect()
        }
        GroupNames::Listed(pairs) => {
            let listed = pairs.iter().filter(|(their, _)| theirs.iter().any(|group| is_called(group, their)));
            listed.map(|(_, our)| our.clone()).collect()
        }
    };
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Whether a group is called so: by its distinguished name, which has a '=', or by its plain name.
fn is_called(group: &Group, called: &str) -> bool {
    if called.contains('=') {
        return normal(&group.dn) == normal(called);
    }
    group.names.iter().any(|name| name.to_lowercase() == called.to_lowercase())
}

/// A distinguished name in a form that can be compared: without the blanks around `,` and `=` that mean nothing, and small.
/// A comma or blank behind a backslash belongs to a value.
fn normal(dn: &str) -> String {
    let mut parts: Vec<String> = vec![String::new()];
    let mut letters = dn.chars();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            '\\' => {
                parts[last].push('\\');
                parts[last].extend(letters.next());
            }
            ',' => parts.push(String::new()),
            _ => parts[last].push(letter),
        }
    }
    let part = |part: &String| match part.split_once('=') {
        Some((attribute, value)) => format!("{}={}", attribute.trim(), trimmed(value)),
        None => part.trim().to_owned(),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",").to_lowercase()
}

fn trimmed(value: &str) -> &str {
    let value = value.trim_start();
    let end = value.trim_end();
    // A blank at the end that is escaped is part of the value.
    if end.ends_with('\\') && end.len() < value.len() { &value[..=end.len()] } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LdapSettings;

    /// Members and their groups.
    struct Tree(&'static [(&'static str, &'static str)], usize);

    impl FindGroups for Tree {
        async fn groups_of(&mut self, _options: &LdapOptions, _name: &str, dn: &str) -> Result<Vec<Group>, Failure> {
            self.1 += 1;
            let groups = self.0.iter().filter(|(member, _)| *member == dn);
            Ok(groups.map(|(_, group)| Group { dn: (*group).to_owned(), names: vec![(*group).to_owned()] }).collect())
        }
    }

    fn options(depth: u32) -> LdapOptions {
        let settings = LdapSettings {
            servers: vec!["ldaps://a.test".to_owned()],
            user_base: "dc=test".to_owned(),
            group_depth: depth,
            ..LdapSettings::default()
        };
        LdapOptions::new(&settings).unwrap().unwrap()
    }

    async fn names(tree: &mut Tree, depth: u32) -> Vec<String> {
        let groups = all_of(tree, &options(depth), "ann", "ann").await.unwrap();
        groups.into_iter().map(|group| group.dn).collect()
    }

    #[tokio::test]
    async fn groups_inside_groups_are_found_up_to_the_depth() {
        let members = &[("ann", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("bob", "z")];
        assert_eq!(names(&mut Tree(members, 0), 1).await, ["a"]);
        assert_eq!(names(&mut Tree(members, 0), 3).await, ["a", "b", "c"]);
        assert_eq!(names(&mut Tree(members, 0), 9).await, ["a", "b", "c", "d"]);
    }

    #[tokio::test]
    async fn circles_end() {
        let mut tree = Tree(&[("ann", "a"), ("ann", "b"), ("a", "b"), ("b", "a"), ("a", "a")], 0);
        assert_eq!(names(&mut tree, 20).await, ["a", "b"]);
        assert_eq!(tree.1, 3);
    }

    fn group(dn: &str, name: &str) -> Group {
        Group { dn: dn.to_owned(), names: vec![name.to_owned()] }
    }

    #[test]
    fn groups_are_ours_by_distinguished_name_or_by_name() {
        let pairs = [("cn=devs,ou=groups,dc=x", "developers"), ("ops", "operators"), ("cn=other,dc=x", "others")];
        let listed =
            GroupNames::Listed(pairs.map(|(their, our)| (their.to_owned(), our.to_owned())).into_iter().collect());
        let theirs = [group("CN=Devs, OU=Groups,DC=X", "Devs"), group("cn=ops,dc=y", "OPS"), group("cn=z", "z")];
        assert_eq!(ours(&listed, &theirs), ["developers", "operators"]);
        assert_eq!(ours(&GroupNames::Same, &theirs), ["devs", "ops", "z"]);
        assert_eq!(ours(&GroupNames::Same, &[group("cn=a b", "a b")]), [""; 0]);
        assert_eq!(ours(&GroupNames::Listed(Vec::new()), &theirs), [""; 0]);
        // A name is not a distinguished name that has it.
        assert_eq!(ours(&listed, &[group("cn=devs,ou=other,dc=x", "devs")]), [""; 0]);
    }

    #[test]
    fn distinguished_names_are_compared_as_they_are_meant() {
        assert_eq!(normal("CN = a , dc=x"), normal("cn=A,DC=X"));
        assert_eq!(normal("cn=a\\, dc=x"), "cn=a\\, dc=x");
        assert_ne!(normal("cn=a\\,dc=x"), normal("cn=a,dc=x"));
        assert_eq!(normal("cn=a\\ ,dc=x"), "cn=a\\ ,dc=x");
        assert_eq!(normal("cn=a\\"), "cn=a\\");
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(dn in ".{0,60}") {
            proptest::prop_assert_eq!(normal(&normal(&dn)), normal(&dn));
        }
    }
}
