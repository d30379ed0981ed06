//! A simulated disk: files in memory that forget what was not synced when power is lost.
//!
//! Two views of the tree are kept. The *current* one is what a running process sees. The *durable* one is what a
//! power loss leaves: the content of a file as of its last sync, and the entries of a directory as of its last
//! directory sync. A file whose entry was made durable but whose content never was comes back empty, as on ext4.
//!
//! Not here yet: I/O errors, torn writes and bit rot by themselves; scenarios damage content with
//! [`SimulatedDisk::mutate`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::disk::{Entry, File, Files, Space};

/// A disk of one simulated computer. Cheap to clone; survives the crash of the process that uses it.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug)]
struct Tree {
    current: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    locks: BTreeMap<PathBuf, u64>,
    /// Counts process lives, so that a lock of a crashed one does not hold.
    life: u64,
    capacity_bytes: u64,
    used_bytes: u64,
}

#[derive(Clone, Debug)]
enum Node {
    Directory,
    File(Arc<Mutex<Content>>),
}

#[derive(Debug, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(capacity_bytes: u64) -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Node::Directory)]);
        Self {
            tree: Arc::new(Mutex::new(Tree {
                current: root.clone(),
                durable: root,
                locks: BTreeMap::new(),
                life: 0,
                capacity_bytes,
                used_bytes: 0,
            })),
        }
    }

    /// The process dies, the computer stays up: everything written remains, locks fall.
    pub fn process_crash(&self) {
        let mut tree = hold(&self.tree);
        tree.life += 1;
        tree.locks.clear();
    }

    /// Power is lost: the current view becomes the durable one.
    pub fn power_loss(&self) {
        let mut tree = hold(&self.tree);
        tree.life += 1;
        tree.locks.clear();
        let mut survivors = BTreeMap::new();
        for (path, node) in &tree.durable {
            let reachable = path.parent().is_none_or(|parent| survivors.contains_key(parent));
            if reachable {
                if let Node::File(content) = node {
                    let mut content = hold(content);
                    let Content { current, durable } = &mut *content;
                    current.clone_from(durable);
                }
                survivors.insert(path.clone(), node.clone());
            }
        }
        tree.durable = survivors.clone();
        tree.current = survivors;
        tree.used_bytes = tree.current.values().map(Node::length_bytes).sum();
    }

    /// Paths of all files below a directory, in order.
    #[must_use]
    pub fn files_below(&self, directory: &Path) -> Vec<PathBuf> {
        let tree = hold(&self.tree);
        let files = tree.current.iter().filter(|(path, node)| path.starts_with(directory) && node.is_file());
        files.map(|(path, _)| path.clone()).collect()
    }

    /// Changes the stored bytes of a file behind the back of the process: bit rot.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn mutate(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        let content = hold(&self.tree).file(path)?;
        let mut content = hold(&content);
        change(&mut content.current);
        change(&mut content.durable);
        Ok(())
    }
}

impl Node {
    fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    fn length_bytes(&self) -> u64 {
        match self {
            Self::Directory => 0,
            Self::File(content) => hold(content).current.len() as u64,
        }
    }
}

