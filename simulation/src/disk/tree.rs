//! The directories of a disk, and which changes to them a power loss may undo.
//!
//! Every directory has two views: the *current* one, which a process sees, and the *durable* one, which a power loss
//! leaves. Changes between them wait in order. A sync of a directory carries out all that touch it, with the earlier
//! ones that they rest on. A power loss carries out some of the rest: each by a draw, but never one without the earlier
//! ones on the same names, and a rename wholly or not at all. The directory that is synced becomes reachable with its
//! sync, as on every journalling file system in use.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use rand::Rng;
use rand::rngs::StdRng;

use super::content::{Content, survival};
use super::hold;

/// Number of a directory.
type Id = u64;

const ROOT: Id = 0;

/// Changes that wait at most. Beyond, the older half is carried out, as the journal of a file system would have been.
const PENDING_MAX: usize = 4096;

/// A file's content, shared with those who have it open.
pub(super) type SharedContent = Arc<Mutex<Content>>;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Directory(Id),
    File(SharedContent),
}

#[derive(Debug, Default)]
struct Directory {
    current: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
}

/// A name in a directory.
type Slot = (Id, String);

/// A change that is not durable yet.
#[derive(Debug)]
struct Change {
    removed: Option<Slot>,
    set: Option<(Slot, Node)>,
}

impl Change {
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.removed.iter().chain(self.set.iter().map(|(slot, _)| slot))
    }

    /// Whether it gives one of these directories its name.
    fn names(&self, directories: &[Id]) -> bool {
        matches!(&self.set, Some((_, Node::Directory(id))) if directories.contains(id))
    }
}

/// All directories of a disk.
#[derive(Debug)]
pub(super) struct Tree {
    directories: BTreeMap<Id, Directory>,
    next: Id,
    pending: Vec<Change>,
}

