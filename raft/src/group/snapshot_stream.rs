//! A snapshot on its way to a peer: a stream of frames, each checked before anything is installed.
//!
//! `Begin`, then for each file of the checkpoint `File`, its bytes in `Data` frames, `FileEnd` with their BLAKE3
//! hash; last `End`. A stream without `End` is a sender that gave up. The receiver writes into a directory of its
//! own, takes only plain file names, and has everything synced before the snapshot counts as received.
//!
//! What is sent is in the clear, within the connection's encryption: each node seals its files under keys of its own.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use storage::disk::Files;
use storage::exec::Exec;
use storage::kv::Engines;
use storage::seal::{CheckpointReader, CheckpointWriter};
use storage::switch;
use tracing::warn;

use super::error::{GroupError, ReceiveError};
use super::incarnation::Incarnation;
use super::record::{AppliedRecord, VoteRecord};
use super::snapshot::StoredSnapshot;
use crate::codec;
use crate::versioned;

/// Bytes of a file in one frame.
const DATA_BYTES: usize = 512 << 10;
/// Silence after which a stream counts as broken.
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// Files of one snapshot.
const FILES_LIMIT: usize = 100_000;
/// Bytes of a file's name.
const NAME_LIMIT_BYTES: usize = 128;

/// One frame of the stream. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// First: who sends it, and what it contains.
    Begin {
        /// The sender's incarnation.
        incarnation: Incarnation,
        /// The leader's vote.
        vote: VoteRecord,
        /// What the snapshot contains.
        contents: AppliedRecord,
    },
    /// A file begins.
    File {
        /// Its name, without any directory.
        name: String,
        /// Its length.
        length_bytes: u64,
    },
    /// The next bytes of the file.
    Data(Bytes),
    /// The file is complete.
    FileEnd {
        /// BLAKE3 of its bytes.
        hash: [u8; 32],
    },
    /// Last: all files were sent.
    End,
}

/// The receiver's answer: its vote, which is higher than the sender's when there is a newer leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Received {
    /// The receiver's incarnation. Where it is not the sender's, nothing was received.
    pub incarnation: Incarnation,
    /// The receiver's vote.
    pub vote: VoteRecord,
}

versioned! {
    Frame = 1, "snapshot frame";
    Received = 1, "snapshot answer";
}

/// Whether a name from a peer may become a file's name: letters, digits, `-`, `_` and `.`, not beginning with a dot.
fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_LIMIT_BYTES).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// What the sender does next.
enum Step {
    Begin(Incarnation, VoteRecord),
    NextFile,
    Data { file: Box<dyn CheckpointReader>, offset: u64, length_bytes: u64, hasher: Box<blake3::Hasher> },
    Done,
}

struct Sender {
    snapshot: Arc<StoredSnapshot>,
    files: Arc<dyn Files>,
    engines: Arc<dyn Engines>,
    rest: VecDeque<String>,
    step: Step,
}

impl Sender {
    /// The next frame, `None` after the last.
    fn next(&mut self) -> io::Result<Option<Frame>> {
        match std::mem::replace(&mut self.step, Step::NextFile) {
            Step::Begin(incarnation, vote) => {
                let entries = self.files.list(&self.snapshot.state())?;
                self.rest = entries.into_iter().map(|entry| entry.name).collect();
                Ok(Some(Frame::Begin { incarnation, vote, contents: self.snapshot.contents.clone() }))
            }
            Step::NextFile => {
                let Some(name) = self.rest.pop_front() else {
                    self.step = Step::Done;
                    return Ok(Some(Frame::End));
                };
                let file = self.engines.read_checkpoint_file(&self.snapshot.state().join(&name))?;
                let length_bytes = file.length_bytes();
                self.step = Step::Data { file, offset: 0, length_bytes, hasher: Box::default() };
                Ok(Some(Frame::File { name, length_bytes }))
            }
            Step::Data { hasher, offset, length_bytes, .. } if offset == length_bytes => {
                Ok(Some(Frame::FileEnd { hash: hasher.finalize().into() }))
            }
            Step::Data { file, offset, length_bytes, mut hasher } => {
                let most = if switch::rare("raft.snapshot.tiny_frame") { 1 << 10 } else { DATA_BYTES };
                let wanted = usize::try_from(length_bytes - offset).unwrap_or(most).min(most);
                let mut data = vec![0; wanted];
                file.read_exact_at(&mut data, offset)?;
                hasher.update(&data);
                self.step = Step::Data { file, offset: offset + wanted as u64, length_bytes, hasher };
                Ok(Some(Frame::Data(Bytes::from(data))))
            }
            Step::Done => Ok(None),
        }
    }
}

