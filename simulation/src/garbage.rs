//! When garbage goes in a run: the policies that an operator sets before the clients begin, and what may be gone by itself
//! because of them.
//!
//! By default nothing is set, and a grace is a day: longer than any run. In other runs it is some seconds, so that what
//! clients were told of goes under their hands as soon as the promise is over; and the last repository may have no grace at
//! all, where a client must expect to be told that a blob is unknown, and to push it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use raft::policy::{NamespacePolicy, Untagged};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde::Serialize;

use crate::history::{DigestText, Microseconds, Subject};
use crate::workload::content::{Library, NAMESPACE};

/// Share of the runs in which nothing is set.
const UNSET: f64 = 0.5;
/// How long an upload lives without progress where a grace is short, in seconds: above every pause of a client.
pub const SHORT_UPLOAD_LIFETIME_SECONDS: u64 = 300;
const MICROSECONDS: u64 = 1_000_000;

/// When garbage goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GarbageConfiguration {
    /// The grace of the clients' namespace, in seconds; `None` if nothing is set, and all that follows does not matter.
    pub grace_seconds: Option<u64>,
    /// The same of the root, which is that of blobs without a link: none, or that of the namespace.
    pub bytes_at_once: bool,
    /// How long what was deleted can be restored, in seconds.
    pub restore_seconds: u64,
    /// After how many seconds a manifest goes that nothing holds; `None` if it is kept.
    pub untagged_seconds: Option<u64>,
    /// Whether there is no grace at all in the last of several repositories.
    pub none_in_the_last: bool,
    /// Whether everything is deleted in the end, after which nothing may be left.
    pub emptied_in_the_end: bool,
}

impl GarbageConfiguration {
    /// What a run's own stream decides.
    pub(crate) fn draw(random: &mut StdRng) -> Self {
        if random.random_bool(UNSET) {
            return Self::default();
        }
        Self {
            grace_seconds: Some(*[20, 20, 40].choose(random).unwrap_or(&20)),
            bytes_at_once: random.random_bool(0.5),
            restore_seconds: *[0, 0, 30].choose(random).unwrap_or(&0),
            untagged_seconds: *[None, Some(0), Some(20)].choose(random).unwrap_or(&None),
            none_in_the_last: random.random_bool(0.5),
            emptied_in_the_end: random.random_bool(0.4),
        }
    }

    /// What an operator sets before the clients begin, by prefix.
    #[must_use]
    pub fn policies(&self, repositories: &[Arc<str>]) -> Vec<(String, NamespacePolicy)> {
        let Some(grace_seconds) = self.grace_seconds else { return Vec::new() };
        let untagged = self.untagged_seconds.map(|after_seconds| Untagged::Collect { after_seconds });
        let root = NamespacePolicy {
            grace_seconds: Some(if self.bytes_at_once { 0 } else { grace_seconds }),
            restore_seconds: Some(self.restore_seconds),
            untagged,
            ..NamespacePolicy::default()
        };
        let namespace = NamespacePolicy { grace_seconds: Some(grace_seconds), ..NamespacePolicy::default() };
        let mut policies = vec![(String::new(), root), (NAMESPACE.to_owned(), namespace)];
        if let Some(last) = self.graceless(repositories) {
            policies.push((last.to_string(), at_once()));
        }
        policies
    }

    /// The repository in which there is no grace.
    fn graceless<'a>(&self, repositories: &'a [Arc<str>]) -> Option<&'a Arc<str>> {
        // Never the first one: the judge of liveness works there.
        repositories.last().filter(|_| self.none_in_the_last && repositories.len() > 1)
    }

    /// What may go by itself.
    #[must_use]
    pub fn terms(&self, library: &Library) -> Terms {
        let Some(grace_seconds) = self.grace_seconds else { return Terms::default() };
        let (grace, untagged) = (grace_seconds * MICROSECONDS, self.untagged_seconds.map(|after| after * MICROSECONDS));
        let graceless = self.graceless(&library.repositories);
        // What `at_once` says.
        let nothing = Term { grace: 0, untagged: Some(0) };
        let term = |name| if graceless == Some(name) { nothing } else { Term { grace, untagged } };
        Terms {
            repositories: Arc::new(library.repositories.iter().map(|name| (Arc::clone(name), term(name))).collect()),
            lasting: Arc::new(
                library.images.iter().chain(&library.indexes).map(|manifest| Arc::clone(&manifest.digest)).collect(),
            ),
        }
    }
}

/// What is set at a prefix where everything that nothing holds is to go at once.
#[must_use]
pub fn at_once() -> NamespacePolicy {
    NamespacePolicy {
        grace_seconds: Some(0),
        restore_seconds: Some(0),
        untagged: Some(Untagged::Collect { after_seconds: 0 }),
        ..NamespacePolicy::default()
    }
}

