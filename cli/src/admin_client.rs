//! Speaks to the node on this machine through the socket in its data directory, or to one over the network (`network`).

mod access;
mod audit;
mod authority;
mod certificate;
mod deletion;
mod domain;
mod encryption;
mod moving;
mod network;
mod region;
mod replication;
mod residency;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::{Method, StatusCode};
use hyper::body::Bytes;
use node::admin::{
    AddDiskRequest, DamageAnswer, DamageRequest, DepartingAnswer, DiskWishAnswer, DiskWishRequest, ErrorAnswer,
    NamesAnswer, NamesRequest, NodeRequest, OwnDisksAnswer, SOCKET, ScrubAnswer, ScrubRequest, Status, TokenAnswer,
    TokenRequest, UsesAnswer, UsesRequest, WhoamiAnswer, WorkAnswer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::exit::{Code, Exit};
use crate::http::request;
use crate::server;

pub(crate) use access::*;
pub(crate) use audit::*;
pub(crate) use authority::*;
pub(crate) use certificate::*;
pub(crate) use deletion::*;
pub(crate) use domain::*;
pub(crate) use encryption::*;
pub(crate) use moving::*;
pub(crate) use network::{Tokens, get_with, tokens, understood, web};
pub(crate) use region::*;
pub(crate) use replication::*;
pub(crate) use residency::*;

/// Longest time that the node may take: it may wait out an election.
const DEADLINE: Duration = Duration::from_secs(20);

/// The same when it has to ask other regions, one after the other.
const FAR_DEADLINE: Duration = Duration::from_mins(1);

/// The same when it looks through everything that a node holds.
const LOOK_THROUGH_DEADLINE: Duration = Duration::from_mins(5);

/// Who the node takes one for.
pub(crate) async fn whoami(data_dir: &Path) -> Result<WhoamiAnswer> {
    call(data_dir, Method::GET, "/whoami", &()).await
}

/// How the cluster is.
pub(crate) async fn status(data_dir: &Path) -> Result<Status> {
    call(data_dir, Method::GET, "/status", &()).await
}

/// A new join token, for a machine of this region.
pub(crate) async fn token(data_dir: &Path, lifetime: Duration, region: Option<String>) -> Result<TokenAnswer> {
    call(data_dir, Method::POST, "/token", &TokenRequest { lifetime_seconds: lifetime.as_secs(), region }).await
}

/// What the background work has before it.
pub(crate) async fn work(data_dir: &Path) -> Result<WorkAnswer> {
    call(data_dir, Method::GET, "/work", &()).await
}

/// Begins to empty a node.
pub(crate) async fn drain(data_dir: &Path, request: &NodeRequest) -> Result<DepartingAnswer> {
    call(data_dir, Method::POST, "/node/drain", request).await
}

/// Uses a node again.
pub(crate) async fn undrain(data_dir: &Path, request: &NodeRequest) -> Result<DepartingAnswer> {
    call(data_dir, Method::POST, "/node/undrain", request).await
}

/// Lets a node leave.
pub(crate) async fn leave(data_dir: &Path, request: &NodeRequest) -> Result<DepartingAnswer> {
    call_for(LOOK_THROUGH_DEADLINE, data_dir, Method::POST, "/node/leave", request).await
}

/// Says what is wanted of a disk.
pub(crate) async fn wish(data_dir: &Path, request: &DiskWishRequest) -> Result<DiskWishAnswer> {
    call(data_dir, Method::POST, "/disk/wish", request).await
}

/// The disks of a node's machine, as that node sees them; of the node that is asked without a name.
pub(crate) async fn disks(data_dir: &Path, node: Option<&str>) -> Result<OwnDisksAnswer> {
    call(data_dir, Method::GET, &of_node("/disks", node), &()).await
}

/// Takes a directory of a node's machine into use.
pub(crate) async fn add_disk(data_dir: &Path, node: Option<&str>, request: &AddDiskRequest) -> Result<OwnDisksAnswer> {
    call(data_dir, Method::POST, &of_node("/disk/add", node), request).await
}

/// How far the scrub of a node's disks is.
pub(crate) async fn scrub(data_dir: &Path, node: Option<&str>) -> Result<ScrubAnswer> {
    call(data_dir, Method::GET, &of_node("/scrub", node), &()).await
}

/// Begins a scrub.
pub(crate) async fn start_scrub(data_dir: &Path, node: Option<&str>, request: &ScrubRequest) -> Result<ScrubAnswer> {
    call(data_dir, Method::POST, &of_node("/scrub", node), request).await
}

/// A page of what cannot be read.
pub(crate) async fn damage(data_dir: &Path, request: &DamageRequest) -> Result<DamageAnswer> {
    call(data_dir, Method::POST, "/damage", request).await
}

/// A page of what uses a blob.
pub(crate) async fn uses(data_dir: &Path, request: &UsesRequest) -> Result<UsesAnswer> {
    call(data_dir, Method::POST, "/damage/uses", request).await
}

/// A page of the names of a manifest.
pub(crate) async fn names(data_dir: &Path, request: &NamesRequest) -> Result<NamesAnswer> {
    call(data_dir, Method::POST, "/damage/names", request).await
}

/// A path, for a node that is named by name or id.
fn of_node(path: &str, node: Option<&str>) -> String {
    let Some(node) = node else { return path.to_owned() };
    let mut text = format!("{path}?node=");
    for byte in node.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a string takes any text");
        }
    }
    text
}

async fn call<A: DeserializeOwned>(data_dir: &Path, method: Method, path: &str, body: &impl Serialize) -> Result<A> {
    call_for(DEADLINE, data_dir, method, path, body).await
}

async fn call_for<A: DeserializeOwned>(
    deadline: Duration,
    data_dir: &Path,
    method: Method,
    path: &str,
    body: &impl Serialize,
) -> Result<A> {
    let body = serde_json::to_vec(body)?;
    let (status, answer) = match server::chosen() {
        Some(server) => network::request(server, method, path, body, deadline).await?,
        None => local(data_dir, method, path, body, deadline).await?,
    };
    understand(status, &answer)
}

/// Asks through the socket.
async fn local(
    data_dir: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<(StatusCode, Bytes)> {
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
    request(stream, method, path, body, deadline).await.context("asking the node")
}

/// The answer, or the error that it tells of.
fn understand<A: DeserializeOwned>(status: StatusCode, answer: &[u8]) -> Result<A> {
    if !status.is_success() {
        let error = serde_json::from_slice::<ErrorAnswer>(answer).map(|answer| answer.error);
        let error = error.unwrap_or_else(|_| format!("the node answered {status}"));
        if status == StatusCode::CONFLICT {
            return Err(Exit::new(Code::Refused, error).into());
        }
        bail!(error);
    }
    serde_json::from_slice(answer).context("the node's answer is not what this program knows: use the node's version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_in_the_query() {
        assert_eq!(of_node("/scrub", None), "/scrub");
        assert_eq!(of_node("/scrub", Some("#3")), "/scrub?node=%233");
        assert_eq!(of_node("/disk/add", Some("n-1.a&b")), "/disk/add?node=n-1.a%26b");
    }
}
