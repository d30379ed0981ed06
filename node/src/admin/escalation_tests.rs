//! Nobody gives himself, or anybody, what he has not: the paths of accounts and rules, asked by people with some rights, over
//! the real directory's state machine.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use raft::directory::{Action, BindingRecord, Condition, Effect, Subject};
use raft::id::NodeId;
use raft::time::{Clock, Timestamp};
use serde_json::{Value, json};
use storage::exec::Exec;
use tower::ServiceExt;

use super::access_changes::AccessChanges;
use super::operator::{Operator, Reach};
use super::{access, audited, groups, identities};
use crate::access::Access;
use crate::audit::{Audit, Outcome};
use crate::deletion::{DirectoryRecords, testing};
use crate::identity::{ClusterId, ClusterKey};
use crate::login::testing::Counting;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000)
    }
}

/// A directory with people and rules, and how the rules are known.
pub(super) struct World {
    pub(super) changes: AccessChanges,
    audit: Audit,
}

impl World {
    /// The root has everything, `ann` keeps accounts, `olga` owns acme, `bob` has nothing; `leads` have acme, `crew`
    /// everything.
    async fn new() -> Self {
        Self::of(testing::directory()).await
    }

    pub(super) async fn of(directory: Arc<dyn DirectoryRecords>) -> Self {
        let changes = AccessChanges {
            directory,
            entropy: Arc::new(Counting::default()),
            exec: Exec::inline(),
            own: NodeId(1),
            cluster: ClusterId([1; 16]),
            cluster_key: Some(ClusterKey([7; 32])),
            tokens_over_after_seconds: 1000,
        };
        let world = Self { changes, audit: Audit::memory() };
        let machine = Operator::machine();
        for name in ["leads", "crew"] {
            world.done(&machine, "/group/add", json!({"name": name, "description": ""})).await;
        }
        for (name, group) in [("root", None), ("ann", None), ("olga", Some("leads")), ("bob", None)] {
            let groups: Vec<&str> = group.into_iter().collect();
            world.done(&machine, "/user/add", json!({"name": name, "groups": groups})).await;
        }
        let keeper = json!({"name": "keeper", "actions": ["access", "pull"]});
        world.done(&machine, "/role/set", keeper).await;
        for (subject, role, namespace) in [
            ("user:root", "operator", ""),
            ("group:crew", "operator", ""),
            ("user:ann", "keeper", ""),
            ("group:leads", "owner", "acme"),
        ] {
            world.rule(&machine, subject, json!({"allow": role}), namespace).await;
        }
        world
    }

    pub(super) async fn rule(&self, who: &Operator, subject: &str, effect: Value, namespace: &str) -> u64 {
        let request = json!({"subject": subject, "effect": effect, "namespace": namespace});
        let made = self.done(who, "/rule/add", request).await;
        made["rule"]["id"].as_u64().unwrap()
    }

    /// Somebody, by the rules as the directory has them now. Where something is handed on he is judged anew.
    pub(super) async fn operator(&self, name: &str) -> Operator {
        let directory = Arc::clone(&self.changes.directory);
        let access = Access::start(directory, Exec::inline(), Arc::new(Still));
        let rights = access.present().await.unwrap();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let caller = rights.as_caller(&Subject::User(name.to_owned()), address).unwrap();
        access.replace(Arc::into_inner(rights).unwrap());
        Operator::client(caller, &access)
    }

    /// All rules, as the directory has them.
    pub(super) fn rules(&self) -> Vec<BindingRecord> {
        let bindings = self.changes.directory.view().bindings(None, 1000).unwrap();
        bindings.into_iter().map(|(_, binding)| binding).collect()
    }

    pub(super) async fn ask(&self, who: &Operator, path: &str, body: Value) -> (StatusCode, Value) {
        let router = Router::new()
            .merge(identities::router())
            .merge(groups::router())
            .merge(access::router())
            .layer(from_fn_with_state(self.audit.clone(), audited::audited))
            .layer(Extension(who.clone()))
            .with_state(self.changes.clone());
        let request =
            Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, "application/json");
        let response = router.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(super) async fn done(&self, who: &Operator, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(who, path, body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}: {answer}");
        answer
    }

    pub(super) async fn denied(&self, who: &Operator, path: &str, body: Value) {
        let (status, answer) = self.ask(who, path, body.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path} {body}: {answer}");
    }
}

