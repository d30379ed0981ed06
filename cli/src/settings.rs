//! Options to settings: the configuration file, the environment and the flags of one command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use node::config::{self, Resolved};
use node::environment::{Environment, real};
use storage::disk::{Files, RealFiles};
use storage::kv::RocksEngines;

use crate::arguments::{LocalNode, NodeOptions};
use crate::exit::{Code, Exit};

/// Read if it exists and no other file is named.
const DEFAULT_FILE: &str = "/etc/regnode/regnode.toml";

/// The operating system as an environment.
pub(crate) fn environment() -> Environment {
    real(Arc::new(RealFiles), Arc::new(RocksEngines::new()))
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

/// Settings of a command that speaks to the node on this machine.
pub(crate) async fn of_local_node(environment: &Environment, options: &LocalNode) -> Result<Resolved> {
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