/// The frames of a snapshot, encoded. When a file cannot be read the stream ends without its last frame.
pub(super) fn frames(
    snapshot: Arc<StoredSnapshot>,
    incarnation: Incarnation,
    vote: VoteRecord,
    files: Arc<dyn Files>,
    engines: Arc<dyn Engines>,
    exec: Exec,
) -> BoxStream<'static, Bytes> {
    let sender = Sender { snapshot, files, engines, rest: VecDeque::new(), step: Step::Begin(incarnation, vote) };
    stream::unfold(sender, move |mut sender| async move {
        let (frame, sender) = exec
            .run(move || {
                let frame = sender.next().map(|frame| frame.map(|frame| Bytes::from(codec::encode(&frame))));
                (frame, sender)
            })
            .await;
        match frame {
            Ok(frame) => frame.map(|frame| (frame, sender)),
            Err(error) => {
                warn!(directory = ?sender.snapshot.directory, %error, "snapshot cannot be read, sending ends");
                None
            }
        }
    })
    .boxed()
}

/// A file that is being received.
struct Incoming {
    name: String,
    file: Box<dyn CheckpointWriter>,
    offset: u64,
    length_bytes: u64,
    hasher: Box<blake3::Hasher>,
}

/// Writes the files of a stream whose `Begin` was read already.
struct Receiver {
    directory: PathBuf,
    files: Arc<dyn Files>,
    engines: Arc<dyn Engines>,
    present: Option<Incoming>,
    received: usize,
}

impl Receiver {
    /// Takes one frame; true after the last.
    fn take(&mut self, frame: Frame) -> Result<bool, ReceiveError> {
        let malformed = |what: &str| ReceiveError::Malformed(what.to_owned());
        match (frame, self.present.take()) {
            (Frame::File { name, length_bytes }, None) => {
                if !is_plain_name(&name) {
                    return Err(ReceiveError::Malformed(format!("file name {name:?}")));
                }
                self.received += 1;
                if self.received > FILES_LIMIT {
                    return Err(malformed("too many files"));
                }
                let file =
                    self.engines.create_checkpoint_file(&self.directory.join(&name)).map_err(self.failed("create"))?;
                self.present = Some(Incoming { name, file, offset: 0, length_bytes, hasher: Box::default() });
            }
            (Frame::Data(data), Some(mut incoming)) => {
                if data.len() as u64 > incoming.length_bytes - incoming.offset {
                    return Err(malformed("a file is longer than announced"));
                }
                incoming.hasher.update(&data);
                incoming.file.append(&data).map_err(self.failed("write"))?;
                incoming.offset += data.len() as u64;
                self.present = Some(incoming);
            }
            (Frame::FileEnd { hash }, Some(incoming)) => {
                let whole = incoming.offset == incoming.length_bytes;
                if !whole || incoming.hasher.finalize() != blake3::Hash::from_bytes(hash) {
                    return Err(ReceiveError::Damaged { name: incoming.name });
                }
                incoming.file.finish().map_err(self.failed("sync"))?;
            }
            (Frame::End, None) => {
                self.files.sync_directory(&self.directory).map_err(self.failed("sync"))?;
                return Ok(true);
            }
            _ => return Err(malformed("a frame is out of order")),
        }
        Ok(false)
    }

    fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> ReceiveError + use<> {
        let path = self.directory.clone();
        move |source| ReceiveError::Group(GroupError::File { doing, path: path.clone(), source })
    }
}

/// Reads the next frame of a stream.
pub(super) async fn next_frame<S, E>(frames: &mut S) -> Result<Frame, ReceiveError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: fmt::Display,
{
    match tokio::time::timeout(IDLE, frames.next()).await {
        Ok(Some(Ok(bytes))) => Ok(codec::decode(&bytes)?),
        Ok(Some(Err(error))) => Err(ReceiveError::Broken(error.to_string())),
        Ok(None) => Err(ReceiveError::Broken("the sender gave up".to_owned())),
        Err(_) => Err(ReceiveError::Broken(format!("no frame within {IDLE:?}"))),
    }
}

/// Receives everything behind the `Begin` frame into `directory`, synced.
pub(super) async fn receive_files<S, E>(
    frames: &mut S,
    directory: PathBuf,
    files: Arc<dyn Files>,
    engines: Arc<dyn Engines>,
    exec: Exec,
) -> Result<(), ReceiveError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: fmt::Display,
{
    let mut receiver = Receiver { directory, files, engines, present: None, received: 0 };
    loop {
        let frame = next_frame(frames).await?;
        let last;
        (receiver, last) = exec
            .run(move || {
                let last = receiver.take(frame);
                (receiver, last)
            })
            .await;
        if last? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_become_files() {
        for name in ["000012.sst", "CURRENT", "MANIFEST-000005", "checkpoint", "OPTIONS-000007"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\\b", "a\0", "ü", &"a".repeat(129)] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
