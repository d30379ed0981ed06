//! What `init`, `join` and `serve` share: a node is started, announced once it serves, and ended in order.

use anyhow::{Context, Result};
use node::cluster::Certificates;
use node::config::Settings;
use node::environment::Environment;
use node::start::Node;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Code, Exit};
use crate::progress::Step;

/// The signals that end a node in order.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listening for ctrl-c")?,
            terminate: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Sets up the log as the settings say.
pub(crate) fn set_up_log(settings: &Settings) -> Result<()> {
    node::telemetry::init(settings.log.format, &settings.log.level, std::io::stderr)?;
    Ok(())
}

/// Starts the node and waits until it serves. Then `announce` is called, and the node runs until ctrl-c or SIGTERM,
/// or ends at once when `exit` is set. A node that cannot go on ends too, as an error: a supervisor starts it again.
pub(crate) async fn run(
    environment: Environment,
    settings: Settings,
    exit: bool,
    announce: impl AsyncFnOnce(&Node) -> Result<()>,
) -> Result<()> {
    let mut stop = Stop::new()?;
    let node = Node::start(environment, settings, Certificates::Issued).await?;
    let step = Step::begin("waiting until the node serves");
    tokio::select! {
        () = node.wait_ready() => step.done(&format!("node {} serves {}", node.identity().name, node.api_url())),
        () = stop.wait() => {
            let reasons = node.readiness().reasons;
            step.done(&format!("interrupted before the node served: {}", reasons.join("; ")));
            node.shutdown().await;
            return Ok(());
        }
        failure = node.failed() => {
            step.done(&failure);
            return Err(end(node, stop).await);
        }
    }
    let announced = announce(&node).await;
    if announced.is_ok() && !exit {
        tokio::select! {
            () = stop.wait() => {}
            _failure = node.failed() => return Err(end(node, stop).await),
        }
    }
    tokio::select! {
        () = node.shutdown() => {}
        // Whoever asks twice does not want to wait for requests in progress.
        () = stop.wait() => {}
    }
    announced
}

/// Ends a node that cannot go on. It was logged why. One whose disk fails is not ended in order: that would wait for the
/// disk. One that was removed finishes what its clients have begun.
async fn end(node: Node, mut stop: Stop) -> anyhow::Error {
    if !node.is_dismissed() {
        return Exit::silent(Code::Failed).into();
    }
    tokio::select! {
        () = node.shutdown() => {}
        () = stop.wait() => {}
    }
    Exit::silent(Code::Removed).into()
}
