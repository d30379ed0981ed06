//! The trace of a run: every log event of every node and every message on the network with its virtual time.
//!
//! The same seed, binary and platform give the same digest; when they do not, the first line that differs says where
//! a clock, a thread or a hash order leaks in. Only the digest and the last events of each node are kept in memory; all
//! lines are written only where somebody asked for them.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::history::Microseconds;

mod excerpt;

/// Events of each node that are kept for the report of a failure.
pub const EVENTS_KEPT: usize = 400;
/// Who speaks when the scenario does.
const SCENARIO: &str = "scenario";
/// Who speaks before the first turn: the world that is put together.
const NOBODY: &str = "-";

/// Collects the trace of this process's run. Clones share it.
#[derive(Clone, Default)]
pub struct Trace {
    state: Arc<Mutex<State>>,
    muted: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    hasher: Sha256,
    lines: u64,
    /// Virtual time of the last line.
    now: Microseconds,
    speakers: Vec<Speaker>,
    /// Index of the speaker whose turn it is, or was last: nobody speaks between two turns.
    turn: Option<usize>,
    output: Option<Box<dyn io::Write + Send>>,
    output_error: Option<io::Error>,
    /// Where lines are put together, so that none of them allocates.
    line: String,
}

/// A node or the scenario.
struct Speaker {
    name: Arc<str>,
    last: VecDeque<String>,
}

impl State {
    fn speaker(&mut self, name: &str) -> usize {
        if let Some(index) = self.speakers.iter().position(|speaker| &*speaker.name == name) {
            return index;
        }
        self.speakers.push(Speaker { name: name.into(), last: VecDeque::with_capacity(EVENTS_KEPT) });
        self.speakers.len() - 1
    }

    fn push(&mut self, line: &str, kept_for: Option<usize>) {
        self.lines += 1;
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        if let Some(output) = &mut self.output
            && let Err(error) = output.write_all(line.as_bytes()).and_then(|()| output.write_all(b"\n"))
        {
            self.output = None;
            self.output_error = Some(error);
        }
        if let Some(speaker) = kept_for.and_then(|index| self.speakers.get_mut(index)) {
            let mut kept = if speaker.last.len() < EVENTS_KEPT {
                String::with_capacity(line.len())
            } else {
                speaker.last.pop_front().unwrap_or_default()
            };
            kept.clear();
            kept.push_str(line);
            speaker.last.push_back(kept);
        }
    }
}

impl Trace {
    /// A trace whose lines are also written out, which should be buffered. [`finish`](Self::finish) flushes it.
    #[must_use]
    pub fn with_output(output: Box<dyn io::Write + Send>) -> Self {
        let trace = Self::default();
        trace.state().output = Some(output);
        trace
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The virtual time, and where it cannot be known that of the last line.
    fn now(&self, state: &State) -> Microseconds {
        let known = if self.muted.load(Ordering::Relaxed) { None } else { turmoil::sim_elapsed() };
        known.map_or(state.now, |elapsed| Microseconds::try_from(elapsed.as_micros()).unwrap_or(Microseconds::MAX))
    }

    /// Adds a line of the scenario's own.
    pub fn note(&self, text: &str) {
        let mut state = self.state();
        state.now = self.now(&state);
        let line = format!("{:>10} {SCENARIO} {text}", state.now);
        let speaker = state.speaker(SCENARIO);
        state.push(&line, Some(speaker));
    }

    /// Does something between two steps of the simulation, where virtual time stands still and turmoil's clock shows
    /// real time: no event of it is recorded.
    pub fn between_steps<T>(&self, work: impl FnOnce() -> T) -> T {
        self.muted.store(true, Ordering::Relaxed);
        let result = work();
        self.muted.store(false, Ordering::Relaxed);
        result
    }

    /// Number of lines so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.state().lines
    }

