//! A proxy for clients that only know names: whatever host they ask it to connect to, they get one server. So real clients
//! use any domain without DNS and without the rights to change the machine's names.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Longest head of a request.
const HEAD_LINES_MAX: usize = 100;

/// The proxy. Ended when dropped.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Tunnel {
    /// One that leads to this server.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    // Whoever is cut off says so himself.
                    drop(lead(stream, server).await);
                });
            }
        });
        Ok(Self { address, _tasks: tasks })
    }

    /// Its URL, for `HTTPS_PROXY`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Answers `CONNECT` (RFC 9110 §9.3.6) and passes bytes on.
async fn lead(stream: TcpStream, server: SocketAddr) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    anyhow::ensure!(line.starts_with("CONNECT "), "a tunnel is asked for {line:?}");
    for _ in 0..HEAD_LINES_MAX {
        line.clear();
        if stream.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut onward = TcpStream::connect(server).await?;
    copy_bidirectional(&mut stream, &mut onward).await?;
    Ok(())
}
