//! Two changes at once: each is judged before either is made, and together they give no more than each might.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::StatusCode;
use raft::directory::{Action, Actions, Command, Condition, Effect, JudgedChange, Response, Subject, View};
use raft::group::{ProposeError, ReadError};
use raft::id::RequestId;
use serde_json::json;
use storage::kv::Engine;
use tokio::sync::watch;

use super::escalation_tests::{World, binding};
use super::operator::Operator;
use crate::deletion::{DirectoryRecords, testing};
use crate::environment::BoxFuture;

/// A directory where somebody else is quicker: before a change that was judged is made, another one is.
#[derive(Debug)]
struct Raced {
    directory: Arc<dyn DirectoryRecords>,
    quicker: Command,
    /// How often.
    times: AtomicU8,
}

fn raced(quicker: Command, times: u8) -> Arc<dyn DirectoryRecords> {
    Arc::new(Raced { directory: testing::directory(), quicker, times: AtomicU8::new(times) })
}

impl DirectoryRecords for Raced {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, ProposeError>> {
        Box::pin(async move {
            let left = self.times.load(Ordering::Relaxed);
            if left > 0 && is_about_mine(&command) {
                self.times.store(left - 1, Ordering::Relaxed);
                let quicker = match &self.quicker {
                    // Another one each time.
                    Command::AddGroup { name, .. } => {
                        Command::AddGroup { name: format!("{name}{left}"), description: String::new() }
                    }
                    other => other.clone(),
                };
                let made = self.directory.propose(RequestId([left; 16]), quicker).await?;
                assert!(!matches!(made, Response::Refused(_)), "{made:?}");
            }
            self.directory.propose(request, command).await
        })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        self.directory.barrier()
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        self.directory.view()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.directory.changes()
    }
}

/// Whether it lets the role `mine` say all, or gives it.
fn is_about_mine(command: &Command) -> bool {
    let gives = |effect: &Effect| matches!(effect, Effect::Allow { role } if role == "mine");
    match command {
        Command::Judged { change: JudgedChange::SetRole { name, actions, .. }, .. }
        | Command::SetRole { name, actions, .. } => name == "mine" && actions.contains(Action::Operate),
        Command::Judged { change: JudgedChange::AddBinding { effect, .. }, .. }
        | Command::AddBinding { effect, .. } => gives(effect),
        _ => false,
    }
}

fn give_mine() -> Command {
    Command::AddBinding {
        subject: Subject::User("ann".to_owned()),
        effect: Effect::Allow { role: "mine".to_owned() },
        namespace: String::new(),
        condition: Condition::default(),
        note: String::new(),
        by: "user:ann".to_owned(),
    }
}

fn mine_is_all() -> Command {
    let actions = Actions::ALL;
    Command::SetRole { name: "mine".to_owned(), description: String::new(), actions }
}

/// Ann, who keeps accounts, has a role that nobody is given and that says little.
async fn world(directory: Arc<dyn DirectoryRecords>) -> (World, Operator) {
    let world = World::of(directory).await;
    let ann = world.operator("ann").await;
    world.done(&ann, "/role/set", json!({"name": "mine", "actions": ["pull"]})).await;
    (world, ann)
}

fn ann_operates(world: &World) -> bool {
    let given = world.rules().iter().any(|rule| matches!(&rule.effect, Effect::Allow { role } if role == "mine"));
    let role = world.changes.directory.view().role("mine").unwrap().unwrap();
    given && role.actions.contains(Action::Operate)
}

#[tokio::test]
async fn a_role_does_not_become_more_while_it_is_given_to_somebody() {
    let (world, ann) = world(raced(give_mine(), 1)).await;
    world.denied(&ann, "/role/set", json!({"name": "mine", "actions": ["pull", "operate"]})).await;
    assert!(!ann_operates(&world));
}

#[tokio::test]
async fn a_role_is_not_given_while_it_becomes_more() {
    let (world, ann) = world(raced(mine_is_all(), 1)).await;
    world.denied(&ann, "/rule/add", binding("user:ann", &json!({"allow": "mine"}), "")).await;
    assert!(!ann_operates(&world));
}

#[tokio::test]
async fn a_change_is_judged_anew_when_others_were_quicker_and_refused_when_they_always_are() {
    let other = || Command::AddGroup { name: "quick".to_owned(), description: String::new() };
    let rule = binding("user:bob", &json!({"allow": "mine"}), "acme");
    let (judged_anew, ann) = world(raced(other(), 5)).await;
    judged_anew.done(&ann, "/rule/add", rule.clone()).await;
    let (never, ann) = world(raced(other(), 6)).await;
    let before = never.rules().len();
    let (status, answer) = never.ask(&ann, "/rule/add", rule.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("try again"), "{answer}");
    assert_eq!(never.rules().len(), before);
    // Whoever has the machine is not judged.
    let (machine, _) = world(raced(other(), 6)).await;
    machine.done(&Operator::machine(), "/rule/add", rule).await;
}
