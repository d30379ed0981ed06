//! Tests of the whole API over a catalog and a gateway of one node. Everything is everybody's, but in those of the gate
//! (`gate…`), which say who may what.

mod callers;
mod copies;
mod fuzz;
mod gate;
mod gate_lists;
mod gate_regions;
mod gate_uploads;
mod insight;
mod manifests;
mod mirror;
mod onward;
mod reads;
mod regions;
mod tenants;
mod uploads;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use raft::catalog::{Algorithm, Catalog, Command, Digest, NamespaceCopy, Response, View};
use raft::group::{Group, GroupOptions, GroupResources, LogStore, Transport, TransportError};
use raft::id::{GroupId, NodeId, RegionId, RequestId};
use raft::policy::NamespacePolicy;
use storage::disk::RealFiles;
use storage::exec::Exec;
use storage::kv::{Engines, MemoryEngines};
use tower::ServiceExt as _;

use super::{ApiOptions, ApiParts, Metrics, router};
use crate::access::Rights;
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::environment::real;
use crate::gateway::{Gateway, GatewayParts};
use crate::login;
use crate::members::testing::FixedSource;
use crate::peer::Trust;
use crate::peer::testing::{MemoryNetwork, TestNode, address};
use crate::regions::{Regions, RegionsParts};
use crate::registry::{Registry, compute};
use crate::serve::Client;
use crate::tenant::Tenants;

use callers::{LOCAL, Ward};