impl fmt::Display for GarbageConfiguration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(grace_seconds) = self.grace_seconds else { return write!(formatter, "stays a day") };
        write!(formatter, "stays {grace_seconds} s")?;
        if self.bytes_at_once {
            write!(formatter, ", without a link not at all")?;
        }
        write!(formatter, ", what was deleted {} s", self.restore_seconds)?;
        match self.untagged_seconds {
            Some(after) => write!(formatter, ", untagged manifests {after} s")?,
            None => write!(formatter, ", untagged manifests for ever")?,
        }
        if self.none_in_the_last {
            write!(formatter, ", nothing in the last of several repositories")?;
        }
        write!(
            formatter,
            "; {} in the end",
            if self.emptied_in_the_end { "all is deleted" } else { "nothing is deleted" }
        )
    }
}

/// How long a repository keeps what nothing holds, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Term {
    grace: Microseconds,
    untagged: Option<Microseconds>,
}

/// What may be gone by itself in a run, and when at the earliest. Nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    repositories: Arc<BTreeMap<Arc<str>, Term>>,
    /// Digests of manifests that no subject takes along.
    lasting: Arc<BTreeSet<DigestText>>,
}

impl Terms {
    /// How long content of this subject stays at least after the last moment at which it was certainly needed or
    /// promised; `None` if it never goes by itself.
    #[must_use]
    pub fn span(&self, subject: &Subject) -> Option<Microseconds> {
        match subject {
            Subject::Tag { .. } => None,
            Subject::Blob { repository, .. } => self.repositories.get(repository).map(|term| term.grace),
            Subject::Manifest { repository, digest } => {
                let term = self.repositories.get(repository)?;
                let orphaned = (!self.lasting.contains(digest)).then_some(term.grace);
                [term.untagged, orphaned].into_iter().flatten().min()
            }
        }
    }

    /// Whether anything may go by itself in a repository.
    #[must_use]
    pub fn are_short(&self, repository: &str) -> bool {
        self.repositories.contains_key(repository)
    }

    /// Whether nothing goes by itself in any.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.repositories.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;
    use crate::seed::Seed;

    fn library(repositories: usize) -> Library {
        let mut configuration = Configuration::from_seed(Seed(1));
        configuration.workload.repositories = repositories;
        Library::new(Seed(1), &configuration.workload, 1 << 16)
    }

    #[test]
    fn nothing_goes_where_nothing_is_set() {
        let library = library(2);
        let unset = GarbageConfiguration::default();
        assert!(unset.policies(&library.repositories).is_empty());
        assert!(unset.terms(&library).are_none());
    }

    #[test]
    fn each_repository_has_the_terms_of_its_policy() {
        let library = library(2);
        let short = GarbageConfiguration {
            grace_seconds: Some(20),
            bytes_at_once: true,
            none_in_the_last: true,
            ..GarbageConfiguration::default()
        };
        let policies = short.policies(&library.repositories);
        let graces: Vec<_> = policies.iter().map(|(prefix, set)| (&**prefix, set.grace_seconds)).collect();
        assert_eq!(graces, [("", Some(0)), ("team", Some(20)), ("team/app-1", Some(0))]);
        let terms = short.terms(&library);
        let blob = |number: usize| Subject::Blob {
            repository: Arc::clone(&library.repositories[number]),
            digest: Arc::clone(&library.layers[0].digest),
        };
        assert_eq!([terms.span(&blob(0)), terms.span(&blob(1))], [Some(20_000_000), Some(0)]);
        let manifest = |digest: &DigestText| Subject::Manifest {
            repository: Arc::clone(&library.repositories[0]),
            digest: Arc::clone(digest),
        };
        assert_eq!(terms.span(&manifest(&library.images[0].digest)), None, "it is kept without a tag");
        let last = Subject::Manifest {
            repository: Arc::clone(&library.repositories[1]),
            digest: Arc::clone(&library.images[0].digest),
        };
        assert_eq!(terms.span(&last), Some(0), "where there is no grace, nothing is kept without a tag");
        assert_eq!(terms.span(&manifest(&"sha256:artifact".into())), Some(20_000_000), "it goes with its subject");
        let terms = GarbageConfiguration { untagged_seconds: Some(5), ..short }.terms(&library);
        assert_eq!(terms.span(&manifest(&library.images[0].digest)), Some(5_000_000));
    }

    #[test]
    fn a_single_repository_keeps_its_grace() {
        let library = library(1);
        let short =
            GarbageConfiguration { grace_seconds: Some(20), none_in_the_last: true, ..GarbageConfiguration::default() };
        assert_eq!(short.policies(&library.repositories).len(), 2);
    }
}
