//! The simulated network: turmoil's TCP behind the node's network seam.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use node::environment::{BoxFuture, BoxStream, Listener, Network};
use turmoil::net::{TcpListener, TcpStream};

/// turmoil's network, as seen from the host that calls it.
#[derive(Debug)]
pub struct SimulatedNetwork;

struct SimulatedListener(TcpListener);

impl std::fmt::Debug for SimulatedListener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SimulatedListener")
    }
}

impl Listener for SimulatedListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            Ok((Box::new(stream) as BoxStream, peer))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Network for SimulatedNetwork {
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            let port: u16 = port.ok_or(io::ErrorKind::InvalidInput)?;
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            Ok(Box::new(SimulatedListener(listener)) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as BoxStream) })
    }

    /// There are no socket files here; scenarios ask the node itself.
    fn listen_local<'a>(&'a self, _path: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}
