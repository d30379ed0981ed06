//! Something that cannot be taken back is done only when somebody has typed its name.

use std::io::IsTerminal as _;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::exit::{Code, Exit};

/// Asks for a name to be typed, unless it was confirmed on the command line. `what` says what is about to be done.
#[expect(clippy::print_stderr, reason = "a question stands apart from the command's output")]
pub(super) async fn confirm(yes: bool, what: &str, name: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let message =
            format!("{what} has to be confirmed: look at what is told above, and repeat the command with --yes");
        return Err(Exit::new(Code::Usage, message).into());
    }
    eprint!("\n{what} cannot be taken back. Type {name} to do it: ");
    let mut typed = String::new();
    BufReader::new(tokio::io::stdin()).read_line(&mut typed).await.context("reading the confirmation")?;
    if confirms(&typed, name) {
        return Ok(());
    }
    Err(Exit::new(Code::Refused, format!("{name} was expected: nothing was done")).into())
}

/// Whether what was typed is the name.
fn confirms(typed: &str, name: &str) -> bool {
    typed.trim() == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_name_confirms() {
        assert!(confirms("acme/app\n", "acme/app") && confirms(" / \r\n", "/"));
        assert!(!confirms("acme\n", "acme/app") && !confirms("\n", "acme") && !confirms("yes\n", "acme"));
    }

    #[tokio::test]
    async fn what_was_confirmed_on_the_command_line_is_not_asked_about() {
        assert!(confirm(true, "this", "acme").await.is_ok());
    }
}
