//! What the trace records, keeps and writes out.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn traced(work: impl FnOnce(&Trace)) -> (Trace, String) {
    let buffer = Buffer::default();
    let trace = Trace::with_output(Box::new(buffer.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(trace.clone()), || work(&trace));
    trace.finish().unwrap();
    let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    (trace, text)
}

fn turn(name: &str, work: impl FnOnce()) {
    tracing::info_span!(target: "turmoil", "node", name).in_scope(work);
}

#[test]
fn events_stand_under_the_name_of_the_host_whose_turn_it_is() {
    let (trace, text) = traced(|trace| {
        tracing::warn!(target: "openraft", "before");
        turn("node-1", || {
            // Libraries carry the span of the turn along and enter it again.
            tracing::Span::current().in_scope(|| ());
            let span = tracing::info_span!(target: "node::api", "request", path = "/v2/");
            span.in_scope(|| tracing::info!(target: "node::api", status = 200, "answered"));
        });
        turn("node-2", || tracing::debug!(target: "raft", "applied"));
        trace.note("done");
    });
    assert_eq!(
        text,
        "         0 - WARN  openraft before\n\
         \u{20}        0 node-1 INFO  node::api {request path=\"/v2/\"} answered status=200\n\
         \u{20}        0 node-2 DEBUG raft applied\n\
         \u{20}        0 scenario done\n"
    );
    assert_eq!(trace.lines(), 4);
    assert_eq!(trace.last("node-2"), ["         0 node-2 DEBUG raft applied"]);
    assert_eq!(trace.speakers().iter().map(|name| &**name).collect::<Vec<_>>(), ["node-1", "node-2", "scenario"]);
}

#[test]
fn what_other_libraries_whisper_is_not_recorded() {
    let (trace, _) = traced(|trace| {
        tracing::info!(target: "openraft::core", "tick");
        tracing::trace!(target: "raft", "detail");
        trace.between_steps(|| tracing::error!(target: "node", "while time stands still"));
    });
    assert_eq!(trace.lines(), 0);
}

#[test]
fn messages_are_part_of_the_digest_but_not_of_the_last_events() {
    let with = |bytes: &'static [u8]| {
        traced(|_| turn("node-1", || tracing::trace!(target: "turmoil", protocol = ?bytes, "Send"))).0
    };
    let trace = with(&[1; 300]);
    assert_eq!(trace.lines(), 1);
    assert!(trace.last("node-1").is_empty());
    assert_eq!(trace.digest(), with(&[1; 300]).digest());
    assert_ne!(trace.digest(), with(&[2; 300]).digest());
}

#[test]
fn only_the_last_events_are_kept() {
    let (trace, text) = traced(|trace| {
        for number in 0..EVENTS_KEPT + 5 {
            trace.note(&number.to_string());
        }
    });
    let last = trace.last("scenario");
    assert_eq!(last.len(), EVENTS_KEPT);
    assert!(last[0].ends_with(" 5"), "{}", last[0]);
    assert_eq!(text.lines().count(), EVENTS_KEPT + 5);
}
