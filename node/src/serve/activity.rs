//! What is under way on a connection, so that one that is of no use to anybody can be let go.
//!
//! hyper has no deadlines for two things: an HTTP/2 client that answers pings and asks for nothing, and a client that
//! asks for much and reads nothing of it. Each keeps a descriptor, and the second keeps open what its answers come from.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

/// The requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<Requests>>);

#[derive(Debug)]
struct Requests {
    next: u64,
    /// By number; with the time since which the client could have asked for more of the answer, if it has not.
    under_way: BTreeMap<u64, Option<Instant>>,
    /// Since when there is none.
    quiet_since: Instant,
}

/// A request, until its answer has ended.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Activity,
    number: u64,
}

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Stays,
    /// It has asked for nothing for too long.
    Quiet,
    /// It does not read its answers.
    Stuck,
}

impl Activity {
    /// A new connection's.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Requests { next: 0, under_way: BTreeMap::new(), quiet_since: Instant::now() })))
    }

    /// A request has come.
    pub(super) fn begin(&self) -> UnderWay {
        let mut requests = self.requests();
        let number = requests.next;
        requests.next += 1;
        requests.under_way.insert(number, None);
        UnderWay { activity: self.clone(), number }
    }

    /// What is to be done when no connection may be quiet for longer than `idle`, and no answer unread for longer than
    /// `stall`.
    pub(super) fn verdict(&self, idle: Duration, stall: Duration) -> Verdict {
        let requests = self.requests();
        if requests.under_way.is_empty() {
            return if requests.quiet_since.elapsed() >= idle { Verdict::Quiet } else { Verdict::Stays };
        }
        let stuck = requests.under_way.values().flatten().any(|handed| handed.elapsed() >= stall);
        if stuck { Verdict::Stuck } else { Verdict::Stays }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// The body of its answer, which ends it.
    pub(super) fn answer(self, body: Body) -> Body {
        Body::new(Answer { body, request: self })
    }

    fn handed(&self, at: Option<Instant>) {
        if let Some(slot) = self.activity.requests().under_way.get_mut(&self.number) {
            *slot = at;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut requests = self.activity.requests();
        requests.under_way.remove(&self.number);
        requests.quiet_since = Instant::now();
    }
}

/// A body that tells when it is asked for more.
#[derive(Debug)]
struct Answer {
    body: Body,
    request: UnderWay,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // While the answer itself is not ready, the client waits for us and not we for it.
        self.request.handed(frame.is_ready().then(Instant::now));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt as _;
    use tokio::time::sleep;

    use super::*;

    const IDLE: Duration = Duration::from_secs(100);
    const STALL: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn connections_are_quiet_or_stuck_after_a_while() {
        let activity = Activity::new();
        let verdict = || activity.verdict(IDLE, STALL);
        sleep(IDLE.saturating_sub(STALL)).await;
        assert_eq!(verdict(), Verdict::Stays);
        let request = activity.begin();
        sleep(3 * IDLE).await;
        assert_eq!(verdict(), Verdict::Stays, "a handler may take its time");
        let mut body = request.answer(Body::from("hello"));
        assert_eq!(body.size_hint().exact(), Some(5));
        sleep(STALL).await;
        assert_eq!(verdict(), Verdict::Stays, "nothing was handed over");
        assert!(body.frame().await.is_some());
        sleep(STALL / 2).await;
        assert_eq!(verdict(), Verdict::Stays);
        sleep(STALL / 2).await;
        assert_eq!(verdict(), Verdict::Stuck);
        drop(body);
        assert_eq!(verdict(), Verdict::Stays);
        sleep(IDLE).await;
        assert_eq!(verdict(), Verdict::Quiet);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_slow_itself_is_not_stuck() {
        let activity = Activity::new();
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let mut body = activity.begin().answer(Body::from_stream(never));
        assert!(tokio::time::timeout(3 * STALL, body.frame()).await.is_err());
        assert_eq!(activity.verdict(IDLE, STALL), Verdict::Stays);
    }
}
