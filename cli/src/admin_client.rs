//! Speaks to the node on this machine through the socket in its data directory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Method;
use node::admin::{ErrorAnswer, SOCKET, Status, TokenAnswer, TokenRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::exit::{Code, Exit};
use crate::http::request;

/// Longest time that the node may take: it may wait out an election.
const DEADLINE: Duration = Duration::from_secs(20);

/// How the cluster is.
pub(crate) async fn status(data_dir: &Path) -> Result<Status> {
    call(data_dir, Method::GET, "/status", &()).await
}

/// A new join token.
pub(crate) async fn token(data_dir: &Path, lifetime: Duration) -> Result<TokenAnswer> {
    call(data_dir, Method::POST, "/token", &TokenRequest { lifetime_seconds: lifetime.as_secs() }).await
}

async fn call<A: DeserializeOwned>(data_dir: &Path, method: Method, path: &str, body: &impl Serialize) -> Result<A> {
    let socket = data_dir.join(SOCKET);
    #[expect(clippy::disallowed_methods, reason = "the program is a client of the node here")]
    let stream = UnixStream::connect(&socket).await.map_err(|error| {
        Exit::new(
            Code::NoNode,
            format!(
                "no node answers on {} ({error}): start it with regnode serve, or name its directory with --data-dir",
                socket.display()
            ),
        )
    })?;
    let body = serde_json::to_vec(body)?;
    let (status, answer) = request(stream, method, path, body, DEADLINE).await.context("asking the node")?;
    if !status.is_success() {
        let error = serde_json::from_slice::<ErrorAnswer>(&answer).map(|answer| answer.error);
        bail!(error.unwrap_or_else(|_| format!("the node answered {status}")));
    }
    serde_json::from_slice(&answer).context("the node's answer is not what this program knows: use the node's version")
}