fn names(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_str().ok_or(io::ErrorKind::InvalidFilename)?),
            Component::Prefix(_) | Component::ParentDir => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { directories: BTreeMap::from([(ROOT, Directory::default())]), next: ROOT + 1, pending: Vec::new() }
    }

    fn directory(&self, id: Id) -> &Directory {
        self.directories.get(&id).expect("a directory is kept while something names it")
    }

    fn directory_mut(&mut self, id: Id) -> &mut Directory {
        self.directories.get_mut(&id).expect("a directory is kept while something names it")
    }

    /// The directories on the way to this one, the root first and itself last.
    fn chain(&self, names: &[&str]) -> io::Result<Vec<Id>> {
        let mut chain = vec![ROOT];
        let mut id = ROOT;
        for name in names {
            match self.directory(id).current.get(*name) {
                Some(Node::Directory(next)) => id = *next,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            }
            chain.push(id);
        }
        Ok(chain)
    }

    fn directory_at(&self, path: &Path) -> io::Result<Id> {
        Ok(self.chain(&names(path)?)?.last().copied().unwrap_or(ROOT))
    }

    /// The directory and the name that a path ends with.
    fn slot(&self, path: &Path) -> io::Result<Slot> {
        let names = names(path)?;
        let (name, parents) = names.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.chain(parents)?.last().copied().unwrap_or(ROOT), (*name).to_owned()))
    }

    fn at(&self, slot: &Slot) -> Option<&Node> {
        self.directory(slot.0).current.get(&slot.1)
    }

    /// The content of a file.
    pub(super) fn file(&self, path: &Path) -> io::Result<SharedContent> {
        match self.slot(path).map(|slot| self.at(&slot)) {
            Ok(Some(Node::File(content))) => Ok(Arc::clone(content)),
            Ok(Some(Node::Directory(_))) => Err(io::ErrorKind::IsADirectory.into()),
            Ok(None) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(error),
        }
    }

    /// Whether a power loss would leave the name of a file, and all names on the way to it.
    pub(super) fn is_durable(&self, path: &Path) -> bool {
        let (Ok(current), Ok(names)) = (self.file(path), names(path)) else { return false };
        let mut id = ROOT;
        for name in names {
            match self.directory(id).durable.get(name) {
                Some(Node::Directory(next)) => id = *next,
                Some(Node::File(durable)) => return Arc::ptr_eq(durable, &current),
                None => return false,
            }
        }
        false
    }

    /// What a directory holds, by name.
    pub(super) fn list(&self, path: &Path) -> io::Result<impl Iterator<Item = (&String, &Node)>> {
        Ok(self.directory(self.directory_at(path)?).current.iter())
    }

    /// All files that a process can reach, in the order of their paths.
    pub(super) fn files(&self) -> Vec<(PathBuf, SharedContent)> {
        let mut found = Vec::new();
        self.collect(ROOT, Path::new("/"), &mut found);
        found
    }

    fn collect(&self, id: Id, path: &Path, found: &mut Vec<(PathBuf, SharedContent)>) {
        for (name, node) in &self.directory(id).current {
            match node {
                Node::Directory(child) => self.collect(*child, &path.join(name), found),
                Node::File(content) => found.push((path.join(name), Arc::clone(content))),
            }
        }
    }

    fn change(&mut self, change: Change) {
        if let Some(slot) = &change.removed {
            self.directory_mut(slot.0).current.remove(&slot.1);
        }
        if let Some((slot, node)) = &change.set {
            self.directory_mut(slot.0).current.insert(slot.1.clone(), node.clone());
        }
        self.pending.push(change);
        if self.pending.len() > PENDING_MAX {
            let newer = self.pending.split_off(PENDING_MAX / 2);
            for change in std::mem::replace(&mut self.pending, newer) {
                self.carry_out(change);
            }
            self.drop_unreachable();
        }
    }

    /// Creates an empty file.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<SharedContent> {
        let slot = self.slot(path)?;
        if self.at(&slot).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = SharedContent::default();
        self.change(Change { removed: None, set: Some((slot, Node::File(Arc::clone(&content)))) });
        Ok(content)
    }

    /// Creates a directory and its missing parents.
    pub(super) fn create_directories(&mut self, path: &Path) -> io::Result<()> {
        let mut id = ROOT;
        for name in names(path)? {
            id = match self.directory(id).current.get(name) {
                Some(Node::Directory(next)) => *next,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let next = self.next;
                    self.next += 1;
                    self.directories.insert(next, Directory::default());
                    self.change(Change { removed: None, set: Some(((id, name.to_owned()), Node::Directory(next))) });
                    next
                }
            };
        }
        Ok(())
    }

    /// Removes a file; returns its content.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<SharedContent> {
        let content = self.file(path)?;
        let slot = self.slot(path)?;
        self.change(Change { removed: Some(slot), set: None });
        Ok(content)
    }

    /// Removes a directory with all it contains, the innermost first; returns the contents of the files. A missing one
    /// is no error.
    pub(super) fn remove_directories(&mut self, path: &Path) -> io::Result<Vec<SharedContent>> {
        let mut removed = Vec::new();
        let slot = match self.slot(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(removed),
            slot => slot?,
        };
        match self.at(&slot) {
            None => {}
            Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            Some(Node::Directory(id)) => {
                self.clear(*id, &mut removed);
                self.change(Change { removed: Some(slot), set: None });
            }
        }
        Ok(removed)
    }

    fn clear(&mut self, id: Id, removed: &mut Vec<SharedContent>) {
        for (name, node) in self.directory(id).current.clone() {
            match node {
                Node::Directory(child) => self.clear(child, removed),
                Node::File(content) => removed.push(content),
            }
            self.change(Change { removed: Some((id, name)), set: None });
        }
    }

    /// Renames; returns the content of a file that was replaced.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<Option<SharedContent>> {
        let (source, target) = (self.slot(from)?, self.slot(to)?);
        let node = self.at(&source).cloned().ok_or(io::ErrorKind::NotFound)?;
        if source == target {
            return Ok(None);
        }
        if matches!(node, Node::Directory(_)) && to.starts_with(from) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let replaced = match (&node, self.at(&target)) {
            (Node::File(_), Some(Node::File(content))) => Some(Arc::clone(content)),
            (Node::File(_), Some(Node::Directory(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Directory(_), Some(Node::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (Node::Directory(_), Some(Node::Directory(id))) if !self.directory(*id).current.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            (_, None) | (Node::Directory(_), Some(Node::Directory(_))) => None,
        };
        self.change(Change { removed: Some(source), set: Some((target, node)) });
        Ok(replaced)
    }

    /// Makes the entries of a directory durable, and that it is reachable.
    pub(super) fn sync(&mut self, path: &Path) -> io::Result<()> {
        let chain = self.chain(&names(path)?)?;
        let synced = chain.last().copied().unwrap_or(ROOT);
        let mut needed: BTreeSet<Slot> = BTreeSet::new();
        let mut chosen = vec![false; self.pending.len()];
        for (change, chosen) in self.pending.iter().zip(&mut chosen).rev() {
            *chosen = change.names(&chain) || change.slots().any(|slot| slot.0 == synced || needed.contains(slot));
            if *chosen {
                needed.extend(change.slots().cloned());
            }
        }
        let mut removed_directory = false;
        for (change, chosen) in std::mem::take(&mut self.pending).into_iter().zip(chosen) {
            if chosen {
                removed_directory |= self.carry_out(change);
            } else {
                self.pending.push(change);
            }
        }
        if removed_directory {
            self.drop_unreachable();
        }
        Ok(())
    }

    /// Makes a change durable. Says whether a directory lost a name.
    fn carry_out(&mut self, change: Change) -> bool {
        let mut gone = [None, None];
        if let Some((id, name)) = change.removed {
            gone[0] = self.directory_mut(id).durable.remove(&name);
        }
        if let Some(((id, name), node)) = change.set {
            gone[1] = self.directory_mut(id).durable.insert(name, node);
        }
        gone.iter().flatten().any(|node| matches!(node, Node::Directory(_)))
    }

    /// Power is lost: of the changes that wait a random part is carried out, and so is of what was written to files.
    pub(super) fn power_loss(&mut self, random: &mut StdRng) {
        let survival = survival(random);
        let mut undone: BTreeSet<Slot> = BTreeSet::new();
        for change in std::mem::take(&mut self.pending) {
            let possible = change.slots().all(|slot| !undone.contains(slot));
            if possible && random.random_bool(survival) {
                self.carry_out(change);
            } else {
                undone.extend(change.slots().cloned());
            }
        }
        for directory in self.directories.values_mut() {
            directory.current = directory.durable.clone();
        }
        self.drop_unreachable();
        for (_, content) in self.files() {
            hold(&content).power_loss(random);
        }
    }

    /// Takes a file away from both views; returns its content.
    pub(super) fn lose(&mut self, path: &Path) -> io::Result<SharedContent> {
        let content = self.file(path)?;
        let slot = self.slot(path)?;
        self.pending.retain(|change| change.slots().all(|other| *other != slot));
        let directory = self.directory_mut(slot.0);
        directory.current.remove(&slot.1);
        directory.durable.remove(&slot.1);
        Ok(content)
    }

    /// Forgets directories that nothing names any more.
    fn drop_unreachable(&mut self) {
        let mut reachable = BTreeSet::new();
        let mut open: Vec<Id> = vec![ROOT];
        for change in &self.pending {
            open.extend(change.slots().map(|slot| slot.0));
            if let Some((_, Node::Directory(id))) = &change.set {
                open.push(*id);
            }
        }
        while let Some(id) = open.pop() {
            if reachable.insert(id) {
                let Directory { current, durable } = self.directory(id);
                open.extend(current.values().chain(durable.values()).filter_map(|node| match node {
                    Node::Directory(id) => Some(*id),
                    Node::File(_) => None,
                }));
            }
        }
        self.directories.retain(|id, _| reachable.contains(id));
    }
}

#[cfg(test)]
mod tests;
