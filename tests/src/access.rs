//! Who may do what, as an operator sets it: users, robots, keys and rules at a closed cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::{Cluster, OPERATOR, OPERATOR_PASSWORD};
use crate::operator::{query, run};
use crate::process;
use crate::registry::Registry;
use crate::wait::eventually;

/// How long it may take until every node knows a change of rules.
pub const NOTICE: std::time::Duration = std::time::Duration::from_secs(20);

/// Adds a user with a password that is made up; the password.
///
/// # Errors
/// When it is refused.
pub async fn add_user(data: &Path, name: &str) -> Result<String> {
    text(&query(data, &["user", "add", name, "--generate-password"]).await?, "password")
}

/// Adds a robot; its secret.
///
/// # Errors
/// When it is refused.
pub async fn add_robot(data: &Path, name: &str) -> Result<String> {
    text(&query(data, &["robot", "add", name]).await?, "secret")
}

/// Lets a subject do what a role allows in a namespace, `/` for all; the rule's number.
///
/// # Errors
/// When it is refused.
pub async fn grant(data: &Path, subject: &str, role: &str, namespace: &str) -> Result<u64> {
    rule(&query(data, &["access", "grant", subject, role, namespace]).await?)
}

/// Denies a subject actions in a namespace, `/` for all; the rule's number.
///
/// # Errors
/// When it is refused.
pub async fn deny(data: &Path, subject: &str, actions: &str, namespace: &str) -> Result<u64> {
    rule(&query(data, &["access", "deny", subject, actions, namespace]).await?)
}

fn rule(answer: &Value) -> Result<u64> {
    answer["rule"]["id"].as_u64().with_context(|| format!("no number of the rule in {answer}"))
}

/// Takes a rule away.
///
/// # Errors
/// When it is refused.
pub async fn revoke(data: &Path, rule: u64) -> Result<()> {
    run(data, &["access", "revoke", &rule.to_string()]).await.map(drop)
}

/// Waits until a node knows that a subject may do this, without a login, of which failed ones are counted.
///
/// # Errors
/// When it is not in time.
pub async fn until_allowed(data: &Path, subject: &str, action: &str, repository: &str) -> Result<()> {
    eventually(&format!("{subject} may {action} {repository}"), NOTICE, async || {
        run(data, &["access", "explain", subject, action, repository]).await.map(|_| Some(()))
    })
    .await
}

/// A text of an answer.
///
/// # Errors
/// When it is not there.
pub fn text(answer: &Value, field: &str) -> Result<String> {
    Ok(answer[field].as_str().with_context(|| format!("no {field} in {answer}"))?.to_owned())
}

/// What behaviours share that are tried out on one closed cluster.
#[derive(Clone, Debug)]
pub struct Closed {
    /// A client that does not say who asks.
    pub registry: Registry,
    /// Folder of a node's data, for operators' commands.
    pub data: PathBuf,
    /// Process of that node.
    node: u32,
}

impl Closed {
    /// Those of a cluster.
    ///
    /// # Panics
    /// When its first node does not run.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let node = cluster.node(0);
        Self { registry: cluster.registry(), data: node.data().to_owned(), node: node.id().expect("the node runs") }
    }

    /// The highest memory that the node has used since it was started, in bytes.
    ///
    /// # Errors
    /// When it runs no more.
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        process::peak_memory_bytes(self.node)
    }

    /// A client that is logged in.
    #[must_use]
    pub fn user(&self, name: &str, password: &str) -> Registry {
        self.registry.logged_in(name, password)
    }

    /// A client that is logged in as the operator.
    #[must_use]
    pub fn operator(&self) -> Registry {
        self.user(OPERATOR, OPERATOR_PASSWORD)
    }

    /// Lets a subject do what a role allows in a namespace; the rule's number.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn grant(&self, subject: &str, role: &str, namespace: &str) -> Result<u64> {
        grant(&self.data, subject, role, namespace).await
    }
}

/// Waits until a request is answered with this status by every node that a client knows.
///
/// # Errors
/// When it is not in time.
pub async fn until_status(registry: &Registry, path: &str, status: u16) -> Result<()> {
    for number in 0..registry.urls().len() {
        let node = registry.only(number);
        eventually(&format!("{path} is answered with {status}"), NOTICE, async || {
            node.get(path).await?.expect(status).map(Some)
        })
        .await?;
    }
    Ok(())
}
