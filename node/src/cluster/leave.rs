//! Whether the others can do without a node: a pure function from what is known to objections.

use std::fmt;

use super::loss::Loss;

/// Nodes that serve on, and keep every byte, when one of them is lost.
const SAFE_NODES: usize = 3;

/// A node that would remain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub live: bool,
    /// What its disks can still take.
    pub free_bytes: u64,
}

/// Who would vote in the directory of several regions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryVoters {
    /// So many.
    pub voters: usize,
    /// Those of them that do not answer.
    pub silent: Vec<String>,
}

/// What is known when a node asks to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Whether it is being emptied.
    pub draining: bool,
    /// Whether it answers.
    pub live: bool,
    /// Shards that it holds.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Active nodes of the region that would remain.
    pub others: Vec<Other>,
    /// Whether the region is being given up: it is not the primary, and no namespace names it.
    pub given_up: bool,
    /// The directory's voters once it has left; of a cluster of one region nobody asks, its catalog's are the same.
    pub directory: DirectoryVoters,
}

/// Why a node should not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// Too few nodes would remain.
    Few {
        /// So many.
        nodes: usize,
    },
    /// Too few of them answer to agree on anything.
    NoQuorum {
        /// Nodes that would remain.
        nodes: usize,
        /// Those of them that do not answer.
        silent: Vec<String>,
    },
    /// Too few of those that would vote in the directory answer.
    NoDirectory(DirectoryVoters),
    /// Only one node would be left to take what it holds.
    Alone,
    /// It holds something and is not being emptied.
    Holds {
        /// The node.
        name: String,
        /// Shards.
        shards: u64,
        /// Bytes.
        bytes: u64,
        /// Whether it answers.
        live: bool,
    },
    /// The others have no space for what it holds.
    Space {
        /// What it holds, bytes.
        bytes: u64,
        /// What the others can take, bytes.
        free_bytes: u64,
    },
}

impl fmt::Display for Objection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Few { nodes: 0 } => write!(formatter, "no node would remain"),
            Self::Few { nodes: 1 } => {
                write!(formatter, "one node and voter would remain: its loss would be the loss of all bytes")
            }
            Self::Few { nodes } => write!(
                formatter,
                "{nodes} nodes and voters would remain: they keep all bytes when one is lost, but both are needed to serve"
            ),
            Self::NoQuorum { nodes, silent } => write!(
                formatter,
                "of the {nodes} nodes that would remain, {} {} not answer: too few would be left to agree on anything; \
                 bring them back first",
                silent.join(" and "),
                if silent.len() == 1 { "does" } else { "do" }
            ),
            Self::NoDirectory(DirectoryVoters { voters, silent }) => write!(
                formatter,
                "of the {voters} nodes that would vote in the directory, {} {} not answer: nobody could change policies or \
                 membership any more, in any region; bring them back, or remove them first with regnode leave --force",
                silent.join(" and "),
                if silent.len() == 1 { "does" } else { "do" }
            ),
            Self::Alone => write!(
                formatter,
                "only one node would be left to take what it holds, and no two shards of an extent share a node: it could \
                 never be emptied, and pushes would be refused meanwhile"
            ),
            Self::Holds { name, shards, bytes, live } => write!(
                formatter,
                "it holds {shards} shard{} ({bytes} bytes){}: empty it first with regnode drain {name}, then it may leave",
                if *shards == 1 { "" } else { "s" },
                if *live { "" } else { " and does not answer; what it holds is rebuilt from the other nodes" }
            ),
            Self::Space { bytes, free_bytes } => write!(
                formatter,
                "it holds {bytes} bytes, and the disks of the others can take only {free_bytes}: add a node or a disk first"
            ),
        }
    }
}

/// Everything that speaks against it; nothing when it may leave.
#[must_use]
pub fn objections(facts: &Facts) -> Vec<Objection> {
    let mut found = Vec::new();
    let DirectoryVoters { voters, silent } = &facts.directory;
    if *voters > 0 && 2 * silent.len() >= *voters {
        found.push(Objection::NoDirectory(facts.directory.clone()));
    }
    // Nobody needs what would remain.
    if facts.given_up && facts.shards == 0 {
        return found;
    }
    let nodes = facts.others.len();
    if nodes < SAFE_NODES {
        found.push(Objection::Few { nodes });
    }
    let silent: Vec<String> = facts.others.iter().filter(|other| !other.live).map(|other| other.name.clone()).collect();
    if nodes > 0 && 2 * silent.len() >= nodes {
        found.push(Objection::NoQuorum { nodes, silent });
    }
    let free_bytes = facts.others.iter().filter(|other| other.live).map(|other| other.free_bytes).sum();
    if facts.bytes > free_bytes {
        found.push(Objection::Space { bytes: facts.bytes, free_bytes });
    }
    if facts.shards > 0 && !facts.draining {
        let Facts { name, shards, bytes, live, .. } = facts.clone();
        found.push(Objection::Holds { name, shards, bytes, live });
    }
    found
}