pub(super) fn binding(subject: &str, effect: &Value, namespace: &str) -> Value {
    json!({"subject": subject, "effect": effect, "namespace": namespace})
}

#[tokio::test]
async fn an_owner_grants_what_he_has_and_no_more() {
    let world = World::new().await;
    let olga = world.operator("olga").await;
    for role in ["reader", "writer", "maintainer", "owner"] {
        world.done(&olga, "/rule/add", binding("user:bob", &json!({"allow": role}), "acme/app")).await;
    }
    for (role, namespace) in [
        ("operator", "acme"),
        ("auditor", "acme"),
        ("reader", ""),
        ("reader", "acme2"),
        ("reader", "other"),
        ("owner", ""),
    ] {
        world.denied(&olga, "/rule/add", binding("user:olga", &json!({"allow": role}), namespace)).await;
    }
    // Nor takes she what only others have.
    world.denied(&olga, "/rule/add", binding("user:bob", &json!({"deny": ["audit"]}), "acme")).await;
    let (status, _) = world.ask(&olga, "/rule/add", binding("user:nobody", &json!({"allow": "reader"}), "acme")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "only to whom there is");
    let made = world.done(&olga, "/rule/add", binding("user:bob", &json!({"allow": "reader"}), "acme")).await;
    assert_eq!(made["rule"]["created_by"], "user:olga");
    let event = world.audit.events().into_iter().rev().find(|event| event.action == "access").unwrap();
    assert_eq!((event.actor.as_str(), event.outcome, event.repository.as_str()), ("user:olga", Outcome::Done, "acme"));
}

#[tokio::test]
async fn a_denial_is_not_taken_back_by_whom_it_is_about() {
    let world = World::new().await;
    let machine = Operator::machine();
    let deny = world.rule(&machine, "group:leads", json!({"deny": ["push"]}), "acme/frozen").await;
    let elsewhere = world.rule(&machine, "user:bob", json!({"allow": "reader"}), "other").await;
    let olga = world.operator("olga").await;
    world.denied(&olga, "/rule/remove", json!({"id": deny})).await;
    world.denied(&olga, "/rule/remove", json!({"id": elsewhere})).await;
    // That there is no such rule, she is told in the same way.
    world.denied(&olga, "/rule/remove", json!({"id": 4711})).await;
    // She has not all of acme's push any more, so she cannot hand it on for all of it.
    world.denied(&olga, "/rule/add", binding("user:bob", &json!({"allow": "writer"}), "acme")).await;
    world.done(&olga, "/rule/add", binding("user:bob", &json!({"allow": "writer"}), "acme/app")).await;
    let root = world.operator("root").await;
    world.done(&root, "/rule/remove", json!({"id": deny})).await;
}

#[tokio::test]
async fn who_operates_under_a_condition_hands_on_nothing_without_one() {
    let world = World::new().await;
    let mut rule = binding("user:bob", &json!({"allow": "operator"}), "");
    rule["condition"] = json!({"not_after_milliseconds": 2_000_000});
    world.done(&Operator::machine(), "/rule/add", rule).await;
    let bob = world.operator("bob").await;
    assert!(bob.may(&[(Action::Operate, "")]));
    world.denied(&bob, "/rule/add", binding("user:bob", &json!({"allow": "operator"}), "")).await;
    world.denied(&bob, "/role/set", json!({"name": "keeper", "actions": ["access", "pull", "operate"]})).await;
}

#[tokio::test]
async fn a_rule_elsewhere_is_refused_in_the_words_of_one_that_there_is_not() {
    let world = World::new().await;
    let there = world.rule(&Operator::machine(), "user:bob", json!({"allow": "reader"}), "secret").await;
    let olga = world.operator("olga").await;
    let mut said = Vec::new();
    for id in [there, 4711] {
        let (status, answer) = world.ask(&olga, "/rule/remove", json!({ "id": id })).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        said.push(answer.to_string().replace(&id.to_string(), "ID"));
    }
    assert_eq!(said[0], said[1]);
    assert!(!said[0].contains("secret"), "{said:?}");
}

