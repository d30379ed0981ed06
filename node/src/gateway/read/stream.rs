//! A blob as a stream of verified bytes, read ahead of its client by two windows.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use raft::catalog::{BlobRecord, BlobState, Digest, ExtentBody};
use storage::shard::{ExtentIndex, ObjectId};
use tokio_util::task::AbortOnDropHandle;

use super::ExtentSource;
use super::plan::Window;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::error::ReadError;

/// Windows that are fetched ahead.
const WINDOWS_AHEAD: usize = 2;

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
enum Ahead {
    /// There already.
    Ready(Bytes),
    /// Fetched by the reader itself: there is nothing to do meanwhile.
    Lone(ExtentSource, Window),
    /// Fetched by a task.
    Task(AbortOnDropHandle<Fetching>),
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
                let next = self.next()?;
                self.ahead.push_back(next);
            }
            let Some(first) = self.ahead.pop_front() else { return Ok(()) };
            match first {
                Ahead::Ready(bytes) => self.ready.push_back(bytes),
                Ahead::Lone(source, window) => self.ready.extend(source.fetch(self.core(), &window).await?),
                Ahead::Task(task) => {
                    let fetched = task.await.map_err(|error| ReadError::Internal { message: error.to_string() })?;
                    self.ready.extend(fetched?);
                }
            }
        }
        Ok(())
    }

    /// Begins to fetch the next window.
    fn next(&mut self) -> Result<Ahead, ReadError> {
        let core = Arc::clone(self.core());
        let (position, end) = (self.position, self.end);
        let extent = self.extent()?;
        let within = position - extent.bytes.start..end.min(extent.bytes.end) - extent.bytes.start;
        let extent_start = extent.bytes.start;
        match &extent.body {
            Body::Inline(bytes) => {
                let bytes = bytes.slice(index(within.start)..index(within.end));
                self.position = extent_start + within.end;
                Ok(Ahead::Ready(bytes))
            }
            Body::Coded(source) => {
                let source = source.clone();
                let window = source.first_window(&core, within);
                let window = window.ok_or_else(|| gone(source.object))?;
                self.position = extent_start + window.bytes.end;
                if self.ahead.is_empty() && self.position == self.end {
                    return Ok(Ahead::Lone(source, window));
                }
                let task = tokio::spawn(async move { source.fetch(&core, &window).await });
                Ok(Ahead::Task(AbortOnDropHandle::new(task)))
            }
        }
    }

    /// The extent that holds the next byte.
    fn extent(&mut self) -> Result<&Extent, ReadError> {
        let position = self.position;
        let extent = match self.extent.take() {
            Some(extent) if extent.bytes.contains(&position) => extent,
            known => match self.find(known.map(|extent| extent.index))? {
                Some(extent) => extent,
                None => self.find_elsewhere()?,
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
    fn find_elsewhere(&mut self) -> Result<Extent, ReadError> {
        let old = self.object;
        let blob = self.core().records.view().blob(&self.digest).map_err(CatalogError::from)?;
        let blob = blob.filter(|blob| blob.state == BlobState::Live && blob.object != old).ok_or_else(|| gone(old))?;
        self.object = blob.object;
        self.find(None)?.ok_or_else(|| gone(old))
    }
}

fn gone(object: ObjectId) -> ReadError {
    ReadError::Gone { object }
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("an inline extent fits into memory")
}

/// Counts a reader as active while it lives.
struct ActiveRead {
    core: Arc<Core>,
}

impl ActiveRead {
    fn new(core: Arc<Core>) -> Self {
        core.metrics.reads_active.inc();
        Self { core }
    }
}

impl Drop for ActiveRead {
    fn drop(&mut self) {
        self.core.metrics.reads_active.dec();
    }
}
