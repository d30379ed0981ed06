//! Docker and containerd, of a test alone: folders, sockets and images of their own, no networks, no containers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::process::{self, Process};
use crate::tools;
use crate::wait::eventually;

/// How long one of them may take until it answers.
const START: Duration = Duration::from_secs(40);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(20);
/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// How long a question may take.
const ASK: Duration = Duration::from_secs(10);
/// How much of a log a failure tells.
const LOG_TAIL_BYTES: u64 = 4000;

/// A daemon and its socket.
#[derive(Debug)]
struct Daemon {
    process: Process,
    socket: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // In order: what was mounted over its folder is unmounted, and the folder can go.
        if self.process.signal(Signal::TERM).is_ok() {
            let rounds = STOP.as_millis() / POLL.as_millis();
            for _ in 0..rounds {
                if !matches!(self.process.ended(), Ok(None)) {
                    return;
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

/// containerd, and Docker on top of it if it was asked for. Ended when dropped.
#[derive(Debug)]
pub struct Daemons {
    // Ended in this order, before their folder goes.
    docker: Option<Daemon>,
    containerd: Daemon,
    folder: TempDir,
}

impl Daemons {
    /// containerd alone, or `None` after saying why it cannot be tried here.
    ///
    /// # Errors
    /// When it is missing and must not be, or does not start.
    pub async fn containerd() -> Result<Option<Self>> {
        let (Some(mut server), Some(_)) = (tools::server("containerd")?, tools::server("ctr")?) else {
            return Ok(None);
        };
        if !is_root()? {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("regnode-daemons-").tempdir()?;
        let (file, socket) = (folder.path().join("containerd.toml"), folder.path().join("containerd.sock"));
        // Without the part for Kubernetes, which wants a network.
        let [root, state] = ["containerd", "containerd-state"].map(|name| folder.path().join(name));
        let text = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\n\
             [grpc]\naddress = \"{}\"\n",
            root.display(),
            state.display(),
            socket.display(),
        );
        std::fs::write(&file, text)?;
        server.arg("--config").arg(&file);
        let process = Process::start(server, &folder.path().join("containerd.log"))?;
        let daemons = Self { docker: None, containerd: Daemon { process, socket }, folder };
        daemons.until_it_answers("containerd", || daemons.ctr(&["version"])).await?;
        Ok(Some(daemons))
    }

    /// Docker, or `None` after saying why it cannot be tried here.
    ///
    /// # Errors
    /// When it is missing and must not be, or does not start.
    pub async fn docker() -> Result<Option<Self>> {
        let (Some(mut server), Some(_)) = (tools::server("dockerd")?, tools::server("docker")?) else {
            return Ok(None);
        };
        let Some(mut daemons) = Self::containerd().await? else { return Ok(None) };
        let folder = daemons.folder.path().to_owned();
        let socket = folder.join("docker.sock");
        server.arg("--containerd").arg(&daemons.containerd.socket);
        for (option, name) in [("--data-root", "docker"), ("--exec-root", "docker-state"), ("--pidfile", "docker.pid")]
        {
            server.arg(option).arg(folder.join(name));
        }
        // It touches neither the machine's network nor its rules, and needs no particular file system.
        server.arg("--host").arg(format!("unix://{}", socket.display()));
        server.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
        server.args(["--storage-driver=vfs"]).env("HOME", &folder);
        let process = Process::start(server, &folder.join("docker.log"))?;
        daemons.docker = Some(Daemon { process, socket });
        daemons.until_it_answers("docker", || daemons.docker_command(&["version"])).await?;
        Ok(Some(daemons))
    }

    async fn until_it_answers(&self, what: &str, question: impl Fn() -> Result<Command>) -> Result<()> {
        let log = self.folder.path().join(format!("{what}.log"));
        eventually(&format!("{what} answers"), START, async || process::output(question()?, ASK).await.map(Some))
            .await
            .with_context(|| process::log_tail(&log, LOG_TAIL_BYTES))?;
        Ok(())
    }

    /// A command of containerd's client.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn ctr(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = tools::client("ctr", self.folder.path())?.context("ctr went away")?;
        command.arg("--address").arg(&self.containerd.socket).args(arguments);
        Ok(command)
    }

    /// A command of Docker's client.
    ///
    /// # Errors
    /// When it is not installed, or the daemon was not asked for.
    pub fn docker_command(&self, arguments: &[&str]) -> Result<Command> {
        let daemon = self.docker.as_ref().context("docker was not started")?;
        let mut command = tools::client("docker", self.folder.path())?.context("docker went away")?;
        command.env("DOCKER_HOST", format!("unix://{}", daemon.socket.display()));
        command.env("DOCKER_CONFIG", self.home().join(".docker")).args(arguments);
        Ok(command)
    }

    /// Folder of what their clients keep.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.folder.path()
    }
}

/// Whether they can run at all: both need root.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn is_root() -> Result<bool> {
    let is_root = geteuid().is_root();
    let is_required = std::env::var_os("REGNODE_REQUIRE_CLIENTS").is_some();
    ensure!(is_root || !is_required, "containerd and docker run as root only");
    if !is_root {
        eprintln!("skipped: containerd and docker run as root only");
    }
    Ok(is_root)
}
