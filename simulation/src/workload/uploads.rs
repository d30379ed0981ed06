//! One upload session as a client follows it: what it knows of its offset, and what a node can therefore not say.
//!
//! Rules that depend on what the session has seen. Bytes that were acknowledged stay: an offset never goes back. A
//! session that only this client knows, and that it neither ended nor cancelled, exists. If nothing is under way that
//! the client does not know the outcome of, the session stands where it was last acknowledged, takes the bytes that
//! follow there, and has the digest of its bytes. Chunks always say where they begin; so the bytes of a session are
//! those of the blob's beginning, whoever else works on it.

use std::ops::Range;
use std::sync::Arc;

use http::Method;

use super::ask::{Ask, Meaning};
use super::check::{PROTOCOL, last_byte};
use super::client::Client;
use super::content::Blob;
use super::record::{Reply, code};

/// An upload session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) repository: Arc<str>,
    pub(super) location: String,
    /// Bytes that were acknowledged.
    pub(super) offset: usize,
    /// Whether nothing is under way whose outcome is not known.
    pub(super) settled: bool,
    /// Whether no other client knows of it.
    pub(super) exclusive: bool,
    /// Whether it may have been ended or cancelled.
    pub(super) ended: bool,
}

/// What came of one step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The session goes on at its offset.
    Stands,
    /// The blob is published.
    Published,
    /// The session does not exist any more.
    Gone,
    /// It failed, perhaps later to succeed.
    Failed(Reply),
}

/// Appends parameters to the location of a session, as clients do.
fn with_parameter(location: &str, parameter: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}{parameter}")
}

impl Session {
    /// The session that an answer of 202 speaks of.
    pub(super) fn begun(repository: &Arc<str>, reply: &Reply) -> Option<Self> {
        let location = reply.as_ref().ok().filter(|answer| answer.status == 202)?.header("location");
        (!location.is_empty()).then(|| Self {
            repository: Arc::clone(repository),
            location: location.to_owned(),
            offset: 0,
            settled: true,
            exclusive: true,
            ended: false,
        })
    }

    /// Whether the client knows just where it stands.
    const fn is_certain(&self) -> bool {
        self.settled && self.exclusive && !self.ended
    }
}

impl Client {
    /// Begins a session.
    pub(super) async fn begin_upload(&mut self, repository: &Arc<str>, blob: &Blob) -> Option<Session> {
        let announced = blob.is_sha512() && self.chance(60);
        let reply = self.insist(&Ask::begin_upload(repository, announced)).await;
        Session::begun(repository, &reply)
    }

    /// Adds bytes without saying where they begin, in chunks of the transfer encoding, as docker does.
    pub(super) async fn stream(&mut self, session: &mut Session, blob: &Blob) -> Step {
        let meaning = Meaning::Append { at: None, length: blob.content.len() };
        let mut ask = Ask::upload(&session.repository, meaning, Method::PATCH, &session.location);
        ask.request = ask.request.with_body(blob.content.clone());
        ask.request.chunked = true;
        let node = self.next_node();
        self.append(node, session, &ask, session.offset + blob.content.len()).await
    }

    /// Adds the bytes of a range, which begins at the session's offset and is not empty.
    pub(super) async fn chunk(&mut self, node: usize, session: &mut Session, blob: &Blob, range: Range<usize>) -> Step {
        let meaning = Meaning::Append { at: Some(range.start), length: range.len() };
        let mut ask = Ask::upload(&session.repository, meaning, Method::PATCH, &session.location);
        ask.request = ask
            .request
            .with_header("content-range", format!("{}-{}", range.start, range.end - 1))
            .with_header("content-type", "application/octet-stream")
            .with_body(blob.content.slice(range.clone()));
        self.append(node, session, &ask, range.end).await
    }

    async fn append(&mut self, node: usize, session: &mut Session, ask: &Ask, end: usize) -> Step {
        let reply = self.ask_node(node, ask).await;
        match &reply {
            Ok(answer) if answer.status == 202 => {
                let told = last_byte(answer);
                if session.is_certain() && told != Some(end.saturating_sub(1)) {
                    let text = format!("the upload must stand at byte {end}, Range says {:?}", answer.header("range"));
                    self.line.accuse(PROTOCOL, node, ask, &text);
                }
                answer.header("location").clone_into(&mut session.location);
                if end > session.offset {
                    session.offset = end;
                    // Whatever was under way before has lost its place.
                    session.settled = true;
                }
                Step::Stands
            }
            _ => self.refused(node, session, ask, reply),
        }
    }

