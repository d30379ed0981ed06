//! The simulated network: turmoil's TCP behind the node's network seam.
//!
//! The connections that are open are counted here, since turmoil's own table keeps those that were never established,
//! and so are the attempts to open one. What becomes of bytes on their way is the detour's.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use node::environment::{BoxFuture, BoxStream, Listener, Network};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use crate::detour::{Detours, Diverted};

/// Sees what goes over a connection: the host that opened it, the other one, and bytes in either direction.
pub type Tap = Arc<dyn Fn(&str, &str, &[u8]) + Send + Sync>;

/// turmoil's network, as seen from the host that calls it. Clones share the counts of connections.
#[derive(Clone, Default)]
pub struct SimulatedNetwork {
    open: Arc<AtomicUsize>,
    dialled: Arc<AtomicU64>,
    detours: Detours,
    /// The own host, and who listens.
    tap: Arc<OnceLock<(String, Tap)>>,
}

impl std::fmt::Debug for SimulatedNetwork {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SimulatedNetwork").field("open", &self.open).finish_non_exhaustive()
    }
}

impl SimulatedNetwork {
    /// Connections that are open, in either direction.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Attempts to open a connection since the computer was made.
    #[must_use]
    pub fn dialled(&self) -> u64 {
        self.dialled.load(Ordering::Relaxed)
    }

    /// From now on what is written to the connections that were opened to `host` is kept back on its way.
    pub fn keep_back(&self, host: &str) {
        self.detours.keep_back(host);
    }

    /// Whoever opened the connections whose bytes are kept back sees them reset; who opens new ones is not concerned.
    pub fn reset_kept_back(&self) {
        self.detours.reset();
    }

    /// What was kept back arrives at last.
    pub fn let_arrive(&self) {
        self.detours.arrive();
    }

    /// Lets somebody listen to the connections that this host, called `host`, opens from now on. Once.
    pub fn listen_in(&self, host: &str, tap: Tap) {
        // Whoever listened first goes on.
        let _ = self.tap.set((host.to_owned(), tap));
    }

    fn count<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(&self, stream: S) -> BoxStream {
        self.open.fetch_add(1, Ordering::Relaxed);
        Box::new(Counted { stream, open: Arc::clone(&self.open) })
    }

    /// The same for a connection to `address`, which is `host:port`; somebody may listen.
    fn count_to(&self, address: &str, stream: Diverted) -> BoxStream {
        let Some((own, tap)) = self.tap.get() else { return self.count(stream) };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
        let (own, tap) = (own.clone(), Arc::clone(tap));
        self.count(Tapped { stream, own, host, tap })
    }
}

/// A connection that somebody listens to.
struct Tapped<S> {
    stream: S,
    own: String,
    host: String,
    tap: Tap,
}

impl<S> Tapped<S> {
    fn hear(&self, bytes: &[u8]) {
        (self.tap)(&self.own, &self.host, bytes);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.hear(&buffer.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.hear(bytes);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection that is counted as long as it is open.
struct Counted<S> {
    stream: S,
    open: Arc<AtomicUsize>,
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

struct SimulatedListener {
    listener: TcpListener,
    network: SimulatedNetwork,
}

impl std::fmt::Debug for SimulatedListener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SimulatedListener")
    }
}

impl Listener for SimulatedListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            Ok((self.network.count(stream), peer))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Network for SimulatedNetwork {
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            let port: u16 = port.ok_or(io::ErrorKind::InvalidInput)?;
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            Ok(Box::new(SimulatedListener { listener, network: self.clone() }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::Relaxed);
            let stream = TcpStream::connect(address).await?;
            Ok(self.count_to(address, self.detours.follow(address, stream)))
        })
    }

    /// There are no socket files here; scenarios ask the node itself.
    fn listen_local<'a>(&'a self, _path: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}
