//! openraft's own test suite for log stores and state machines, on both engines.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use storage::exec::Exec;

use super::harness::{GROUP, Machines};
use super::toy::Toy;
use crate::group::config::Types;
use crate::group::log_store::{GroupLog, LogStore};
use crate::group::state_machine::StateMachine;
use crate::group::state_store::StateStore;
use crate::group::{GroupOptions, GroupResources, Transport};
use crate::id::NodeId;

struct Builder<F>(F);

impl<F: Fn() -> Machines + Send + Sync> StoreBuilder<Types, GroupLog, StateMachine<Toy>, Machines> for Builder<F> {
    async fn build(&self) -> Result<(Machines, GroupLog, StateMachine<Toy>), StorageError<Types>> {
        let machines = (self.0)();
        let engines = Arc::clone(&machines.engines);
        let log = LogStore::open(Arc::clone(&engines), &machines.path("log"), Exec::threads()).await.unwrap();
        let options = GroupOptions::new(GROUP, NodeId(0), "nowhere", machines.path("group"));
        let resources = GroupResources {
            log: Arc::clone(&log),
            engines,
            files: Arc::clone(&machines.files),
            exec: Exec::threads(),
            clock: Arc::new(NoClock),
            transport: Arc::new(NoTransport),
            witness: None,
        };
        let state = Arc::new(StateStore::<Toy>::open(&options, &resources).unwrap());
        Ok((machines, log.group(GROUP, 8 << 20, None), StateMachine::new(state, Exec::threads())))
    }
}

/// The suite has no peers.
#[derive(Debug)]
pub(super) struct NoTransport;

impl Transport for NoTransport {
    fn call<'a>(
        &'a self,
        _: NodeId,
        _: &'a str,
        _: crate::id::GroupId,
        _: bytes::Bytes,
        _: std::time::Duration,
    ) -> futures_util::future::BoxFuture<'a, Result<bytes::Bytes, crate::group::TransportError>> {
        unreachable!("the suite has no peers")
    }

    fn send_snapshot<'a>(
        &'a self,
        _: NodeId,
        _: &'a str,
        _: crate::id::GroupId,
        _: futures_util::stream::BoxStream<'static, bytes::Bytes>,
        _: std::time::Duration,
    ) -> futures_util::future::BoxFuture<'a, Result<bytes::Bytes, crate::group::TransportError>> {
        unreachable!("the suite has no peers")
    }
}

/// Nor does it propose.
#[derive(Debug)]
pub(super) struct NoClock;

impl crate::time::Clock for NoClock {
    fn now(&self) -> crate::time::Timestamp {
        crate::time::Timestamp(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openraft_accepts_the_stores_on_memory_engines() {
    Suite::test_all(Builder(|| Machines::memory().0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn openraft_accepts_the_stores_on_rocksdb() {
    Suite::test_all(Builder(Machines::rocks)).await.unwrap();
}
