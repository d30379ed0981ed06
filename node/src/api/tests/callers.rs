//! Who sends the requests of the tests: robots with secrets, tokens of theirs, nobody; and the rules for them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use raft::directory::{
    Action, Actions, BindingId, BindingRecord, Condition, DomainRecord, Effect, NewSigningKey, RobotRecord, RoleRecord,
    SecretRecord,
};
use raft::time::{Clock, Timestamp};
use storage::exec::Exec;
use tower::ServiceExt as _;

use super::{Reply, Rig};
use crate::access::{Access, Records, Rights};
use crate::audit::{Audit, AuditEvent};
use crate::deletion::testing::directory;
use crate::limit::Throttle;
use crate::login::testing::{CLUSTER, Counting, cluster_key, record};
use crate::login::{Login, LoginOptions, LoginParts, SecretKind, new_secret, new_signing_key};
use crate::serve::Client;
use crate::tenant::Domains;

/// Where requests come from when nothing else is said.
pub(super) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The present moment at the beginning, in milliseconds.
const BEGIN: u64 = 1_800_000_000_000;

/// Seconds for which a token of the tests counts.
pub(super) const TOKEN_SECONDS: u64 = 300;

/// A clock that stands until it is moved on.
#[derive(Debug)]
pub(super) struct Watch(AtomicU64);

impl Watch {
    pub(super) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// What stands at the gate of a registry.
#[derive(Debug)]
pub(super) struct Ward {
    pub(super) login: Login,
    pub(super) access: Access,
    pub(super) audit: Audit,
    pub(super) throttle: Throttle,
    pub(super) watch: Arc<Watch>,
}

impl Ward {
    pub(super) fn new(rights: Rights) -> Self {
        let watch = Arc::new(Watch(AtomicU64::new(BEGIN)));
        let (access, audit) = (Access::fixed(rights, watch.clone()), Audit::memory());
        let login = Login::new(LoginParts {
            cluster: CLUSTER,
            cluster_key: Some(cluster_key()),
            access: access.clone(),
            directory: directory(),
            audit: audit.clone(),
            entropy: Arc::<Counting>::default(),
            exec: Exec::threads(),
            sources: Vec::new(),
            outside: None,
            metrics: crate::login::Metrics::default(),
            options: LoginOptions {
                token_lifetime_seconds: TOKEN_SECONDS,
                refresh_lifetime_seconds: 3600,
                session_seconds: 3600,
                upload_lifetime_seconds: 24 * 3600,
                public_url: "https://registry.example".to_owned(),
                api_url: "http://node-1:5000".to_owned(),
            },
        });
        Self { login, access, audit, throttle: Throttle::unlimited(), watch }
    }

    /// What was recorded of an action.
    pub(super) fn events(&self, action: &str) -> Vec<AuditEvent> {
        self.audit.events().into_iter().filter(|event| event.action == action).collect()
    }
}

/// Rules and robots. Every robot that a rule names exists, and its secret is its name's.
#[derive(Debug, Default)]
pub(super) struct Rules {
    records: Records,
    domains: Vec<(String, DomainRecord)>,
}

impl Rules {
    /// Somebody may: `anonymous`, `authenticated` or a robot's name.
    pub(super) fn allow(self, who: &str, role: &str, namespace: &str) -> Self {
        self.bind(who, Effect::Allow { role: role.to_owned() }, namespace, Condition::default())
    }

    /// Somebody may from an address.
    pub(super) fn allow_from(self, who: &str, role: &str, namespace: &str, network: &str) -> Self {
        let condition = Condition { addresses: vec![network.to_owned()], ..Condition::default() };
        self.bind(who, Effect::Allow { role: role.to_owned() }, namespace, condition)
    }

    /// Somebody may not.
    pub(super) fn deny(self, who: &str, actions: &[Action], namespace: &str) -> Self {
        self.bind(who, Effect::Deny { actions: Actions::of(actions) }, namespace, Condition::default())
    }

    /// A domain stands for a namespace.
    pub(super) fn domain(mut self, domain: &str, namespace: &str) -> Self {
        let record = DomainRecord { namespace: namespace.to_owned(), created: Timestamp(0) };
        self.domains.push((domain.to_owned(), record));
        self
    }

