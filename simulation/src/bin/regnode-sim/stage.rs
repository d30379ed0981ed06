//! Where one run takes place in this process: its trace, its court, and what ends it when it does not end by itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result};
use simulation::judge::{Court, Violation};
use simulation::panics::PanicWatch;
use simulation::report::Report;
use simulation::trace::Trace;

use crate::{Verdict, say};

/// Trace and court of the one run that this process makes.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) trace: Trace,
    pub(crate) court: Court,
}

impl Stage {
    /// Sets up the trace, all of it to a file if asked for.
    pub(crate) fn new(file: Option<&Path>) -> Result<Self> {
        let trace = match file {
            Some(path) => Trace::with_output(create(path).with_context(|| format!("creating {}", path.display()))?),
            None => Trace::default(),
        };
        Ok(Self { trace, court: Court::default() })
    }

    /// Does the work of the run. When it panics, or does not end within `limit` of wall clock, the process ends with a
    /// report made of the accusations so far and that one.
    ///
    /// A panic is not unwound: turmoil's world is borrowed then, and what is dropped on the way would panic again.
    pub(crate) fn perform<T>(
        &self,
        limit: Option<Duration>,
        report: impl Fn(&[Violation]) -> Report + Send + Sync + 'static,
        json: bool,
        work: impl FnOnce() -> T,
    ) -> T {
        let stage = self.clone();
        let break_off = Arc::new(move || {
            let _ = stage.conclude(&report(&stage.court.all()), json);
            exit();
        });
        let (court, last_words) = (self.court.clone(), Arc::clone(&break_off));
        let _panics = PanicWatch::last(move |panic| {
            // The judge of logs has heard of it before, if it was there already.
            if court.first().is_none() {
                court.accuse("panic", panic.to_string());
            }
            last_words();
        });
        let (ended, watched) = mpsc::channel::<()>();
        if let Some(limit) = limit {
            let stage = self.clone();
            watch(watched, limit, move || {
                let reached = stage.trace.reached().as_secs();
                let text = format!("did not end within {} s, {reached} s of virtual time are over", limit.as_secs());
                stage.court.accuse_at(stage.trace.reached(), "wall_clock", text);
                break_off();
            });
        }
        let result = work();
        drop(ended);
        result
    }

    /// Flushes the trace and prints the report.
    pub(crate) fn conclude(&self, report: &Report, json: bool) -> Result<Verdict> {
        self.trace.finish().context("writing the trace")?;
        if json {
            say(&serde_json::to_string(report).context("encoding the report")?);
        } else if report.is_clean() {
            say(&report.line());
        } else {
            say(&report.to_string());
        }
        Ok(Verdict::kept(report.is_clean()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the trace is for people, outside the simulation")]
fn create(path: &Path) -> std::io::Result<Box<dyn std::io::Write + Send>> {
    Ok(Box::new(std::io::BufWriter::new(std::fs::File::create(path)?)))
}

/// Says some last words unless the other end of `ended` is dropped within `limit`.
#[expect(clippy::disallowed_methods, reason = "looks at the wall clock from outside, and never touches the simulation")]
fn watch(ended: Receiver<()>, limit: Duration, last_words: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            last_words();
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "a run that cannot go on is a process that ends")]
fn exit() {
    std::process::exit(1);
}
