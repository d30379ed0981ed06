//! What answers the code's switches during one run: the rare paths that its configuration turned on, and a planted
//! fault if the run is to test the judges.
//!
//! Each switch draws from a stream of its own, so that turning one on does not change what the others answer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use rand::Rng;
use rand::rngs::StdRng;
use storage::switch::{Guard, Kind, install};

use crate::configuration::Configuration;
use crate::mutation::Mutation;

/// The switches of one run, answered on this thread until this is dropped.
pub struct Switches {
    taken: Rc<RefCell<BTreeMap<&'static str, u64>>>,
    _guard: Guard,
}

impl fmt::Debug for Switches {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Switches").field(&self.taken.borrow()).finish()
    }
}

/// One switch that is on now and then.
struct Share {
    percent: u8,
    random: StdRng,
}

impl Share {
    fn is_on(&mut self) -> bool {
        self.percent >= 100 || self.random.random_range(0..100) < self.percent
    }
}

impl Switches {
    /// Answers as the configuration says. `mutation` shows its fault besides.
    #[must_use]
    pub fn install(configuration: &Configuration, mutation: Option<&'static Mutation>) -> Self {
        let share = |name: &'static str, percent| (name, Share { percent, random: configuration.seed.stream(name) });
        let mut rare: BTreeMap<_, _> = configuration.rare.iter().map(|(name, percent)| share(name, *percent)).collect();
        let mut broken: BTreeMap<_, _> =
            mutation.iter().map(|mutation| share(mutation.name, mutation.share_percent)).collect();
        let taken: Rc<RefCell<BTreeMap<_, u64>>> = Rc::default();
        let counts = Rc::clone(&taken);
        let guard = install(Box::new(move |kind, name| {
            let shares = match kind {
                Kind::Rare => &mut rare,
                Kind::Broken => &mut broken,
            };
            let on = shares.get_mut(name).is_some_and(Share::is_on);
            if on {
                *counts.borrow_mut().entry(name).or_default() += 1;
            }
            on
        }));
        Self { taken, _guard: guard }
    }

    /// How often each switch was on so far; those that never were are not in it. A mutation that is not in it did not
    /// show: the run never came to its place.
    #[must_use]
    pub fn taken(&self) -> BTreeMap<&'static str, u64> {
        self.taken.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use storage::switch;

    use super::*;
    use crate::mutation::MUTATIONS;
    use crate::rare::RARE;
    use crate::seed::Seed;

    #[expect(clippy::disallowed_methods, reason = "looks at the project's own sources")]
    fn sources() -> String {
        fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
            let mut entries: Vec<_> =
                std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
            entries.sort();
            for path in entries {
                if path.is_dir() {
                    walk(&path, found);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        for room in ["storage", "raft", "node"] {
            walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(room).join("src"), &mut found);
        }
        // The definition and its own tests speak of names that are none.
        found.retain(|path| !path.ends_with("storage/src/switch.rs"));
        let texts: Vec<String> = found.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        texts.concat()
    }

    /// Every name that a function is called with, in the order of the sources.
    fn asked(sources: &str, function: &str) -> Vec<String> {
        let call = format!("switch::{function}(");
        let behind = sources.split(&call).skip(1);
        behind.map(|rest| rest.trim_start().split('"').nth(1).expect("a literal name").to_owned()).collect()
    }

    fn check(function: &str, listed: &[&str]) {
        let asked = asked(&sources(), function);
        let known: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        assert_eq!(known.len(), asked.len(), "a name stands at one place: {asked:?}");
        assert_eq!(known, listed.iter().copied().collect(), "what is in the sources, and what is listed");
        assert!(listed.is_sorted(), "{listed:?}");
        for name in listed {
            let parts: Vec<&str> = name.split('.').collect();
            assert!(parts.len() == 3 && parts.iter().all(|part| !part.is_empty()), "{name}: room.module.what");
        }
    }

    #[test]
    fn every_rare_path_is_in_the_sources_once_and_every_one_there_is_listed() {
        check("rare", &RARE.iter().map(|path| path.name).collect::<Vec<_>>());
    }

    #[test]
    fn every_mutation_is_in_the_sources_once_and_every_one_there_is_listed() {
        check("broken", &MUTATIONS.iter().map(|mutation| mutation.name).collect::<Vec<_>>());
        for mutation in MUTATIONS {
            assert!(mutation.seeds > 0 && (1..=100).contains(&mutation.share_percent), "{mutation:?}");
            assert!(!mutation.caught_by.is_empty() && Mutation::named(mutation.name).is_some(), "{mutation:?}");
        }
    }

    #[test]
    fn switches_answer_as_the_seed_says_and_only_while_they_are_installed() {
        let [first, second] = [RARE[0].name, RARE[1].name];
        let mut configuration = Configuration::from_seed(Seed(5));
        configuration.rare = BTreeMap::from([(first, 30)]);
        let draw = |configuration: &Configuration, mutation: Option<&'static Mutation>| {
            let switches = Switches::install(configuration, mutation);
            let drawn: Vec<bool> = (0..200).map(|_| switch::rare(first)).collect();
            assert!(!switch::rare(second));
            assert_eq!(switch::broken(MUTATIONS[0].name), mutation.is_some());
            let on = drawn.iter().filter(|on| **on).count() as u64;
            assert_eq!(switches.taken().get(first), Some(&on));
            assert!((30..90).contains(&on), "{on} of 200 at 30%");
            drawn
        };
        let drawn = draw(&configuration, None);
        assert_eq!(drawn, draw(&configuration, None));
        assert_eq!(drawn, draw(&configuration, Some(&MUTATIONS[0])), "a planted fault changes nothing else");
        configuration.rare.insert(second, 0);
        assert_eq!(drawn, draw(&configuration, None), "nor does another rare path");
        assert!(!switch::rare(first));
    }
}