    /// Virtual time of the last line.
    #[must_use]
    pub fn reached(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.state().now)
    }

    /// SHA-256 over all lines so far, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        hex::encode(self.state().hasher.clone().finalize())
    }

    /// Names of the nodes that have said something, and the scenario's, in order.
    #[must_use]
    pub fn speakers(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.state().speakers.iter().map(|speaker| Arc::clone(&speaker.name)).collect();
        names.sort();
        names
    }

    /// The last events of a node (`node-1`), or of `scenario`; at most [`EVENTS_KEPT`]. Messages on the network are
    /// not among them: they would drown the rest.
    #[must_use]
    pub fn last(&self, node: &str) -> Vec<String> {
        let state = self.state();
        let speaker = state.speakers.iter().find(|speaker| &*speaker.name == node);
        speaker.map(|speaker| speaker.last.iter().cloned().collect()).unwrap_or_default()
    }

    /// Flushes the output, if there is one.
    ///
    /// # Errors
    /// The first error of writing it.
    pub fn finish(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(error) = state.output_error.take() {
            return Err(error);
        }
        state.output.as_mut().map_or(Ok(()), io::Write::flush)
    }
}

/// The rooms of the project whose events and spans are recorded.
fn is_own(metadata: &Metadata<'_>) -> bool {
    const OWN: [&str; 4] = ["node", "raft", "storage", "simulation"];
    metadata.target().split("::").next().is_some_and(|room| OWN.contains(&room))
}

fn is_turmoil(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("turmoil")
}

/// A message on the network rather than something that a node does.
fn is_message(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::TRACE && is_turmoil(metadata)
}

/// What the project says down to its debug lines, and every message on the network. Other libraries print the wall
/// clock in their own way; they are recorded from warnings on, and their spans not at all. turmoil's own steps say
/// nothing but that time passes.
fn is_recorded(metadata: &Metadata<'_>) -> bool {
    let level = *metadata.level();
    if is_own(metadata) {
        level <= Level::DEBUG
    } else if is_turmoil(metadata) {
        level <= Level::INFO || metadata.module_path() != Some("turmoil::sim")
    } else {
        metadata.is_event() && level <= Level::WARN
    }
}

/// turmoil lets each host have its turn in a span with its name.
fn is_turn(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && is_turmoil(metadata) && metadata.name() == "node"
}

/// A span's name and fields, as they stand in the lines of its events.
struct SpanText(String);

/// Appends fields to a line.
struct Fields<'a> {
    line: &'a mut String,
    /// Whether the values are messages, of which an excerpt is enough.
    excerpts: bool,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.line.push(' ');
        if field.name() != "message" {
            self.line.push_str(field.name());
            self.line.push('=');
        }
        if self.excerpts && field.name() == "protocol" {
            excerpt::write(self.line, value);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(self.line, "{value:?}");
        }
    }
}

/// The host's name in the span of its turn.
#[derive(Default)]
struct Turn(String);

impl Visit for Turn {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // What is not recorded is not even formatted.
        if is_recorded(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_recorded(metadata)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if is_turn(attributes.metadata()) {
            let mut turn = Turn::default();
            attributes.record(&mut turn);
            let mut state = self.state();
            state.turn = Some(state.speaker(&turn.0));
        } else if let Some(span) = context.span(id) {
            let mut text = attributes.metadata().name().to_owned();
            attributes.record(&mut Fields { line: &mut text, excerpts: false });
            span.extensions_mut().insert(SpanText(text));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanText(text)) = span.extensions_mut().get_mut::<SpanText>()
        {
            values.record(&mut Fields { line: text, excerpts: false });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if self.muted.load(Ordering::Relaxed) || !is_recorded(metadata) {
            return;
        }
        // The lock is not held while values are formatted: they may log themselves.
        let (mut line, turn) = {
            let mut state = self.state();
            state.now = self.now(&state);
            let mut line = std::mem::take(&mut state.line);
            line.clear();
            let name = state.turn.and_then(|turn| state.speakers.get(turn)).map_or(NOBODY, |speaker| &speaker.name);
            let _ = write!(line, "{:>10} {name} {:<5} {}", state.now, metadata.level(), metadata.target());
            (line, state.turn)
        };
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(SpanText(text)) = span.extensions().get::<SpanText>() {
                let _ = write!(line, " {{{text}}}");
            }
        }
        let message = is_message(metadata);
        event.record(&mut Fields { line: &mut line, excerpts: message });
        let mut state = self.state();
        state.push(&line, if message { None } else { turn });
        state.line = line;
    }
}

#[cfg(test)]
mod tests;
