//! Clusters of real processes: founded, grown, killed together; their logs kept when a test fails.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::command::FirstAccess;
use crate::node::{Keys, START_DEADLINE};
use crate::registry::Registry;
use crate::wait::eventually;
use crate::{command, process};

pub use crate::node::Node;

/// How long a command of the program may take.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_mins(1);
/// The operator of a closed cluster.
pub const OPERATOR: &str = "admin";
/// His password.
pub const OPERATOR_PASSWORD: &str = "correct horse battery staple";
/// How much of each log a failed test prints.
const LOG_TAIL_BYTES: u64 = 12_000;

/// What a cluster is started with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Configuration keys of every node and their values.
    pub keys: Keys,
    /// Keys that single nodes have besides, the first node's first.
    pub own: Vec<Keys>,
    /// Folder of the first node's data, when it is not to lie in the cluster's own folder.
    pub data: Option<PathBuf>,
    /// Whether nobody may anything but the operator, [`OPERATOR`] with [`OPERATOR_PASSWORD`]. Otherwise everybody may push,
    /// pull and delete without a login.
    pub closed: bool,
}

/// A cluster. Ended when dropped; after a failed test its folder stays and its logs are printed.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    folder: Option<TempDir>,
}

impl Cluster {
    /// A cluster of `count` nodes that all serve.
    ///
    /// # Errors
    /// When it does not come up; the logs have been printed then.
    pub async fn start(count: usize) -> Result<Self> {
        Self::start_with(count, Settings::default()).await
    }

    /// A cluster in which nobody may anything but the operator: [`OPERATOR`] with [`OPERATOR_PASSWORD`].
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_closed(count: usize) -> Result<Self> {
        Self::start_with(count, Settings { closed: true, ..Settings::default() }).await
    }

    /// A cluster with settings.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(count: usize, settings: Settings) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("regnode-test-").tempdir()?;
        let mut nodes = Vec::with_capacity(count);
        for number in 0..count {
            let data = settings.data.clone().filter(|_| number == 0);
            let name = format!("node{}", number + 1);
            let own = settings.own.get(number).cloned().unwrap_or_default();
            nodes.push(Node::new(folder.path(), number, name, data, [settings.keys.clone(), own].concat())?);
        }
        if let (true, Some(first)) = (settings.closed, nodes.first_mut()) {
            let file = folder.path().join("operator-password");
            std::fs::write(&file, format!("{OPERATOR_PASSWORD}\n"))?;
            first.options.access = FirstAccess::closed(file);
        }
        let mut cluster = Self::of(nodes, folder);
        match cluster.bring_up().await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.print_logs();
                Err(error)
            }
        }
    }

    /// A cluster of nodes that do not run yet, whose data and logs lie in a folder.
    pub(crate) fn of(nodes: Vec<Node>, folder: TempDir) -> Self {
        Self { nodes, folder: Some(folder) }
    }

    async fn bring_up(&mut self) -> Result<()> {
        let (first, others) = self.nodes.split_first_mut().context("a cluster of no nodes")?;
        first.launch(command::init(&first.options)?)?;
        first.wait_ready().await?;
        for node in &mut *others {
            let invitation = process::output(command::token(first.data(), None)?, COMMAND_DEADLINE).await?;
            node.launch(command::join(&node.options, &command::parse_invitation(&invitation)?, None)?)?;
            node.wait_ready().await?;
        }
        if !others.is_empty() {
            self.wait_whole().await?;
        }
        Ok(())
    }

    /// One more node joins, in the place of a node of this name if one is given, and serves; its number.
    ///
    /// # Errors
    /// When it is refused or does not get ready.
    pub async fn join(&mut self, name: &str, replaces: Option<&str>) -> Result<usize> {
        let host = self.nodes.iter().find(|node| node.is_started()).context("no node runs")?;
        let invitation = process::output(command::token(host.data(), None)?, COMMAND_DEADLINE).await?;
        self.admit(name, &command::parse_invitation(&invitation)?, replaces).await
    }

    /// One more node joins with an invitation that somebody has, and serves; its number.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_with(&mut self, name: &str, invitation: &command::Invitation) -> Result<usize> {
        self.admit(name, invitation, None).await
    }

    async fn admit(&mut self, name: &str, invitation: &command::Invitation, replaces: Option<&str>) -> Result<usize> {
        let number = self.nodes.len();
        let folder = self.folder.as_ref().context("the cluster's folder was given away")?;
        let host = self.nodes.first().context("a cluster of no nodes")?;
        let mut node = Node::new(folder.path(), number, name.to_owned(), None, host.options.settings.clone())?;
        node.launch(command::join(&node.options, invitation, replaces)?)?;
        self.nodes.push(node);
        self.nodes[number].wait_ready().await?;
        Ok(number)
    }

    /// Waits until every node votes in every group of its region, so that the loss of one is borne.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn wait_whole(&self) -> Result<()> {
        let first = self.node(0);
        eventually("the cluster is whole", START_DEADLINE, async || {
            let status = first.status().await?;
            ensure!(status.is_whole(self.nodes.len()), "not yet: {status}");
            Ok(Some(()))
        })
        .await
    }

    /// A node, numbered from 0.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// A node, numbered from 0.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn node_mut(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A client that sends each request to the next node.
    #[must_use]
    pub fn registry(&self) -> Registry {
        Registry::new(&self.nodes.iter().map(Node::url).collect::<Vec<_>>())
    }

    /// Kills all nodes at once.
    ///
    /// # Errors
    /// When one does not run.
    pub fn kill_all(&mut self) -> Result<()> {
        self.kill_together(&(0..self.nodes.len()).collect::<Vec<_>>())
    }

    /// Kills these nodes at once.
    ///
    /// # Errors
    /// When one does not run.
    pub fn kill_together(&mut self, numbers: &[usize]) -> Result<()> {
        // All signals first: the nodes are to die together, as in a power cut.
        for number in numbers {
            self.nodes[*number].signal(Signal::KILL)?;
        }
        numbers.iter().try_for_each(|number| self.nodes[*number].kill())
    }

    /// Starts all nodes that do not run and waits until they serve.
    ///
    /// # Errors
    /// When one does not get ready.
    pub async fn restart_all(&mut self) -> Result<()> {
        let mut started = Vec::new();
        for node in self.nodes.iter_mut().filter(|node| !node.is_started()) {
            node.serve()?;
            started.push(node);
        }
        for node in started {
            node.wait_ready().await?;
        }
        Ok(())
    }

    /// Waits until nothing is below its redundancy.
    ///
    /// # Errors
    /// When that does not come in time.
    pub async fn wait_redundant(&self, deadline: Duration) -> Result<()> {
        let first = self.nodes.iter().find(|node| node.is_started()).context("no node runs")?;
        eventually("everything has its full redundancy", deadline, async || {
            let status = first.status().await?;
            ensure!(status.under_replicated()? == 0, "not yet: {status}");
            Ok(Some(()))
        })
        .await
    }

    /// Fails when a node has ended by itself or panicked.
    ///
    /// # Errors
    /// Then.
    pub fn check_sound(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::check_sound)
    }

    pub(crate) fn print_logs(&mut self) {
        let mut out = std::io::stderr().lock();
        for node in &self.nodes {
            let tail = node.log_tail(LOG_TAIL_BYTES);
            let _ = writeln!(out, "--- end of the log of {} ---\n{tail}", node.name());
        }
        if let Some(folder) = self.folder.take() {
            let _ = writeln!(out, "--- data and logs are kept in {} ---", folder.keep().display());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
    }
}
