//! The file seam of a simulated disk: every operation meets the disk's faults first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rand::Rng;
use storage::disk::{Entry, File, Files, Space};

use super::tree::{Node, SharedContent};
use super::{Access, SimulatedDisk, State, hold, is_full, latency};

/// An open file, for as long as the process lives that opened it.
#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    content: SharedContent,
    life: u64,
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl SimulatedFile {
    /// Runs an operation that has met the faults of the disk.
    fn operate<T>(
        &self,
        access: Access,
        bytes: usize,
        operation: impl FnOnce(&mut State, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = hold(&self.state);
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        let met = state.faults.meet(access, bytes as u64);
        operation(&mut state, met)
    }
}

impl State {
    /// A process did not find a file.
    fn miss(&mut self, path: &Path) {
        if let Some(missed_at) = self.lost.get_mut(path) {
            *missed_at = Some(latency::now());
        }
    }

    fn write(&mut self, content: &SharedContent, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = position(offset)?;
        let mut content = hold(content);
        let end = offset.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if !bytes.is_empty() && !content.is_unlinked() {
            let growth = end.saturating_sub(content.length()) as u64;
            if self.used_bytes + growth > self.capacity_bytes {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.used_bytes += growth;
        }
        content.write(bytes, offset)
    }
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.operate(Access::Read, buffer.len(), |_, met| {
            met?;
            Ok(hold(&self.content).read(buffer, position(offset)?, latency::now()))
        })
    }

    /// A write that fails has written a random prefix, unless it is refused for want of space.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.operate(Access::Write, bytes.len(), |state, met| match met {
            Err(error) if !is_full(&error) => {
                let written = state.faults.random().random_range(0..=bytes.len());
                state.write(&self.content, &bytes[..written], offset)?;
                Err(error)
            }
            Err(error) => Err(error),
            Ok(()) => state.write(&self.content, bytes, offset),
        })
    }

    /// One operation, as it is on the operating system.
    fn write_all_parts_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.write_all_at(&parts.concat(), offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.operate(Access::Sync, 0, |_, met| {
            let mut content = hold(&self.content);
            if met.is_ok() {
                content.sync();
            } else {
                content.fail_sync();
            }
            met
        })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(hold(&self.content).length() as u64)
    }
}

#[derive(Debug)]
struct Lock {
    state: Arc<Mutex<State>>,
    directory: PathBuf,
    life: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = hold(&self.state);
        if state.locks.get(&self.directory) == Some(&self.life) {
            state.locks.remove(&self.directory);
        }
    }
}

impl SimulatedDisk {
    fn handle(&self, state: &State, content: SharedContent) -> Box<dyn File> {
        Box::new(SimulatedFile { state: Arc::clone(&self.state), content, life: state.life })
    }
}

impl Files for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = hold(&self.state);
        state.faults.meet(Access::Write, 0)?;
        let content = state.tree.create(path)?;
        Ok(self.handle(&state, content))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = hold(&self.state);
        state.faults.meet(Access::Read, 0)?;
        let content = state.tree.file(path).inspect_err(|_| state.miss(path))?;
        Ok(self.handle(&state, content))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = hold(&self.state);
        state.faults.meet(Access::Change, 0)?;
        if let Some(replaced) = state.tree.rename(from, to)? {
            state.unlink(&replaced);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = hold(&self.state);
        state.faults.meet(Access::Change, 0)?;
        let removed = state.tree.remove(path)?;
        state.unlink(&removed);
        Ok(())
    }

    fn create_directory_all(&self, path: &Path) -> io::Result<()> {
        let mut state = hold(&self.state);
        if state.tree.list(path).is_ok() {
            return Ok(());
        }
        state.faults.meet(Access::Write, 0)?;
        state.tree.create_directories(path)
    }

    fn remove_directory_all(&self, path: &Path) -> io::Result<()> {
        let mut state = hold(&self.state);
        state.faults.meet(Access::Change, 0)?;
        for removed in state.tree.remove_directories(path)? {
            state.unlink(&removed);
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut state = hold(&self.state);
        state.faults.meet(Access::Read, 0)?;
        let entries = state.tree.list(path)?.map(|(name, node)| match node {
            Node::Directory(_) => Entry { name: name.clone(), is_directory: true, length_bytes: 0 },
            Node::File(content) => {
                Entry { name: name.clone(), is_directory: false, length_bytes: hold(content).length() as u64 }
            }
        });
        Ok(entries.collect())
    }

    /// After a failed sync the entries are as uncertain as before; a later one makes them durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = hold(&self.state);
        state.faults.meet(Access::Sync, 0)?;
        state.tree.sync(path)
    }

    /// What the capacity allows, also on a disk whose fault it is to be full.
    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = hold(&self.state);
        let available_bytes = state.capacity_bytes.saturating_sub(state.used_bytes);
        Ok(Space { total_bytes: state.capacity_bytes, available_bytes })
    }

    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = hold(&self.state);
        if state.locks.contains_key(directory) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = state.life;
        state.locks.insert(directory.to_owned(), life);
        Ok(Box::new(Lock { state: Arc::clone(&self.state), directory: directory.to_owned(), life }))
    }
}
