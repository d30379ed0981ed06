//! The gate of the administration over the network: who is let through, by what he has at the end of his request.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use raft::directory::{BindingId, BindingRecord, Condition, Effect, RobotRecord};
use raft::time::{Clock, Timestamp};
use serde_json::{Value, json};
use storage::exec::Exec;

use super::network::{Gate, Refused};
use super::operator::Operator;
use super::origin::Origin;
use crate::access::{Access, Caller, Records, Rights};
use crate::audit::{Audit, Outcome};
use crate::config::{Networks, Settings};
use crate::deletion::testing::directory;
use crate::environment::BoxFuture;
use crate::limit::Throttle;
use crate::login::testing::{CLUSTER, Counting, cluster_key};
use crate::login::{Login, LoginOptions, LoginParts, Metrics, OutsideError, OutsidePerson, OutsideTokens};
use crate::serve::{Client, ClientCertificate};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000)
    }
}

/// Takes every token of a robot, and counts how often it is asked.
#[derive(Debug, Default)]
struct Workloads(AtomicU64);

impl OutsideTokens for Workloads {
    fn caller<'a>(&'a self, _: &'a str, _: IpAddr, _: u64) -> BoxFuture<'a, Result<Caller, OutsideError>> {
        Box::pin(async { Err(OutsideError::Refused("no token of a caller".to_owned())) })
    }

    fn robot<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), OutsideError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn certificate(&self, _: &ClientCertificate) -> Option<String> {
        None
    }

    fn person<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<OutsidePerson, OutsideError>> {
        Box::pin(async { Err(OutsideError::Refused("no token of a person".to_owned())) })
    }
}

/// The robot `ci` owns acme by its group, but for what it is denied of its secret; it audits everything else.
fn rights(groups: &[&str], disabled: bool) -> Rights {
    let robot = RobotRecord {
        description: String::new(),
        groups: groups.iter().map(|&name| name.to_owned()).collect(),
        disabled,
        created: Timestamp(0),
        expires: None,
        sessions_from: Timestamp(0),
        secrets: Vec::new(),
        trusts: Vec::new(),
    };
    let allow = |role: &str| Effect::Allow { role: role.to_owned() };
    let deny = Effect::Deny { actions: "policy,pull,audit,access".parse().unwrap() };
    let rules = [("group:owners", allow("owner"), "acme"), ("robot:ci", deny, "acme/secret")];
    let rules = rules.into_iter().chain([("group:owners", allow("auditor"), "")]);
    let bindings = rules.zip(1..).map(|((subject, effect, namespace), id)| {
        let record = BindingRecord {
            subject: subject.parse().unwrap(),
            effect,
            namespace: namespace.to_owned(),
            condition: Condition::default(),
            note: String::new(),
            created: Timestamp(0),
            created_by: "operator".to_owned(),
        };
        (BindingId(id), record)
    });
    Rights::new(Records {
        robots: BTreeMap::from([("ci".to_owned(), robot)]),
        groups: ["owners".to_owned()].into(),
        bindings: bindings.collect(),
        ..Records::default()
    })
}

struct World {
    gate: Gate,
    workloads: Arc<Workloads>,
}

impl World {
    fn new() -> Self {
        let access = Access::fixed(rights(&["owners"], false), Arc::new(Still));
        let (audit, workloads) = (Audit::memory(), Arc::new(Workloads::default()));
        let login = Login::new(LoginParts {
            cluster: CLUSTER,
            cluster_key: Some(cluster_key()),
            access: access.clone(),
            directory: directory(),
            audit: audit.clone(),
            entropy: Arc::new(Counting::default()),
            exec: Exec::inline(),
            sources: Vec::new(),
            outside: Some(Arc::<Workloads>::clone(&workloads)),
            metrics: Metrics::default(),
            options: LoginOptions {
                token_lifetime_seconds: 300,
                refresh_lifetime_seconds: 300,
                session_seconds: 300,
                upload_lifetime_seconds: 300,
                public_url: String::new(),
                api_url: "https://registry.example.org".to_owned(),
            },
        });
        let origin = Origin::new(Networks::default(), &Settings::default());
        Self { gate: Gate { login, access, audit, throttle: Throttle::unlimited(), origin }, workloads }
    }

