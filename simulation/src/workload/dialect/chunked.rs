//! Clients that push in chunks: PATCHes with `Content-Range`, each through another node, GET for the offset after a
//! failure, 416 when they are wrong about it, the last chunk with the PUT or before it. Small blobs go with one POST.
//!
//! Now and then a session lies open for a second client, which goes on with it at the same time: only one of them can
//! have each range.

use std::sync::Arc;

use rand::Rng as _;

use super::super::ask::Ask;
use super::super::client::Client;
use super::super::content::Blob;
use super::super::uploads::{Session, Step};
use super::super::work::OpenSession;

/// Blobs up to this length may go with one POST.
const AT_ONCE_BYTES: usize = 8 << 10;
/// Share of the sessions that lie open for another client, in percent.
const SHARED_PERCENT: u8 = 25;
/// Share of failures after which the client tries the same chunk blindly, in percent.
const BLIND_PERCENT: u8 = 30;

impl Client {
    pub(super) async fn push_blob_chunked(&mut self, repository: &Arc<str>, blob: &Arc<Blob>) -> bool {
        if self.has_blob(repository, blob).await {
            return true;
        }
        if blob.content.len() <= AT_ONCE_BYTES && self.chance(50) {
            let reply = self.insist(&Ask::push_at_once(repository, blob)).await;
            return reply.is_ok_and(|answer| answer.status == 201);
        }
        let Some(mut session) = self.begin_upload(repository, blob).await else { return false };
        if self.chance(SHARED_PERCENT) {
            session.exclusive = false;
            let location = session.location.clone();
            self.work().share(OpenSession { repository: Arc::clone(repository), blob: Arc::clone(blob), location });
        }
        self.push_chunks(session, blob).await
    }

    /// Goes on with a session that another client has opened, if there is one.
    pub(in super::super) async fn join_session(&mut self) -> Option<bool> {
        let OpenSession { repository, blob, location } = self.work().take_session()?;
        let mut session = Session { repository, location, offset: 0, settled: false, exclusive: false, ended: true };
        match self.status(&mut session).await {
            Step::Stands => Some(self.push_chunks(session, &blob).await),
            _ => Some(false),
        }
    }

    /// Sends what is missing, and ends the session.
    async fn push_chunks(&mut self, mut session: Session, blob: &Arc<Blob>) -> bool {
        let length = blob.content.len();
        let mut tries = self.tries();
        // Failures are bounded by the tries, refusals by this: another client may always be quicker.
        let mut refusals = 0;
        loop {
            let size = self.chunk_size(length);
            let end = (session.offset + size).min(length);
            let node = self.any_node();
            let before = session.offset;
            // A blob of a byte or two goes with the PUT: `0-0` would not say whether the first byte is there.
            let is_last = length <= 2 || end == length && self.random.random_bool(0.5);
            let step = if is_last || before == length {
                self.finish(node, &mut session, blob).await
            } else {
                self.chunk(node, &mut session, blob, before..end).await
            };
            match step {
                Step::Published => return true,
                Step::Gone => return false,
                Step::Stands if session.offset > before => {}
                Step::Stands => {
                    refusals += 1;
                    if refusals > 8 {
                        return false;
                    }
                }
                Step::Failed(reply) => {
                    if !self.again(&mut tries, &reply).await {
                        return false;
                    }
                    if !self.chance(BLIND_PERCENT) && !matches!(self.status(&mut session).await, Step::Stands) {
                        // Published by the request whose answer was lost, or by another client; or nobody answers.
                        return session.ended && self.has_blob(&session.repository.clone(), blob).await;
                    }
                }
            }
        }
    }

    /// At least two bytes, a handful of chunks for a blob.
    fn chunk_size(&mut self, length: usize) -> usize {
        let most = (length / 2).max(2);
        let least = (length / 6).clamp(2, most);
        self.random.random_range(least..=most)
    }
}
