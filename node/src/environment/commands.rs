//! The seam to other programs: those that operators name in the configuration, such as one that prints a key.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::BoxFuture;

/// Most bytes that a program may write to its output, and that are kept of its errors.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Characters of a program's errors that are shown.
const SHOWN: usize = 400;

/// What a program has written that ended well.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
}

/// Without the content: it may be a secret.
impl Debug for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Output({} bytes)", self.stdout.len())
    }
}

/// Why a program's output is not there. What the program did before is not undone.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It was not started.
    #[error("{program:?} cannot be started")]
    NotStarted {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long. It was killed, and what it had started.
    #[error("{program:?} did not end within {seconds} s and was killed")]
    TimedOut {
        /// The program.
        program: String,
        /// The time that it had.
        seconds: u64,
    },
    /// It wrote more than anybody reads. It was killed, and what it had started.
    #[error("{program:?} wrote more than {OUTPUT_BYTES_MAX} bytes and was killed")]
    TooMuch {
        /// The program.
        program: String,
    },
    /// It said that it has failed.
    #[error("{program:?} failed ({status}){}", said(.stderr))]
    Failed {
        /// The program.
        program: String,
        /// How it ended, as people read it.
        status: String,
        /// What it wrote to its standard error.
        stderr: String,
    },
    /// The line to it broke.
    #[error("{program:?} cannot be spoken to")]
    Io {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// There are no programs here: the simulator.
    #[error("{program:?} cannot be started: there are no programs here")]
    None {
        /// The program.
        program: String,
    },
}

/// What a failed program wrote, in one line, not more than a person reads.
fn said(stderr: &str) -> String {
    let words: Vec<&str> = stderr.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(SHOWN).collect();
    if line.is_empty() { String::new() } else { format!(": {line}") }
}

/// Runs programs, with the variables and the rights of this process.
pub trait Commands: Debug + Send + Sync + 'static {
    /// Runs a program, which is looked for as a shell does, with exactly these arguments: no shell reads them. Gives it
    /// `stdin` and waits until it has ended and closed its output.
    ///
    /// Whoever drops the future kills the program and what it has started.
    ///
    /// # Errors
    /// [`CommandError`]; a program that ends with another status than 0 has failed.
    fn run<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [String],
        stdin: &'a [u8],
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Output, CommandError>>;

    /// Starts a program that is somebody's own, such as his browser: nobody waits for it, reads it or ends it, and it goes
    /// on when this one has ended.
    ///
    /// # Errors
    /// When it cannot be started.
    fn start(&self, program: &str, arguments: &[String]) -> Result<(), CommandError>;
}

/// Starts nothing: for the simulator and for tests.
#[must_use]
pub fn no_commands() -> Arc<dyn Commands> {
    Arc::new(NoCommands)
}

#[derive(Debug)]
struct NoCommands;

impl Commands for NoCommands {
    fn run<'a>(
        &'a self,
        program: &'a str,
        _arguments: &'a [String],
        _stdin: &'a [u8],
        _timeout: Duration,
    ) -> BoxFuture<'a, Result<Output, CommandError>> {
        Box::pin(async move { Err(CommandError::None { program: program.to_owned() }) })
    }

    fn start(&self, program: &str, _arguments: &[String]) -> Result<(), CommandError> {
        Err(CommandError::None { program: program.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_short_line_and_output_is_not_shown() {
        let failed = |stderr: &str| CommandError::Failed {
            program: "unseal".to_owned(),
            status: "exit status: 1".to_owned(),
            stderr: stderr.to_owned(),
        };
        assert_eq!(failed("").to_string(), "\"unseal\" failed (exit status: 1)");
        assert_eq!(failed("no TPM\n  here\n").to_string(), "\"unseal\" failed (exit status: 1): no TPM here");
        assert!(failed(&"x ".repeat(5000)).to_string().len() < 500);
        let output = Output { stdout: b"secret".to_vec() };
        assert_eq!(format!("{output:?}"), "Output(6 bytes)");
    }

    #[tokio::test]
    async fn where_there_are_no_programs_none_is_started() {
        let error = no_commands().run("true", &[], &[], Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, CommandError::None { .. }), "{error}");
        assert!(no_commands().start("true", &[]).is_err());
    }
}
