//! What stands before an admission: callers are unknown, and only one with a valid token may make the cluster agree on
//! something.
//!
//! A token is judged by this node's own replica first. What that refuses, the directory would refuse too: a token's
//! secret never changes, it is used once, and the directory's clock does not go back. The directory has the last word
//! all the same.

use std::sync::Arc;

use raft::directory::{Directory, JoinTokenRecord, Refusal, View};
use raft::group::Group;
use raft::id::RequestId;
use tokio::sync::SemaphorePermit;

use super::throttle::Throttle;
use crate::identity::JoinToken;
use crate::peer::JoinError;

/// Lets callers with a valid token pass, some at a time.
#[derive(Debug)]
pub(super) struct Gate {
    directory: Arc<Group<Directory>>,
    /// Tokens that this replica has not heard of.
    unknown: Throttle,
    /// Valid tokens. Apart from the others, so that guesses do not keep a token's owner out.
    valid: Throttle,
}

impl Gate {
    pub(super) fn new(directory: Arc<Group<Directory>>) -> Self {
        Self { directory, unknown: Throttle::new(), valid: Throttle::new() }
    }

    /// Checks a token that is shown with a request. Its admission is to be over when the permit is dropped.
    pub(super) async fn pass(&self, token: &JoinToken, request: RequestId) -> Result<SemaphorePermit<'_>, JoinError> {
        let mut record = self.record(token)?;
        if record.is_none() {
            // Made a moment ago on another node, perhaps.
            let _turn = self.unknown.enter().ok_or_else(busy)?;
            self.directory.read_barrier().await.map_err(unavailable)?;
            record = self.record(token)?;
        }
        match self.refusal(record, token, request)? {
            Some(refusal) => Err(JoinError::Refused(refusal.to_string())),
            None => self.valid.enter().ok_or_else(busy),
        }
    }

    fn record(&self, token: &JoinToken) -> Result<Option<JoinTokenRecord>, JoinError> {
        View::new(self.directory.state()).join_token(token.id).map_err(unavailable)
    }

    fn refusal(
        &self,
        record: Option<JoinTokenRecord>,
        token: &JoinToken,
        request: RequestId,
    ) -> Result<Option<Refusal>, JoinError> {
        let Some(record) = record.filter(|record| record.secret_hash == token.secret_hash()) else {
            return Ok(Some(Refusal::TokenUnknown));
        };
        let view = View::new(self.directory.state());
        if let Some(user) = record.used_by {
            let admitted = view.node(user).map_err(unavailable)?;
            let repeated = admitted.is_some_and(|admitted| admitted.admitted_by == request);
            return Ok((!repeated).then_some(Refusal::TokenUsed(user)));
        }
        Ok((record.expires <= view.clock().map_err(unavailable)?).then_some(Refusal::TokenExpired))
    }
}

