//! Why a takeover of the directory is refused, and the way out.

use raft::directory::StateError;
use raft::group::{GroupError, TakeoverError};

/// Why a takeover is refused. Nothing was changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverRefused {
    /// It is not needed.
    #[error(
        "the directory has a quorum, as {by} sees it: there is nothing to take over. Which region keeps its majority is set \
         with regnode region primary"
    )]
    HasQuorum {
        /// Who has found one.
        by: String,
    },
    /// The region does not stand by itself.
    #[error(
        "region {region} has no quorum of its own: start its nodes first, regnode nodes shows which ones do not answer"
    )]
    NoCatalog {
        /// The region.
        region: String,
    },
    /// No vote is elsewhere, and enough of those here answer.
    #[error(
        "no other region has votes in the directory, and more than half of its voters answer: they agree on a leader within \
         seconds. If they do not, start the other nodes of region {region}; regnode nodes shows which ones do not answer"
    )]
    NothingLost {
        /// The region.
        region: String,
    },
    /// A region that would be given up is there.
    #[error(
        "{voter} of region {region} votes in the directory and answers {by}: what is agreed on there is not lost. Bring back \
         as many of its voters as a quorum needs; if they are never to come back, switch {voter} off first"
    )]
    VoterAnswers {
        /// The voter.
        voter: String,
        /// Its region.
        region: String,
        /// Whom it answers.
        by: String,
    },
    /// Somebody may know more.
    #[error(
        "of this region {} do not answer, and may know more of the directory than the others do. Start them, or give up what \
         only they know: {}", nodes.join(", "), flags(nodes)
    )]
    Silent {
        /// The nodes.
        nodes: Vec<String>,
    },
    /// A node was named that is not of the region.
    #[error("this region has no node {0:?}: regnode nodes lists them")]
    UnknownNode(String),
    /// Nobody in the region knows the directory.
    #[error("no node of this region that answers has a replica of the directory to go on with")]
    Empty,
    /// It is not what was confirmed.
    #[error("what is given up has changed meanwhile: look again, and confirm it anew")]
    Changed,
    /// The one that was chosen has not done it.
    #[error("{node} was to go on and did not: {message}")]
    NotFounded {
        /// The node.
        node: String,
        /// Why.
        message: String,
    },
    /// The replica refuses.
    #[error(transparent)]
    Replica(#[from] TakeoverError),
    /// The replica cannot be read.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The directory cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

fn flags(nodes: &[String]) -> String {
    nodes.iter().map(|node| format!("--without {node}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_way_out() {
        let silent = TakeoverRefused::Silent { nodes: vec!["us-2".to_owned(), "us-3".to_owned()] };
        assert!(silent.to_string().ends_with("--without us-2 --without us-3"), "{silent}");
    }
}
