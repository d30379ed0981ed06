//! Tests of the room as a whole, on a directory of its own: the pure state machine.

mod fuzz;
mod identify;
mod outside;
mod property;
mod service;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use raft::directory::{Command, Condition, Effect, NewSigningKey, Response as Outcome, Subject};
use raft::id::RequestId;
use raft::time::{Clock, Timestamp};
use serde_json::Value;
use storage::exec::Exec;
use tokio::time::sleep;
use tower::ServiceExt as _;

use super::testing::{CLUSTER, Counting, cluster_key};
use super::*;
use crate::access::Access;
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::environment::{BoxFuture, Entropy as _};
use crate::limit::Throttle;
use crate::serve::ClientCertificate;
use crate::tenant::Tenants;

/// The memory directory's clock begins here.
const BEGIN: u64 = 1_000_000_000_000;

#[derive(Debug)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// People outside: names and passwords.
#[derive(Debug, Default)]
struct People {
    passwords: Mutex<BTreeMap<String, (String, Outsider)>>,
    is_down: Mutex<bool>,
    is_silent: Mutex<bool>,
    asked: AtomicU64,
    names: Mutex<BTreeSet<String>>,
}

impl PasswordSource for People {
    fn name(&self) -> &'static str {
        "ldap"
    }

    fn verify<'a>(&'a self, name: &'a str, password: &'a str) -> BoxFuture<'a, Result<Option<Outsider>, SourceError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.names.lock().unwrap().insert(name.to_owned());
        Box::pin(async move {
            if *self.is_silent.lock().unwrap() {
                std::future::pending::<()>().await;
            }
            if *self.is_down.lock().unwrap() {
                return Err(SourceError("no answer".to_owned()));
            }
            let passwords = self.passwords.lock().unwrap();
            let found = passwords.get(name).filter(|(right, _)| right == password);
            Ok(found.map(|(_, outsider)| outsider.clone()))
        })
    }
}

/// An issuer outside, whose tokens are what they say: `eyJ.robot.ci`, `eyJ.person.ann`, `eyJ.caller.x`; with claims also
/// `eyJ-person-ann.CLAIMS.sig`.
#[derive(Debug)]
struct Issuer;

impl OutsideTokens for Issuer {
    fn caller<'a>(
        &'a self,
        token: &'a str,
        address: IpAddr,
        late_seconds: u64,
    ) -> BoxFuture<'a, Result<Caller, OutsideError>> {
        Box::pin(async move {
            match token.strip_prefix("eyJ.caller.") {
                Some("late") if late_seconds == 0 => Err(OutsideError::Refused("it has expired".to_owned())),
                Some(subject) => {
                    let principal = Principal::External { issuer: "hub".to_owned(), subject: subject.to_owned() };
                    Ok(Caller { principal, way: Way::Token, ..Caller::anonymous(address) })
                }
                None => Err(OutsideError::Refused("nobody has signed it".to_owned())),
            }
        })
    }

    fn robot<'a>(&'a self, robot: &'a str, token: &'a str) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(async move {
            match token.strip_prefix("eyJ.robot.") {
                Some("down") => Err(OutsideError::Unavailable("no keys".to_owned())),
                Some(name) if name == robot => Ok(()),
                _ => Err(OutsideError::Refused("not trusted".to_owned())),
            }
        })
    }

    fn certificate(&self, certificate: &ClientCertificate) -> Option<String> {
        certificate.sans.iter().find_map(|san| san.strip_prefix("dns:")).map(str::to_owned)
    }

    fn person<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<OutsidePerson, OutsideError>> {
        Box::pin(async move {
            let with_claims = || token.strip_prefix("eyJ-person-")?.split('.').next();
            let name = token.strip_prefix("eyJ.person.").or_else(with_claims);
            let name = name.ok_or_else(|| OutsideError::Refused("not of this issuer".to_owned()))?;
            let outsider = Outsider { display: format!("{name} of outside"), groups: Some(vec!["devs".to_owned()]) };
            Ok(OutsidePerson { name: name.to_owned(), issuer: "ldap".to_owned(), outsider })
        })
    }
}

struct World {
    login: Login,
    access: Access,
    directory: Arc<dyn DirectoryRecords>,
    audit: Audit,
    clock: Arc<Hand>,
    entropy: Arc<Counting>,
    people: Arc<People>,
    signing_key: NewSigningKey,
    client: Client,
    throttle: Throttle,
    _keeping: tokio::task::JoinSet<()>,
}

impl World {
    /// With a key to sign tokens, the user `ann` (password `correct horse`, owner of `acme`), the robot `ci` (writer of
    /// `acme/app`), and `anonymous` who may pull from `public`.
    async fn new() -> Self {
        Self::called("").await
    }

    /// The same of a registry that knows its URL.
    async fn called(public_url: &str) -> Self {
        let world = Self::empty_of(public_url).await;
        world.add_key(&world.signing_key).await;
        world.add_user("ann", "correct horse").await;
        let robot = Command::AddRobot {
            name: "ci".to_owned(),
            description: String::new(),
            groups: Vec::new(),
            lifetime_seconds: None,
        };
        world.propose(robot).await;
        world.bind(Subject::User("ann".to_owned()), "owner", "acme").await;
        world.bind(Subject::Robot("ci".to_owned()), "writer", "acme/app").await;
        world.bind(Subject::Anonymous, "reader", "public").await;
        world
    }

    async fn empty() -> Self {
        Self::empty_of("").await
    }