    async fn asks(&self, path: &str, body: Body) -> Result<(Request, Operator, bool), Refused> {
        let client = Client { secure: true, ..Client::at("192.0.2.1".parse().unwrap()) };
        let shown = format!("Basic {}", STANDARD.encode("robot+ci:eyJ.of.ci"));
        let request = Request::builder().method(Method::POST).uri(path).header(AUTHORIZATION, shown);
        let request = request.header(CONTENT_TYPE, "application/json").extension(client);
        self.gate.admit(request.body(body).unwrap()).await
    }

    /// A request whose body comes after the rules have changed.
    async fn asks_slowly(&self, later: Rights) -> Result<(Request, Operator, bool), Refused> {
        let access = self.gate.access.clone();
        let body = futures_util::stream::once(async move {
            access.replace(later);
            Ok::<_, std::io::Error>(Bytes::from_static(br#"{"prefix":"acme/app"}"#))
        });
        self.asks("/retention/run", Body::from_stream(body)).await
    }

    async fn refused(&self, path: &str, body: Value) -> String {
        let Err(response) = self.asks(path, Body::from(body.to_string())).await else {
            panic!("{path} {body} is let through")
        };
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {body}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn what_is_about_all_of_a_namespace_is_refused_where_a_part_of_it_is_denied() {
    let world = World::new();
    let rule = |at: &str| json!({"subject": "robot:ci", "effect": {"allow": "reader"}, "namespace": at});
    let search = |at: &str| json!({"filter": {"repository": at}});
    for (path, whole, part) in [
        ("/retention/run", json!({"prefix": "acme"}), json!({"prefix": "acme/app"})),
        ("/retention/preview", json!({"prefix": "acme"}), json!({"prefix": "acme/app"})),
        ("/usage", json!({"prefix": "acme"}), json!({"prefix": "acme/app"})),
        ("/namespace/remove", json!({"prefix": "acme"}), json!({"prefix": "acme/app"})),
        (
            "/namespace/set",
            json!({"prefix": "acme", "set": {}, "unset": []}),
            json!({"prefix": "acme/app", "set": {}, "unset": []}),
        ),
        ("/rule/add", rule("acme"), rule("acme/app")),
        ("/audit/search", search("acme"), search("acme/app")),
        ("/audit/search", json!({}), search("other")),
    ] {
        let said = world.refused(path, whole).await;
        assert!(said.contains("acme/secret"), "{path}: {said}");
        let passed = world.asks(path, Body::from(part.to_string())).await;
        assert!(passed.is_ok(), "{path} {part}: {:?}", passed.err());
    }
    let events = world.gate.audit.events();
    let denied = events.iter().find(|event| event.action == "denied").unwrap();
    assert_eq!((denied.outcome, denied.repository.as_str()), (Outcome::Refused, "acme"));
    assert!(denied.detail.contains("acme/secret"), "{denied:?}");
    // What is said of the namespace alone is shown.
    assert!(world.asks("/namespace/show", Body::from(json!({"prefix": "acme"}).to_string())).await.is_ok());
}

#[tokio::test]
async fn who_sends_a_body_slowly_has_the_rights_of_its_end_and_shows_once_who_he_is() {
    let world = World::new();
    assert!(world.asks_slowly(rights(&["owners"], false)).await.is_ok());
    assert_eq!(world.workloads.0.load(Ordering::Relaxed), 1, "he is verified once");
    let Err(out) = world.asks_slowly(rights(&["owners"], true)).await else { panic!("he is disabled") };
    assert_eq!(out.status(), StatusCode::UNAUTHORIZED);
    assert!(out.headers().contains_key(WWW_AUTHENTICATE));

    let world = World::new();
    let Err(out) = world.asks_slowly(rights(&[], false)).await else { panic!("he owns nothing any more") };
    assert_eq!(out.status(), StatusCode::FORBIDDEN);
    let later = World::new();
    later.gate.access.replace(rights(&[], false));
    assert!(later.asks_slowly(rights(&["owners"], false)).await.is_ok(), "he owns it by now");
}