    /// Ends the session with the bytes from its offset on, which may be none.
    pub(super) async fn finish(&mut self, node: usize, session: &mut Session, blob: &Arc<Blob>) -> Step {
        let rest = blob.content.slice(session.offset..);
        let path = with_parameter(&session.location, &format!("digest={}", blob.digest));
        let meaning = Meaning::Publish { blob: Arc::clone(blob) };
        let mut ask = Ask::upload(&session.repository, meaning, Method::PUT, &path);
        if session.offset > 0 && !rest.is_empty() {
            let range = format!("{}-{}", session.offset, blob.content.len() - 1);
            ask.request = ask.request.with_header("content-range", range);
        }
        ask.request = ask.request.with_header("content-type", "application/octet-stream").with_body(rest);
        let was_ended = std::mem::replace(&mut session.ended, true);
        let reply = self.ask_node(node, &ask).await;
        match &reply {
            Ok(answer) if answer.status == 201 => Step::Published,
            Ok(answer) if answer.status == 400 => {
                // The bytes are right, or the session stands elsewhere than the client believes.
                if session.settled && session.exclusive && !was_ended {
                    let text = format!("the right bytes were refused: {}", String::from_utf8_lossy(&answer.body));
                    self.line.accuse(PROTOCOL, node, &ask, &text);
                }
                session.ended = was_ended;
                Step::Gone
            }
            _ => {
                let no_effect = match &reply {
                    Ok(answer) => answer.status < 500,
                    Err(failure) => !failure.may_have_had_effect(),
                };
                if no_effect {
                    session.ended = was_ended;
                }
                self.refused(node, session, &ask, reply)
            }
        }
    }

    /// Asks where the session stands.
    pub(super) async fn status(&mut self, session: &mut Session) -> Step {
        let ask = Ask::upload(&session.repository, Meaning::UploadStatus, Method::GET, &session.location);
        let mut tries = self.tries();
        loop {
            let node = self.next_node();
            let reply = self.ask_node(node, &ask).await;
            if self.again(&mut tries, &reply).await {
                continue;
            }
            return match &reply {
                Ok(answer) if answer.status == 204 => {
                    let last = last_byte(answer);
                    self.found(node, session, &ask, last);
                    Step::Stands
                }
                _ => self.refused(node, session, &ask, reply),
            };
        }
    }

    /// Cancels the session and makes sure that it is gone.
    pub(super) async fn cancel(&mut self, session: &mut Session) -> Step {
        let ask = Ask::upload(&session.repository, Meaning::CancelUpload, Method::DELETE, &session.location);
        let was_certain = session.is_certain();
        session.ended = true;
        let mut tries = self.tries();
        let mut first = true;
        loop {
            let node = self.next_node();
            let reply = self.ask_node(node, &ask).await;
            if let Ok(answer) = &reply
                && answer.status == 404
                && was_certain
                && first
            {
                self.line.accuse(PROTOCOL, node, &ask, "the client's own session is not known");
            }
            first = false;
            if self.again(&mut tries, &reply).await {
                continue;
            }
            if reply.as_ref().is_ok_and(|answer| answer.status == 204)
                && let Step::Stands = self.status(session).await
            {
                let node = self.next_node();
                self.line.accuse(PROTOCOL, node, &ask, "an upload that was cancelled goes on");
            }
            return Step::Gone;
        }
    }

    /// Takes over where the session stands, if that can be.
    fn found(&self, node: usize, session: &mut Session, ask: &Ask, last: Option<usize>) {
        let Some(last) = last else { return };
        // `0-0` is said of no byte and of one.
        let possible = if last == 0 { 0..=1 } else { last + 1..=last + 1 };
        if *possible.end() < session.offset {
            let text = format!("{} bytes were acknowledged, now it stands at {}", session.offset, possible.end());
            self.line.accuse(PROTOCOL, node, ask, &text);
        } else if session.is_certain() && !possible.contains(&session.offset) {
            let text = format!("{} bytes were sent, but it stands at {}", session.offset, possible.end());
            self.line.accuse(PROTOCOL, node, ask, &text);
        }
        if !possible.contains(&session.offset) {
            session.offset = last + 1;
        }
    }

    /// What a step's failure means for the session.
    fn refused(&self, node: usize, session: &mut Session, ask: &Ask, reply: Reply) -> Step {
        match &reply {
            Ok(answer) if answer.status == 404 => {
                if session.exclusive && !session.ended {
                    let text = format!("the client's own session is not known: {}", code(answer));
                    self.line.accuse(PROTOCOL, node, ask, &text);
                }
                Step::Gone
            }
            Ok(answer) if answer.status == 416 => {
                if session.is_certain() {
                    let text = format!("bytes at the session's offset {} were refused", session.offset);
                    self.line.accuse(PROTOCOL, node, ask, &text);
                }
                self.found(node, session, ask, last_byte(answer));
                Step::Stands
            }
            Ok(answer) if answer.status < 500 => Step::Failed(reply),
            Ok(_) => {
                session.settled = false;
                Step::Failed(reply)
            }
            Err(failure) => {
                session.settled &= !failure.may_have_had_effect();
                Step::Failed(reply)
            }
        }
    }
}
