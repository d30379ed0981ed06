//! A blob as a stream of verified bytes, read ahead of its client by two windows.
//!
//! Each window has its share of the node's read budget until the client has taken its bytes. The window that is needed
//! next waits for its share; those ahead are fetched only if there is one at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use raft::catalog::{BlobRecord, Digest, ExtentBody};
use storage::shard::{ExtentIndex, ObjectId};
use storage::switch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::ExtentSource;
use super::plan::Window;
use crate::gateway::budget::Share;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::error::ReadError;
use crate::members::Client;

/// Windows that are fetched ahead.
const WINDOWS_AHEAD: usize = 2;
/// Longest wait for other readers' clients to take their bytes.
const SHARE_WAIT: Duration = Duration::from_secs(30);

/// Bytes of a blob. An error is the last item.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ReadError>> + Send>>;

/// A blob that was found, to be read.
#[derive(Clone, Debug)]
pub struct Blob {
    core: Arc<Core>,
    digest: Digest,
    object: ObjectId,
    length_bytes: u64,
}

impl Blob {
    pub(in crate::gateway) fn new(core: Arc<Core>, digest: Digest, record: &BlobRecord) -> Self {
        Self { core, digest, object: record.object, length_bytes: record.length_bytes }
    }

    /// Length of the whole blob.
    #[must_use]
    pub const fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Reads a range; what lies behind the end is left out. When this returns, the first window has been read and
    /// verified.
    ///
    /// # Errors
    /// [`ReadError`] when the first window cannot be read.
    pub async fn read(self, range: Range<u64>) -> Result<ByteStream, ReadError> {
        let off = u64::from(range.start > 0 && switch::broken("gateway.read.wrong_range"));
        let range = range.start - off..range.end - off;
        let end = range.end.min(self.length_bytes);
        let mut reader = Reader {
            active: ActiveRead::new(self.core),
            digest: self.digest,
            object: self.object,
            position: range.start.min(end),
            end,
            extent: None,
            ahead: VecDeque::new(),
            ready: VecDeque::new(),
        };
        reader.refill().await?;
        Ok(Box::pin(stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            if reader.ready.is_empty()
                && let Err(error) = reader.refill().await
            {
                return Some((Err(error), None));
            }
            let bytes = reader.ready.pop_front()?;
            reader.core().metrics.sent.inc_by(bytes.len() as u64);
            Some((Ok(bytes), Some(reader)))
        })))
    }
}

type Fetching = Result<Vec<Bytes>, ReadError>;

/// A window on its way.
struct Ahead {
    /// Its first byte within the blob.
    start: u64,
    /// What it is read from.
    object: ObjectId,
    coming: Coming,
}

enum Coming {
    /// There already.
    Ready(Bytes),
    /// Fetched by the reader itself: there is nothing to do meanwhile.
    Lone(ExtentSource, Window, Share),
    /// Fetched by a task.
    Task(AbortOnDropHandle<Fetching>),
}

impl Coming {
    async fn fetched(self, core: &Arc<Core>) -> Fetching {
        match self {
            Self::Ready(bytes) => Ok(vec![bytes]),
            Self::Lone(source, window, share) => source.fetch_within(core, &window, share).await,
            Self::Task(task) => task.await.map_err(ReadError::internal)?,
        }
    }
}

struct Reader {
    active: ActiveRead,
    digest: Digest,
    object: ObjectId,
    /// First byte that is not being fetched yet.
    position: u64,
    end: u64,
    /// The extent that the last window was of.
    extent: Option<Extent>,
    ahead: VecDeque<Ahead>,
    ready: VecDeque<Bytes>,
}

struct Extent {
    index: ExtentIndex,
    bytes: Range<u64>,
    body: Body,
}

enum Body {
    Inline(Bytes),
    Coded(ExtentSource),
}

impl Reader {
    fn core(&self) -> &Arc<Core> {
        &self.active.core
    }

