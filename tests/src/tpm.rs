//! A TPM: `swtpm`, asked by `tpm2-tools` as on a real machine. A key is sealed in it with the recipe of the handbook.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, Process};
use crate::tools;
use crate::wait::eventually;

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);
/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(20);
/// Where the key lies in it.
const HANDLE: &str = "0x81010001";
/// What of the boot has to be as it was.
const MEASURED: &str = "sha256:7";

/// A running TPM. Ended when dropped.
#[derive(Debug)]
pub struct Tpm {
    folder: PathBuf,
    _process: Process,
}

impl Tpm {
    /// A TPM of its own in a folder; `None` after saying so when it is not installed.
    ///
    /// # Errors
    /// When it is missing and must not be, or does not start.
    pub async fn start(folder: &Path) -> Result<Option<Self>> {
        let (Some(mut command), Some(_)) = (tools::server("swtpm")?, tools::server("tpm2_unseal")?) else {
            return Ok(None);
        };
        std::fs::create_dir_all(folder.join("state"))?;
        let socket = folder.join("tpm.sock").display().to_string();
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        command.arg("--tpmstate").arg(format!("dir={}", folder.join("state").display()));
        command.arg("--server").arg(format!("type=unixio,path={socket}"));
        command.arg("--ctrl").arg(format!("type=unixio,path={socket}.ctrl"));
        let process = Process::start(command, &folder.join("swtpm.log"))?;
        let tpm = Self { folder: folder.to_owned(), _process: process };
        eventually("the TPM answers", START, async || tpm.run("tpm2_getcap", &["properties-fixed"]).await.map(Some))
            .await?;
        Ok(Some(tpm))
    }

    /// How the tools reach it.
    fn transport(&self) -> String {
        format!("swtpm:path={}", self.folder.join("tpm.sock").display())
    }

    async fn run(&self, tool: &str, arguments: &[&str]) -> Result<()> {
        let mut command: Command = tools::server(tool)?.with_context(|| format!("no {tool}"))?;
        command.current_dir(&self.folder).env("TPM2TOOLS_TCTI", self.transport()).args(arguments);
        process::output(command, COMMAND).await.map(drop)
    }

    /// Seals a key for a machine that boots as it does now. The file that had it can go then.
    ///
    /// # Errors
    /// When a tool fails.
    pub async fn seal(&self, key: &str) -> Result<()> {
        std::fs::write(self.folder.join("key"), key)?;
        let steps: [(&str, &[&str]); 5] = [
            ("tpm2_createpolicy", &["--policy-pcr", "-l", MEASURED, "-L", "boot.policy"]),
            ("tpm2_createprimary", &["-C", "o", "-c", "primary.ctx"]),
            (
                "tpm2_create",
                &["-C", "primary.ctx", "-i", "key", "-L", "boot.policy", "-u", "sealed.pub", "-r", "sealed.priv"],
            ),
            ("tpm2_load", &["-C", "primary.ctx", "-u", "sealed.pub", "-r", "sealed.priv", "-c", "sealed.ctx"]),
            ("tpm2_evictcontrol", &["-C", "o", "-c", "sealed.ctx", HANDLE]),
        ];
        for (tool, arguments) in steps {
            self.run(tool, arguments).await?;
            // The kernel's /dev/tpmrm0 does this by itself.
            self.run("tpm2_flushcontext", &["-t"]).await?;
        }
        std::fs::remove_file(self.folder.join("key"))?;
        Ok(())
    }

    /// What `encryption.key_command` is to be, as a variable or a flag takes it.
    #[must_use]
    pub fn key_command(&self) -> String {
        format!("tpm2_unseal;-T;{};-c;{HANDLE};-p;pcr:{MEASURED}", self.transport())
    }

    /// Does what the start of another system would.
    ///
    /// # Errors
    /// When the tool fails.
    pub async fn boot_otherwise(&self) -> Result<()> {
        let digest = "5a".repeat(32);
        self.run("tpm2_pcrextend", &[&format!("7:sha256={digest}")]).await
    }
}
