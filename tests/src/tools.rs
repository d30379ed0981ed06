//! The real clients that are installed, and the real servers beside which the registry is tried.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process;

/// How long one command of a client may take.
const DEADLINE: Duration = Duration::from_mins(3);

/// Folders of servers, which are on root's path only.
const SERVERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A program's command, or `None` when it is not installed.
///
/// `./tests/run` installs the clients and sets `REGNODE_REQUIRE_CLIENTS`, so that nothing is skipped silently there.
///
/// # Errors
/// When it is missing and must not be.
pub fn find(name: &str) -> Result<Option<Command>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SERVERS.map(PathBuf::from));
    let installed = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    let required = std::env::var_os("REGNODE_REQUIRE_CLIENTS").is_some();
    ensure!(installed.is_some() || !required, "{name} is not installed; `./tests/run clients` installs it");
    Ok(installed.map(Command::new))
}

/// A program's command, or `None` after saying that it is missing.
///
/// # Errors
/// As [`find`].
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn server(name: &str) -> Result<Option<Command>> {
    let found = find(name)?;
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    Ok(found)
}

/// A client's command with a home of its own, or `None` after saying that it is missing.
///
/// # Errors
/// As [`find`].
pub fn client(name: &str, home: &Path) -> Result<Option<Command>> {
    let Some(mut command) = server(name)? else { return Ok(None) };
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env("TMPDIR", home);
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env_remove(proxy);
    }
    Ok(Some(command))
}

/// Runs a client's command to its end and returns its standard output.
///
/// # Errors
/// When it fails, with both its outputs.
pub async fn run(command: Command) -> Result<String> {
    process::output(command, DEADLINE).await
}

/// Runs a client's command that has to fail for want of rights.
///
/// # Errors
/// When it succeeds, or fails for another reason.
pub async fn refused(command: Command) -> Result<()> {
    let ended = process::ended(command, DEADLINE).await?;
    let text = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(ended.code != Some(0), "it was let in: {text}");
    let words = [
        "unauthorized",
        "denied",
        "forbidden",
        "authentication required",
        "authorization failed",
        "invalid username/password",
    ];
    let text = text.to_lowercase();
    ensure!(words.iter().any(|word| text.contains(word)), "it failed for another reason: {text}");
    Ok(())
}
