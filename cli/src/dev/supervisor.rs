//! Starts the nodes of a local cluster, tells when they serve, and ends them all on ctrl-c.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Method;
use node::environment::Environment;
use node::identity::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::child::NodeProcess;
use super::operator::{self, OPERATOR};
use super::plan::{PlannedNode, plan};
use crate::admin_client;
use crate::arguments::Dev;
use crate::exit::Code;
use crate::http::request;

/// Longest time that a node may take to serve.
const START_DEADLINE: Duration = Duration::from_mins(2);
/// Time that the nodes have to finish their requests once ctrl-c was pressed.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);
const TOKEN_LIFETIME: Duration = Duration::from_mins(10);

/// Runs the cluster until ctrl-c or SIGTERM.
pub(crate) async fn run(environment: &Environment, dev: Dev) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for ctrl-c")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut processes = Vec::new();
    let outcome = tokio::select! {
        outcome = serve(environment, &dev, &mut processes) => outcome,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    stop(processes).await;
    outcome
}

/// Starts all nodes, then watches them until all have ended.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn serve(environment: &Environment, dev: &Dev, processes: &mut Vec<NodeProcess>) -> Result<()> {
    let nodes = plan(environment, dev).await?;
    let new = is_new(environment, &nodes).await?;
    let password_file = operator::password_file(&dev.data_dir)?;
    for (node, new) in nodes.iter().zip(&new) {
        // New nodes join one after the other, so that ids follow the numbers. Known ones start together, since no
        // one of them is a quorum.
        let mut token = None;
        let arguments = match (new, node.number) {
            (false, _) => vec!["serve".to_owned()],
            (true, 1) => {
                operator::make_password(environment, &password_file).await?;
                found(&password_file, dev.anonymous.as_deref())
            }
            (true, _) => {
                wait_until_serving(environment, &nodes[0], processes).await?;
                token = Some(admin_client::token(&nodes[0].data_dir, TOKEN_LIFETIME, None).await?.token);
                vec!["join".to_owned(), nodes[0].peer.clone()]
            }
        };
        let config = ["--config".to_owned(), node.config.display().to_string()];
        let arguments: Vec<String> = arguments.into_iter().chain(config).collect();
        let process = NodeProcess::start(node.number, node.url(), node.log(), &arguments, token)?;
        println!("{}", line(&process));
        processes.push(process);
        if *new {
            wait_until_serving(environment, node, processes).await?;
        }
    }
    for node in &nodes {
        wait_until_serving(environment, node, processes).await?;
    }
    wait_until_all_vote(&nodes[0]).await?;
    match nodes.len() {
        1 => println!("the node serves"),
        count => println!("all {count} nodes serve"),
    }
    if let Some(login) = operator::login(environment, &password_file, &nodes[0]).await {
        println!("{login}");
    }
    if dev.show_examples {
        println!("\n{}\n", examples(&nodes, &password_file));
    }
    println!("ctrl-c ends all; the data stays in {}", dev.data_dir.display());
    report_ends(processes, &nodes).await
}

/// What founds the cluster. Its output goes to a log, so the password comes from a file and is not shown by it.
fn found(password_file: &Path, anonymous: Option<&str>) -> Vec<String> {
    let operator = ["init", "--operator", OPERATOR, "--operator-password-file"].map(str::to_owned);
    let anonymous = anonymous.into_iter().flat_map(|role| ["--anonymous".to_owned(), role.to_owned()]);
    operator.into_iter().chain([password_file.display().to_string()]).chain(anonymous).collect()
}

fn line(process: &NodeProcess) -> String {
    let pid = process.pid().map_or_else(|| "ended".to_owned(), |pid| pid.to_string());
    format!("node {}  {}  pid {pid}  log {}", process.number, process.url, process.log.display())
}

async fn is_new(environment: &Environment, nodes: &[PlannedNode]) -> Result<Vec<bool>> {
    let (files, nodes) = (environment.files.clone(), nodes.to_vec());
    let is_new = move |node: &PlannedNode| Ok(Store::new(files.clone(), &node.data_dir).identity()?.is_none());
    environment.exec.run(move || nodes.iter().map(is_new).collect()).await
}

/// Polls the node's health page until it is ready. Fails when the process ends or takes too long.
async fn wait_until_serving(
    environment: &Environment,
    node: &PlannedNode,
    processes: &mut [NodeProcess],
) -> Result<()> {
    let deadline = Instant::now() + START_DEADLINE;
    let address = node.listen.to_string();
    let log = node.log();
    loop {
        let ended = processes.iter_mut().find(|process| process.number == node.number).and_then(NodeProcess::has_ended);
        if let Some(status) = ended {
            bail!("node {} ended while it started ({status}): see {}", node.number, log.display());
        }
        let mut reason = "it does not answer".to_owned();
        if let Ok(stream) = environment.network.connect(&address).await {
            match request(stream, Method::GET, "/readyz", Vec::new(), Duration::from_secs(5)).await {
                Ok((status, _)) if status.is_success() => return Ok(()),
                Ok((_, body)) => String::from_utf8_lossy(&body).trim().clone_into(&mut reason),
                Err(error) => reason = format!("{error:#}"),
            }
        }
        if Instant::now() > deadline {
            bail!("node {} does not serve after {START_DEADLINE:?}: {reason}; see {}", node.number, log.display());
        }
        sleep(POLL).await;
    }
}

