//! The real clients that are installed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process;

/// How long one command of a client may take.
const DEADLINE: Duration = Duration::from_mins(3);

/// A client's command, or `None` when it is not installed.
///
/// `./tests/run` installs the clients and sets `REGNODE_REQUIRE_CLIENTS`, so that nothing is skipped silently there.
///
/// # Errors
/// When it is missing and must not be.
pub fn find(name: &str) -> Result<Option<Command>> {
    let installed = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    let required = std::env::var_os("REGNODE_REQUIRE_CLIENTS").is_some();
    ensure!(installed || !required, "{name} is not installed; `./tests/run clients` installs it");
    Ok(installed.then(|| Command::new(name)))
}

/// A client's command with a home of its own, or `None` after saying that it is missing.
///
/// # Errors
/// As [`find`].
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn client(name: &str, home: &Path) -> Result<Option<Command>> {
    let Some(mut command) = find(name)? else {
        eprintln!("skipped: {name} is not installed");
        return Ok(None);
    };
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