/// What speaks against emptying a node, whether it is to leave or not: nothing would ever be moved.
#[must_use]
pub(super) fn objection_to_drain(facts: &Facts) -> Option<Objection> {
    let is_empty = facts.given_up && facts.shards == 0;
    (!facts.draining && facts.others.len() == 1 && !is_empty).then_some(Objection::Alone)
}

/// What force would do.
#[must_use]
pub(super) fn by_force(facts: &Facts, loss: &Loss) -> String {
    let Facts { name, .. } = facts;
    let least = if loss.at_least { "at least " } else { "" };
    match loss.extents {
        0 if !loss.at_least => format!(
            "regnode leave {name} --force removes it now and loses no bytes: what it holds is rebuilt from the others, \
             with less redundancy until then"
        ),
        extents => format!(
            "regnode leave {name} --force removes it now and LOSES {least}{extents} extents ({} bytes) of which too \
             little is left elsewhere; regnode fsck then names the repositories and tags",
            loss.bytes
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(others: usize) -> Facts {
        let other = |number| Other { name: format!("n{number}"), live: true, free_bytes: 100 };
        Facts {
            name: "n9".to_owned(),
            draining: true,
            live: true,
            shards: 0,
            bytes: 0,
            others: (1..=others).map(other).collect(),
            given_up: false,
            directory: DirectoryVoters::default(),
        }
    }

    #[test]
    fn an_emptied_node_may_leave_three_others() {
        assert_eq!(objections(&facts(3)), []);
        let held = Facts { shards: 10, bytes: 300, ..facts(3) };
        assert_eq!(objections(&held), [], "it is being emptied: it leaves when it holds nothing");
    }

    #[test]
    fn a_node_that_holds_something_is_emptied_first() {
        let held = Facts { shards: 10, bytes: 50, draining: false, ..facts(3) };
        let [objection] = objections(&held).try_into().unwrap();
        assert!(objection.to_string().contains("empty it first with regnode drain n9"), "{objection}");
    }

    #[test]
    fn too_few_others_are_an_objection() {
        assert_eq!(objections(&facts(2)), [Objection::Few { nodes: 2 }]);
        assert_eq!(objections(&facts(0)), [Objection::Few { nodes: 0 }]);
    }

    #[test]
    fn an_empty_region_is_given_up_to_its_last_node() {
        let given_up = |others, shards| Facts { given_up: true, draining: false, shards, ..facts(others) };
        for others in 0..3 {
            assert_eq!(objections(&given_up(others, 0)), []);
            assert_eq!(objection_to_drain(&given_up(others, 0)), None);
        }
        assert_eq!(
            objections(&given_up(1, 5)).len(),
            2,
            "what it holds is waited for: {:?}",
            objections(&given_up(1, 5))
        );
        assert_eq!(objection_to_drain(&given_up(1, 5)), Some(Objection::Alone));
    }

    #[test]
    fn a_directory_that_would_be_left_without_a_quorum_is_an_objection() {
        let directory = |voters, silent: &[&str]| {
            let silent = silent.iter().map(|name| (*name).to_owned()).collect();
            objections(&Facts { given_up: true, directory: DirectoryVoters { voters, silent }, ..facts(0) })
        };
        assert_eq!(directory(3, &["e1"]), []);
        let [objection] = directory(2, &["e1"]).try_into().unwrap();
        assert!(objection.to_string().contains("vote in the directory, e1 does not answer"), "{objection}");
    }

    #[test]
    fn a_node_is_not_emptied_onto_one_other() {
        let active = |others| Facts { draining: false, ..facts(others) };
        assert_eq!(objection_to_drain(&active(1)), Some(Objection::Alone));
        assert_eq!(objection_to_drain(&active(2)), None);
        assert_eq!(objection_to_drain(&facts(1)), None, "it is being emptied already: repeating that changes nothing");
    }

    #[test]
    fn others_that_do_not_answer_are_an_objection() {
        let mut three = facts(3);
        three.others[0].live = false;
        assert_eq!(objections(&three), []);
        three.others[1].live = false;
        let [objection] = objections(&three).try_into().unwrap();
        assert!(objection.to_string().contains("n1 and n2 do not answer"), "{objection}");
    }

    #[test]
    fn missing_space_is_an_objection() {
        let held = Facts { shards: 10, bytes: 301, ..facts(3) };
        assert_eq!(objections(&held), [Objection::Space { bytes: 301, free_bytes: 300 }]);
    }

    #[test]
    fn force_says_what_it_costs() {
        let none = Loss { shards: 3, ..Loss::default() };
        assert!(by_force(&facts(3), &none).contains("loses no bytes"));
        let some = Loss { shards: 3, extents: 2, bytes: 7, at_least: true };
        assert!(by_force(&facts(3), &some).contains("LOSES at least 2 extents (7 bytes)"));
    }
}
