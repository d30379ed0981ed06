//! One blob brought here: found under another name of this region, or fetched from the source, piece by piece.
//!
//! A transfer is an upload session whose id follows from what it brings, so that whoever copies next, after a lost line
//! or a change of the catalog's leader, goes on at the committed byte. The digest is verified by the command that ends it,
//! and nothing of the blob is visible before.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use raft::catalog::{Digest, RepositoryName, SessionId};
use raft::id::RegionId;
use raft::policy::REPLICATION;
use tokio::time::timeout;

use super::link::Link;
use super::scope::Wanted;
use super::state::{ScopeState, Transfer};
use super::trouble::Trouble;
use super::upstream::{Arriving, Upstream};
use crate::gateway::{BlobError, Body, BodyError, Gateway, UploadError};

/// Most bytes that are fetched by one request, and committed at once.
const PIECE_BYTES: u64 = 64 << 20;
/// What is left up to so much comes with the command that ends the transfer.
const LAST_BYTES: u64 = 1 << 20;
/// A line that brings nothing for so long is given up.
const FRAME_DEADLINE: Duration = Duration::from_secs(30);
/// How often a line may break without having brought anything.
const FRUITLESS_MAX: u32 = 2;
/// Sessions of one blob that can be open or remembered at a time: an ended one is remembered for as long as it would
/// have lived.
const SESSIONS_MAX: u8 = 16;

/// Where blobs are brought from and to. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Transfers {
    pub(super) gateway: Gateway,
    pub(super) upstream: Arc<dyn Upstream>,
    /// Those that are being brought: whoever needs one of them too waits, and finds it here.
    under_way: Arc<Mutex<UnderWay>>,
}

/// For whom a blob is brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct For<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) state: &'a ScopeState,
    pub(super) link: &'a Link,
}

/// What became of a piece.
enum Piece {
    /// The whole blob is here.
    Published,
    /// So many bytes are committed, more than before.
    Grown,
    /// Nothing came, or somebody else has moved the session.
    Fruitless(String),
    /// The source has it no more.
    Gone,
}

impl Transfers {
    pub(super) fn new(gateway: Gateway, upstream: Arc<dyn Upstream>) -> Self {
        Self { gateway, upstream, under_way: Arc::default() }
    }

    /// Makes sure that a repository has a blob, and keeps it for a grace. Returns the bytes that came for it; `None` if the
    /// source has it no more.
    pub(super) async fn bring(
        &self,
        whom: For<'_>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, Trouble> {
        if self.is_here(repository, digest).await? {
            return Ok(Some(0));
        }
        let turn = self.turn(digest);
        let _turn = turn.lock.lock().await;
        self.mount_or_fetch(whom, repository, digest).await
    }

    async fn mount_or_fetch(
        &self,
        whom: For<'_>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, Trouble> {
        if self.is_here(repository, digest).await?
            || self.gateway.mount_blob(repository, digest, None, Some(REPLICATION)).await?.is_some()
        {
            return Ok(Some(0));
        }
        let _place = whom.link.place(whom.wanted.priority).await;
        self.fetch(whom, repository, digest).await
    }

