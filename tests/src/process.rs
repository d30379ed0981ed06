//! One process under test: its log, its signals, and what it costs, read from `/proc`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually;

/// Clock ticks a second in `/proc/PID/stat`: fixed for programs on Linux, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a process; both its outputs are appended to the log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log).context("opening the log")?;
        let errors = output.try_clone().context("opening the log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Ends it as a power cut would: no handler runs.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// When it still runs at the deadline.
    pub async fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        eventually("the process ends on SIGTERM", deadline, async || self.ended()).await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.id())?).context("process id 0")?;
        Ok(kill_process(pid, signal)?)
    }

    /// The last bytes of its log.
    #[must_use]
    pub fn log_tail(&self, length_bytes: u64) -> String {
        log_tail(&self.log, length_bytes)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only for a process that has ended.
        let _ = self.kill();
    }
}

/// The last bytes of a file, empty when there is none.
#[must_use]
pub fn log_tail(path: &Path, length_bytes: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(length_bytes)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// How a command has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` when it was killed.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its error output.
    pub stderr: String,
}

/// Runs a command to its end within a deadline.
///
/// # Errors
/// When it does not end.
pub async fn ended(mut command: Command, deadline: Duration) -> Result<Ended> {
    command.stdin(Stdio::null());
    let text = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let Ok(output) = tokio::time::timeout(deadline, command.output()).await else {
        bail!("{text} did not end within {deadline:?}");
    };
    let output = output.with_context(|| format!("starting {text}"))?;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a command to its end within a deadline and returns its standard output.
///
/// # Errors
/// When it fails or does not end; the message holds both outputs.
pub async fn output(command: Command, deadline: Duration) -> Result<String> {
    let text = format!("{command:?}");
    let Ended { code, stdout, stderr } = ended(command, deadline).await?;
    let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit status: {code}"));
    ensure!(code == "exit status: 0", "{text} failed ({code}):\n{stdout}\n{stderr}");
    Ok(stdout)
}

/// The highest resident memory of a process so far, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn peak_memory_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("no such process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a process without memory")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

/// Lets the peak of [`peak_memory_bytes`] begin anew at what is resident now.
///
/// # Errors
/// When the process belongs to someone else.
pub fn reset_peak_memory(process: u32) -> Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), "5").context("resetting the peak of memory")
}

/// User and system time that a process has used, in seconds.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(process: u32) -> Result<f64> {
    let fields = stat_fields(process)?;
    let ticks = |place: usize| -> Result<f64> { Ok(fields.get(place).context("a short stat line")?.parse::<f64>()?) };
    // Fields 14 and 15 of proc(5); the list begins with field 3.
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Open files and sockets of a process.
///
/// # Errors
/// When there is no such process.
pub fn open_files(process: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

/// The processes themselves and all that descend from them.
#[must_use]
pub fn with_descendants(processes: &[u32]) -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> = all_processes()
        .into_iter()
        .filter_map(|process| Some((process, stat_fields(process).ok()?.get(1)?.parse().ok()?)))
        .collect();
    let mut family: BTreeSet<u32> = processes.iter().copied().collect();
    loop {
        let before = family.len();
        let more: Vec<u32> = parents.iter().filter(|(_, parent)| family.contains(parent)).map(|pair| pair.0).collect();
        family.extend(more);
        if family.len() == before {
            return family;
        }
    }
}

/// The `--name` of the own child process that holds the socket with this local address.
#[must_use]
pub fn name_behind(address: SocketAddr) -> Option<String> {
    let link = format!("socket:[{}]", inode_of(address)?);
    let holds = |process: &u32| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target.as_os_str() == link.as_str())
    };
    let process = with_descendants(&[std::process::id()]).into_iter().find(holds)?;
    let line = fs::read_to_string(format!("/proc/{process}/cmdline")).ok()?;
    line.split('\0').skip_while(|word| *word != "--name").nth(1).map(str::to_owned)
}

/// The inode of a connection's socket, by its local IPv4 address: see proc(5), `/proc/net/tcp`.
fn inode_of(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let found = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Without an inode, the socket is closed and only its port is kept for a while.
        (*fields.get(1)? == local).then_some(*fields.get(9)?).filter(|inode| *inode != "0")
    })?;
    Some(found.to_owned())
}

fn all_processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The fields of `/proc/PID/stat` behind the program's name, which may itself hold spaces and brackets.
fn stat_fields(process: u32) -> Result<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).context("no such process")?;
    let (_, fields) = line.rsplit_once(')').context("a stat line without a name")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_own_cost() {
        let own = std::process::id();
        assert!(peak_memory_bytes(own).unwrap() > 0);
        assert!(cpu_seconds(own).unwrap() >= 0.0);
        assert!(open_files(own).unwrap() > 0);
        assert!(with_descendants(&[own]).contains(&own));
    }

    #[test]
    fn a_socket_is_found_by_its_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(inode_of(stream.local_addr().unwrap()).is_some());
        assert_eq!(name_behind(stream.local_addr().unwrap()), None, "the test itself has no name");
    }
}
