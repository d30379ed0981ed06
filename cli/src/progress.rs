//! Progress of a step that takes more than a moment: a spinner for people, a line per step for logs.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A running step.
#[derive(Debug)]
pub(crate) struct Step {
    bar: Option<ProgressBar>,
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
            Self { bar: Some(bar) }
        } else {
            eprintln!("{text}");
            Self { bar: None }
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