/// A registry of one node.
struct Rig {
    router: Router,
    catalog: Arc<Group<Catalog>>,
    registry: Registry,
    regions: Regions,
    ward: Ward,
    node: TestNode,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    #[track_caller]
    fn expect_error(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.json()["errors"][0]["code"], code, "{reply:?}");
        reply
    }

    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Rig {
    async fn start() -> Self {
        Self::with(ApiOptions::default()).await
    }

    /// One that gives up silent clients soon: nothing that takes its time may be sent to it on a busy machine.
    async fn impatient() -> Self {
        Self::with(ApiOptions { idle_body_timeout: Duration::from_millis(200), ..ApiOptions::default() }).await
    }

    async fn with(options: ApiOptions) -> Self {
        let node = TestNode::start(&MemoryNetwork::default(), &FixedSource::of(&[1]), 1, Trust::Claim).await;
        Self::of(node, RegionId(1), directory(), options).await
    }

    /// A registry in which these rights hold.
    async fn guarded(rights: Rights) -> Self {
        Self::behind(Ward::new(rights)).await
    }

    /// A registry with this at its gate.
    async fn behind(ward: Ward) -> Self {
        let node = TestNode::start(&MemoryNetwork::default(), &FixedSource::of(&[1]), 1, Trust::Claim).await;
        Self::of_ward(node, RegionId(1), directory(), ApiOptions::default(), ward).await
    }

    /// A registry of this node of a region.
    async fn of(node: TestNode, region: RegionId, namespaces: Arc<dyn DirectoryRecords>, options: ApiOptions) -> Self {
        Self::of_ward(node, region, namespaces, options, Ward::new(Rights::open())).await
    }

    async fn of_ward(
        node: TestNode,
        region: RegionId,
        namespaces: Arc<dyn DirectoryRecords>,
        options: ApiOptions,
        ward: Ward,
    ) -> Self {
        let files = Arc::new(RealFiles);
        let engines: Arc<dyn Engines> = Arc::new(MemoryEngines::new(files.clone()));
        let environment = real(files.clone(), engines.clone());
        let exec = Exec::threads();
        let directory = node.directory.path();
        let log = LogStore::open(engines.clone(), &directory.join("log"), exec).await.unwrap();
        let resources = GroupResources {
            log,
            engines,
            files,
            exec,
            clock: environment.clock.clone(),
            transport: Arc::new(NoPeers),
            witness: None,
        };
        let id = GroupId::Catalog(region);
        let group = GroupOptions::new(id, node.id, address(node.id), directory.join("catalog"));
        let catalog = Group::<Catalog>::open(group, resources).await.unwrap();
        catalog.initialize().await.unwrap();
        let gateway = Gateway::new(GatewayParts {
            catalog: catalog.clone(),
            shards: node.shards.clone(),
            members: node.members.clone(),
            entropy: environment.entropy.clone(),
            clock: environment.clock.clone(),
            exec,
            options: crate::gateway::Options::default(),
            metrics: crate::gateway::Metrics::default(),
        });
        let registry = Registry::new(catalog.clone(), exec, environment.entropy, environment.clock);
        let parts = RegionsParts {
            own: region,
            members: node.members.clone(),
            peers: node.peers.clone(),
            exec,
            metrics: crate::regions::Metrics::default(),
        };
        let regions = Regions::start(parts, namespaces).await;
        tokio::spawn(regions.keep());
        let (held, way) = (registry.clone(), regions.clone());
        let (login, access, audit) = (ward.login.clone(), ward.access.clone(), ward.audit.clone());
        let tenants = Tenants::new(access.clone(), []);
        let tokens = login::router(login.clone(), ward.throttle.clone(), tenants.clone());
        let (throttle, metrics) = (ward.throttle.clone(), Metrics::unregistered());
        let router =
            router(ApiParts { gateway, registry, regions, login, access, audit, throttle, tenants, options, metrics });
        Self { router: tokens.merge(router), catalog, registry: held, regions: way, ward, node }
    }

    /// Sends a request. Every answer has the header that clients look for.
    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        self.send_from(&Client::at(LOCAL), method, path, headers, body).await
    }

    /// The same from another client.
    async fn send_from(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path).extension(client.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(parts.headers["docker-distribution-api-version"], "registry/2.0", "{path}");
        assert!(!parts.headers.contains_key("set-cookie") && !parts.headers.contains_key("content-encoding"), "{path}");
        Reply { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    async fn head(&self, path: &str) -> Reply {
        let reply = self.send(Method::HEAD, path, &[], Body::empty()).await;
        assert!(reply.body.is_empty());
        reply
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], Body::empty()).await
    }

    /// Sets a policy, as the background work brings it from the directory.
    async fn set_policy(&self, prefix: &str, policy: NamespacePolicy) {
        self.sync(prefix, policy.into()).await;
    }

    /// Sets what the catalog has at a prefix.
    async fn sync(&self, prefix: &str, copy: NamespaceCopy) {
        let version = View::new(self.catalog.state()).policy_version().unwrap() + 1;
        let changes = vec![(prefix.to_owned(), Some(copy))];
        let command = Command::SyncPolicies { version, changes, complete: true };
        let request = RequestId(version.to_be_bytes().repeat(2).try_into().unwrap());
        assert_eq!(self.catalog.propose(request, command).await.unwrap(), Response::Done);
    }

    /// Pushes a blob with one request.
    async fn push_blob(&self, repository: &str, content: impl Into<Bytes>) -> Digest {
        let content = content.into();
        let digest = sha256(&content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.send(Method::POST, &path, &[], content).await.expect(201);
        digest
    }

    /// Pushes a manifest of this type.
    async fn put(&self, path: &str, media_type: &str, body: &str) -> Reply {
        self.send(Method::PUT, path, &[("content-type", media_type)], body.to_owned()).await
    }
}

fn sha256(content: &[u8]) -> Digest {
    compute(Algorithm::Sha256, content)
}

/// Bytes that repeat nowhere within a block.
fn content(length: usize) -> Bytes {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A node that has no peers.
#[derive(Debug)]
struct NoPeers;

impl Transport for NoPeers {
    fn call<'a>(
        &'a self,
        _target: NodeId,
        _address: &'a str,
        _group: GroupId,
        _request: Bytes,
        _deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async { Err(TransportError::Unreachable("there is no peer".to_owned())) })
    }

    fn send_snapshot<'a>(
        &'a self,
        _target: NodeId,
        _address: &'a str,
        _group: GroupId,
        _frames: BoxStream<'static, Bytes>,
        _idle: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async { Err(TransportError::Unreachable("there is no peer".to_owned())) })
    }
}