/// Waits until each group has all its voters: from then on one node of three may be killed.
async fn wait_until_all_vote(first: &PlannedNode) -> Result<()> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let status = admin_client::status(&first.data_dir).await?;
        if status.groups.iter().all(|group| group.voters.len() as u64 >= group.seats) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("not all nodes vote after {START_DEADLINE:?}: {}", status.findings.join("; "));
        }
        sleep(POLL).await;
    }
}

/// Says when a node ends, and how to bring it back. Returns once none is left.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn report_ends(processes: &mut [NodeProcess], nodes: &[PlannedNode]) -> Result<()> {
    let mut ended = vec![false; processes.len()];
    while ended.iter().any(|ended| !ended) {
        for (index, process) in processes.iter_mut().enumerate() {
            if let Some(status) = process.has_ended().filter(|_| !ended[index]) {
                ended[index] = true;
                if status.code() == Some(Code::Removed as i32) {
                    println!(
                        "node {} was removed from the cluster and has ended; its folder can be deleted",
                        process.number
                    );
                    continue;
                }
                let config = nodes[index].config.display();
                println!(
                    "node {} ended ({status}), see {}; bring it back with: {} serve --config {config}",
                    process.number,
                    process.log.display(),
                    program()
                );
            }
        }
        sleep(POLL).await;
    }
    bail!("no node is left; the logs are in each node's folder")
}

/// This program as it can be called again, for commands that are shown.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "regnode".to_owned(), |path| path.display().to_string())
}

async fn stop(processes: Vec<NodeProcess>) {
    for process in &processes {
        process.terminate();
    }
    for process in processes {
        process.finish(STOP_DEADLINE).await;
    }
}

/// Commands to try, for the end of the quickstart.
fn examples(nodes: &[PlannedNode], password_file: &Path) -> String {
    let first = nodes[0].listen;
    let last = nodes[nodes.len() - 1].listen;
    let login = |node| {
        let file = password_file.display();
        format!("\x20 skopeo login --tls-verify=false --username {OPERATOR} --password-stdin {node} < {file}\n")
    };
    let second = if first == last { String::new() } else { login(last) };
    let program = program();
    let data_dir = nodes[0].data_dir.display();
    let mut text = format!(
        "Try it (docker and podman work the same way). Nobody may anything without a login:\n\
         \n\
         {}\
         \x20 skopeo copy --dest-tls-verify=false docker://docker.io/library/alpine docker://{first}/library/alpine\n\
         {second}\
         \x20 skopeo inspect --tls-verify=false docker://{last}/library/alpine\n\
         \x20 {program} status --data-dir {data_dir}\n\
         \n\
         Let everybody pull, and give somebody an account:\n\
         \n\
         \x20 {program} access grant anonymous reader library --data-dir {data_dir}\n\
         \x20 {program} user add alice --data-dir {data_dir}\n\
         \x20 {program} access grant user:alice writer library --data-dir {data_dir}",
        login(first)
    );
    if nodes.len() > 2 {
        text.push_str(
            "\n\nThen kill one node (kill -9 and its pid from above): pushes and pulls through the others go on.",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(number: u16) -> PlannedNode {
        PlannedNode {
            number,
            listen: format!("127.0.0.1:{}", 4999 + number).parse().unwrap(),
            data_dir: format!("/data/node{number}").into(),
            config: format!("/data/node{number}/regnode.toml").into(),
            peer: "127.0.0.1:4711".to_owned(),
        }
    }

    #[test]
    fn the_examples_log_in_at_each_node_that_they_use() {
        let file = Path::new("/data/operator-password");
        let one = examples(&[planned(1)], file);
        assert_eq!(one.matches("skopeo login").count(), 1, "{one}");
        let three = examples(&[planned(1), planned(2), planned(3)], file);
        for node in ["127.0.0.1:5000", "127.0.0.1:5002"] {
            assert!(three.contains(&format!("--password-stdin {node} < /data/operator-password\n")), "{three}");
        }
        assert!(three.contains("kill one node") && !one.contains("kill one node"));
    }

    #[test]
    fn a_password_is_never_on_a_command_line() {
        let closed = found(Path::new("/data/operator-password"), None);
        assert_eq!(closed, ["init", "--operator", "admin", "--operator-password-file", "/data/operator-password"]);
        assert_eq!(found(Path::new("/f"), Some("reader"))[5..], ["--anonymous", "reader"]);
    }
}