    async fn empty_of(public_url: &str) -> Self {
        let directory = directory();
        let clock = Arc::new(Hand(AtomicU64::new(BEGIN + 60_000)));
        let access = Access::start(Arc::clone(&directory), Exec::inline(), Arc::<Hand>::clone(&clock));
        let entropy = Arc::new(Counting::default());
        let (audit, people) = (Audit::memory(), Arc::new(People::default()));
        let login = Login::new(LoginParts {
            cluster: CLUSTER,
            cluster_key: Some(cluster_key()),
            access: access.clone(),
            directory: Arc::clone(&directory),
            audit: audit.clone(),
            entropy: Arc::<Counting>::clone(&entropy),
            exec: Exec::inline(),
            sources: vec![Arc::<People>::clone(&people)],
            outside: Some(Arc::new(Issuer)),
            metrics: Metrics::default(),
            options: LoginOptions {
                token_lifetime_seconds: 300,
                refresh_lifetime_seconds: 30 * 24 * 3600,
                session_seconds: 3600,
                upload_lifetime_seconds: 7 * 24 * 3600,
                public_url: public_url.to_owned(),
                api_url: "http://127.0.0.1:5000".to_owned(),
            },
        });
        let mut keeping = tokio::task::JoinSet::new();
        keeping.spawn(access.clone().keep());
        keeping.spawn(login.keep());
        let signing_key = new_signing_key(entropy.as_ref(), CLUSTER, &cluster_key()).unwrap();
        let client = Client {
            host: Some("registry.example.org".to_owned()),
            secure: true,
            ..Client::at("192.0.2.1".parse().unwrap())
        };
        let throttle = Throttle::unlimited();
        let world = Self {
            login,
            access,
            directory,
            audit,
            clock,
            entropy,
            people,
            signing_key,
            client,
            throttle,
            _keeping: keeping,
        };
        world.settle().await;
        world
    }

    async fn propose(&self, command: Command) {
        let outcome = self.directory.propose(RequestId(self.entropy.id()), command).await.unwrap();
        assert!(matches!(outcome, Outcome::Done | Outcome::Bound { .. }), "{outcome:?}");
        self.settle().await;
    }

    /// Waits until the rules in memory are those of the directory.
    async fn settle(&self) {
        while !self.access.rights().is_known()
            || self.access.rights().version() != self.directory.view().access_version().unwrap()
        {
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn add_key(&self, key: &NewSigningKey) {
        let key = key.clone();
        self.propose(Command::AddSigningKey { key, signs_after_seconds: 0, others_retire_after_seconds: 0 }).await;
    }

    async fn add_user(&self, name: &str, password: &str) {
        let user = Command::AddUser {
            name: name.to_owned(),
            display: String::new(),
            password: Some(hash_password(password, self.entropy.as_ref())),
            source: None,
            groups: Vec::new(),
        };
        self.propose(user).await;
    }

    async fn set_password(&self, name: &str, password: &str) {
        let password = Some(hash_password(password, self.entropy.as_ref()));
        let (name, display) = (name.to_owned(), None);
        self.propose(Command::SetUser { name, display, password, disabled: None, groups: None }).await;
    }

    async fn disable(&self, name: &str) {
        let (name, disabled) = (name.to_owned(), Some(true));
        self.propose(Command::SetUser { name, display: None, password: None, disabled, groups: None }).await;
    }

    async fn bind(&self, subject: Subject, role: &str, namespace: &str) {
        let binding = Command::AddBinding {
            subject,
            effect: Effect::Allow { role: role.to_owned() },
            namespace: namespace.to_owned(),
            condition: Condition::default(),
            note: String::new(),
            by: "operator".to_owned(),
        };
        self.propose(binding).await;
    }

    async fn add_secret(&self, subject: Subject, lifetime_seconds: Option<u64>) -> NewSecret {
        let kind = if matches!(subject, Subject::Robot(_)) { SecretKind::Robot } else { SecretKind::Key };
        let made = new_secret(kind, self.entropy.as_ref());
        let add = Command::AddSecret {
            subject,
            id: made.id,
            hash: made.hash,
            name: "test".to_owned(),
            lifetime_seconds,
            others_end_after_seconds: None,
        };
        self.propose(add).await;
        made
    }

    fn advance_seconds(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    async fn basic(&self, name: &str, password: &str) -> Result<Caller, LoginError> {
        self.login.identify(&basic(name, password), &self.client, Leeway::None).await
    }

    async fn bearer(&self, token: &str) -> Result<Caller, LoginError> {
        self.login.identify(&bearer(token), &self.client, Leeway::None).await
    }

    async fn request(&self, mut request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
        request.extensions_mut().insert(self.client.clone());
        let response: Response<Body> =
            router(self.login.clone(), self.throttle.clone(), Tenants::new(self.access.clone(), []))
                .oneshot(request)
                .await
                .unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, query: &str, credentials: Option<(&str, &str)>) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::get(format!("/token?{query}")).body(Body::empty()).unwrap();
        if let Some((name, password)) = credentials {
            *request.headers_mut() = basic(name, password);
        }
        self.request(request).await
    }

    async fn post(&self, form: &str) -> (StatusCode, HeaderMap, Value) {
        self.request(Request::post("/token").body(Body::from(form.to_owned())).unwrap()).await
    }

    /// An access token that somebody gets by a password.
    async fn token_of(&self, name: &str, password: &str, query: &str) -> String {
        let (status, _, body) = self.get(query, Some((name, password))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["token"].as_str().unwrap().to_owned()
    }
}

fn basic(name: &str, password: &str) -> HeaderMap {
    let value = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
}

fn bearer(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())])
}

fn is_malformed<T>(outcome: &Result<T, LoginError>) -> bool {
    matches!(outcome, Err(LoginError::Malformed(_) | LoginError::Untrusted(_)))
}
