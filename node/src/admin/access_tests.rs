//! Users, robots, groups, roles, rules and issuers through the paths of the local socket, over the real directory's state
//! machine.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::{from_fn, from_fn_with_state};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use raft::id::NodeId;
use serde_json::{Value, json};
use storage::exec::Exec;
use tower::ServiceExt;

use super::access_changes::AccessChanges;
use super::{access, audited, groups, identities, issuers, operator};
use crate::audit::{Audit, Outcome};
use crate::deletion::testing;
use crate::environment::Entropy;
use crate::identity::{ClusterId, ClusterKey};

/// Never the same twice, and the same in each run.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }
}

struct Socket {
    router: Router,
    audit: Audit,
}

impl Socket {
    fn new() -> Self {
        let changes = AccessChanges {
            directory: testing::directory(),
            entropy: Arc::new(Counting::default()),
            exec: Exec::inline(),
            own: NodeId(1),
            cluster: ClusterId([1; 16]),
            cluster_key: Some(ClusterKey([7; 32])),
            tokens_over_after_seconds: 1000,
        };
        let audit = Audit::memory();
        let router = Router::new()
            .merge(identities::router())
            .merge(groups::router())
            .merge(access::router())
            .merge(issuers::router())
            .layer(from_fn_with_state(audit.clone(), audited::audited))
            .layer(from_fn(operator::of_machine))
            .with_state(changes);
        Self { router, audit }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
    }

