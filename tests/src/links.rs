//! The network between regions: a door in front of each node's peer port, which the node gives out as its address. A door
//! knows from which node a connection comes; within a region it passes everything on at once, between regions late, or
//! not before a cut is mended.
//!
//! What holds: a cut ends no connection and loses nothing, as when packets are dropped and sent again: neither side hears
//! of it. The delay is that of one direction; each byte is held for as long, whatever goes before it. Connecting itself
//! takes no time, but its first byte does. What has arrived over each line is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::ports::{self, Port};
use crate::process;

/// Most bytes that are passed on at one time.
const FRAME_BYTES: usize = 64 << 10;
/// Most of such on their way in one direction of a connection.
const FRAMES_MAX: usize = 256;

/// How the lines between regions are.
#[derive(Clone, Debug, Default)]
struct State {
    delay: Duration,
    cut: BTreeSet<String>,
}

/// Bytes that have arrived over each line, by its two ends in order.
#[derive(Clone, Debug, Default)]
struct Carried(Arc<Mutex<BTreeMap<[String; 2], u64>>>);

impl Carried {
    fn add(&self, line: &[String; 2], bytes: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(line.clone()).or_default() += bytes as u64;
    }

    fn of(&self, line: &[String; 2]) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(line).copied().unwrap_or_default()
    }
}

/// The two ends of a line, in order.
fn ends(one: &str, other: &str) -> [String; 2] {
    let mut ends = [one.to_owned(), other.to_owned()];
    ends.sort();
    ends
}

/// The doors of all nodes.
#[derive(Debug, Default)]
pub struct Links {
    state: watch::Sender<State>,
    carried: Carried,
    doors: Vec<Port>,
}

impl Links {
    /// Opens a door in front of a node's peer port; its address.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(&mut self, node: &str, peer_port: SocketAddr) -> Result<SocketAddr> {
        let door = ports::reserve()?;
        let address = door.address();
        self.doors.push(door);
        let listener = TcpListener::bind(address).await.context("opening a door")?;
        let line =
            Lines { region: region_of(node).to_owned(), state: self.state.subscribe(), carried: self.carried.clone() };
        tokio::spawn(admit(listener, line, peer_port));
        Ok(address)
    }

    /// From now on, a byte takes so long from one region to another.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// Cuts the lines between a region and all others.
    pub fn cut(&self, region: &str) {
        self.state.send_modify(|state| {
            state.cut.insert(region.to_owned());
        });
    }

    /// Bytes that have arrived over the line between two regions so far, in both directions together.
    #[must_use]
    pub fn carried(&self, one: &str, other: &str) -> u64 {
        self.carried.of(&ends(one, other))
    }

    /// Mends all lines: what was sent meanwhile arrives.
    pub fn mend(&self) {
        self.state.send_modify(|state| state.cut.clear());
    }
}

/// The region of a node: the beginning of its name.
pub(crate) fn region_of(node: &str) -> &str {
    node.split('-').next().unwrap_or(node)
}

/// Takes connections to a node for as long as the test runs.
async fn admit(listener: TcpListener, lines: Lines, peer_port: SocketAddr) {
    while let Ok((stream, caller)) = listener.accept().await {
        let lines = lines.clone();
        tokio::spawn(async move {
            // Who cannot be told has closed the connection already.
            let Some(name) = process::name_behind(caller) else { return };
            connect(stream, peer_port, lines.to(region_of(&name))).await;
        });
    }
}

/// The lines of a region.
#[derive(Clone, Debug)]
struct Lines {
    region: String,
    state: watch::Receiver<State>,
    carried: Carried,
}

impl Lines {
    /// The one to a region; none within the own one.
    fn to(self, other: &str) -> Option<Line> {
        let Self { region, state, carried } = self;
        (other != region).then(|| Line { ends: ends(other, &region), state, carried })
    }
}

/// A line between two regions.
#[derive(Clone, Debug)]
struct Line {
    ends: [String; 2],
    state: watch::Receiver<State>,
    carried: Carried,
}

impl Line {
    /// Waits until what was sent at this time arrives.
    async fn cross(&mut self, sent: Instant) {
        let delay = self.state.borrow().delay;
        sleep_until(sent + delay).await;
        let ends = &self.ends;
        // It fails when the test is over.
        let _ = self.state.wait_for(|state| ends.iter().all(|end| !state.cut.contains(end))).await;
    }
}

async fn connect(stream: TcpStream, peer_port: SocketAddr, mut far: Option<Line>) {
    if let Some(line) = &mut far {
        line.cross(Instant::now()).await;
    }
    // A node that does not run: the connection is closed.
    let Ok(target) = TcpStream::connect(peer_port).await else { return };
    if stream.set_nodelay(true).and(target.set_nodelay(true)).is_err() {
        return;
    }
    let ((from, back), (answers, to)) = (stream.into_split(), target.into_split());
    tokio::join!(pass(from, to, far.clone()), pass(answers, back, far));
}

/// Passes on one direction until it ends.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut far: Option<Line>) {
    let (send, mut receive) = mpsc::channel(FRAMES_MAX);
    let reading = async move {
        loop {
            let mut frame = BytesMut::with_capacity(FRAME_BYTES);
            // A reset is an end, too.
            let read = from.read_buf(&mut frame).await.unwrap_or(0);
            if send.send((Instant::now(), frame)).await.is_err() || read == 0 {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((sent, frame)) = receive.recv().await {
            if let Some(line) = &mut far {
                line.cross(sent).await;
                line.carried.add(&line.ends, frame.len());
            }
            let written = if frame.is_empty() { to.shutdown().await } else { to.write_all(&frame).await };
            if written.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line whose ends are regions that no test cuts by mistake.
    fn line(links: &Links) -> Line {
        Line { ends: ends("b", "a"), state: links.state.subscribe(), carried: links.carried.clone() }
    }

    #[tokio::test]
    async fn a_line_is_late_and_can_be_cut() {
        let links = Links::default();
        let (begin, delay) = (Instant::now(), Duration::from_millis(30));
        links.delay(delay);
        line(&links).cross(begin).await;
        assert!(begin.elapsed() >= delay);
        links.cut("b");
        let mut cut = line(&links);
        let crossed = tokio::time::timeout(2 * delay, cut.cross(begin));
        assert!(crossed.await.is_err(), "nothing arrives");
        links.mend();
        cut.cross(begin).await;
    }

    #[test]
    fn what_a_line_has_carried_is_counted_for_both_ends() {
        let links = Links::default();
        let line = line(&links);
        line.carried.add(&line.ends, 5);
        line.carried.add(&line.ends, 2);
        assert_eq!([links.carried("a", "b"), links.carried("b", "a"), links.carried("a", "c")], [7, 7, 0]);
    }

    #[test]
    fn a_node_is_called_by_its_region() {
        assert_eq!((region_of("eu-1"), region_of("us-12")), ("eu", "us"));
    }
}
