//! What is carried on when its client hangs up: from the point on at which a request changes something, up to its record in
//! the audit log. Before that point a request ends with its client, a body that breaks off among them.
//!
//! The server drops a request whose connection has gone. What the request has proposed is committed all the same, so that the
//! rest of it must not be lost: it goes on as a task, for which the end of the node waits as it waits for uploads.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::Method;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::Answer;

/// A request on its way to an answer.
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Whether a request is to be carried on without its client. Those who answer it say so.
#[derive(Clone, Debug, Default)]
pub(super) struct Onward {
    /// `None`: it changes nothing, and ends with its client.
    begun: Option<Arc<AtomicBool>>,
}

impl Onward {
    /// For a request of this method.
    pub(super) fn of(method: &Method) -> Self {
        let is_read = method == Method::GET || method == Method::HEAD;
        Self { begun: (!is_read).then(Arc::default) }
    }

    /// The next step may change something: from here on the request is carried on.
    pub(super) fn begin(&self) {
        if let Some(begun) = &self.begun {
            begun.store(true, Ordering::Relaxed);
        }
    }

    /// Waits for the answer. When this is dropped, the request goes on among `tasks`, if it has begun to.
    pub(super) async fn carry(self, answering: Answering, tasks: &TaskTracker) -> Answer {
        match self.begun {
            None => answering.await,
            Some(begun) => Carried { answering: Some(answering), begun, tasks: tasks.clone() }.await,
        }
    }
}

/// A request that may go on when this is dropped.
struct Carried {
    /// `None`: it has ended.
    answering: Option<Answering>,
    begun: Arc<AtomicBool>,
    tasks: TaskTracker,
}

impl Future for Carried {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        // Taken out, so that one that panics is not gone on with.
        let Some(mut answering) = self.answering.take() else { return Poll::Pending };
        let polled = answering.as_mut().poll(context);
        if polled.is_pending() {
            self.answering = Some(answering);
        }
        polled
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if !self.begun.load(Ordering::Relaxed) {
            return;
        }
        if let (Some(answering), Ok(runtime)) = (self.answering.take(), Handle::try_current()) {
            // Nobody is there to take the answer.
            self.tasks.spawn_on(async move { drop(answering.await) }, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::poll;
    use http::Response;
    use tokio::sync::oneshot;

    use super::*;

    /// What becomes of a request whose client hangs up while it waits: whether it was carried on.
    async fn hung_up(method: Method, begins: bool) -> bool {
        let (onward, tasks) = (Onward::of(&method), TaskTracker::new());
        let (commit, committed) = oneshot::channel::<()>();
        let (record, recorded) = oneshot::channel::<()>();
        let step = onward.clone();
        let answering = Box::pin(async move {
            if begins {
                step.begin();
            }
            committed.await.unwrap();
            record.send(()).unwrap();
            Ok(Response::new(Body::empty()))
        });
        let mut request = Box::pin(onward.carry(answering, &tasks));
        assert!(poll!(request.as_mut()).is_pending());
        drop(request);
        // Nobody waits for it any more when the request has ended with its client.
        let _ended = commit.send(());
        tasks.close();
        tasks.wait().await;
        recorded.await.is_ok()
    }

    #[tokio::test]
    async fn what_has_begun_goes_on_without_its_client() {
        assert!(hung_up(Method::PUT, true).await);
        assert!(!hung_up(Method::PUT, false).await);
        assert!(!hung_up(Method::GET, true).await);
    }

    #[tokio::test]
    async fn an_answer_reaches_a_client_that_waits() {
        let (onward, tasks) = (Onward::of(&Method::DELETE), TaskTracker::new());
        onward.begin();
        let answering = Box::pin(async { Ok(Response::new(Body::empty())) });
        assert!(onward.carry(answering, &tasks).await.is_ok());
        assert!(tasks.is_empty());
    }
}