    /// Keeps windows on their way and waits for the first of them. Leaves `ready` empty only at the end.
    async fn refill(&mut self) -> Result<(), ReadError> {
        while self.ready.is_empty() {
            while self.ahead.len() <= WINDOWS_AHEAD && self.position < self.end {
                let Some(next) = self.next().await? else { break };
                self.ahead.push_back(next);
            }
            let Some(Ahead { start, object, coming }) = self.ahead.pop_front() else { return Ok(()) };
            match coming.fetched(self.core()).await {
                Ok(bytes) => self.ready.extend(bytes),
                Err(ReadError::Gone { .. }) => self.resume(start, object).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Begins to fetch the next window. `None` when others are on their way and the budget has no room for a further
    /// one.
    async fn next(&mut self) -> Result<Option<Ahead>, ReadError> {
        let core = Arc::clone(self.core());
        let (start, end) = (self.position, self.end);
        let extent = self.extent().await?;
        let within = start - extent.bytes.start..end.min(extent.bytes.end) - extent.bytes.start;
        let (index, extent_start) = (extent.index, extent.bytes.start);
        let source = match &extent.body {
            Body::Inline(bytes) => {
                let bytes = bytes.slice(position(within.start)..position(within.end));
                self.position = extent_start + within.end;
                return Ok(Some(Ahead { start, object: self.object, coming: Coming::Ready(bytes) }));
            }
            Body::Coded(source) => source.clone(),
        };
        let window = source.first_window(&core, within).ok_or_else(|| gone(source.object))?;
        let cost_bytes = source.cost_bytes(&window);
        let share = if self.ahead.is_empty() {
            let share = timeout(SHARE_WAIT, core.reads.share(cost_bytes)).await;
            share.map_err(|_elapsed| {
                unreadable(source.object, index, "other readers use all of the node's memory for reading")
            })?
        } else if let Some(share) = core.reads.try_share(cost_bytes) {
            share
        } else {
            return Ok(None);
        };
        self.position = extent_start + window.bytes.end;
        let object = source.object;
        let coming = if self.ahead.is_empty() && self.position == self.end {
            Coming::Lone(source, window, share)
        } else {
            let task = tokio::spawn(async move { source.fetch_within(&core, &window, share).await });
            Coming::Task(AbortOnDropHandle::new(task))
        };
        Ok(Some(Ahead { start, object, coming }))
    }

    /// The object went while a window of it was fetched: goes on at that window's first byte, wherever it is by now.
    async fn resume(&mut self, start: u64, object: ObjectId) -> Result<(), ReadError> {
        self.ahead.clear();
        self.position = start;
        self.extent = None;
        if self.object == object {
            self.extent = Some(self.find_elsewhere().await?);
        }
        Ok(())
    }

    /// The extent that holds the next byte.
    async fn extent(&mut self) -> Result<&Extent, ReadError> {
        let position = self.position;
        let extent = match self.extent.take() {
            Some(extent) if extent.bytes.contains(&position) => extent,
            known => match self.find(known.map(|extent| extent.index))? {
                Some(extent) => extent,
                None => self.find_elsewhere().await?,
            },
        };
        Ok(self.extent.insert(extent))
    }

    /// The extent behind `known`, or the one that holds the next byte.
    fn find(&self, known: Option<ExtentIndex>) -> Result<Option<Extent>, ReadError> {
        let view = self.core().records.view();
        let found = match known.and_then(|index| index.0.checked_add(1)) {
            Some(next) => view.extent(self.object, ExtentIndex(next)).map(|it| it.map(|it| (ExtentIndex(next), it))),
            None => view.extent_at(self.object, self.position),
        };
        let Some((index, record)) = found.map_err(CatalogError::from)? else { return Ok(None) };
        let bytes = record.offset_bytes..record.offset_bytes + record.body.length_bytes();
        if !bytes.contains(&self.position) {
            return Ok(None);
        }
        let body = match record.body {
            ExtentBody::Inline(bytes) => Body::Inline(bytes),
            ExtentBody::Coded(coded) => {
                Body::Coded(ExtentSource { object: self.object, index, coded: Arc::new(coded) })
            }
        };
        Ok(Some(Extent { index, bytes, body }))
    }

    /// The object is gone: a push of the same blob may have put another object with the same bytes in its place.
    async fn find_elsewhere(&mut self) -> Result<Extent, ReadError> {
        if !self.look_elsewhere()? {
            // This replica may not know of it yet.
            let asked = self.core().records.barrier().await;
            asked.map_err(|error| unreadable(self.object, ExtentIndex(0), &error.to_string()))?;
            if !self.look_elsewhere()? {
                return Err(gone(self.object));
            }
        }
        self.find(None)?.ok_or_else(|| gone(self.object))
    }

    /// Whether the blob has another object by now, as far as this replica knows; it is read from then on.
    fn look_elsewhere(&mut self) -> Result<bool, ReadError> {
        let blob = self.core().records.view().blob(&self.digest).map_err(CatalogError::from)?;
        let Some(blob) = blob.filter(|blob| blob.object != self.object) else {
            return Ok(false);
        };
        self.object = blob.object;
        Ok(true)
    }
}

fn gone(object: ObjectId) -> ReadError {
    ReadError::Gone { object }
}

fn unreadable(object: ObjectId, extent: ExtentIndex, message: &str) -> ReadError {
    ReadError::Unreadable { object, extent: extent.0, message: message.to_owned() }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("an inline extent fits into memory")
}

/// Counts a reader as active while it lives.
struct ActiveRead {
    core: Arc<Core>,
    _client: Client,
}

impl ActiveRead {
    fn new(core: Arc<Core>) -> Self {
        core.metrics.reads_active.inc();
        Self { _client: core.roster.clients().arrive(), core }
    }
}

impl Drop for ActiveRead {
    fn drop(&mut self) {
        self.core.metrics.reads_active.dec();
    }
}
