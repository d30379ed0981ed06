//! Limits of a listener's connections: how many, how much memory, how long they may stay idle.

use std::time::Duration;

use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;

use crate::peer::limits as peer;

/// Largest head of an HTTP/2 request.
const HEAD_BYTES: u32 = 64 << 10;
/// Header lines of an HTTP/1 request.
const HEADER_LINES: usize = 100;
/// HTTP/2 streams that a client has reset and nobody has taken up yet. One more ends the connection: so does "rapid
/// reset" (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// HTTP/2 streams that were reset for a client's errors. One more ends the connection.
const ERROR_RESETS: usize = 100;

/// How long a connection may do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Without a request under way.
    pub idle: Duration,
    /// Without reading what it has asked for.
    pub stall: Duration,
}

impl Patience {
    /// Time between two looks.
    pub(super) fn look(self) -> Duration {
        (self.idle.min(self.stall) / 4).max(Duration::from_millis(10))
    }
}

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time; more wait in the operating system's queue.
    pub max_connections: usize,
    /// Handshakes at one time where clients may show a certificate; the oldest is given up for another one.
    pub max_handshakes: usize,
    /// Connections whose clients could have shown a certificate and have not, at one time; the oldest is given up for
    /// another one.
    pub max_strangers: usize,
    /// Bound on the life of such a connection.
    pub stranger_lifetime: Duration,
    /// Bound on a TLS handshake.
    pub handshake_timeout: Duration,
    /// Bound on a connection's first bytes, on a request's head, and on an idle HTTP/1 connection.
    pub header_timeout: Duration,
    /// Buffer of an HTTP/1 connection.
    pub buffer_bytes: usize,
    /// What may wait to be sent on one HTTP/2 stream.
    pub send_buffer_bytes: usize,
    /// HTTP/2 window of a stream.
    pub stream_window_bytes: u32,
    /// HTTP/2 window of a connection.
    pub connection_window_bytes: u32,
    /// Largest HTTP/2 frame.
    pub frame_bytes: u32,
    /// HTTP/2 streams of one connection.
    pub max_streams: u32,
    /// An HTTP/2 connection is asked for a sign of life after this long without one.
    pub keepalive_interval: Duration,
    /// An HTTP/2 connection that does not answer for this long is given up.
    pub keepalive_timeout: Duration,
    /// How long a connection may do nothing; `None`: for ever.
    pub patience: Option<Patience>,
}

impl Limits {
    /// For clients.
    #[must_use]
    pub const fn clients(max_connections: usize) -> Self {
        Self {
            max_connections,
            max_handshakes: 256,
            max_strangers: 32,
            stranger_lifetime: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_mins(1),
            buffer_bytes: 128 << 10,
            send_buffer_bytes: 128 << 10,
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 4 << 20,
            frame_bytes: 256 << 10,
            max_streams: 128,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            patience: Some(Patience { idle: Duration::from_mins(3), stall: Duration::from_mins(1) }),
        }
    }

    /// The same for clients that may leave an answer unread for another time.
    #[must_use]
    pub fn with_stall(self, stall: Duration) -> Self {
        Self { patience: self.patience.map(|patience| Patience { stall, ..patience }), ..self }
    }

    /// For peers: the same figures as their clients use.
    #[must_use]
    pub const fn peers() -> Self {
        Self {
            max_connections: 1024,
            send_buffer_bytes: peer::STREAM_WINDOW_BYTES as usize,
            stream_window_bytes: peer::STREAM_WINDOW_BYTES,
            connection_window_bytes: peer::CONNECTION_WINDOW_BYTES,
            frame_bytes: peer::HTTP_FRAME_BYTES,
            max_streams: peer::STREAMS_LIMIT,
            keepalive_interval: peer::KEEPALIVE_INTERVAL,
            keepalive_timeout: peer::KEEPALIVE_TIMEOUT,
            patience: None,
            ..Self::clients(0)
        }
    }

    /// The same for a client that has not shown a certificate: enough for one small request.
    #[must_use]
    pub const fn stranger(self) -> Self {
        Self {
            send_buffer_bytes: 64 << 10,
            stream_window_bytes: 128 << 10,
            connection_window_bytes: 128 << 10,
            frame_bytes: 16 << 10,
            max_streams: 4,
            ..self
        }
    }

    /// For the local socket and for metrics.
    #[must_use]
    pub const fn local() -> Self {
        Self::clients(64)
    }

    /// Applies them to hyper.
    pub(super) fn builder<E>(&self, executor: E) -> Builder<E> {
        let mut builder = Builder::new(executor);
        builder
            .http1()
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .header_read_timeout(self.header_timeout)
            .max_headers(HEADER_LINES)
            .max_buf_size(self.buffer_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .initial_stream_window_size(self.stream_window_bytes)
            .initial_connection_window_size(self.connection_window_bytes)
            .max_frame_size(self.frame_bytes)
            .max_send_buf_size(self.send_buffer_bytes)
            .max_concurrent_streams(self.max_streams)
            .max_header_list_size(HEAD_BYTES)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(ERROR_RESETS)
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout);
        builder
    }
}