fn busy() -> JoinError {
    JoinError::Unavailable("this node is busy with other joins: try again in a few seconds".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn unavailable(error: impl ToString) -> JoinError {
    JoinError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use raft::directory::{Command, FirstAccess, NodeInfo, Response};
    use raft::group::{GroupOptions, GroupResources, LogStore, Timing};
    use raft::id::{GroupId, NodeId, RegionId};
    use raft::time::{Clock, Timestamp};
    use storage::disk::RealFiles;
    use storage::exec::Exec;
    use storage::kv::{Bytes, MemoryEngines};

    use super::*;
    use crate::environment::Entropy;
    use crate::peer::testing::MemoryNetwork;
    use crate::peer::{Metrics, Peers, Security};

    #[derive(Debug)]
    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    /// A clock that a test sets, in hours.
    #[derive(Debug, Default)]
    struct Hours(AtomicU64);

    impl Clock for Hours {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst) * 3_600_000)
        }
    }

    fn info(name: &str) -> NodeInfo {
        NodeInfo {
            name: name.to_owned(),
            zone: String::new(),
            peer_address: name.to_owned(),
            api_url: String::new(),
            disks: Vec::new(),
            feature_level: 1,
            version: String::new(),
        }
    }

    async fn directory(path: &Path, clock: Arc<Hours>) -> Arc<Group<Directory>> {
        let engines = Arc::new(MemoryEngines::new(Arc::new(RealFiles)));
        let exec = Exec::threads();
        let network = Arc::new(MemoryNetwork::default());
        let resources = GroupResources {
            log: LogStore::open(engines.clone(), &path.join("log"), exec).await.unwrap(),
            engines,
            files: Arc::new(RealFiles),
            exec,
            clock,
            transport: Arc::new(Peers::new(NodeId(1), RegionId(1), network, Security::Plaintext, Metrics::default())),
            witness: None,
        };
        let timing = Timing {
            heartbeat: Duration::from_millis(20),
            election_min: Duration::from_millis(60),
            election_max: Duration::from_millis(120),
        };
        let options = GroupOptions::new(GroupId::Directory, NodeId(1), "node-1", path.join("directory"));
        let group = Group::open(GroupOptions { timing, ..options }, resources).await.unwrap();
        group.initialize().await.unwrap();
        let found = Command::Found {
            cluster: [1; 16],
            ca_certificate: Bytes::new(),
            wrapped_ca_key: Bytes::new(),
            feature_level: 1,
            region: "main".to_owned(),
            node: info("n1"),
            access: FirstAccess::default(),
        };
        group.propose(RequestId([1; 16]), found).await.unwrap();
        group
    }

    fn refused(outcome: Result<SemaphorePermit<'_>, JoinError>) -> String {
        match outcome {
            Err(JoinError::Refused(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn only_a_valid_token_passes_and_others_cost_no_proposal() {
        let path = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hours::default());
        let group = directory(path.path(), Arc::clone(&clock)).await;
        let gate = Gate::new(Arc::clone(&group));
        let (good, guess) = (JoinToken::generate(&Fixed(7), b"ca"), JoinToken::generate(&Fixed(8), b"ca"));
        let add = Command::AddJoinToken { token: good.id, secret_hash: good.secret_hash(), lifetime_seconds: 3600 };
        group.propose(RequestId([2; 16]), add).await.unwrap();

        let (first, second) = (RequestId([3; 16]), RequestId([4; 16]));
        let log = || group.status().last_log_index;
        let before = log();
        drop(gate.pass(&good, first).await.unwrap());
        assert!(refused(gate.pass(&guess, first).await).contains("not valid"));
        let mut text = good.to_string();
        text.replace_range(20..22, "AA");
        let wrong: JoinToken = text.parse().unwrap();
        assert_eq!(wrong.id, good.id);
        for _ in 0..100 {
            assert!(refused(gate.pass(&wrong, first).await).contains("not valid"));
        }
        let mut busy = 0;
        for _ in 0..100 {
            busy += usize::from(matches!(gate.pass(&guess, first).await, Err(JoinError::Unavailable(_))));
        }
        assert!(busy > 80, "{busy} of 100 guesses were put off");
        drop(gate.pass(&good, first).await.expect("guesses do not keep the owner out"));
        assert_eq!(log(), before);

        let admit = Command::AdmitNode {
            token: good.id,
            secret_hash: good.secret_hash(),
            region: "main".to_owned(),
            node: info("n2"),
            replaces: None,
        };
        let admitted = group.propose(first, admit).await.unwrap();
        assert!(matches!(admitted, Response::Admitted { node: NodeId(2), .. }), "{admitted:?}");
        drop(gate.pass(&good, first).await.expect("a repetition passes"));
        assert!(refused(gate.pass(&good, second).await).contains("used by node 2"));

        let late = JoinToken::generate(&Fixed(9), b"ca");
        let add = Command::AddJoinToken { token: late.id, secret_hash: late.secret_hash(), lifetime_seconds: 3600 };
        group.propose(RequestId([5; 16]), add).await.unwrap();
        clock.0.store(1, Ordering::SeqCst);
        group.propose(RequestId([6; 16]), Command::Tick).await.unwrap();
        assert!(refused(gate.pass(&late, second).await).contains("expired"));
        group.shutdown().await;
    }
}