#[tokio::test]
async fn who_keeps_accounts_becomes_nobody_who_may_more() {
    let world = World::new().await;
    let ann = world.operator("ann").await;
    // Accounts and groups that may no more than she.
    world.done(&ann, "/user/add", json!({"name": "new", "password": "correct horse battery"})).await;
    world.done(&ann, "/user/set", json!({"name": "bob", "disabled": true})).await;
    world.done(&ann, "/group/add", json!({"name": "readers", "description": ""})).await;
    world.done(&ann, "/group/member", json!({"name": "readers", "add": ["user:bob"], "remove": []})).await;
    world.done(&ann, "/rule/add", binding("group:readers", &json!({"allow": "reader"}), "")).await;
    // Those that may more.
    for (path, body) in [
        ("/user/set", json!({"name": "root", "password": "correct horse battery"})),
        ("/user/set", json!({"name": "olga", "password": "correct horse battery"})),
        ("/user/set", json!({"name": "bob", "groups": ["crew"]})),
        ("/user/add", json!({"name": "mole", "groups": ["crew"]})),
        ("/user/remove", json!({"name": "root"})),
        ("/secret/add", json!({"subject": "user:root"})),
        ("/sessions/end", json!({"subject": "user:root"})),
        ("/group/member", json!({"name": "crew", "add": ["user:ann"], "remove": []})),
        ("/group/remove", json!({"name": "crew"})),
        ("/robot/add", json!({"name": "mole", "groups": ["leads"]})),
        ("/role/set", json!({"name": "keeper", "actions": ["access", "pull", "operate"]})),
        ("/rule/add", binding("user:ann", &json!({"allow": "operator"}), "")),
    ] {
        world.denied(&ann, path, body).await;
    }
    let view = world.changes.directory.view();
    assert!(view.user("mole").unwrap().is_none() && view.user("root").unwrap().unwrap().password.is_none());
    assert!(world.rules().iter().all(|rule| rule.condition == Condition::default()));
    let gives_all = |rule: &&BindingRecord| matches!(&rule.effect, Effect::Allow { role } if role == "operator");
    assert_eq!(world.rules().iter().filter(gives_all).count(), 2);
    // Whoever operates the cluster may all of it.
    let root = world.operator("root").await;
    world.done(&root, "/user/set", json!({"name": "olga", "password": "correct horse battery"})).await;
    world.done(&root, "/group/member", json!({"name": "crew", "add": ["user:bob"], "remove": []})).await;
}

#[tokio::test]
async fn rules_are_shown_to_whom_they_concern() {
    let world = World::new().await;
    let listed = async |world: &World, who: &Operator| {
        let answer = world.done(who, "/rules", json!({})).await;
        answer["rules"].as_array().unwrap().iter().map(|rule| rule["namespace"].clone()).collect::<Vec<_>>()
    };
    let (olga, bob, root) = (world.operator("olga").await, world.operator("bob").await, world.operator("root").await);
    assert_eq!(listed(&world, &olga).await, ["acme"]);
    assert_eq!(listed(&world, &bob).await, [Value::Null; 0]);
    assert_eq!(listed(&world, &root).await.len(), 4);
}

/// Everybody who is known has acme, but for its secret, which is denied to Ann, who keeps accounts, and to her group.
async fn with_a_denial() -> World {
    let world = World::new().await;
    let machine = Operator::machine();
    world.done(&machine, "/group/add", json!({"name": "outsiders", "description": ""})).await;
    world.done(&machine, "/user/set", json!({"name": "ann", "groups": ["outsiders"]})).await;
    world.done(&machine, "/robot/add", json!({"name": "ci"})).await;
    world.rule(&machine, "authenticated", json!({"allow": "reader"}), "acme").await;
    world.rule(&machine, "group:outsiders", json!({"deny": ["pull"]}), "acme/secret").await;
    world
}

