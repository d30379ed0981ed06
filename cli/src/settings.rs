//! Options to settings: the configuration file, the environment and the flags of one command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use node::config::{self, Resolved, Settings};
use node::environment::{Environment, real, real_keys};
use storage::disk::{Files, RealFiles};
use storage::kv::RocksEngines;

use crate::arguments::{LocalNode, NodeOptions};
use crate::exit::{Code, Exit};
use crate::{logins, server};

/// Read if it exists and no other file is named.
const DEFAULT_FILE: &str = "/etc/regnode/regnode.toml";

/// The operating system as an environment.
pub(crate) fn environment() -> Environment {
    let keys = real_keys();
    Environment { keys: keys.clone(), ..real(Arc::new(RealFiles), Arc::new(RocksEngines::new(keys))) }
}

/// Settings of a command that runs a node.
pub(crate) async fn of_node(environment: &Environment, options: &NodeOptions) -> Result<Resolved> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let named = [
        ("data_dir", path(&options.data_dir)),
        ("api.listen", options.listen.clone()),
        ("peer.listen", options.peer_listen.clone()),
        ("peer.advertise", options.peer_advertise.clone()),
        ("node.name", options.name.clone()),
        ("node.zone", options.zone.clone()),
    ];
    let mut flags: Vec<(String, String)> =
        named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    flags.extend(options.settings.iter().cloned());
    load(environment, options.config.clone(), flags).await
}

/// The server and the authorities that variables name: `REGNODE_SERVER`, `REGNODE_CA`.
pub(crate) fn server_variables() -> (Option<String>, Option<PathBuf>) {
    (variable("REGNODE_SERVER"), variable("REGNODE_CA").map(PathBuf::from))
}

/// Where the logins of whoever runs the program are kept.
pub(crate) fn logins_path() -> Result<PathBuf> {
    logins::path(variable("XDG_CONFIG_HOME").map(PathBuf::from), variable("HOME").map(PathBuf::from))
}

#[expect(clippy::disallowed_methods, reason = "these variables are the program's, not the node's")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A text in a file.
pub(crate) async fn read_text(environment: &Environment, path: &Path) -> Result<String> {
    let (files, owned) = (Arc::clone(&environment.files), path.to_owned());
    let bytes = environment.exec.run(move || files.read(&owned)).await;
    let bytes = bytes.with_context(|| format!("reading {}", path.display()))?;
    String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
}

/// Settings of a command that speaks to the node on this machine, or to one over the network, which has its own.
pub(crate) async fn of_local_node(environment: &Environment, options: &LocalNode) -> Result<Resolved> {
    let names_node = options.data_dir.is_some();
    match server::chosen() {
        Some(chosen) if chosen.explicit && names_node => {
            let message =
                "--data-dir names a node of this machine, --server one over the network: leave one of them out";
            return Err(Exit::new(Code::Usage, message).into());
        }
        Some(_) if names_node => server::stay_local(),
        Some(_) => return Ok(Resolved { settings: Settings::default(), sources: BTreeMap::new() }),
        None => {}
    }
    let data_dir = options.data_dir.as_ref().map(|path| ("data_dir".to_owned(), path.display().to_string()));
    load(environment, options.config.clone(), data_dir.into_iter().collect()).await
}

async fn load(environment: &Environment, file: Option<PathBuf>, flags: Vec<(String, String)>) -> Result<Resolved> {
    let files = Arc::clone(&environment.files);
    #[expect(clippy::disallowed_methods, reason = "this is the place where the variables are read")]
    let variables = std::env::vars().collect();
    environment
        .exec
        .run(move || {
            let file = file.or_else(|| default_file(files.as_ref()));
            config::load(files.as_ref(), file.as_deref(), variables, flags)
        })
        .await
        .map_err(|error| anyhow::Error::new(Exit::silent(Code::Usage)).context(chain(&error)))
}

fn default_file(files: &dyn Files) -> Option<PathBuf> {
    files.open(Path::new(DEFAULT_FILE)).is_ok().then(|| PathBuf::from(DEFAULT_FILE))
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
