//! The environment of the binary: the operating system's sockets, clock and entropy.
//!
//! Files and engines are handed in, so that tests can run real sockets over the in-memory engine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use raft::time::{Clock, Timestamp};
use rand::TryRngCore;
#[expect(clippy::disallowed_types, reason = "this is the seam that the ban points to")]
use rand::rngs::OsRng;
use storage::disk::Files;
use storage::exec::Exec;
use storage::kv::Engines;
use storage::seal::{Keyring, Keys};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::process::RealCommands;
use super::{BoxFuture, BoxStream, Entropy, Environment, Listener, Network};

/// The operating system's environment over these files and engines.
#[must_use]
pub fn real(files: Arc<dyn Files>, engines: Arc<dyn Engines>) -> Environment {
    Environment {
        network: real_network(),
        files,
        engines,
        keys: real_keys(),
        clock: Arc::new(RealClock),
        entropy: Arc::new(RealEntropy),
        exec: Exec::threads(),
        commands: Arc::new(RealCommands),
        witness: None,
    }
}

/// Keys without any in it yet, which draw on the operating system's entropy. Engines that are to be encrypted share them
/// with the environment.
#[must_use]
pub fn real_keys() -> Keys {
    Keys::new(Keyring::clear(), |bytes| RealEntropy.fill(bytes))
}

/// The operating system's sockets alone, for clients that speak to real processes through the same seam.
#[must_use]
pub fn real_network() -> Arc<dyn Network> {
    Arc::new(RealNetwork)
}

#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

#[derive(Debug)]
struct RealEntropy;

impl Entropy for RealEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        OsRng.try_fill_bytes(buffer).expect("the operating system's random source does not fail once the system is up");
    }
}

#[derive(Debug)]
struct RealNetwork;

impl Network for RealNetwork {
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(RealListener { listener }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxStream)
        })
    }

    fn listen_local<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(LocalListener { listener: bind_local(path)? }) as Box<dyn Listener>) })
    }
}

#[derive(Debug)]
struct RealListener {
    listener: TcpListener,
}

impl Listener for RealListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, remote) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as BoxStream, remote))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[derive(Debug)]
struct LocalListener {
    listener: UnixListener,
}

impl Listener for LocalListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, _) = self.listener.accept().await?;
            Ok((Box::new(stream) as BoxStream, unspecified()))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(unspecified())
    }
}

const fn unspecified() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
}

/// Binds under another name and renames, so that nobody ever finds the socket open to other users, nor a moment
/// without any socket.
#[expect(clippy::disallowed_methods, reason = "this is the seam; a socket is no file of the file seam")]
fn bind_local(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;

    let fresh = path.with_extension("new");
    remove_if_there(&fresh)?;
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a socket is no file of the file seam")]
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_cross_a_connection() {
        let listener = RealNetwork.listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_address().unwrap().to_string();
        let server = async {
            let (mut stream, remote) = listener.accept().await.unwrap();
            assert!(remote.ip().is_loopback());
            stream.write_all(b"hello").await.unwrap();
        };
        let client = async {
            let mut stream = RealNetwork.connect(&address).await.unwrap();
            let mut buffer = [0; 5];
            stream.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"hello");
        };
        tokio::join!(server, client);
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at the real socket")]
    async fn a_local_socket_is_the_owners_and_replaces_a_stale_one() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("regnode.sock");
        let first = RealNetwork.listen_local(&path).await.unwrap();
        drop(first);
        let second = RealNetwork.listen_local(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (accepted, connected) = tokio::join!(second.accept(), tokio::net::UnixStream::connect(&path));
        accepted.unwrap();
        connected.unwrap();
    }
}
