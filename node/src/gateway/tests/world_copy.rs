//! A region of the world that copies a namespace of another one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use raft::catalog::{Command, Digest, NamespaceCopy, ReplicationRecord, RepositoryName, Response, Tag};
use raft::policy::{NamespacePolicy, Quota, Role};
use tokio::time::sleep;

use super::world::*;
use super::world_images::tags;
use super::world_source::*;
use crate::deletion::testing::directory;
use crate::gateway::{Gateway, Options};
use crate::replication::testing::judge;
use crate::replication::{CaughtUp, CaughtUpQuestion, Puller, Replication, ScopeReport};

/// A region that copies `acme` from another one.
pub(super) struct Copy {
    pub(super) world: Arc<World>,
    pub(super) gateway: Gateway,
    pub(super) far: Arc<Far>,
    pub(super) replication: Replication,
    puller: Option<Puller>,
}

/// A repository.
pub(super) fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

impl Copy {
    /// Not begun yet.
    pub(super) async fn new() -> Self {
        let world = World::new(&[1]);
        let options = Options {
            block_size_bytes: 4096,
            extent_size_bytes: 1 << 20,
            batch_size_bytes: 64 << 10,
            write_budget_bytes: 16 << 20,
            object_size_bytes_max: 16 << 20,
            ..small()
        };
        let gateway = world.gateway(1, options);
        let far = Far::new();
        let replication = Replication::over(gateway.clone(), directory(), Arc::<Far>::clone(&far), 4);
        let copy = Self { world, gateway, far, replication, puller: None };
        copy.in_force(1, Some(Role::Replica)).await;
        copy
    }

    pub(super) async fn begun() -> Self {
        let mut copy = Self::new().await;
        copy.begin();
        copy
    }

    pub(super) fn begin(&mut self) {
        self.puller = Some(self.replication.spawn());
    }

    pub(super) async fn stop(&mut self) {
        self.puller.take().unwrap().stop().await;
        settle(&self.gateway).await;
    }

    /// What the catalog goes by.
    pub(super) async fn in_force(&self, version: u64, role: Option<Role>) {
        let quota = Quota { tags: Some(1), ..Quota::default() };
        let policy = NamespacePolicy { deletes: Some(false), quota, ..NamespacePolicy::default() };
        let changes = vec![("acme".to_owned(), role.map(|role| NamespaceCopy { role: Some(role), policy }))];
        let sync = Command::SyncPolicies { version, changes, complete: true };
        assert_eq!(self.gateway.core.propose(sync).await.unwrap(), Response::Done);
    }

    pub(super) fn record(&self) -> Option<ReplicationRecord> {
        self.world.view().replication(FAR, "acme").unwrap()
    }

    /// Waits for something, for some minutes at most.
    pub(super) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        for _ in 0..3000 {
            if holds(self) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: {:?} {:?}", self.record(), self.report());
    }

    pub(super) async fn until_in_sync(&self) {
        self.until("it is in sync", |copy| copy.report().is_some_and(|report| report.in_sync)).await;
    }

    pub(super) fn report(&self) -> Option<ScopeReport> {
        self.replication.report().unwrap().unwrap().scopes.pop()
    }

    pub(super) fn tags(&self, repository: &str) -> Vec<String> {
        tags(&self.world, &name(repository))
    }

    pub(super) fn points_to(&self, repository: &str, tag: &str) -> Option<Digest> {
        let tag: Tag = tag.parse().unwrap();
        self.world.view().tag(&name(repository), &tag).unwrap().map(|record| record.digest)
    }

    pub(super) fn has_manifest(&self, repository: &str, digest: &Digest) -> bool {
        self.world.view().manifest(&name(repository), digest).unwrap().is_some()
    }

    pub(super) async fn pulled(&self, repository: &str, digest: &Digest) -> Vec<u8> {
        let blob = self.gateway.open_blob(&name(repository), digest).await.unwrap();
        let length = blob.length_bytes();
        if length == 0 {
            return Vec::new();
        }
        let mut stream = blob.read(0..length).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(part) = stream.next().await {
            bytes.extend_from_slice(&part.unwrap());
        }
        bytes
    }

    pub(super) async fn caught_up(&self, policy_version: u64) -> CaughtUp {
        let question = CaughtUpQuestion { prefix: "acme".to_owned(), source: FAR, policy_version };
        judge(self.gateway.core(), self.far.as_ref(), &question).await.unwrap()
    }
}
