//! The programs of the operating system: each in a process group of its own, which is killed as a whole.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;

use super::BoxFuture;
use super::commands::{CommandError, Commands, OUTPUT_BYTES_MAX, Output};

#[derive(Debug)]
pub(super) struct RealCommands;

impl Commands for RealCommands {
    fn run<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [String],
        stdin: &'a [u8],
        within: Duration,
    ) -> BoxFuture<'a, Result<Output, CommandError>> {
        Box::pin(async move {
            match timeout(within, run(program, arguments, stdin)).await {
                Ok(result) => result,
                Err(_elapsed) => Err(CommandError::TimedOut { program: program.to_owned(), seconds: within.as_secs() }),
            }
        })
    }

    fn start(&self, program: &str, arguments: &[String]) -> Result<(), CommandError> {
        #[expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let not_started = |source| CommandError::NotStarted { program: program.to_owned(), source };
        started.map(drop).map_err(not_started)
    }
}

/// What a program has started goes with it, unless it has put itself into a group of its own.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn run(program: &str, arguments: &[String], input: &[u8]) -> Result<Output, CommandError> {
    let name = || program.to_owned();
    #[expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| CommandError::NotStarted { program: name(), source })?;
    // Dropped before the child is: as long as the child is not waited for, no other group has its number.
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (written, stdout, stderr) = tokio::join!(give(stdin, input), take(stdout), take(stderr));
    let failed = |source| CommandError::Io { program: name(), source };
    let (stdout, stderr) = (stdout.map_err(failed)?, stderr.map_err(failed)?);
    if stdout.len() > OUTPUT_BYTES_MAX || stderr.len() > OUTPUT_BYTES_MAX {
        return Err(CommandError::TooMuch { program: name() });
    }
    let status = child.wait().await.map_err(failed)?;
    group.0 = None;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        return Err(CommandError::Failed { program: name(), status: status.to_string(), stderr });
    }
    // Only after the status: a program that has failed tells more by it.
    written.map_err(failed)?;
    Ok(Output { stdout })
}

/// Writes everything. A program that does not read its input to the end has no need of it.
async fn give(stdin: Option<ChildStdin>, input: &[u8]) -> std::io::Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    match stdin.write_all(input).await {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Reads to the end, or one byte more than is allowed.
async fn take(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(OUTPUT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    async fn shell(script: &str, input: &[u8], within: Duration) -> Result<Output, CommandError> {
        RealCommands.run("sh", &["-c".to_owned(), script.to_owned()], input, within).await
    }

    #[tokio::test]
    async fn a_program_reads_its_input_and_its_output_is_taken() {
        let input = vec![b'x'; OUTPUT_BYTES_MAX];
        assert_eq!(shell("cat; echo ignored >&2", &input, LONG).await.unwrap().stdout, input);
        assert_eq!(shell("echo key", &input, LONG).await.unwrap().stdout, b"key\n", "it need not read its input");
    }

    #[tokio::test]
    async fn arguments_are_read_by_no_shell() {
        let arguments = ["%s|".to_owned(), "$HOME; *".to_owned(), String::new()];
        let output = RealCommands.run("printf", &arguments, &[], LONG).await.unwrap();
        assert_eq!(output.stdout, b"$HOME; *||");
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        let error = RealCommands.run("/no/such/program", &[], &[], LONG).await.unwrap_err();
        assert!(matches!(error, CommandError::NotStarted { .. }), "{error}");
        let error = shell("echo half; echo no TPM >&2; exit 3", &[], LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "\"sh\" failed (exit status: 3): no TPM");
        let error = shell("kill -9 $$", &[], LONG).await.unwrap_err();
        assert!(error.to_string().contains("signal: 9"), "{error}");
        for stream in ["", " >&2"] {
            let error = shell(&format!("yes{stream}"), &[], LONG).await.unwrap_err();
            assert!(matches!(error, CommandError::TooMuch { .. }), "{error}");
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "looks at what a program has left in the system's files")]
    async fn what_hangs_is_killed_with_what_it_has_started() {
        let directory = tempfile::tempdir().unwrap();
        let alive = directory.path().join("alive");
        let script = format!("(sleep 3; echo still >{}) & wait", alive.display());
        let error = shell(&script, &[], Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
        tokio::time::sleep(Duration::from_millis(3500)).await;
        assert!(!alive.exists(), "a child of the program goes on");
    }
}
