//! `regnode completions`.

use clap::CommandFactory;

use crate::arguments::{Arguments, Completions};

/// Prints the completions of a shell.
pub(crate) fn completions(completions: &Completions) {
    clap_complete::generate(completions.shell, &mut Arguments::command(), "regnode", &mut std::io::stdout());
}
