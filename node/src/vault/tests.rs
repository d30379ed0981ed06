//! The keyring over the life of a node: made, opened, rotated, wrapped anew, damaged, lost.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar};
use std::time::Duration;

use storage::disk::{File, Files as _, Layer, RealFiles};
use storage::kv::MemoryEngines;
use storage::seal::DataKey;
use tokio::time::timeout;

use super::*;
use crate::config::{EncryptionSettings, Settings};
use crate::environment::real;
use crate::identity::{ClusterKey, IdentityError, Store};

/// A golden file: a form that this program reads for ever. New ones are written with `REGNODE_WRITE_GOLDEN=1`; one that
/// exists is never changed.
#[expect(clippy::disallowed_methods, reason = "golden files of the source tree, read by tests only")]
pub(super) fn golden(name: &str, written: impl FnOnce() -> String) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("REGNODE_WRITE_GOLDEN").is_some() {
        RealFiles.replace(&path, written().as_bytes()).unwrap();
    }
    String::from_utf8(RealFiles.read(&path).unwrap()).unwrap()
}

/// A data directory, with a key file beside it.
struct World {
    directory: tempfile::TempDir,
    settings: Settings,
    environment: Environment,
}

fn environment() -> Environment {
    let files = Arc::new(RealFiles);
    real(Arc::<RealFiles>::clone(&files), Arc::new(MemoryEngines::new(files)))
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: directory.path().join("data"), ..Settings::default() };
        settings.encryption.key_file = Some(directory.path().join("key"));
        let world = Self { directory, settings, environment: environment() };
        world.store().prepare().unwrap();
        world.key_file("key", 1);
        world
    }

    fn key_file(&self, name: &str, byte: u8) -> PathBuf {
        let path = self.directory.path().join(name);
        let mut key = [byte; 32];
        key[0] = 0xff;
        RealFiles.replace(&path, hex::encode(key).as_bytes()).unwrap();
        path
    }

    fn store(&self) -> Store {
        Store::new(Arc::clone(&self.environment.files), &self.settings.data_dir)
    }

    fn identity(&self, name: &str) -> PathBuf {
        self.settings.data_dir.join("identity").join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        RealFiles.read(&self.identity(name)).unwrap()
    }

    /// A start of the program: keys of an earlier one are forgotten.
    async fn open(&mut self) -> Result<Vault, VaultError> {
        self.environment = environment();
        Vault::open(&self.environment, &self.settings, false).await
    }

    fn current(&self) -> Option<KeyId> {
        self.environment.keys.load().current().map(DataKey::id)
    }
}

fn damage(path: &Path) {
    let mut bytes = RealFiles.read(path).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    RealFiles.replace(path, &bytes).unwrap();
}

#[tokio::test]
async fn a_keyring_is_made_once_and_found_again() {
    let mut world = World::new();
    let vault = world.open().await.unwrap();
    let made = vault.keys()[0].id;
    assert_eq!(world.current(), Some(made));
    assert!(vault.is_on() && vault.seals_content() && !vault.is_settled(), "what is there has to be looked at");
    assert_eq!(world.read("keyring"), world.read("keyring.copy"));
    let written = world.read("keyring");
    let again = world.open().await.unwrap();
    assert_eq!((again.keys()[0].id, world.current()), (made, Some(made)));
    assert_eq!(world.read("keyring"), written, "a start writes nothing");
    assert_eq!(again.source().unwrap(), format!("encryption.key_file = {:?}", world.directory.path().join("key")));
}

#[tokio::test]
async fn a_new_directory_has_nothing_to_rewrite() {
    let world = World::new();
    let vault = Vault::open(&world.environment, &world.settings, true).await.unwrap();
    assert!(vault.is_settled());
}

#[tokio::test]
async fn without_a_source_nothing_is_encrypted() {
    let mut world = World::new();
    world.settings.encryption = EncryptionSettings::default();
    let vault = world.open().await.unwrap();
    assert!(!vault.is_on() && vault.is_settled() && vault.wanted().is_none() && vault.keys().is_empty());
    assert_eq!(vault.seal("node.key", b"secret"), b"secret");
    assert!(RealFiles.read(&world.identity("keyring")).is_err());
    assert!(matches!(vault.rotate().await, Err(VaultError::Off)));
}

