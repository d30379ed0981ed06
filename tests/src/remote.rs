//! Somebody who administers a cluster over the network: his logins in a folder of his own, and his commands.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::command;
use crate::process::{Ended, ended};

/// How long a command may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// Somebody.
#[derive(Clone, Debug)]
pub struct Remote {
    home: PathBuf,
    url: String,
}

impl Remote {
    /// Somebody who is not logged in yet, at a registry. The folder must be his own.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(home: PathBuf, url: &str) -> Result<Self> {
        std::fs::create_dir_all(&home)?;
        Ok(Self { home, url: url.to_owned() })
    }

    /// The file of his logins.
    #[must_use]
    pub fn logins(&self) -> PathBuf {
        self.home.join("regnode/logins.json")
    }

    /// Logs in with a password; how the command ends.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn try_login(&self, name: &str, password: &str, more: &[&str]) -> Result<Ended> {
        let file = self.home.join("password");
        std::fs::write(&file, format!("{password}\n"))?;
        let words = [&["login", &self.url, "--username", name, "--password-stdin"][..], more].concat();
        let mut command = tokio::process::Command::from(command::at_home(&self.home, &words)?);
        command.stdin(File::open(&file)?).kill_on_drop(true);
        let output = tokio::time::timeout(DEADLINE, command.output()).await.context("the login does not end")??;
        Ok(Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The same, which must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn login(self, name: &str, password: &str) -> Result<Self> {
        let ended = self.try_login(name, password, &[]).await?;
        ensure!(ended.code == Some(0), "{name} is not logged in: {ended:?}");
        Ok(self)
    }

    /// Begins a login by the browser; the address that it is to open.
    ///
    /// # Errors
    /// When none is told.
    pub async fn browse(&self) -> Result<Browsing> {
        let words = ["login", &self.url, "--browser", "--no-open"];
        let mut command = tokio::process::Command::from(command::at_home(&self.home, &words)?);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no error output")?).lines();
        let mut told = String::new();
        let find = async {
            while let Some(line) = lines.next_line().await? {
                told.push_str(&line);
                told.push('\n');
                if line.trim_start().starts_with("https://") {
                    return Ok(line.trim().to_owned());
                }
            }
            anyhow::bail!("no address was told: {told}")
        };
        let url = tokio::time::timeout(DEADLINE, find).await.context("no address is told")??;
        Ok(Browsing { url, child, lines })
    }

    /// A command of his; how it ends.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ask(&self, words: &[&str]) -> Result<Ended> {
        ended(command::at_home(&self.home, &[&["--server", &self.url][..], words].concat())?, DEADLINE).await
    }

    /// A command of his without a server on its command line.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn run(&self, words: &[&str]) -> Result<Ended> {
        ended(command::at_home(&self.home, words)?, DEADLINE).await
    }

    /// A command that must be carried out; what it prints.
    ///
    /// # Errors
    /// When it is not.
    pub async fn done(&self, words: &[&str]) -> Result<String> {
        let ended = self.ask(words).await?;
        ensure!(ended.code == Some(0), "{words:?}: {ended:?}");
        Ok(ended.stdout)
    }

    /// What a command answers in JSON, whatever its exit code says of the cluster.
    ///
    /// # Errors
    /// When it answers something else.
    pub async fn query(&self, words: &[&str]) -> Result<Value> {
        let ended = self.ask(&[words, &["--json"]].concat()).await?;
        serde_json::from_str(&ended.stdout).with_context(|| format!("{words:?}: {ended:?}"))
    }

    /// A command that must be denied.
    ///
    /// # Errors
    /// When it is carried out, or fails for another reason.
    pub async fn denied(&self, words: &[&str]) -> Result<String> {
        let ended = self.ask(words).await?;
        let is_denial = ["has no right of", "hands on what he has not"].iter().any(|text| ended.stderr.contains(text));
        ensure!(ended.code != Some(0) && is_denial, "{words:?} is not denied: {ended:?}");
        Ok(ended.stderr)
    }

    /// His folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }
}

/// A login that waits for the browser.
#[derive(Debug)]
pub struct Browsing {
    /// Address that the browser is to open.
    pub url: String,
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Browsing {
    /// How it ends.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(mut self) -> Result<Ended> {
        let rest = async {
            let mut stderr = String::new();
            while let Some(line) = self.lines.next_line().await? {
                stderr.push_str(&line);
                stderr.push('\n');
            }
            let output = self.child.wait_with_output().await?;
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok::<_, anyhow::Error>(Ended { code: output.status.code(), stdout, stderr })
        };
        tokio::time::timeout(DEADLINE, rest).await.context("the login does not end")?
    }
}
