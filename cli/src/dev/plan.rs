//! What each node of a local cluster is given: folder, addresses, configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use node::environment::Environment;

use crate::arguments::Dev;
use crate::exit::{Code, Exit};

/// One node of the plan.
#[derive(Clone, Debug)]
pub(crate) struct PlannedNode {
    /// 1, 2, 3…
    pub(crate) number: u16,
    /// Address for clients.
    pub(crate) listen: SocketAddr,
    /// Its data directory.
    pub(crate) data_dir: PathBuf,
    /// Its configuration file.
    pub(crate) config: PathBuf,
    /// Address for peers.
    pub(crate) peer: String,
}

impl PlannedNode {
    /// Its URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Its log file.
    pub(crate) fn log(&self) -> PathBuf {
        self.data_dir.join("regnode.log")
    }
}

/// Plans all nodes and writes their configuration files. A node that was planned by an earlier run keeps its peer
/// address, since the others know it by that.
pub(crate) async fn plan(environment: &Environment, dev: &Dev) -> Result<Vec<PlannedNode>> {
    let mut nodes = Vec::new();
    let mut reserved = Vec::new();
    let root = absolute(&dev.data_dir)?;
    for number in 1..=dev.nodes {
        let port = dev.listen.port().checked_add(number - 1).filter(|port| *port != 0);
        let Some(port) = port else {
            bail!(Exit::new(Code::Usage, format!("--listen {}: the ports behind it must exist too", dev.listen)));
        };
        let data_dir = root.join(format!("node{number}"));
        let peer_file = data_dir.join("peer-address");
        let peer = if let Some(address) = read(environment, &peer_file).await {
            address
        } else {
            // Held until all are chosen, so that no two nodes get the same.
            let listener = environment.network.listen(&format!("{}:0", ip(dev.listen))).await?;
            let address = listener.local_address()?.to_string();
            reserved.push(listener);
            address
        };
        let config = data_dir.join("regnode.toml");
        let node = PlannedNode { number, listen: SocketAddr::new(dev.listen.ip(), port), data_dir, config, peer };
        write(environment, &node, dev, &peer_file).await?;
        nodes.push(node);
    }
    Ok(nodes)
}

fn ip(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("finding the path of {}", path.display()))
}

async fn read(environment: &Environment, path: &Path) -> Option<String> {
    let (files, path) = (environment.files.clone(), path.to_owned());
    let bytes = environment.exec.run(move || files.read(&path)).await.ok()?;
    Some(String::from_utf8(bytes).ok()?.trim().to_owned())
}

async fn write(environment: &Environment, node: &PlannedNode, dev: &Dev, peer_file: &Path) -> Result<()> {
    let (files, peer_file) = (environment.files.clone(), peer_file.to_owned());
    let (data_dir, config, peer) = (node.data_dir.clone(), node.config.clone(), node.peer.clone());
    let text = configuration(node, &dev.settings);
    environment
        .exec
        .run(move || {
            files.create_directory_all(&data_dir)?;
            files.replace(&peer_file, peer.as_bytes())?;
            files.replace(&config, text.as_bytes())
        })
        .await
        .with_context(|| format!("writing into {}", node.data_dir.display()))
}

/// The node's configuration file. Keys given by `--set` stand in it too, so that `regnode serve --config` alone brings
/// a killed node back as it was.
fn configuration(node: &PlannedNode, settings: &[(String, String)]) -> String {
    let own = [
        ("data_dir", quoted(&node.data_dir.display().to_string())),
        ("node.name", quoted(&format!("node{}", node.number))),
        ("api.listen", quoted(&node.listen.to_string())),
        ("peer.listen", quoted(&node.peer)),
    ];
    let given = settings.iter().map(|(key, value)| (key.as_str(), literal(value)));
    let mut text = format!("# Written by `regnode dev` for node {} at every start.\n", node.number);
    for (key, value) in own.into_iter().chain(given) {
        text.push_str(key);
        text.push_str(" = ");
        text.push_str(&value);
        text.push('\n');
    }
    text
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// A value as TOML: numbers, booleans and lists as they are, anything else as a string.
fn literal(value: &str) -> String {
    let bare = value.parse::<f64>().is_ok() || ["true", "false"].contains(&value) || value.starts_with('[');
    if bare { value.to_owned() } else { quoted(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_holds_addresses_and_given_keys() {
        let node = PlannedNode {
            number: 2,
            listen: "127.0.0.1:5001".parse().unwrap(),
            data_dir: "/data/node2".into(),
            config: "/data/node2/regnode.toml".into(),
            peer: "127.0.0.1:4711".to_owned(),
        };
        let settings =
            [("log.level".to_owned(), "debug".to_owned()), ("api.max_connections".to_owned(), "9".to_owned())];
        let text = configuration(&node, &settings);
        let resolved = node::config::resolve(&node::config::Sources {
            file: Some((node.config.clone(), text)),
            ..node::config::Sources::default()
        })
        .unwrap();
        assert_eq!(resolved.settings.api.listen, "127.0.0.1:5001");
        assert_eq!(resolved.settings.peer.listen, "127.0.0.1:4711");
        assert_eq!(resolved.settings.log.level, "debug");
        assert_eq!(resolved.settings.api.max_connections, 9);
    }
}
