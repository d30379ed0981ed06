//! Passwords that come in by a terminal, by standard input or by a file, and those that are made up. None ever stands on a
//! command line, where everybody on the machine can read it.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Context, Result};
use node::environment::{Entropy, Environment};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Stdin};

use crate::exit::{Code, Exit};

/// Letters and digits that nobody takes for another one. Their number is a power of two: each byte gives one, all equally
/// likely.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a password that is made up: 120 bits.
const GENERATED_CHARACTERS: usize = 24;

/// Most bytes that are read: no password is longer.
const READ_MAX_BYTES: u64 = 4096;

/// Makes up a password.
pub(crate) fn generate(entropy: &dyn Entropy) -> String {
    let mut random = [0; GENERATED_CHARACTERS];
    entropy.fill(&mut random);
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Asks for a new password: on the terminal twice, without an echo; otherwise it is read from standard input.
pub(crate) async fn ask_new(whose: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        let mut text = Vec::new();
        tokio::io::stdin().take(READ_MAX_BYTES).read_to_end(&mut text).await.context("reading the password")?;
        return only_line(&text, "standard input");
    }
    let mut terminal = BufReader::new(tokio::io::stdin());
    let typed = ask(&mut terminal, &format!("Password of {whose}: ")).await?;
    let again = ask(&mut terminal, "The same once more: ").await?;
    if typed != again {
        return Err(Exit::new(Code::Usage, "the two are not the same: nothing was done").into());
    }
    if typed.is_empty() {
        return Err(Exit::new(Code::Usage, "no password was typed: nothing was done").into());
    }
    Ok(typed)
}

/// Asks for a password that there is: on the terminal, without an echo, or from standard input.
pub(crate) async fn ask_once(whose: &str, from_stdin: bool) -> Result<String> {
    if from_stdin && std::io::stdin().is_terminal() {
        return Err(
            Exit::new(Code::Usage, "--password-stdin reads what is piped in: leave it out on a terminal").into()
        );
    }
    if !std::io::stdin().is_terminal() {
        return ask_new(whose).await;
    }
    let mut terminal = BufReader::new(tokio::io::stdin());
    ask(&mut terminal, &format!("Password of {whose}: ")).await
}

/// Reads a password from a file.
pub(crate) async fn read(environment: &Environment, path: &Path) -> Result<String> {
    let (files, owned) = (environment.files.clone(), path.to_owned());
    let text = environment.exec.run(move || files.read(&owned)).await;
    let text = text.with_context(|| format!("reading {}", path.display()))?;
    only_line(&text, &path.display().to_string())
}

/// The one line that a text consists of.
fn only_line(text: &[u8], from: &str) -> Result<String> {
    let usage = |message: &str| Exit::new(Code::Usage, format!("{from}: {message}"));
    let text = str::from_utf8(text).map_err(|_| usage("a password is text"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(usage("there is no password in it").into());
    }
    if line.contains(['\n', '\r']) {
        return Err(usage("one line is expected, the password").into());
    }
    Ok(line.to_owned())
}

/// The terminal as it was, which it is again once this goes.
struct Echoless(Termios);

impl Echoless {
    fn begin() -> Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).context("asking the terminal how it is")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown all the same, so that the next question stands on a line of its own.
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Flush, &silent).context("keeping the terminal from showing the password")?;
        Ok(Self(before))
    }
}

impl Drop for Echoless {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Asks one question on the terminal. Ctrl-c ends it, and leaves the terminal as it was.
#[expect(clippy::print_stderr, reason = "a question stands apart from the command's output")]
async fn ask(terminal: &mut BufReader<Stdin>, question: &str) -> Result<String> {
    let silent = Echoless::begin()?;
    eprint!("{question}");
    let mut line = String::new();
    tokio::select! {
        read = terminal.read_line(&mut line) => read.context("reading the password")?,
        _ = tokio::signal::ctrl_c() => {
            drop(silent);
            eprintln!();
            return Err(Exit::new(Code::Failed, "interrupted: nothing was done").into());
        }
    };
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.iter_mut().zip(0_u8..).for_each(|(byte, number)| *byte = number.wrapping_mul(37));
        }
    }

    #[test]
    fn a_generated_password_can_be_read_out() {
        let password = generate(&Counting);
        assert_eq!(password.len(), 24);
        assert!(password.bytes().all(|byte| ALPHABET.contains(&byte)), "{password}");
        assert!(!password.contains(['0', 'o', '1', 'l']));
        let environment = crate::settings::environment();
        assert_ne!(generate(environment.entropy.as_ref()), generate(environment.entropy.as_ref()));
    }

    #[test]
    fn the_line_is_the_password() {
        assert_eq!(only_line(b"correct horse\n", "f").unwrap(), "correct horse");
        assert_eq!(only_line(b" spaces count \r\n", "f").unwrap(), " spaces count ");
        assert_eq!(only_line(b"no end", "f").unwrap(), "no end");
        for bad in [&b""[..], b"\n", b"two\nlines\n", b"\xff"] {
            let error = only_line(bad, "secret.txt").unwrap_err().to_string();
            assert!(error.starts_with("secret.txt: "), "{error}");
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a folder of the test's own")]
    async fn a_password_is_read_from_a_file() {
        let folder = std::env::temp_dir().join(format!("regnode-password-{}", std::process::id()));
        let environment = crate::settings::environment();
        let (files, path) = (environment.files.clone(), folder.join("password"));
        files.create_directory_all(&folder).unwrap();
        files.replace(&path, b"from a file\n").unwrap();
        assert_eq!(read(&environment, &path).await.unwrap(), "from a file");
        assert!(read(&environment, &folder.join("none")).await.unwrap_err().to_string().contains("none"));
        files.remove_directory_all(&folder).unwrap();
    }
}