    /// A role of these actions.
    pub(super) fn role(mut self, name: &str, actions: &[Action]) -> Self {
        let role = RoleRecord { description: String::new(), actions: Actions::of(actions) };
        self.records.roles.insert(name.to_owned(), role);
        self
    }

    /// What the directory says another time.
    pub(super) fn version(mut self, version: u64) -> Self {
        self.records.version = version;
        self
    }

    /// What is kept of a robot is another thing.
    pub(super) fn change(mut self, name: &str, change: impl FnOnce(&mut RobotRecord)) -> Self {
        change(self.records.robots.get_mut(name).unwrap());
        self
    }

    /// A robot that no rule names.
    pub(super) fn robot(mut self, name: &str) -> Self {
        let entropy = Counting::default();
        let secrets = (0..=seed(name)).map(|_| new_secret(SecretKind::Robot, &entropy)).last().unwrap();
        let secret = SecretRecord {
            id: secrets.id,
            hash: secrets.hash,
            name: "tests".to_owned(),
            created: Timestamp(0),
            expires: None,
            last_used: None,
        };
        let robot = RobotRecord {
            description: String::new(),
            groups: Vec::new(),
            disabled: false,
            created: Timestamp(0),
            expires: None,
            sessions_from: Timestamp(0),
            secrets: vec![secret],
            trusts: Vec::new(),
        };
        self.records.robots.insert(name.to_owned(), robot);
        self
    }

    fn bind(self, who: &str, effect: Effect, namespace: &str, condition: Condition) -> Self {
        let (mut rules, subject) = match who {
            "anonymous" | "authenticated" => (self, who.to_owned()),
            name => (self.robot(name), format!("robot:{name}")),
        };
        let id = BindingId(rules.records.bindings.len() as u64 + 1);
        let record = BindingRecord {
            subject: subject.parse().unwrap(),
            effect,
            namespace: namespace.to_owned(),
            condition,
            note: String::new(),
            created: Timestamp(0),
            created_by: "operator".to_owned(),
        };
        rules.records.bindings.insert(id, record);
        rules
    }

    pub(super) fn rights(mut self) -> Rights {
        // The same in all registries of a test, as in all nodes of a cluster.
        static KEY: OnceLock<NewSigningKey> = OnceLock::new();
        let key = KEY.get_or_init(|| new_signing_key(&Counting::default(), CLUSTER, &cluster_key()).unwrap());
        self.records.signing_keys = BTreeMap::from([(key.id, record(key))]);
        self.records.domains = Domains::new(self.domains);
        Rights::new(self.records)
    }
}

/// A number of a name, so that every robot has its own secret, and the same in every registry.
fn seed(name: &str) -> usize {
    name.bytes().fold(7, |seed, byte| (seed * 31 + usize::from(byte)) % 251)
}

/// The header of a robot that shows its secret.
pub(super) fn basic(name: &str) -> String {
    let entropy = Counting::default();
    let secret = (0..=seed(name)).map(|_| new_secret(SecretKind::Robot, &entropy)).last().unwrap();
    format!("Basic {}", STANDARD.encode(format!("robot+{name}:{}", secret.text)))
}

impl Rig {
    /// The header with a token of a robot, or of nobody, for these scopes.
    pub(super) async fn token(&self, robot: Option<&str>, scopes: &[&str]) -> String {
        let query = scopes.iter().fold(String::new(), |query, scope| query + "&scope=" + scope);
        let mut request =
            Request::get(format!("/token?service=regnode%3A{CLUSTER}{query}")).extension(Client::at(LOCAL));
        if let Some(robot) = robot {
            request = request.header("authorization", basic(robot));
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        format!("Bearer {}", answer["token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")))
    }

    /// Sends a request as somebody: `None` shows nothing.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        credentials: Option<&str>,
        body: impl Into<Body>,
    ) -> Reply {
        let headers: Vec<(&str, &str)> = credentials.map(|shown| ("authorization", shown)).into_iter().collect();
        self.send(method.parse::<Method>().unwrap(), path, &headers, body).await
    }
}