#[tokio::test]
async fn a_wrong_key_opens_nothing_and_changes_nothing() {
    let mut world = World::new();
    world.open().await.unwrap();
    let written = world.read("keyring");
    world.key_file("key", 2);
    let error = world.open().await.unwrap_err();
    assert!(matches!(error, VaultError::WrongKey { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("encryption.key_file") && text.contains("regnode encryption rewrap"), "{text}");
    assert_eq!(world.current(), None);
    assert_eq!(world.read("keyring"), written);
    world.key_file("key", 1);
    world.open().await.unwrap();
}

#[tokio::test]
async fn no_node_goes_on_in_the_clear_by_accident() {
    let mut world = World::new();
    world.open().await.unwrap();
    world.settings.encryption = EncryptionSettings::default();
    let error = world.open().await.unwrap_err();
    assert!(matches!(&error, VaultError::NoSource { wrapped_by, .. } if wrapped_by == "key-file"), "{error}");
}

#[tokio::test]
async fn a_lost_keyring_is_not_replaced_by_a_new_one() {
    let mut world = World::new();
    let vault = world.open().await.unwrap();
    world.store().with_vault(vault).write_key("secret").unwrap();
    for name in ["keyring", "keyring.copy"] {
        RealFiles.remove(&world.identity(name)).unwrap();
    }
    assert!(matches!(world.open().await, Err(VaultError::Lost { .. })));
    world.settings.encryption = EncryptionSettings::default();
    assert!(matches!(world.open().await, Err(VaultError::Lost { .. })));
    assert!(RealFiles.read(&world.identity("keyring")).is_err());
}

#[tokio::test]
async fn a_damaged_keyring_is_made_anew_from_its_copy() {
    let mut world = World::new();
    let made = world.open().await.unwrap().keys();
    damage(&world.identity("keyring"));
    assert_eq!(world.open().await.unwrap().keys(), made);
    RealFiles.remove(&world.identity("keyring")).unwrap();
    assert_eq!(world.open().await.unwrap().keys(), made);
    damage(&world.identity("keyring.copy"));
    assert_eq!(world.open().await.unwrap().keys(), made);
    assert_eq!(world.read("keyring"), world.read("keyring.copy"));
    // A header that is another one looks like a wrong key.
    let text = String::from_utf8(world.read("keyring")).unwrap();
    let salt = text.find("salt = \"").unwrap() + 8;
    let flipped = if &text[salt..=salt] == "0" { "1" } else { "0" };
    let text = format!("{}{flipped}{}", &text[..salt], &text[salt + 1..]);
    RealFiles.replace(&world.identity("keyring"), text.as_bytes()).unwrap();
    assert_eq!(world.open().await.unwrap().keys(), made);
    for name in ["keyring", "keyring.copy"] {
        damage(&world.identity(name));
    }
    assert!(matches!(world.open().await, Err(VaultError::Damaged { .. })));
}

#[tokio::test]
async fn a_good_copy_is_enough_whatever_the_keyring_is() {
    let mut world = World::new();
    let made = world.open().await.unwrap().keys();
    // A directory in its place can neither be read nor be written over.
    RealFiles.remove(&world.identity("keyring")).unwrap();
    RealFiles.create_directory_all(&world.identity("keyring")).unwrap();
    assert_eq!(world.open().await.unwrap().keys(), made);
    assert!(world.current().is_some());
    let copy = world.read("keyring.copy");
    RealFiles.remove(&world.identity("keyring.copy")).unwrap();
    assert!(matches!(world.open().await, Err(VaultError::Io { .. })), "no other keyring is made in its place");
    RealFiles.remove_directory_all(&world.identity("keyring")).unwrap();

    let newer = String::from_utf8(copy.clone()).unwrap().replace("version = 1", "version = 9");
    RealFiles.replace(&world.identity("keyring"), newer.as_bytes()).unwrap();
    RealFiles.replace(&world.identity("keyring.copy"), &copy).unwrap();
    assert_eq!(world.open().await.unwrap().keys(), made);
    for name in ["keyring", "keyring.copy"] {
        RealFiles.replace(&world.identity(name), newer.as_bytes()).unwrap();
    }
    assert!(matches!(world.open().await, Err(VaultError::Version { found: 9, .. })));
}

#[tokio::test]
async fn a_new_key_is_used_at_once_and_the_old_one_goes_when_all_is_rewritten() {
    let mut world = World::new();
    let vault = world.open().await.unwrap();
    let old = vault.wanted().unwrap();
    vault.settle(old).unwrap();
    assert!(vault.is_settled());
    let sealed = vault.seal("node.key", b"secret");

    let new = vault.rotate().await.unwrap();
    assert_eq!((world.current(), vault.wanted()), (Some(new), Some(Wanted { key: new, content: true })));
    assert!(!vault.is_settled() && vault.keys().len() == 2 && vault.keys()[1].current);
    assert_eq!(vault.unseal("node.key", &sealed).unwrap().as_slice(), b"secret");
    assert!(!vault.is_current(&sealed) && vault.is_current(&vault.seal("node.key", b"secret")));

    let vault = world.open().await.unwrap();
    assert_eq!((vault.keys().len(), world.current()), (2, Some(new)), "both outlive the process");
    vault.settle(old).unwrap();
    assert_eq!(vault.keys().len(), 2, "what was seen before the rotation says nothing");
    vault.settle(Wanted { key: new, content: true }).unwrap();
    assert!(vault.is_settled() && vault.keys().len() == 1);
    assert!(matches!(vault.unseal("node.key", &sealed), Err(Locked::NoKey(_))));
    let vault = world.open().await.unwrap();
    assert!(vault.is_settled() && vault.keys().len() == 1);
}

#[tokio::test]
async fn keys_do_not_pile_up() {
    let mut world = World::new();
    let vault = world.open().await.unwrap();
    for _ in 0..OLDER_KEYS_MAX {
        vault.rotate().await.unwrap();
    }
    let before = vault.keys();
    assert!(matches!(vault.rotate().await, Err(VaultError::TooManyKeys(_))));
    assert_eq!(vault.keys(), before);
}

#[tokio::test]
async fn a_rotation_that_cannot_be_written_changes_nothing() {
    let mut world = World::new();
    let vault = world.open().await.unwrap();
    let before = (vault.keys(), world.current());
    RealFiles.remove_directory_all(&world.settings.data_dir).unwrap();
    assert!(matches!(vault.rotate().await, Err(VaultError::Io { .. })));
    assert_eq!((vault.keys(), world.current()), before);
}

/// Real files whose writing waits while the gate is shut.
#[derive(Debug, Default)]
struct Slow {
    shut: Mutex<bool>,
    opened: Condvar,
    /// How many wait.
    waiting: AtomicU64,
}

impl Slow {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl Layer for Slow {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap());
        RealFiles.create(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_reads_waits_for_the_disk() {
    let world = World::new();
    let files = Arc::new(Slow::default());
    let environment = real(Arc::<Slow>::clone(&files), Arc::new(MemoryEngines::new(Arc::new(RealFiles))));
    let vault = Vault::open(&environment, &world.settings, false).await.unwrap();
    let before = vault.wanted().unwrap();
    files.set(true);
    let rotating = tokio::spawn({
        let vault = vault.clone();
        async move { vault.rotate().await }
    });
    while files.waiting.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    let reader = vault.clone();
    let read = environment.exec.run(move || {
        let sealed = reader.seal("node.key", b"secret");
        assert!(reader.is_current(&sealed) && reader.unseal("node.key", &sealed).is_ok());
        assert!(reader.source().is_some());
        (reader.wanted(), reader.keys().len(), reader.is_settled())
    });
    let read = timeout(Duration::from_secs(10), read).await;
    files.set(false);
    assert_eq!(read.expect("it is served"), (Some(before), 1, false), "as it is on the disk");
    let new = rotating.await.unwrap().unwrap();
    assert_eq!(vault.wanted(), Some(Wanted { key: new, content: true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_wait_for_each_other() {
    let mut world = World::new();
    let vault = world.open().await.unwrap();
    let rotations = (0..4).map(|_| vault.rotate());
    let made = futures_util::future::join_all(rotations).await;
    let words = world.directory.path().join("words");
    RealFiles.replace(&words, b"correct horse battery\n").unwrap();
    let source = Source::PassphraseFile(words.clone());
    let (rewrapped, last) = tokio::join!(vault.rewrap(source), vault.rotate());
    rewrapped.unwrap();
    let mut ids: Vec<_> = made.into_iter().map(Result::unwrap).chain([last.unwrap()]).collect();
    world.settings.encryption = EncryptionSettings { passphrase_file: Some(words), ..EncryptionSettings::default() };
    let opened = world.open().await.unwrap();
    let mut held: Vec<_> = opened.keys().iter().map(|key| key.id).collect();
    assert_eq!(held.len(), 6, "none is lost");
    assert_eq!(opened.wanted(), vault.wanted());
    ids.sort_unstable();
    held.retain(|id| ids.contains(id));
    held.sort_unstable();
    assert_eq!(held, ids);
}

#[tokio::test]
async fn another_source_is_taken_over_while_the_node_runs() {
    let mut world = World::new();
    let vault = world.open().await.unwrap();
    let keys = vault.keys();
    let words = world.directory.path().join("words");
    RealFiles.replace(&words, b"correct horse battery\n").unwrap();
    let source = Source::PassphraseFile(words.clone());
    vault.rewrap(source.clone()).await.unwrap();
    assert_eq!(vault.source(), Some(source.to_string()));
    vault.rotate().await.unwrap();

    assert!(matches!(world.open().await, Err(VaultError::WrongKey { .. })), "the key file opens nothing any more");
    world.settings.encryption = EncryptionSettings { passphrase_file: Some(words), ..EncryptionSettings::default() };
    let vault = world.open().await.unwrap();
    assert_eq!((vault.keys().len(), vault.keys()[0].id), (2, keys[0].id));

    let missing = Source::KeyFile(world.directory.path().join("none"));
    let written = world.read("keyring");
    assert!(matches!(vault.rewrap(missing).await, Err(VaultError::SourceFile { .. })));
    assert_eq!(world.read("keyring"), written);
}

#[tokio::test]
async fn content_can_be_left_in_the_clear() {
    let mut world = World::new();
    world.settings.encryption.content = false;
    let vault = world.open().await.unwrap();
    assert!(vault.is_on() && !vault.seals_content());
    let before = vault.wanted().unwrap();
    assert_eq!((before.under(), world.current()), (None, None));
    assert!(!vault.seal("node.key", b"secret").windows(6).any(|bytes| bytes == b"secret"));
    vault.settle(before).unwrap();
    assert!(vault.is_settled());
    let new = vault.rotate().await.unwrap();
    vault.settle(before).unwrap();
    assert!(!vault.is_settled() && vault.keys().len() == 2, "secrets may lie under the old key");
    vault.settle(Wanted { key: new, content: false }).unwrap();
    assert!(vault.is_settled() && vault.keys().len() == 1);
    world.settings.encryption.content = true;
    let vault = world.open().await.unwrap();
    assert!(!vault.is_settled() && world.current().is_some());
}

#[tokio::test]
async fn secrets_in_the_clear_are_sealed_when_a_source_is_named() {
    let mut world = World::new();
    let (pem, key) = ("-----BEGIN PRIVATE KEY-----", ClusterKey([0x5a; 32]));
    world.store().write_key(pem).unwrap();
    world.store().write_cluster_key(&key).unwrap();
    let vault = world.open().await.unwrap();
    let store = world.store().with_vault(vault.clone());
    assert_eq!(store.key().unwrap().as_deref(), Some(pem), "what is in the clear is read");
    assert_eq!(store.seal_secrets().unwrap(), 2);
    assert_eq!(store.seal_secrets().unwrap(), 0);
    assert!(!String::from_utf8(world.read("node.key")).unwrap().contains("BEGIN"));
    assert!(!String::from_utf8(world.read("cluster.key")).unwrap().contains(&"5a".repeat(16)));
    assert_eq!(store.key().unwrap().as_deref(), Some(pem));
    vault.rotate().await.unwrap();
    assert_eq!(store.seal_secrets().unwrap(), 2, "a new key for them, too");

    let locked = world.store().key().unwrap_err();
    assert!(matches!(locked, IdentityError::Locked { .. }), "{locked}");
    let other = RealFiles.read(&world.identity("cluster.key")).unwrap();
    RealFiles.replace(&world.identity("node.key"), &other).unwrap();
    assert!(matches!(store.key(), Err(IdentityError::Damaged { .. })), "one file does not pass for another");
}
