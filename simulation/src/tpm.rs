//! What gives the nodes of a computer the key that wraps their keyring: a chip of the computer's, asked as
//! `encryption.key_command` says. Its key outlives the disks.

use std::fmt;
use std::time::Duration;

use node::environment::{BoxFuture, CommandError, Commands, Entropy as _, Output};

use crate::entropy::SeededEntropy;
use crate::seed::Seed;

/// The program that asks it.
pub(crate) const UNSEAL: &str = "unseal";

/// The chip of one computer.
pub(crate) struct Tpm {
    key: [u8; 32],
}

impl fmt::Debug for Tpm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tpm")
    }
}

impl Tpm {
    /// The chip of the computer of this seed.
    pub(crate) fn new(seed: Seed) -> Self {
        let mut key = [0; 32];
        SeededEntropy::new(seed.derive("wrapping key").0).fill(&mut key);
        Self { key }
    }
}

impl Commands for Tpm {
    fn run<'a>(
        &'a self,
        program: &'a str,
        _arguments: &'a [String],
        _stdin: &'a [u8],
        _timeout: Duration,
    ) -> BoxFuture<'a, Result<Output, CommandError>> {
        let answer = if program == UNSEAL {
            Ok(Output { stdout: hex::encode(self.key).into_bytes() })
        } else {
            Err(CommandError::None { program: program.to_owned() })
        };
        Box::pin(async move { answer })
    }

    fn start(&self, program: &str, _arguments: &[String]) -> Result<(), CommandError> {
        Err(CommandError::None { program: program.to_owned() })
    }
}
