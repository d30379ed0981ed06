//! How the rights follow the directory.

use std::sync::Arc;
use std::time::Duration;

use raft::directory::{Action, Command, Condition, Effect, Response, Subject, View};
use raft::group::{ProposeError, ReadError};
use raft::id::RequestId;
use raft::time::{Clock, Timestamp};
use storage::exec::Exec;
use storage::kv::Engine;
use tokio::sync::watch;

use super::world::{NOW, caller, with_token};
use crate::access::{Access, Rights};
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::environment::BoxFuture;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Waits until something holds of the rights.
async fn until(access: &Access, holds: impl Fn(&Rights) -> bool) -> Arc<Rights> {
    for _ in 0..1000 {
        let rights = access.rights();
        if holds(&rights) {
            return rights;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come to hold");
}

struct Operator(Arc<dyn DirectoryRecords>, u8);

impl Operator {
    async fn asks(&mut self, command: Command) -> Response {
        self.1 += 1;
        self.0.propose(RequestId([self.1; 16]), command).await.unwrap()
    }

    async fn adds_ann(&mut self) {
        let add = Command::AddUser {
            name: "ann".to_owned(),
            display: String::new(),
            password: None,
            source: None,
            groups: Vec::new(),
        };
        assert_eq!(self.asks(add).await, Response::Done);
    }

    async fn binds(&mut self, namespace: &str) -> raft::directory::BindingId {
        let bind = Command::AddBinding {
            subject: Subject::User("ann".to_owned()),
            effect: Effect::Allow { role: "reader".to_owned() },
            namespace: namespace.to_owned(),
            condition: Condition::default(),
            note: String::new(),
            by: "operator".to_owned(),
        };
        let Response::Bound { id } = self.asks(bind).await else { panic!("not bound") };
        id
    }
}

#[tokio::test(start_paused = true)]
async fn the_rights_follow_the_directory() {
    let directory = directory();
    let access = Access::start(Arc::clone(&directory), Exec::inline(), Arc::new(Still));
    assert!(!access.rights().is_known(), "nothing was read");
    tokio::spawn(access.clone().keep());
    until(&access, Rights::is_known).await;
    let mut operator = Operator(directory, 1);
    operator.adds_ann().await;
    let rights = until(&access, |rights| rights.user("ann").is_some()).await;
    let ann = caller(&rights, "user:ann");
    assert!(!rights.allows(&ann, Action::Pull, "acme/app", NOW));
    let id = operator.binds("acme").await;
    let rights = until(&access, |rights| rights.allows(&ann, Action::Pull, "acme/app", NOW)).await;
    assert_eq!(rights.decide(&ann, Action::Pull, "acme/app", NOW).binding, Some(id));
    operator.asks(Command::RemoveBinding { id }).await;
    until(&access, |rights| !rights.allows(&ann, Action::Pull, "acme/app", NOW)).await;
    operator.asks(Command::RemoveUser { name: "ann".to_owned() }).await;
    until(&access, |rights| !rights.stands(&ann, NOW)).await;
}

#[tokio::test(start_paused = true)]
async fn more_rules_than_a_page_are_read_all() {
    let directory = directory();
    let mut operator = Operator(Arc::clone(&directory), 1);
    operator.adds_ann().await;
    for number in 0..1030_u32 {
        let mut request = [9; 16];
        request[..4].copy_from_slice(&number.to_be_bytes());
        let add = Command::AddBinding {
            subject: Subject::User("ann".to_owned()),
            effect: Effect::Allow { role: "reader".to_owned() },
            namespace: format!("acme/{number}"),
            condition: Condition::default(),
            note: String::new(),
            by: "operator".to_owned(),
        };
        let answer = directory.propose(RequestId(request), add).await.unwrap();
        assert!(matches!(answer, Response::Bound { .. }), "{answer:?}");
    }
    let access = Access::start(directory, Exec::inline(), Arc::new(Still));
    tokio::spawn(access.clone().keep());
    let rights = until(&access, Rights::is_known).await;
    assert!(rights.rules.len() >= 1030);
    let ann = caller(&rights, "user:ann");
    assert!((0..1030).all(|number| rights.allows(&ann, Action::Pull, &format!("acme/{number}"), NOW)));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_and_decided_is_shown() {
    let metrics = crate::telemetry::Metrics::new();
    let directory = directory();
    let access = Access::start(Arc::clone(&directory), Exec::inline(), Arc::new(Still))
        .with_metrics(metrics.register(crate::access::Metrics::register));
    tokio::spawn(access.clone().keep());
    let mut operator = Operator(directory, 1);
    operator.adds_ann().await;
    let present = until(&access, Rights::is_known).await.rules.len();
    operator.binds("acme").await;
    let rights = until(&access, |rights| rights.rules.len() > present).await;
    let ann = caller(&rights, "user:ann");
    let token = with_token(ann.clone(), &["other:pull"]);
    for (caller, action) in [(&ann, Action::Pull), (&ann, Action::Pull), (&ann, Action::Push), (&token, Action::Pull)] {
        access.count(action, &rights.decide(caller, action, "acme/app", NOW));
    }
    let text = metrics.encode();
    for line in [
        r#"regnode_node_access_decisions_total{action="pull",outcome="allowed"} 2"#,
        r#"regnode_node_access_decisions_total{action="push",outcome="denied"} 1"#,
        r#"regnode_node_access_decisions_total{action="pull",outcome="beyond-token"} 1"#,
        &format!("regnode_node_access_rules {}", present + 1),
        &format!("regnode_node_access_version {}", rights.version()),
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

/// A directory whose quorum confirms after a while.
#[derive(Debug)]
struct Slow(Arc<dyn DirectoryRecords>, Duration);

impl DirectoryRecords for Slow {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, ProposeError>> {
        self.0.propose(request, command)
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(async {
            tokio::time::sleep(self.1).await;
            self.0.barrier().await
        })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        self.0.view()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_known_before_the_directory_is_confirmed_or_cannot_be() {
    for (confirmed_after, known_after) in [(3, 3), (3600, 10)] {
        let directory = Arc::new(Slow(directory(), Duration::from_secs(confirmed_after)));
        let access = Access::start(directory, Exec::inline(), Arc::new(Still));
        tokio::spawn(access.clone().keep());
        tokio::time::sleep(Duration::from_millis(known_after * 1000 - 100)).await;
        assert!(!access.rights().is_known());
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(access.rights().is_known());
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_confirmed_is_known_as_that_until_the_directory_answers() {
    let slow = Arc::new(Slow(directory(), Duration::from_secs(20)));
    let access = Access::start(Arc::<Slow>::clone(&slow), Exec::inline(), Arc::new(Still));
    tokio::spawn(access.clone().keep());
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(access.rights().is_known() && !access.is_confirmed());
    let mut operator = Operator(Arc::clone(&slow.0), 1);
    let domain = Command::SetDomain { domain: "registry.acme.example".to_owned(), namespace: "acme".to_owned() };
    assert_eq!(operator.asks(domain).await, Response::Done);
    until(&access, |rights| !rights.domains().is_empty()).await;
    assert!(!access.is_confirmed(), "that something new was heard is no confirmation");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(access.is_confirmed());
    // A quorum that answers at once is waited for before anything is known.
    let access = Access::start(directory(), Exec::inline(), Arc::new(Still));
    tokio::spawn(access.clone().keep());
    until(&access, Rights::is_known).await;
    assert!(access.is_confirmed());
}

#[tokio::test(start_paused = true)]
async fn fixed_rights_stay_as_they_are() {
    let access = Access::fixed(Rights::open(), Arc::new(Still));
    let keeping = tokio::spawn(access.clone().keep());
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!keeping.is_finished());
    assert!(access.rights().allows(&caller(&access.rights(), "anonymous"), Action::Push, "a", access.now()));
}
