//! HTTP by hand: half bodies, broken requests, slow clients, which no proper client library will send.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// Most bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    lines: Vec<String>,
}

impl Head {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = timeout(DEADLINE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Connects from an address of the machine, for instance `127.0.0.2`.
    ///
    /// # Errors
    /// When nobody listens, or the address is another machine's.
    pub async fn open_from(source: IpAddr, address: SocketAddr) -> Result<Self> {
        let socket = if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(source, 0))?;
        let stream = timeout(DEADLINE, socket.connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the other side has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        timeout(DEADLINE, self.stream.write_all(bytes.as_ref())).await.context("sending takes too long")??;
        Ok(())
    }

    /// Reads the head of the next answer.
    ///
    /// # Errors
    /// When the connection ends first, or what comes is no answer.
    pub async fn head(&mut self) -> Result<Head> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 4);
                let mut lines = text.split("\r\n").map(str::to_owned);
                let first = lines.next().unwrap_or_default();
                let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
                let status = status.with_context(|| format!("not an answer: {first}"))?;
                return Ok(Head { status, lines: lines.collect() });
            }
            if self.unread.len() > MAX_HEAD_BYTES {
                bail!("the head of an answer does not end");
            }
            if self.read().await? == 0 {
                bail!("closed before an answer: {:?}", String::from_utf8_lossy(&self.unread));
            }
        }
    }

    /// Reads a body of a known length.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn body(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.unread.len() < length {
            if self.read().await? == 0 {
                bail!("the body ends after {} of {length} bytes", self.unread.len());
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Waits until the other side closes, and throws away what it still sends.
    ///
    /// # Errors
    /// When it does not close.
    pub async fn closed(&mut self) -> Result<()> {
        // A reset is an end, too.
        while matches!(self.read().await, Ok(read) if read > 0) {
            self.unread.clear();
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<usize> {
        let mut buffer = vec![0; 16 << 10];
        let read = timeout(DEADLINE, self.stream.read(&mut buffer)).await.context("no answer in time")??;
        self.unread.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
