//! Progress of what takes more than a moment: a spinner or a bar for people, lines for logs.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::figures::{duration, size};

/// Between two lines about the same operation, for logs.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// A running step.
#[derive(Debug)]
pub(crate) struct Step {
    bar: Option<ProgressBar>,
    line_due: Instant,
}

impl Step {
    /// Begins a step.
    #[expect(clippy::print_stderr, reason = "progress is for people and stands apart from the command's output")]
    pub(crate) fn begin(text: &str) -> Self {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_message(text.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            Self { bar: Some(bar), line_due: Instant::now() }
        } else {
            eprintln!("{text}");
            Self { bar: None, line_due: Instant::now() + LINE_INTERVAL }
        }
    }

    /// Says how far it has come.
    #[expect(clippy::print_stderr, reason = "progress is for people and stands apart from the command's output")]
    pub(crate) fn tell(&mut self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        } else if Instant::now() >= self.line_due {
            self.line_due = Instant::now() + LINE_INTERVAL;
            eprintln!("{text}");
        }
    }

    /// Ends it with what came of it.
    #[expect(clippy::print_stderr, reason = "progress is for people and stands apart from the command's output")]
    pub(crate) fn done(self, text: &str) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{text}");
    }
}

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Bytes.
    Bytes,
    /// Things, with their name in the plural.
    Things(&'static str),
}

/// How far an operation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// What is counted.
    pub(crate) counted: Counted,
    /// Done.
    pub(crate) done: u64,
    /// In all.
    pub(crate) total: u64,
    /// Done in each second of late.
    pub(crate) per_second: u64,
    /// Seconds until the end; `None` while it stands still.
    pub(crate) eta_seconds: Option<u64>,
}

impl Position {
    /// In a line: what is done, how fast, how long it still takes.
    pub(crate) fn text(&self) -> String {
        let figure = |value| match self.counted {
            Counted::Bytes => size(value),
            Counted::Things(_) => value.to_string(),
        };
        let things = match self.counted {
            Counted::Bytes => String::new(),
            Counted::Things(things) => format!(" {things}"),
        };
        let end = match self.eta_seconds {
            _ if self.done >= self.total => "all done".to_owned(),
            Some(seconds) if self.per_second > 0 => format!("{} left", duration(seconds)),
            _ => "standing still".to_owned(),
        };
        format!("{} of {}{things}, {}/s, {end}", figure(self.done), figure(self.total), figure(self.per_second))
    }
}

/// A running operation whose end is known.
#[derive(Debug)]
pub(crate) struct Bar {
    title: String,
    shown: Option<ProgressBar>,
    line_due: Instant,
}

impl Bar {
    /// Begins to show it.
    pub(crate) fn begin(title: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            bar.set_style(
                ProgressStyle::with_template("{prefix} [{bar:30}] {percent}% {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(title.to_owned());
            bar
        });
        Self { title: title.to_owned(), shown: bar, line_due: Instant::now() }
    }

    /// Shows how far it has come.
    #[expect(clippy::print_stderr, reason = "progress is for people and stands apart from the command's output")]
    pub(crate) fn show(&mut self, position: &Position) {
        if let Some(bar) = &self.shown {
            bar.set_length(position.total);
            bar.set_position(position.done);
            bar.set_message(position.text());
        } else if Instant::now() >= self.line_due {
            self.line_due = Instant::now() + LINE_INTERVAL;
            eprintln!("{}: {}", self.title, position.text());
        }
    }

    /// Ends it with what there is to say.
    #[expect(clippy::print_stderr, reason = "progress is for people and stands apart from the command's output")]
    pub(crate) fn end(self, text: &str) {
        if let Some(bar) = self.shown {
            bar.finish_and_clear();
        }
        eprintln!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_says_how_fast_and_how_long() {
        let position = Position {
            counted: Counted::Bytes,
            done: 1 << 30,
            total: 4 << 30,
            per_second: 100 << 20,
            eta_seconds: Some(31),
        };
        assert_eq!(position.text(), "1.0 GiB of 4.0 GiB, 100.0 MiB/s, 31s left");
        let still = Position { counted: Counted::Things("extents"), per_second: 0, eta_seconds: None, ..position };
        assert_eq!(still.text(), "1073741824 of 4294967296 extents, 0/s, standing still");
        let over = Position { done: 7, total: 7, ..still };
        assert_eq!(over.text(), "7 of 7 extents, 0/s, all done");
    }
}