impl Tree {
    fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        match self.current.get(path) {
            Some(Node::File(content)) => Ok(Arc::clone(content)),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn expect_directory(&self, path: &Path) -> io::Result<()> {
        match self.current.get(path) {
            Some(Node::Directory) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn below(map: &BTreeMap<PathBuf, Node>, directory: &Path) -> Vec<PathBuf> {
        map.keys().filter(|path| path.starts_with(directory)).cloned().collect()
    }
}

#[derive(Debug)]
struct SimulatedFile {
    tree: Arc<Mutex<Tree>>,
    content: Arc<Mutex<Content>>,
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = hold(&self.content);
        let rest = content.current.get(position(offset)?..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut tree = hold(&self.tree);
        let mut content = hold(&self.content);
        let start = position(offset)?;
        let end = start + bytes.len();
        let growth = end.saturating_sub(content.current.len()) as u64;
        if tree.used_bytes + growth > tree.capacity_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        tree.used_bytes += growth;
        if content.current.len() < end {
            content.current.resize(end, 0);
        }
        content.current[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = hold(&self.content);
        let Content { current, durable } = &mut *content;
        durable.clone_from(current);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(hold(&self.content).current.len() as u64)
    }
}

#[derive(Debug)]
struct Lock {
    tree: Arc<Mutex<Tree>>,
    directory: PathBuf,
    life: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut tree = hold(&self.tree);
        if tree.locks.get(&self.directory) == Some(&self.life) {
            tree.locks.remove(&self.directory);
        }
    }
}

impl Files for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut tree = hold(&self.tree);
        tree.expect_directory(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        if tree.current.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Arc::new(Mutex::new(Content::default()));
        tree.current.insert(path.to_owned(), Node::File(Arc::clone(&content)));
        Ok(Box::new(SimulatedFile { tree: Arc::clone(&self.tree), content }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let content = hold(&self.tree).file(path)?;
        Ok(Box::new(SimulatedFile { tree: Arc::clone(&self.tree), content }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = hold(&self.tree);
        if !tree.current.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for path in Tree::below(&tree.current, to) {
            if path != to || !tree.current.get(from).is_some_and(Node::is_file) {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            if let Some(node) = tree.current.remove(&path) {
                tree.used_bytes -= node.length_bytes();
            }
        }
        for path in Tree::below(&tree.current, from) {
            let renamed = match path.strip_prefix(from) {
                Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
                _ => to.to_owned(),
            };
            if let Some(node) = tree.current.remove(&path) {
                tree.current.insert(renamed, node);
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut tree = hold(&self.tree);
        let length = hold(&*tree.file(path)?).current.len() as u64;
        tree.used_bytes -= length;
        tree.current.remove(path);
        Ok(())
    }

    fn create_directory_all(&self, path: &Path) -> io::Result<()> {
        let mut tree = hold(&self.tree);
        let ancestors: Vec<&Path> = path.ancestors().collect();
        for ancestor in ancestors.into_iter().rev().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
            match tree.current.get(ancestor) {
                Some(Node::Directory) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    tree.current.insert(ancestor.to_owned(), Node::Directory);
                }
            }
        }
        Ok(())
    }

    fn remove_directory_all(&self, path: &Path) -> io::Result<()> {
        let mut tree = hold(&self.tree);
        for path in Tree::below(&tree.current, path) {
            if let Some(node) = tree.current.remove(&path) {
                tree.used_bytes -= node.length_bytes();
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let tree = hold(&self.tree);
        tree.expect_directory(path)?;
        let children = tree.current.iter().filter(|(child, _)| child.parent() == Some(path));
        let entries = children.filter_map(|(child, node)| {
            let name = child.file_name()?.to_str()?.to_owned();
            Some(Entry { name, is_directory: !node.is_file(), length_bytes: node.length_bytes() })
        });
        Ok(entries.collect())
    }

    /// Makes the directory's own entries durable. Sub-directories that appeared become durable as empty ones: what
    /// is in them needs a sync of theirs, unless they were durable at another path before (a renamed directory
    /// takes its durable content along).
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut tree = hold(&self.tree);
        tree.expect_directory(path)?;
        let is_child = |child: &Path| child.parent() == Some(path);
        let gone: Vec<PathBuf> = tree
            .durable
            .keys()
            .filter(|child| is_child(child) && !tree.current.contains_key(*child))
            .cloned()
            .collect();
        for child in gone {
            for descendant in Tree::below(&tree.durable, &child) {
                tree.durable.remove(&descendant);
            }
        }
        let present: Vec<(PathBuf, Node)> =
            tree.current.iter().filter(|(child, _)| is_child(child)).map(|(c, n)| (c.clone(), n.clone())).collect();
        for (child, node) in present {
            let appeared = !tree.durable.contains_key(&child);
            if appeared && !node.is_file() {
                // A journalling file system renames a directory as one entry: its files come along.
                for descendant in Tree::below(&tree.current, &child) {
                    let node = tree.current[&descendant].clone();
                    let synced = match &node {
                        Node::Directory => true,
                        Node::File(content) => !hold(content).durable.is_empty(),
                    };
                    if synced {
                        tree.durable.insert(descendant, node);
                    }
                }
            }
            tree.durable.insert(child, node);
        }
        // The directory itself and its parents exist on the medium once something in them was synced.
        let ancestors: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
        for ancestor in ancestors {
            tree.durable.entry(ancestor).or_insert(Node::Directory);
        }
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let tree = hold(&self.tree);
        let available_bytes = tree.capacity_bytes.saturating_sub(tree.used_bytes);
        Ok(Space { total_bytes: tree.capacity_bytes, available_bytes })
    }

    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut tree = hold(&self.tree);
        if tree.locks.contains_key(directory) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = tree.life;
        tree.locks.insert(directory.to_owned(), life);
        Ok(Box::new(Lock { tree: Arc::clone(&self.tree), directory: directory.to_owned(), life }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> SimulatedDisk {
        let disk = SimulatedDisk::new(1 << 20);
        disk.create_directory_all(Path::new("/data")).unwrap();
        disk.sync_directory(Path::new("/")).unwrap();
        disk
    }

    #[test]
    fn unsynced_content_is_forgotten() {
        let disk = disk();
        let path = Path::new("/data/a");
        let file = disk.create(path).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        file.sync().unwrap();
        disk.sync_directory(Path::new("/data")).unwrap();
        file.write_all_at(b"two", 0).unwrap();
        disk.power_loss();
        assert_eq!(disk.read(path).unwrap(), b"one");
    }

    #[test]
    fn an_entry_without_directory_sync_is_forgotten() {
        let disk = disk();
        let path = Path::new("/data/a");
        let file = disk.create(path).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        file.sync().unwrap();
        disk.power_loss();
        assert_eq!(disk.read(path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_process_crash_keeps_what_was_written() {
        let disk = disk();
        let path = Path::new("/data/a");
        disk.create(path).unwrap().write_all_at(b"one", 0).unwrap();
        disk.process_crash();
        assert_eq!(disk.read(path).unwrap(), b"one");
    }

    #[test]
    fn replace_is_atomic_under_power_loss() {
        let disk = disk();
        let path = Path::new("/data/a");
        disk.replace(path, b"old").unwrap();
        disk.replace(path, b"new").unwrap();
        disk.power_loss();
        assert_eq!(disk.read(path).unwrap(), b"new");
        assert_eq!(disk.list(Path::new("/data")).unwrap().len(), 1);
    }

    #[test]
    fn a_full_disk_refuses_writes() {
        let disk = SimulatedDisk::new(4);
        let file = disk.create(Path::new("/a")).unwrap();
        assert_eq!(file.write_all_at(b"12345", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.space(Path::new("/")).unwrap().available_bytes, 4);
    }

    #[test]
    fn locks_fall_with_the_process() {
        let disk = disk();
        let lock = disk.lock(Path::new("/data")).unwrap();
        assert!(disk.lock(Path::new("/data")).is_err());
        disk.process_crash();
        let next = disk.lock(Path::new("/data")).unwrap();
        drop(lock);
        assert!(disk.lock(Path::new("/data")).is_err());
        drop(next);
        assert!(disk.lock(Path::new("/data")).is_ok());
    }
}
