//! A detour: what a process has written to its connections with another host is kept back on the way, the process sees
//! them reset, and what was kept back arrives at the other host later. So it is with a router that forgets its table, or
//! with a route that is given up while packets are still on it.
//!
//! Only scenarios ask for it. Turmoil alone cannot do it: it delivers the bytes of a connection in their order, so that
//! nothing overtakes what it holds.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;
use tokio::time::sleep;
use turmoil::net::TcpStream;

/// How long a connection stays after the late bytes were sent, so that the other side can work on them.
const LINGER: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Course {
    /// What was kept back; `None` while bytes go the direct way.
    kept: Option<Vec<u8>>,
    /// The process sees the connection reset.
    reset: bool,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct Way {
    host: String,
    course: Mutex<Course>,
}

impl Way {
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that a process has opened, and what became of their bytes. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detours {
    ways: Arc<Mutex<Vec<Weak<Way>>>>,
    arrival: Arc<Notify>,
}

impl Detours {
    fn ways(&self) -> Vec<Arc<Way>> {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.retain(|way| way.strong_count() > 0);
        ways.iter().filter_map(Weak::upgrade).collect()
    }

    /// A connection that was opened to `address`, which is `host:port`.
    pub(crate) fn follow(&self, address: &str, stream: TcpStream) -> Diverted {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
        let way = Arc::new(Way { host, course: Mutex::default() });
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&way));
        Diverted { stream: Some(stream), way, arrival: Arc::clone(&self.arrival) }
    }

    /// From now on what is written to the open connections with `host` is kept back.
    pub(crate) fn keep_back(&self, host: &str) {
        for way in self.ways().iter().filter(|way| way.host == host) {
            way.course().kept.get_or_insert_default();
        }
    }

    /// The process sees those connections reset.
    pub(crate) fn reset(&self) {
        for way in self.ways() {
            let mut course = way.course();
            if course.kept.is_some() {
                course.reset = true;
                course.reader.take().into_iter().for_each(Waker::wake);
            }
        }
    }

    /// What was kept back of connections that are closed by now arrives.
    pub(crate) fn arrive(&self) {
        self.arrival.notify_waiters();
    }
}

/// A connection whose bytes may be diverted.
#[derive(Debug)]
pub(crate) struct Diverted {
    /// There until it is dropped.
    stream: Option<TcpStream>,
    way: Arc<Way>,
    arrival: Arc<Notify>,
}

fn reset<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl Diverted {
    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is taken when this is dropped"))
    }
}

impl AsyncRead for Diverted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        {
            let mut course = self.way.course();
            if course.reset {
                return reset();
            }
            course.reader = Some(context.waker().clone());
        }
        self.stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Diverted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        {
            let mut course = self.way.course();
            if course.reset {
                return reset();
            }
            if let Some(kept) = &mut course.kept {
                kept.extend_from_slice(bytes);
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.way.course().kept.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.stream().poll_shutdown(context)
    }
}

impl Drop for Diverted {
    fn drop(&mut self) {
        let kept = self.way.course().kept.take();
        if let (Some(kept), Some(mut stream), Ok(host)) =
            (kept, self.stream.take(), tokio::runtime::Handle::try_current())
        {
            let arrival = Arc::clone(&self.arrival).notified_owned();
            host.spawn(async move {
                arrival.await;
                // It fails when the other side has given the connection up.
                let _ = stream.write_all(&kept).await;
                sleep(LINGER).await;
            });
        }
    }
}
