//! The command lines of `regnode`, all of them: a renamed flag is changed here and nowhere else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where the program is: `REGNODE_BINARY`, else `regnode` in the folder above the test binary's.
///
/// # Errors
/// When there is none, with the way to build it.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("REGNODE_BINARY") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("the test binary's own path")?;
    let folder = own.parent().and_then(Path::parent).context("the test binary lies in no build folder")?;
    let path = folder.join("regnode");
    ensure!(path.is_file(), "{} is missing: build it with `cargo build --package cli`", path.display());
    Ok(path)
}

/// What `regnode token` hands out, as the arguments of `regnode join`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Address of the node that admits.
    pub address: String,
    /// One-time token.
    pub token: String,
}

/// Who may do what in a cluster from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAccess {
    /// File with the password of the operator, `admin`; `None`: one is made up, and nobody looks at it.
    pub operator_password_file: Option<PathBuf>,
    /// Role that everybody has everywhere, without a login.
    pub anonymous: Option<String>,
}

impl Default for FirstAccess {
    /// Everybody may do everything with images: what most tests are about is something else.
    fn default() -> Self {
        Self { operator_password_file: None, anonymous: Some("owner".to_owned()) }
    }
}

impl FirstAccess {
    /// Nobody may anything but the operator, whose password is in a file.
    #[must_use]
    pub fn closed(operator_password_file: PathBuf) -> Self {
        Self { operator_password_file: Some(operator_password_file), anonymous: None }
    }
}

/// How a node runs.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Its name.
    pub name: String,
    /// Region that it founds or joins; `None` where there is only one.
    pub region: Option<String>,
    /// Folder of its data.
    pub data: PathBuf,
    /// Address for clients.
    pub listen: SocketAddr,
    /// Address for the other nodes.
    pub peer_listen: SocketAddr,
    /// Configuration keys and their values.
    pub settings: Vec<(String, String)>,
    /// Who may do what in the cluster that it founds.
    pub access: FirstAccess,
}

/// Founds a cluster and serves its first node.
///
/// # Errors
/// Without the program.
pub fn init(node: &NodeOptions) -> Result<Command> {
    let mut command = with_options("init", node)?;
    add_region(&mut command, node.region.as_deref());
    if let Some(file) = &node.access.operator_password_file {
        command.arg("--operator-password-file").arg(file);
    }
    if let Some(role) = &node.access.anonymous {
        command.args(["--anonymous", role]);
    }
    Ok(command)
}

/// Joins a cluster and serves; in the place of a node of this name, if one is given.
///
/// # Errors
/// Without the program.
pub fn join(node: &NodeOptions, invitation: &Invitation, replaces: Option<&str>) -> Result<Command> {
    let mut command = with_options("join", node)?;
    command.arg(&invitation.address).args(["--token", &invitation.token]);
    add_region(&mut command, node.region.as_deref());
    if let Some(old) = replaces {
        command.args(["--replace", old]);
    }
    Ok(command)
}

/// Joins a machine of which nothing is known yet, and ends: for one that is to be refused.
///
/// # Errors
/// Without the program.
pub fn join_and_end(data: &Path, [listen, peer]: [SocketAddr; 2], invitation: &Invitation) -> Result<Command> {
    let mut command = with_data("join", data)?;
    command.args([&invitation.address, "--token", &invitation.token, "--exit"]);
    command.args(["--listen", &listen.to_string(), "--peer-listen", &peer.to_string()]);
    Ok(command)
}

/// Serves a node that was set up by `init` or `join`.
///
/// # Errors
/// Without the program.
pub fn serve(node: &NodeOptions) -> Result<Command> {
    with_options("serve", node)
}

/// Prints the command that admits one more node, to the region of the node that is asked unless another one is named.
///
/// # Errors
/// Without the program.
pub fn token(data: &Path, region: Option<&str>) -> Result<Command> {
    let mut command = with_data("token", data)?;
    add_region(&mut command, region);
    Ok(command)
}

/// Takes the invitation out of what [`token`] printed.
///
/// # Errors
/// When no line holds a join command.
pub fn parse_invitation(output: &str) -> Result<Invitation> {
    let words: Vec<&str> = output.split_whitespace().filter(|word| *word != "\\").collect();
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|place| words.get(place + 1));
    let missing = || format!("no join command in the output of `regnode token`:\n{output}");
    Ok(Invitation {
        address: (*after("join").with_context(missing)?).to_owned(),
        token: (*after("--token").with_context(missing)?).to_owned(),
    })
}

/// Asks a node how the cluster is; `json` for machines.
///
/// # Errors
/// Without the program.
pub fn status(data: &Path, json: bool) -> Result<Command> {
    let mut command = with_data("status", data)?;
    if json {
        command.arg("--json");
    }
    Ok(command)
}

/// Lists the nodes, for machines.
///
/// # Errors
/// Without the program.
pub fn nodes(data: &Path) -> Result<Command> {
    with_words("nodes --json", data, &[])
}

/// Empties a node and waits until it holds nothing.
///
/// # Errors
/// Without the program.
pub fn drain(data: &Path, node: &str) -> Result<Command> {
    with_words("drain --wait", data, &[node])
}

/// Begins to empty a node.
///
/// # Errors
/// Without the program.
pub fn begin_drain(data: &Path, node: &str) -> Result<Command> {
    with_words("drain", data, &[node])
}

