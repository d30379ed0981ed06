//! One node of a cluster: a real process with its folder, its ports and its log; what it says of itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::command::{FirstAccess, NodeOptions};
use crate::ports::{self, Port};
use crate::process::{self, Process};
use crate::registry::Registry;
use crate::status::Status;
use crate::wait::eventually;
use crate::{command, metrics};

/// How long a node may take until it serves: debug builds beside other tests on two cores.
pub(crate) const START_DEADLINE: Duration = Duration::from_mins(1);
/// How long an orderly end may take.
const STOP_DEADLINE: Duration = Duration::from_secs(40);

/// Configuration keys and their values.
pub(crate) type Keys = Vec<(String, String)>;

/// One node.
#[derive(Debug)]
pub struct Node {
    number: usize,
    pub(crate) options: NodeOptions,
    log: PathBuf,
    /// Keeps the ports for restarts.
    _ports: [Port; 2],
    process: Option<Process>,
}

impl Node {
    /// A node that does not run yet. Its log and, unless they lie elsewhere, its data are called by its number.
    pub(crate) fn new(
        folder: &Path,
        number: usize,
        name: String,
        data: Option<PathBuf>,
        settings: Keys,
    ) -> Result<Self> {
        let place = folder.join(format!("node{}", number + 1));
        let (log, data) = (place.with_extension("log"), data.unwrap_or(place));
        let ports = [ports::reserve()?, ports::reserve()?];
        let [listen, peer_listen] = [ports[0].address(), ports[1].address()];
        let access = FirstAccess::default();
        let options = NodeOptions { name, region: None, data, listen, peer_listen, settings, access };
        Ok(Self { number, options, log, _ports: ports, process: None })
    }

    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Address of its interface for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.options.listen
    }

    /// Address of its interface for other nodes.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.options.peer_listen
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// URL of its interface for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A client of what it tells of its health, which has an address of its own where one is set.
    fn health(&self) -> Registry {
        let own = self.options.settings.iter().find(|(key, _)| key == "metrics.listen");
        own.map_or_else(|| self.registry(), |(_, address)| Registry::new(&[format!("http://{address}")]))
    }

    /// Folder of its data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.options.data
    }

    /// A client of this node alone.
    #[must_use]
    pub fn registry(&self) -> Registry {
        Registry::new(&[self.url()])
    }

    /// Gives it another value of a configuration key, or its default, when it is started next.
    pub fn set(&mut self, key: &str, value: Option<&str>) {
        self.options.settings.retain(|(known, _)| known != key);
        self.options.settings.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it does not run.
    pub fn id(&self) -> Result<u32> {
        Ok(self.process.as_ref().with_context(|| format!("{} does not run", self.options.name))?.id())
    }

    /// The highest memory that it has used since it was started, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        process::peak_memory_bytes(self.id()?)
    }

    /// The end of its log, at most so much.
    pub(crate) fn log_tail(&self, bytes: u64) -> String {
        process::log_tail(&self.log, bytes)
    }

    /// Its whole log.
    #[must_use]
    pub fn log(&self) -> String {
        process::log_tail(&self.log, u64::MAX)
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<metrics::Samples> {
        let answer = self.health().get("/metrics").await?.expect(200)?;
        Ok(metrics::Samples::parse(&answer.text()))
    }

    /// What `regnode status --json` says on this node.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn status(&self) -> Result<Status> {
        let output = tokio::process::Command::from(command::status(&self.options.data, true)?)
            .kill_on_drop(true)
            .output()
            .await
            .context("regnode status --json")?;
        let text = String::from_utf8_lossy(&output.stdout);
        Status::parse(&text).with_context(|| {
            format!("regnode status --json ({}): {text}{}", output.status, String::from_utf8_lossy(&output.stderr))
        })
    }

    /// What `regnode status` says on this node, for people.
    ///
    /// # Errors
    /// When the command fails to run. Its exit code may speak of the cluster's state and is not judged here.
    pub async fn status_text(&self) -> Result<String> {
        let output = tokio::process::Command::from(command::status(&self.options.data, false)?)
            .kill_on_drop(true)
            .output()
            .await
            .context("regnode status")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until it knows a leader of each group.
    ///
    /// # Errors
    /// When one is missing at the deadline.
    pub async fn wait_led(&self, deadline: Duration) -> Result<()> {
        eventually("each group has a leader", deadline, async || {
            let status = self.status().await?;
            ensure!(status.leaders().iter().all(|(_, leader)| leader.is_some()), "not yet: {status}");
            Ok(Some(()))
        })
        .await
    }

    /// Starts its process; see [`wait_ready`](Self::wait_ready).
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn serve(&mut self) -> Result<()> {
        self.launch(command::serve(&self.options)?)
    }

    /// Starts its process with a command that founds, joins or serves.
    pub(crate) fn launch(&mut self, command: Command) -> Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.options.name);
        self.process = Some(Process::start(command, &self.log)?);
        Ok(())
    }

    /// Waits until it says that it can serve.
    ///
    /// # Errors
    /// When it ends or does not get ready in time.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let (name, registry) = (self.options.name.clone(), self.health());
        let process = self.process.as_mut().with_context(|| format!("{name} does not run"))?;
        let reason = eventually(&format!("{name} is ready"), START_DEADLINE, async || {
            if let Some(status) = process.ended()? {
                return Ok(Some(Err(status)));
            }
            let answer = registry.get("/readyz").await?;
            ensure!(answer.status == 200, "{}", answer.text());
            Ok(Some(Ok(())))
        })
        .await?;
        reason.map_err(|status| anyhow::anyhow!("{name} ended while it started: {status}"))
    }

    /// Kills it as a power cut of the process would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().with_context(|| format!("{} does not run", self.options.name))?.kill()
    }

    /// Whether its process was started and not ended since by the test.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// Stops its process where it stands, as a computer that swaps or a paused virtual machine does; its sockets stay
    /// open. It may be killed in this state.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends its process a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.options.name))?.signal(signal)
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it does not end in time, or not with success.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().with_context(|| format!("{} does not run", self.options.name))?;
        let status = process.stop(STOP_DEADLINE).await?;
        ensure!(status.success(), "{} ended with {status}", self.options.name);
        Ok(())
    }

    /// Waits until it has ended by itself; its exit code, if it was not killed.
    ///
    /// # Errors
    /// When it still runs at the deadline.
    pub async fn wait_ended(&mut self, deadline: Duration) -> Result<Option<i32>> {
        let process = self.process.as_mut().with_context(|| format!("{} does not run", self.options.name))?;
        let status = eventually("the node ends by itself", deadline, async || process.ended()).await?;
        self.process = None;
        Ok(status.code())
    }

    /// Starts it again and waits until it serves.
    ///
    /// # Errors
    /// When it runs already or does not get ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.serve()?;
        self.wait_ready().await
    }

    /// Fails when its process has ended by itself.
    ///
    /// # Errors
    /// Then.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(process) = self.process.as_mut()
            && let Some(status) = process.ended()?
        {
            bail!("{} ended by itself: {status}", self.options.name);
        }
        Ok(())
    }

    /// Fails when it has logged an ERROR, which says that a person must look.
    ///
    /// # Errors
    /// Then.
    pub fn check_quiet(&self) -> Result<()> {
        // A line begins with its time and its level.
        match self.log().lines().find(|line| line.split_whitespace().nth(1) == Some("ERROR")) {
            Some(line) => bail!("{} logged: {line}", self.options.name),
            None => Ok(()),
        }
    }

    /// Fails when it has ended by itself or panicked.
    ///
    /// # Errors
    /// Then.
    pub fn check_sound(&mut self) -> Result<()> {
        self.check_alive()?;
        let log = self.log();
        match log.lines().find(|line| line.contains("panicked at")) {
            Some(line) => bail!("{} panicked: {line}", self.options.name),
            None => Ok(()),
        }
    }
}