    /// Posts what must be carried out.
    async fn done(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, &body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Posts what must not be carried out; why it was not.
    async fn refused(&self, path: &str, body: Value, expected: StatusCode) -> String {
        let (status, answer) = self.ask(Method::POST, path, &body).await;
        assert_eq!(status, expected, "{path}: {answer}");
        answer["error"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn a_user_is_added_changed_and_removed() {
    let socket = Socket::new();
    socket.done("/group/add", json!({"name": "developers", "description": "who writes"})).await;
    let alice = json!({"name": "alice", "display": "Alice", "password": "correct horse", "groups": ["developers"]});
    socket.done("/user/add", alice.clone()).await;
    let again = socket.refused("/user/add", alice, StatusCode::CONFLICT).await;
    assert!(again.contains("alice"), "{again}");
    let short = socket.refused("/user/add", json!({"name": "bob", "password": "short"}), StatusCode::BAD_REQUEST).await;
    assert!(short.contains("characters"), "{short}");
    let shown = socket.done("/user/show", json!({"name": "alice"})).await;
    assert_eq!(shown["user"]["has_password"], true);
    assert_eq!(shown["user"]["groups"], json!(["developers"]));
    assert!(!shown.to_string().contains("argon2"), "no hash leaves the node: {shown}");
    socket.done("/user/set", json!({"name": "alice", "disabled": true})).await;
    let listed = socket.done("/users", json!({"after": null})).await;
    assert_eq!((listed["users"][0]["disabled"].clone(), listed["confirmed"].clone()), (json!(true), json!(true)));
    socket.done("/user/remove", json!({"name": "alice"})).await;
    socket.refused("/user/remove", json!({"name": "alice"}), StatusCode::NOT_FOUND).await;
    socket.refused("/user/show", json!({"name": "alice"}), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_secret_is_shown_once_and_can_be_rotated() {
    let socket = Socket::new();
    socket.done("/robot/add", json!({"name": "ci", "description": "builds"})).await;
    socket.refused("/robot/add", json!({"name": "ci", "description": "builds"}), StatusCode::CONFLICT).await;
    let first = socket.done("/secret/add", json!({"subject": "robot:ci", "lifetime_seconds": 3600})).await;
    assert_eq!((first["login"].as_str(), first["host"].as_str()), (Some("robot+ci"), Some("node-1:5000")));
    let secret = first["secret"].as_str().unwrap();
    assert!(secret.starts_with("rnr_"), "{secret}");
    let rotation = json!({"subject": "robot:ci", "others_end_after_seconds": 60});
    let second = socket.done("/secret/add", rotation).await;
    assert_ne!(second["secret"], first["secret"]);
    let shown = socket.done("/robot/show", json!({"name": "ci"})).await;
    let of = |id: &Value| {
        let secrets = shown["robot"]["secrets"].as_array().unwrap();
        secrets.iter().find(|secret| secret["id"] == *id).unwrap()["expires_milliseconds"].as_u64()
    };
    let (old, made) = (of(&first["id"]).unwrap(), shown["robot"]["created_milliseconds"].as_u64().unwrap());
    assert!((made + 60_000..made + 61_000).contains(&old), "the one before ends a minute later: {old} {made}");
    assert_eq!(of(&second["id"]), None);
    assert!(!shown.to_string().contains(secret), "it is nowhere to be seen again");
    let id = &second["id"].as_str().unwrap()[..6];
    socket.done("/secret/remove", json!({"subject": "robot:ci", "id": id})).await;
    let error = socket.refused("/secret/remove", json!({"subject": "robot:ci", "id": id}), StatusCode::NOT_FOUND).await;
    assert!(error.contains(first["id"].as_str().unwrap()), "those that are there are named: {error}");
    socket.refused("/secret/add", json!({"subject": "robot:cd"}), StatusCode::NOT_FOUND).await;
    socket.refused("/secret/add", json!({"subject": "group:cd"}), StatusCode::BAD_REQUEST).await;
    let recorded = format!("{:?}", socket.audit.events());
    assert!(!recorded.contains("rnr_"), "{recorded}");
}

#[tokio::test]
async fn members_come_and_go_one_by_one() {
    let socket = Socket::new();
    for name in ["developers", "oncall"] {
        socket.done("/group/add", json!({"name": name})).await;
    }
    socket.done("/user/add", json!({"name": "alice", "groups": ["oncall"]})).await;
    socket.done("/robot/add", json!({"name": "ci"})).await;
    let add = json!({"name": "developers", "add": ["user:alice", "robot:ci"]});
    assert_eq!(socket.done("/group/member", add).await["members"], json!(["user:alice", "robot:ci"]));
    let shown = socket.done("/user/show", json!({"name": "alice"})).await;
    assert_eq!(shown["user"]["groups"], json!(["developers", "oncall"]), "the others stay");
    let remove = json!({"name": "developers", "remove": ["user:alice"]});
    assert_eq!(socket.done("/group/member", remove).await["members"], json!(["robot:ci"]));
    let (_, listed) = socket.ask(Method::GET, "/groups", &Value::Null).await;
    assert_eq!((&listed["groups"][0]["users"], &listed["groups"][0]["robots"]), (&json!(0), &json!(1)));
    let nobody = json!({"name": "developers", "add": ["user:bob"]});
    socket.refused("/group/member", nobody, StatusCode::NOT_FOUND).await;
    socket.refused("/group/member", json!({"name": "others"}), StatusCode::NOT_FOUND).await;
    socket.refused("/group/remove", json!({"name": "others"}), StatusCode::NOT_FOUND).await;
    socket.done("/group/remove", json!({"name": "oncall"})).await;
}

#[tokio::test]
async fn rules_are_made_listed_and_taken_away() {
    let socket = Socket::new();
    socket.done("/user/add", json!({"name": "alice"})).await;
    let grant = json!({"subject": "user:alice", "effect": {"allow": "writer"}, "namespace": "acme", "note": "n"});
    let made = socket.done("/rule/add", grant).await;
    assert_eq!(
        (&made["rule"]["effect"], &made["rule"]["created_by"]),
        (&json!({"allow": "writer"}), &json!("operator"))
    );
    let condition = json!({"addresses": ["10.0.0.0/8"], "daily_minutes": [480, 1080]});
    let deny =
        json!({"subject": "anonymous", "effect": {"deny": ["push", "tag"]}, "namespace": "", "condition": condition});
    socket.done("/rule/add", deny).await;
    let listed = |filter: Value| async { socket.done("/rules", filter).await["rules"].as_array().unwrap().len() };
    assert_eq!(listed(json!({})).await, 2);
    assert_eq!(listed(json!({"subject": "user:alice"})).await, 1);
    assert_eq!(listed(json!({"covering": "acme/app"})).await, 2);
    assert_eq!(listed(json!({"covering": "acmeX"})).await, 1, "whole components count");
    let missing = json!({"subject": "user:bob", "effect": {"allow": "writer"}, "namespace": ""});
    socket.refused("/rule/add", missing, StatusCode::NOT_FOUND).await;
    let role = json!({"subject": "user:alice", "effect": {"allow": "pusher"}, "namespace": ""});
    socket.refused("/rule/add", role, StatusCode::NOT_FOUND).await;
    let action = json!({"subject": "user:alice", "effect": {"deny": ["write"]}, "namespace": ""});
    socket.refused("/rule/add", action, StatusCode::BAD_REQUEST).await;
    let id = made["rule"]["id"].clone();
    socket.done("/rule/remove", json!({"id": id})).await;
    socket.refused("/rule/remove", json!({"id": id}), StatusCode::NOT_FOUND).await;
    let events = socket.audit.events();
    let of_rules: Vec<_> = events.iter().filter(|event| event.action == "access").collect();
    assert_eq!(of_rules[0].repository, "acme");
    assert!(of_rules[0].after.as_deref().is_some_and(|after| after.contains("allow writer")), "{:?}", of_rules[0]);
    let revoked = of_rules.iter().find(|event| event.before.is_some()).unwrap();
    assert_eq!((revoked.outcome, revoked.after.as_deref()), (Outcome::Done, None));
    assert!(of_rules.iter().any(|event| event.outcome == Outcome::Refused && event.after.is_none()));
}

#[tokio::test]
async fn a_role_that_somebody_has_stays() {
    let socket = Socket::new();
    socket.done("/role/set", json!({"name": "pusher", "actions": ["push"]})).await;
    let bound = json!({"subject": "authenticated", "effect": {"allow": "pusher"}, "namespace": "acme"});
    let rule = socket.done("/rule/add", bound).await["rule"]["id"].clone();
    socket.refused("/role/remove", json!({"name": "pusher"}), StatusCode::CONFLICT).await;
    socket.done("/rule/remove", json!({"id": rule})).await;
    socket.done("/role/remove", json!({"name": "pusher"})).await;
    socket.refused("/role/remove", json!({"name": "pusher"}), StatusCode::NOT_FOUND).await;
    socket.refused("/role/remove", json!({"name": "reader"}), StatusCode::CONFLICT).await;
    socket.refused("/role/set", json!({"name": "reader", "actions": ["push"]}), StatusCode::CONFLICT).await;
    let (_, roles) = socket.ask(Method::GET, "/roles", &Value::Null).await;
    assert_eq!(roles["roles"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_robot_trusts_whom_it_is_told_to() {
    let socket = Socket::new();
    socket.done("/robot/add", json!({"name": "ci"})).await;
    let issuer = json!({
        "name": "github", "issuer": "https://token.example.com", "audiences": ["regnode"], "purpose": "workload",
        "keys": "discover", "authority": null, "algorithms": ["RS256"]
    });
    let trust = json!({"name": "ci", "issuer": "github", "claims": [["repository", "acme/app"]]});
    socket.refused("/robot/trust", trust.clone(), StatusCode::NOT_FOUND).await;
    socket.done("/issuer/set", issuer).await;
    socket.done("/robot/trust", trust.clone()).await;
    socket.done("/robot/trust", trust).await;
    let shown = socket.done("/robot/show", json!({"name": "ci"})).await;
    assert_eq!(shown["robot"]["trusts"], json!([{"issuer": "github", "claims": [["repository", "acme/app"]]}]));
    socket.refused("/issuer/remove", json!({"name": "github"}), StatusCode::CONFLICT).await;
    socket.done("/robot/trust", json!({"name": "ci", "issuer": "github", "claims": []})).await;
    let none = json!({"name": "ci", "issuer": "github", "claims": []});
    socket.refused("/robot/trust", none, StatusCode::NOT_FOUND).await;
    socket.done("/issuer/remove", json!({"name": "github"})).await;
    socket.refused("/issuer/remove", json!({"name": "github"}), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn token_keys_are_rotated_without_a_gap() {
    let socket = Socket::new();
    let first = socket.done("/token-key/rotate", json!({"signs_after_seconds": 0})).await["name"].clone();
    let second = socket.done("/token-key/rotate", json!({"signs_after_seconds": 600})).await["name"].clone();
    let (_, keys) = socket.ask(Method::GET, "/token-keys", &Value::Null).await;
    let states: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| (&key["id"], &key["state"])).collect();
    assert_eq!(states, [(&first, &json!("signs")), (&second, &json!("next"))]);
    let gap = json!({"signs_after_seconds": 600, "others_retire_after_seconds": 60});
    socket.refused("/token-key/rotate", gap, StatusCode::BAD_REQUEST).await;
}
