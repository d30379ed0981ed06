//! A real proxy in front: Debian's `haproxy` at loopback, as an operator would set it up.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::certificates::Pair;
use crate::ports::{self, Port};
use crate::process::{self, Process};
use crate::tools;
use crate::wait::eventually;

/// Where it connects from: what a node trusts.
pub const ADDRESS: &str = "127.0.0.9";
/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// How it speaks to the node behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It reads the requests, says in `X-Forwarded-*` whom it speaks for, and shares its connections among clients.
    Headers,
    /// It passes the bytes on, and says whom it speaks for by the PROXY protocol, version 2.
    ProxyProtocol,
}

/// A running proxy. Ended when dropped.
#[derive(Debug)]
pub struct Haproxy {
    plain: Port,
    tls: Port,
    _process: Process,
    _folder: TempDir,
}

impl Haproxy {
    /// One in front of a node, or `None` after saying that it is missing.
    ///
    /// # Errors
    /// When it is missing and must not be, or does not start.
    pub async fn start(node: SocketAddr, way: Way, certificate: &Pair) -> Result<Option<Self>> {
        let Some(mut command) = tools::server("haproxy")? else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("regnode-haproxy-").tempdir()?;
        let (plain, tls) = (ports::reserve()?, ports::reserve()?);
        let pem = folder.path().join("proxy.pem");
        std::fs::write(&pem, format!("{}{}", certificate.certificate, certificate.key))?;
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text(node, way, [plain.address(), tls.address()], &pem))?;
        command.arg("-f").arg(&file).arg("-db");
        let log = folder.path().join("log");
        check(&command).await?;
        let process = Process::start(command, &log)?;
        eventually("haproxy listens", START, async || {
            Ok(Some((TcpStream::connect(plain.address()).await?, TcpStream::connect(tls.address()).await?)))
        })
        .await
        .with_context(|| process::log_tail(&log, 4000))?;
        Ok(Some(Self { plain, tls, _process: process, _folder: folder }))
    }

    /// Where it listens without TLS.
    #[must_use]
    pub fn plain(&self) -> SocketAddr {
        self.plain.address()
    }

    /// Where it listens with TLS.
    #[must_use]
    pub fn tls(&self) -> SocketAddr {
        self.tls.address()
    }
}

/// Its own word on its configuration.
async fn check(command: &Command) -> Result<()> {
    let mut check = Command::new(command.get_program());
    check.args(command.get_args()).arg("-c");
    let ended = process::ended(check, START).await?;
    ensure!(ended.code == Some(0), "haproxy does not take its configuration: {}{}", ended.stdout, ended.stderr);
    Ok(())
}

fn text(node: SocketAddr, way: Way, [plain, tls]: [SocketAddr; 2], pem: &Path) -> String {
    let (mode, front, back) = match way {
        Way::Headers => (
            "http",
            "    option forwardfor\n    \
             http-request set-header X-Forwarded-Proto https if { ssl_fc }\n    \
             http-request set-header X-Forwarded-Proto http unless { ssl_fc }\n    \
             http-request set-header X-Forwarded-Host %[req.hdr(host)]\n",
            "    http-reuse always\n",
        ),
        Way::ProxyProtocol => ("tcp", "", ""),
    };
    let send = if way == Way::ProxyProtocol { " send-proxy-v2" } else { "" };
    // One connection to the node: what one client leaves behind on it would be the next one's.
    let most = if way == Way::Headers { " maxconn 1" } else { "" };
    format!(
        "defaults\n    mode {mode}\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n\
         frontend clients\n    bind {plain}\n    bind {tls} ssl crt {} alpn h2,http/1.1\n{front}    \
         default_backend nodes\n\
         backend nodes\n{back}    server node {node} source {ADDRESS}{send}{most}\n",
        pem.display()
    )
}
