//! For how long this region has held what it has to let go, as far as this node has seen: counted from when it first saw
//! it, so that what is told is never too long.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use raft::catalog::RepositoryName;
use tokio::time::Instant;

/// Most repositories that are remembered. What is above is remembered when others have gone.
const REPOSITORIES_MAX: usize = 16_384;

/// The memory of one node.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    since: Mutex<BTreeMap<RepositoryName, Instant>>,
}

impl Leaving {
    /// A repository is here that is to go; for how long that was seen.
    pub(super) fn seen(&self, repository: &RepositoryName) -> Duration {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = since.get(repository) {
            return first.elapsed();
        }
        if since.len() < REPOSITORIES_MAX {
            since.insert(repository.clone(), Instant::now());
        }
        Duration::ZERO
    }

    /// How long one was seen, if it is remembered.
    pub(super) fn of(&self, repository: &RepositoryName) -> Duration {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.get(repository).map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Of the repositories up to `to`, from behind `after` on, only these are here still, and those of which `stays` says so.
    pub(super) fn only(
        &self,
        (after, to): (Option<&RepositoryName>, Option<&RepositoryName>),
        present: &[RepositoryName],
        stays: impl Fn(&RepositoryName) -> bool,
    ) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = |name: &RepositoryName| after.is_none_or(|after| name > after) && to.is_none_or(|to| name <= to);
        since.retain(|name, _| !inside(name) || present.binary_search(name).is_ok() || stays(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<RepositoryName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_runs_from_the_first_look_and_ends_when_it_is_gone() {
        let (leaving, names) = (Leaving::default(), names(&["a", "b", "c"]));
        for name in &names {
            assert_eq!(leaving.seen(name), Duration::ZERO);
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(leaving.seen(&names[1]), Duration::from_secs(10));
        // Behind "a", up to "b": only "b" is asked about, and is gone.
        leaving.only((Some(&names[0]), Some(&names[1])), &[], |_| false);
        assert_eq!([0, 1, 2].map(|at| leaving.of(&names[at]).as_secs()), [10, 0, 10]);
        leaving.only((None, None), &names[..1], |_| false);
        assert_eq!([0, 1, 2].map(|at| leaving.of(&names[at]).as_secs()), [10, 0, 0]);
        leaving.only((None, None), &[], |name| *name == names[0]);
        assert_eq!(leaving.of(&names[0]).as_secs(), 10, "the catalog takes it for its own");
    }
}