#[tokio::test]
async fn whoever_is_denied_something_does_not_get_it_by_a_second_account() {
    let world = with_a_denial().await;
    let ann = world.operator("ann").await;
    for (path, body) in [
        ("/user/add", json!({"name": "mole", "password": "correct horse battery"})),
        ("/user/add", json!({"name": "mole", "source": "ldap"})),
        ("/user/set", json!({"name": "bob", "password": "correct horse battery"})),
        ("/user/set", json!({"name": "bob", "disabled": false})),
        ("/user/set", json!({"name": "ann", "groups": []})),
        ("/robot/add", json!({"name": "mole"})),
        ("/robot/set", json!({"name": "ci", "disabled": false})),
        ("/robot/trust", json!({"name": "ci", "issuer": "certificate", "claims": [["san", "dns:mole.example"]]})),
        ("/secret/add", json!({"subject": "user:bob"})),
        ("/secret/add", json!({"subject": "robot:ci"})),
        ("/group/member", json!({"name": "outsiders", "add": [], "remove": ["user:ann"]})),
        ("/group/remove", json!({"name": "outsiders"})),
        ("/rule/add", binding("user:bob", &json!({"allow": "reader"}), "acme/secret")),
        ("/rule/add", binding("user:bob", &json!({"allow": "keeper"}), "")),
    ] {
        world.denied(&ann, path, body).await;
    }
    let said = world.ask(&ann, "/user/add", json!({"name": "mole"})).await.1.to_string();
    assert!(said.contains("user:mole would have pull") && said.contains("acme/secret"), "{said}");
    assert!(world.changes.directory.view().user("mole").unwrap().is_none());
    // Who is denied the same gets around nothing, and to take away goes on.
    let outsider = json!({"name": "new", "password": "correct horse battery", "groups": ["outsiders"]});
    world.done(&ann, "/user/add", outsider).await;
    world.done(&ann, "/secret/add", json!({"subject": "user:new"})).await;
    world.denied(&ann, "/user/set", json!({"name": "new", "groups": []})).await;
    world.done(&ann, "/robot/add", json!({"name": "new", "groups": ["outsiders"]})).await;
    world.done(&ann, "/user/set", json!({"name": "bob", "disabled": true})).await;
    world.done(&ann, "/sessions/end", json!({"subject": "user:bob"})).await;
    world.done(&ann, "/user/remove", json!({"name": "bob"})).await;
    // What she is not denied she goes on to give.
    world.done(&ann, "/rule/add", binding("user:new", &json!({"allow": "reader"}), "acme/app")).await;
    // Nor is somebody bound who operates the cluster.
    let root = world.operator("root").await;
    world.done(&root, "/user/add", json!({"name": "other", "password": "correct horse battery"})).await;
}

#[tokio::test]
async fn a_rule_about_all_of_a_namespace_is_not_made_by_whom_a_part_of_it_is_denied() {
    let world = World::new().await;
    world.rule(&Operator::machine(), "group:leads", json!({"deny": ["access"]}), "acme/secret").await;
    let olga = world.operator("olga").await;
    let whole = [(Action::Access, "acme")];
    assert!(olga.may(&whole) && !olga.may_within(Reach::Below, &whole));
    let said = olga.check_within(Reach::Below, &whole).unwrap_err();
    assert!(said.to_string().contains("\"acme/secret\"") && said.to_string().contains("all of \"acme\""), "{said}");
    assert_eq!((said.namespace(), said.reason().contains("acme/secret")), ("acme", true));
    assert!(olga.may_within(Reach::Below, &[(Action::Access, "acme/app")]));
    // Nor does she take a denial of the whole away. To take away what a rule gives gives nobody anything.
    let machine = Operator::machine();
    let denial = world.rule(&machine, "user:bob", json!({"deny": ["pull"]}), "acme").await;
    let (whole, part) = (json!({"allow": "reader"}), json!({"deny": ["pull"]}));
    let whole = world.rule(&machine, "user:bob", whole, "acme").await;
    let part = world.rule(&machine, "user:bob", part, "acme/app").await;
    world.denied(&olga, "/rule/remove", json!({"id": denial})).await;
    world.done(&olga, "/rule/remove", json!({"id": whole})).await;
    world.done(&olga, "/rule/remove", json!({"id": part})).await;
}

#[tokio::test]
async fn who_operates_the_cluster_is_not_held_up_by_what_an_owner_denies() {
    let world = World::new().await;
    let olga = world.operator("olga").await;
    let denial = world.rule(&olga, "authenticated", json!({"deny": ["access", "policy"]}), "acme/x").await;
    let frozen = json!({"deny": ["operate", "policy", "pull"]});
    let frozen = world.rule(&Operator::machine(), "authenticated", frozen, "acme/quarantine").await;
    let root = world.operator("root").await;
    for whole in [(Action::Policy, ""), (Action::Policy, "acme"), (Action::Operate, "")] {
        assert!(root.may_within(Reach::Below, &[whole]), "{whole:?}");
    }
    world.done(&root, "/user/add", json!({"name": "other", "password": "correct horse battery"})).await;
    for id in [denial, frozen] {
        world.done(&root, "/rule/remove", json!({"id": id})).await;
    }
    assert!(!world.operator("ann").await.may_within(Reach::Below, &[(Action::Policy, "")]), "who never had it");
}
