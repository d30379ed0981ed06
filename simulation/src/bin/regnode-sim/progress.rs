//! Progress of a command that makes many runs: a line that changes for people, a line from time to time for logs.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Time between two lines in a log.
const EVERY: Duration = Duration::from_secs(30);

/// Progress on stderr.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    next: Instant,
}

impl Progress {
    /// Begins.
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self { bar, next: Instant::now() + EVERY }
    }

    /// Shows how it stands.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(line());
            bar.tick();
        } else if Instant::now() >= self.next {
            self.next = Instant::now() + EVERY;
            let _ = writeln!(std::io::stderr(), "{}", line());
        }
    }

    /// Begins a part of the work: a line of its own in a log.
    pub(crate) fn state(&self, line: &str) {
        match &self.bar {
            Some(_) => self.update(line),
            None => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }

    /// Shows how far a part is, to people alone.
    pub(crate) fn update(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.to_owned());
            bar.tick();
        }
    }

    /// Says something that stays.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::say(text)),
            None => crate::say(text),
        }
    }

    /// Ends it.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
