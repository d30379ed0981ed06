//! The process's log: one line an event, text for people or JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// What holds unless `log.level` names the library: openraft tells each step of its engine, and repeats several times a
/// second that a dead member is dead. Who leads, and who is gone, is said once by the modules that know it.
const QUIET: &str = "openraft=error";

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The level is not understood.
    #[error("log.level = {level:?} is not valid: a level (error, warn, info, debug, trace) or module=level expected")]
    Level {
        /// What was written.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A log is set up already.
    #[error("the log of this process is set up already")]
    Twice,
}

/// Sets up the log of this process. The simulator sets up its own.
///
/// # Errors
/// When the level is malformed, or a log is set up already.
pub fn init<W>(format: LogFormat, level: &str, writer: W) -> Result<(), InitError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = filter(level).map_err(|source| InitError::Level { level: level.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_twice| InitError::Twice)
}

/// The given levels, which win over [`QUIET`].
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(format!("{QUIET},{level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openraft_is_quiet_unless_it_is_named() {
        assert_eq!(filter("info").unwrap().to_string(), "openraft=error,info");
        assert_eq!(filter("info,openraft=debug").unwrap().to_string(), "openraft=debug,info");
        assert!(filter("info,node=loud").is_err());
    }
}
