//! The trace of a run: every log event of every node and every message on the network with its virtual time, as lines
//! and as one digest.
//!
//! The same seed, binary and platform give the same digest; when they do not, the first line that differs says where
//! a clock, a thread or a hash order leaks in.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Collects the trace of this process's run. Clones share it.
#[derive(Clone, Default)]
pub struct Trace {
    lines: Arc<Mutex<Vec<String>>>,
    muted: Arc<AtomicBool>,
}

impl Trace {
    /// Adds a line of the scenario's own.
    pub fn note(&self, text: &str) {
        self.push(format!("{:>10} scenario {text}", elapsed_microseconds()));
    }

    /// Does something between two steps of the simulation, where virtual time stands still and turmoil's clock shows
    /// real time: nothing of it is recorded.
    pub fn between_steps<T>(&self, work: impl FnOnce() -> T) -> T {
        self.muted.store(true, Ordering::Relaxed);
        let result = work();
        self.muted.store(false, Ordering::Relaxed);
        result
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// SHA-256 over all lines, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            hasher.update(line.as_bytes());
            hasher.update(b"\n");
        }
        hex::encode(hasher.finalize())
    }

    fn push(&self, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

fn elapsed_microseconds() -> u128 {
    turmoil::sim_elapsed().unwrap_or_default().as_micros()
}

/// What the project says down to its debug lines, and every message on the network. Other libraries print the wall
/// clock in their own way; they are recorded from warnings on.
fn recorded(target: &str, level: Level) -> bool {
    const OWN: [&str; 3] = ["node", "raft", "storage"];
    match target.split("::").next() {
        Some(own) if OWN.contains(&own) => level <= Level::DEBUG,
        Some("turmoil") => true,
        _ => level <= Level::WARN,
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{separator}{value:?}"),
            name => write!(self.0, "{separator}{name}={value:?}"),
        };
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if self.muted.load(Ordering::Relaxed) || !recorded(metadata.target(), *metadata.level()) {
            return;
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let mut spans = String::new();
        for span in context.event_scope(event).into_iter().flatten() {
            let _ = write!(spans, "{} ", span.name());
        }
        let Fields(fields) = fields;
        let level = metadata.level();
        let target = metadata.target();
        self.push(format!("{:>10} {level:<5} {target} {spans}{fields}", elapsed_microseconds()));
    }
}
