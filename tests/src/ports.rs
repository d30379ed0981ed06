//! Free ports on the loopback address, kept for a test's whole life, so that a node can be restarted on its own.
//!
//! Ports lie below the range from which the system takes ports for outgoing connections; a lock file per port keeps
//! test processes that run at the same time apart.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Result, bail};

/// Ports that are handed out.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A reserved port on 127.0.0.1. Reserved until dropped.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    /// The lock is the reservation.
    _lock: File,
}

impl Port {
    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Reserves one free port.
///
/// # Errors
/// When none is free.
pub fn reserve() -> Result<Port> {
    let mut ports = reserve_run(1)?;
    match ports.pop() {
        Some(port) => Ok(port),
        None => bail!("no port reserved"),
    }
}

/// Reserves free ports that follow each other.
///
/// # Errors
/// When there are not so many in a row.
pub fn reserve_run(count: u16) -> Result<Vec<Port>> {
    let span = RANGE.end - RANGE.start - count;
    let seed = u16::try_from(std::process::id().wrapping_mul(131) % u32::from(span))?;
    for step in 0..span {
        let first = RANGE.start + (seed + step) % span;
        let ports: Option<Vec<Port>> = (first..first + count).map(try_reserve).collect();
        if let Some(ports) = ports {
            return Ok(ports);
        }
    }
    bail!("no {count} free ports in {RANGE:?}")
}

fn try_reserve(port: u16) -> Option<Port> {
    let folder: PathBuf = std::env::temp_dir().join("regnode-test-ports");
    std::fs::create_dir_all(&folder).ok()?;
    let lock = File::create(folder.join(port.to_string())).ok()?;
    lock.try_lock().ok()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    drop(TcpListener::bind(address).ok()?);
    Some(Port { address, _lock: lock })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_differ() {
        let (one, other) = (reserve().unwrap(), reserve_run(3).unwrap());
        assert!(other.iter().all(|port| port.address() != one.address()));
    }
}
