//! Prefixes of repository names: runs of whole path components. The root's is empty.

use crate::catalog::RepositoryName;

/// All prefixes of a repository: the root, then each longer run of components, the repository's own name last.
pub fn prefixes(repository: &RepositoryName) -> impl DoubleEndedIterator<Item = &str> {
    let name = repository.as_str();
    let inner = name.match_indices('/').map(|(end, _)| &name[..end]);
    std::iter::once("").chain(inner).chain(std::iter::once(name))
}

/// Whether a prefix covers a repository: `acme` covers `acme` and `acme/x`, not `acmex`.
#[must_use]
pub fn covers(prefix: &str, repository: &RepositoryName) -> bool {
    if prefix.is_empty() {
        return true;
    }
    repository.as_str().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a text can be a prefix: a run of path components has the grammar of a repository name.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    text.is_empty() || text.parse::<RepositoryName>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_go_from_the_root_to_the_name_itself() {
        let repository: RepositoryName = "acme/prod-1/app".parse().unwrap();
        let all: Vec<&str> = prefixes(&repository).collect();
        assert_eq!(all, ["", "acme", "acme/prod-1", "acme/prod-1/app"]);
        assert_eq!(prefixes(&"app".parse().unwrap()).collect::<Vec<_>>(), ["", "app"]);
        assert!(all.iter().all(|prefix| is_prefix(prefix) && covers(prefix, &repository)));
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let covered = |prefix: &str, name: &str| covers(prefix, &name.parse().unwrap());
        assert!(covered("", "a") && covered("acme", "acme") && covered("acme", "acme/x/y"));
        assert!(!covered("acme", "acmex") && !covered("acme", "acme-x/y") && !covered("acme/x", "acme"));
        assert!(!is_prefix("acme/") && !is_prefix("/") && !is_prefix("Acme"));
    }
}