    /// Whether the repository has it, whole, for a grace from now on.
    async fn is_here(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Trouble> {
        match self.gateway.stat_blob(repository, digest).await {
            Ok(_) => Ok(true),
            Err(BlobError::Unknown) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn fetch(&self, whom: For<'_>, repository: &RepositoryName, digest: &Digest) -> Result<Option<u64>, Trouble> {
        let mut transfer = None;
        let mut fruitless = 0;
        loop {
            let (session, offset) = self.session(whom.wanted.source.id, repository, digest).await?;
            let at = At { repository, digest, session, offset };
            match self.piece(whom, at, &mut transfer).await? {
                Piece::Published => return Ok(Some(transfer.map_or(0, |transfer| transfer.arrived_bytes()))),
                Piece::Grown => fruitless = 0,
                Piece::Fruitless(why) if fruitless == FRUITLESS_MAX => {
                    return Err(Trouble::Failed(format!("blob {digest} does not come: {why}")));
                }
                Piece::Fruitless(_) => fruitless += 1,
                Piece::Gone => {
                    self.cancel(at).await?;
                    return Ok(None);
                }
            }
        }
    }

    /// The session that brings a blob, and where it stands.
    async fn session(
        &self,
        source: RegionId,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(SessionId, u64), Trouble> {
        let records = &self.gateway.core().records;
        records.barrier().await?;
        for number in 0..SESSIONS_MAX {
            let session = session_id(source, repository, digest, number);
            match records.view().upload(session)? {
                // It ended, and the blob has gone since.
                Some(record) if record.finished.is_some() => {}
                Some(record) => return Ok((session, record.position.offset_bytes)),
                None => {
                    let principal = Some(REPLICATION.to_owned());
                    let begun = self.gateway.start_session(session, repository, digest.algorithm(), principal);
                    return Ok((session, begun.await?.offset_bytes));
                }
            }
        }
        Err(Trouble::Failed(format!("blob {digest} was brought {SESSIONS_MAX} times lately and is gone each time")))
    }

    /// Fetches and commits some bytes.
    async fn piece<'a>(
        &self,
        whom: For<'a>,
        at: At<'_>,
        transfer: &mut Option<Transfer<'a>>,
    ) -> Result<Piece, Trouble> {
        let range = at.offset..at.offset.saturating_add(PIECE_BYTES);
        let blob = self.upstream.blob(&whom.wanted.source, at.repository, at.digest, range).await?;
        let Some(blob) = blob else { return Ok(Piece::Gone) };
        let unknown = || Trouble::Failed(format!("the source does not tell how long blob {} is", at.digest));
        let left = blob.length_bytes.ok_or_else(unknown)?.checked_sub(at.offset);
        let Some(left) = left else {
            self.cancel(at).await?;
            return Ok(Piece::Fruitless("it is shorter at the source than what has come".to_owned()));
        };
        let transfer = transfer.get_or_insert_with(|| whom.state.transfer(left));
        let mut stream = Self::counted(whom.link, blob.bytes);
        if left <= LAST_BYTES {
            let (body, came) = strict(stream, left);
            let ended = self.gateway.finish(at.repository, at.session, Some(at.offset), *at.digest, body).await;
            transfer.arrived(came.bytes());
            return self.ended(at, ended.map(|_| ())).await;
        }
        let first = match stream.next().await {
            Some(Ok(first)) => first,
            Some(Err(error)) => return Ok(Piece::Fruitless(error)),
            None => return Ok(Piece::Fruitless("nothing came".to_owned())),
        };
        let (body, came) = lenient(first, stream, PIECE_BYTES.min(left));
        let appended = self.gateway.append(at.repository, at.session, Some(at.offset), body).await;
        transfer.arrived(came.bytes());
        match appended {
            Ok(upload) if upload.offset_bytes >= at.offset.saturating_add(left) => {
                let offset = Some(upload.offset_bytes);
                let nothing: Body = Box::pin(stream::empty());
                let ended = self.gateway.finish(at.repository, at.session, offset, *at.digest, nothing).await;
                self.ended(at, ended.map(|_| ())).await
            }
            Ok(_) => Ok(Piece::Grown),
            Err(error) => self.ended(at, Err(error)).await,
        }
    }

    /// What the end of a request to the own gateway means.
    async fn ended(&self, at: At<'_>, ended: Result<(), UploadError>) -> Result<Piece, Trouble> {
        match ended {
            Ok(()) => Ok(Piece::Published),
            // Somebody else goes on with it, or has ended it: look again.
            Err(error @ (UploadError::Unknown | UploadError::RangeMismatch { .. } | UploadError::Moved { .. })) => {
                Ok(Piece::Fruitless(error.to_string()))
            }
            Err(UploadError::Body(_)) => Ok(Piece::Fruitless("the line broke".to_owned())),
            // What has come is of no use: the next attempt begins anew.
            Err(error @ (UploadError::DigestMismatch { .. } | UploadError::TooManyChunks { .. })) => {
                self.cancel(at).await?;
                Err(Trouble::Failed(format!("blob {} came and is not what it should be: {error}", at.digest)))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn cancel(&self, at: At<'_>) -> Result<(), Trouble> {
        match self.gateway.cancel_upload(at.repository, at.session).await {
            Ok(()) | Err(UploadError::Unknown) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes at the pace of the link, and none of them waited for too long.
    fn counted(link: &Link, bytes: Arriving) -> Arriving {
        let link = link.clone();
        Box::pin(stream::unfold((bytes, link), async |(mut bytes, link)| {
            let part = match timeout(FRAME_DEADLINE, bytes.next()).await {
                Ok(None) => return None,
                Ok(Some(part)) => part,
                Err(_elapsed) => Err(format!("nothing came for {} seconds", FRAME_DEADLINE.as_secs())),
            };
            if let Ok(part) = &part {
                link.arrived(part.len() as u64).await;
            }
            Some((part, (bytes, link)))
        }))
    }

    /// What whoever brings a blob holds.
    fn turn(&self, digest: &Digest) -> Turn {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(under_way.entry(*digest).or_default());
        Turn { under_way: Arc::clone(&self.under_way), digest: *digest, lock }
    }
}

/// Blobs that somebody brings or waits for.
type UnderWay = BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>;

/// One who brings a blob, or waits for it.
#[derive(Debug)]
struct Turn {
    under_way: Arc<Mutex<UnderWay>>,
    digest: Digest,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // The list's own and this one: nobody else waits, and new ones come by way of the list alone.
        if Arc::strong_count(&self.lock) == 2 {
            under_way.remove(&self.digest);
        }
    }
}

/// A place in a session.
#[derive(Clone, Copy, Debug)]
struct At<'a> {
    repository: &'a RepositoryName,
    digest: &'a Digest,
    session: SessionId,
    offset: u64,
}

/// The id of a session: what it brings, from where, and which one of them it is.
fn session_id(source: RegionId, repository: &RepositoryName, digest: &Digest, number: u8) -> SessionId {
    let mut hash = blake3::Hasher::new();
    hash.update(b"regnode replication");
    hash.update(&source.0.to_be_bytes());
    hash.update(&[number]);
    hash.update(&digest.to_key());
    hash.update(repository.as_str().as_bytes());
    let mut id = [0; 16];
    hash.finalize_xof().fill(&mut id);
    SessionId(id)
}

/// How many bytes of a body were taken.
#[derive(Clone, Debug, Default)]
struct Came(Arc<std::sync::atomic::AtomicU64>);

impl Came {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// A body of so many bytes that breaks off where the line does.
fn strict(bytes: Arriving, length: u64) -> (Body, Came) {
    let came = Came::default();
    let counted = came.clone();
    let body = stream::unfold((bytes, 0..length), move |(mut bytes, left)| {
        let came = counted.clone();
        async move {
            let part = match bytes.next().await {
                Some(Ok(part)) => take(part, &left),
                None if left.is_empty() => return None,
                Some(Err(_)) | None => return Some((Err(BodyError::Disconnected), (bytes, 0..0))),
            };
            came.add(part.len());
            let left = left.start + part.len() as u64..left.end;
            Some((Ok(part), (bytes, left)))
        }
    });
    (Box::pin(body), came)
}

/// A body of at most so many bytes that ends where the line breaks: what has come is worth keeping.
fn lenient(first: Bytes, bytes: Arriving, most: u64) -> (Body, Came) {
    let came = Came::default();
    let counted = came.clone();
    let all = stream::once(async { Ok(first) }).chain(bytes);
    let whole = all.take_while(|part| std::future::ready(part.is_ok())).filter_map(async |part| part.ok());
    let body = whole.scan(0..most, move |left: &mut Range<u64>, part| {
        let part = take(part, left);
        left.start += part.len() as u64;
        counted.add(part.len());
        std::future::ready((!part.is_empty()).then_some(Ok(part)))
    });
    (Box::pin(body), came)
}

/// As much of a part as is still wanted.
fn take(part: Bytes, left: &Range<u64>) -> Bytes {
    let most = usize::try_from(left.end.saturating_sub(left.start)).unwrap_or(usize::MAX);
    if part.len() > most { part.slice(..most) } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::compute;

    fn arriving(parts: &[Result<&'static [u8], &str>]) -> Arriving {
        let parts: Vec<_> = parts.iter().map(|part| part.map(Bytes::from_static).map_err(ToOwned::to_owned)).collect();
        Box::pin(stream::iter(parts))
    }

    async fn taken(mut body: Body) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        while let Some(part) = body.next().await {
            match part {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(_) => return (bytes, false),
            }
        }
        (bytes, true)
    }

    #[tokio::test]
    async fn the_last_bytes_come_whole_or_not_at_all() {
        let (body, came) = strict(arriving(&[Ok(b"abc"), Ok(b"de")]), 5);
        assert_eq!((taken(body).await, came.bytes()), ((b"abcde".to_vec(), true), 5));
        let (body, _) = strict(arriving(&[Ok(b"abc"), Err("cut")]), 5);
        assert!(!taken(body).await.1);
        let (body, _) = strict(arriving(&[Ok(b"abc")]), 5);
        assert!(!taken(body).await.1, "what ends too soon broke off");
        let (body, _) = strict(arriving(&[]), 0);
        assert_eq!(taken(body).await, (Vec::new(), true), "of nothing all has come");
    }

    #[tokio::test]
    async fn a_line_that_breaks_leaves_what_has_come() {
        let (body, came) = lenient(Bytes::from_static(b"abc"), arriving(&[Ok(b"de"), Err("cut"), Ok(b"x")]), 100);
        assert_eq!((taken(body).await, came.bytes()), ((b"abcde".to_vec(), true), 5));
        let (body, _) = lenient(Bytes::from_static(b"abc"), arriving(&[Ok(b"defg")]), 4);
        assert_eq!(taken(body).await, (b"abcd".to_vec(), true), "no more than was asked for");
    }

    #[test]
    fn a_session_is_found_again_by_what_it_brings() {
        let (one, two) = ("acme/app".parse().unwrap(), "acme/ap".parse().unwrap());
        let digest = compute(raft::catalog::Algorithm::Sha256, b"x");
        let id = session_id(RegionId(1), &one, &digest, 0);
        assert_eq!(id, session_id(RegionId(1), &one, &digest, 0));
        assert_ne!(id, session_id(RegionId(2), &one, &digest, 0));
        assert_ne!(id, session_id(RegionId(1), &two, &digest, 0));
        assert_ne!(id, session_id(RegionId(1), &one, &digest, 1));
    }
}