/// Uses a node again that is being emptied.
///
/// # Errors
/// Without the program.
pub fn undo_drain(data: &Path, node: &str) -> Result<Command> {
    with_words("drain --undo", data, &[node])
}

/// Lets a node leave and waits until it is removed.
///
/// # Errors
/// Without the program.
pub fn leave(data: &Path, node: &str) -> Result<Command> {
    with_words("leave --wait", data, &[node])
}

/// Lists the disks of all nodes, for machines.
///
/// # Errors
/// Without the program.
pub fn disks(data: &Path) -> Result<Command> {
    with_words("disk list --json", data, &[])
}

/// Takes a folder into use as a disk of a node; the answer is for machines.
///
/// # Errors
/// Without the program.
pub fn add_disk(data: &Path, node: &str, folder: &str) -> Result<Command> {
    with_words("disk add --json", data, &[folder, "--node", node])
}

/// Gives a dead disk of a node up.
///
/// # Errors
/// Without the program.
pub fn give_up_disk(data: &Path, node: &str, disk: &str) -> Result<Command> {
    with_words("disk remove --force", data, &[disk, "--node", node])
}

/// Empties a disk of a node and waits until it holds nothing.
///
/// # Errors
/// Without the program.
pub fn drain_disk(data: &Path, node: &str, disk: &str) -> Result<Command> {
    with_words("disk drain --wait", data, &[disk, "--node", node])
}

/// Takes an empty disk of a node out for good.
///
/// # Errors
/// Without the program.
pub fn remove_disk(data: &Path, node: &str, disk: &str) -> Result<Command> {
    with_words("disk remove", data, &[disk, "--node", node])
}

/// Reads all disks of a node again and waits for the end; the answer is for machines.
///
/// # Errors
/// Without the program.
pub fn scrub(data: &Path, node: &str) -> Result<Command> {
    with_words("scrub start --wait --json", data, &["--node", node])
}

/// Says how far the reading of a node's disks is, for machines.
///
/// # Errors
/// Without the program.
pub fn scrub_status(data: &Path, node: &str) -> Result<Command> {
    with_words("scrub status --json", data, &["--node", node])
}

/// Says how far the reading of all nodes' disks is, for machines.
///
/// # Errors
/// Without the program.
pub fn scrub_status_of_all(data: &Path) -> Result<Command> {
    with_words("scrub status --json", data, &[])
}

/// Any of the operator's commands. Words hold no spaces.
///
/// # Errors
/// Without the program.
pub fn operate(data: &Path, words: &[&str]) -> Result<Command> {
    with_data(&words.join(" "), data)
}

/// Names what cannot be read; `json` for machines.
///
/// # Errors
/// Without the program.
pub fn fsck(data: &Path, json: bool) -> Result<Command> {
    with_words("fsck", data, if json { &["--json"] } else { &[] })
}

/// A local cluster of child processes.
///
/// # Errors
/// Without the program.
pub fn dev(data: &Path, nodes: usize, listen: SocketAddr) -> Result<Command> {
    let mut command = with_data("dev", data)?;
    command.args(["--nodes", &nodes.to_string(), "--listen", &listen.to_string()]);
    Ok(command)
}

fn add_region(command: &mut Command, region: Option<&str>) {
    if let Some(region) = region {
        command.args(["--region", region]);
    }
}

/// The program takes every variable with this prefix for a configuration key and refuses those that are none.
const PREFIX: &str = "REGNODE_";

fn bare() -> Result<Command> {
    let mut command = Command::new(binary()?);
    // The caller's configuration is none of the tests', and their own variables are no configuration.
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with(PREFIX)) {
        command.env_remove(variable);
    }
    Ok(command)
}

fn with_data(name: &str, data: &Path) -> Result<Command> {
    let mut command = bare()?;
    command.args(name.split(' ')).arg("--data-dir").arg(data);
    Ok(command)
}

/// Any command of somebody whose logins are kept in a folder of his own.
///
/// # Errors
/// Without the program.
pub fn at_home(home: &Path, words: &[&str]) -> Result<Command> {
    let mut command = bare()?;
    command.env("XDG_CONFIG_HOME", home).args(words);
    Ok(command)
}

fn with_words(name: &str, data: &Path, words: &[&str]) -> Result<Command> {
    let mut command = with_data(name, data)?;
    command.args(words);
    Ok(command)
}

fn with_options(name: &str, node: &NodeOptions) -> Result<Command> {
    let mut command = with_data(name, &node.data)?;
    command.args(["--name", &node.name]);
    command.args(["--listen", &node.listen.to_string(), "--peer-listen", &node.peer_listen.to_string()]);
    // How full this machine is is none of the tests' business.
    command.args(["--set", "storage.low_space_percent=0"]);
    for (key, value) in &node.settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invitation_is_found_in_the_printed_command() {
        let printed =
            "On the new node, within 1 hour:\n\n  regnode join 10.0.0.1:5001 \\\n    --token abc.def --data-dir DIR\n";
        let expected = Invitation { address: "10.0.0.1:5001".to_owned(), token: "abc.def".to_owned() };
        assert_eq!(parse_invitation(printed).unwrap(), expected);
        assert!(parse_invitation("nothing").is_err());
    }
}
