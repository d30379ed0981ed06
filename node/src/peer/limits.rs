//! Every limit of the peer protocol: sizes, windows, deadlines.
//!
//! The accept loop of the peer port uses the same windows, frame size and keepalive as the clients here, so that the
//! memory of one stream and of one connection is bounded on both sides.

use std::time::Duration;

/// Most bytes of one message between peers, above one maximal Raft entry.
pub const MESSAGE_LIMIT_BYTES: usize = 32 << 20;
/// Most bytes of a message to the admission service, which anyone may call.
pub const ADMISSION_LIMIT_BYTES: usize = 64 << 10;
/// Most bytes of an operator's request to another node's machine, and of its answer.
pub const ADMIN_LIMIT_BYTES: usize = 4 << 20;
/// Most block bytes in one frame of a shard that is being written.
pub const SHARD_FRAME_LIMIT_BYTES: usize = 2 << 20;
/// Block bytes that a writer gathers into one frame.
pub const SHARD_FRAME_BYTES: usize = 512 << 10;
/// Most block bytes of one read.
pub const READ_LIMIT_BYTES: u64 = 4 << 20;
/// Most bytes of a full block.
pub const BLOCK_SIZE_LIMIT_BYTES: u32 = 1 << 20;
/// Most shards removed by one call.
pub const DELETE_LIMIT: usize = 4096;
/// What a message carries beside its blocks, generously.
pub const FRAMING_BYTES: usize = 512 << 10;
/// Most shard files that peers may be writing to this node at one time.
pub const SHARD_WRITERS_LIMIT: usize = 512;
/// Wait for one of them to end before a further one is refused; its sender is held back meanwhile.
pub const SHARD_WRITERS_WAIT: Duration = Duration::from_secs(10);

/// HTTP/2 window of one stream: what a sender may have under way before it is read.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// HTTP/2 window of one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// Largest HTTP/2 frame: few frames for large messages, short enough that small messages get in between.
pub const HTTP_FRAME_BYTES: u32 = 256 << 10;
/// Most streams of one connection.
pub const STREAMS_LIMIT: u32 = 1024;

/// Bound on a connect, TLS handshake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for a peer of another region: several round trips of more than half a second, and one of them lost.
pub const FAR_CONNECT_TIMEOUT: Duration = Duration::from_secs(6);
/// Pause before a peer that could not be connected to is dialled again; calls wait meanwhile. Every read asks all voters,
/// so that a dead one would be dialled by each of them.
pub const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// A connection is asked for a sign of life after this long without one.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// A connection that does not answer for this long is given up.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bound on a read of blocks.
pub const READ_DEADLINE: Duration = Duration::from_secs(15);
/// Bound on handing one frame of a shard to a node that does not keep up.
pub const APPEND_DEADLINE: Duration = Duration::from_secs(20);
/// Bound on the finish of a shard: what is still under way, and the fsync.
pub const FINISH_DEADLINE: Duration = Duration::from_mins(1);
/// Bound on a removal of shards.
pub const DELETE_DEADLINE: Duration = Duration::from_secs(30);
/// A snapshot stream that moves nothing for this long is given up.
pub const SNAPSHOT_STALL: Duration = Duration::from_secs(30);
/// Bound on the answer to a snapshot whose frames have all been taken: what is still under way, and its installation.
pub const SNAPSHOT_ANSWER_DEADLINE: Duration = Duration::from_mins(2);

/// Clients' requests that are handed on over one connection at a time. Each may fill its stream's window while its client
/// is slow; together they never fill the connection's, so that none waits for another one's client.
pub const LANE_STREAMS: usize = (CONNECTION_WINDOW_BYTES / STREAM_WINDOW_BYTES) as usize;
/// Most connections for them to one peer.
pub const LANES_LIMIT: usize = 32;
/// A connection for them that nothing uses for this long is closed as soon as another one is looked for.
pub const LANE_IDLE: Duration = Duration::from_mins(1);
