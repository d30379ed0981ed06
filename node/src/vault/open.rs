//! The keyring at the start of a node: found and opened, made when there is none, mended from its copy when it is
//! damaged. Nothing else of the data directory is opened before.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use storage::disk::Files;
use storage::seal::{DataKey, KeyId};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::error::VaultError;
use super::keyring::{Refused, VERSION, Wrapped, Wrapping};
use super::ring::Ring;
use super::sealed;
use super::source::{Said, Source};
use super::{COPY, KEYRING, Known, Shared, Vault};
use crate::config::Settings;
use crate::environment::{Entropy, Environment};
use crate::identity::SECRET_FILES;

/// What is in the data directory.
struct Found {
    /// The keyring and its copy, each as far as it can be read: one that is good is enough.
    files: [io::Result<Option<Vec<u8>>>; 2],
    /// A file that is sealed, if there is one.
    sealed: Option<PathBuf>,
}

impl Vault {
    /// Opens the keyring of a data directory that this process has locked, and hands its keys to the environment's
    /// engines and disks. Without a source and without a keyring nothing is encrypted. `new`: the directory belongs to no
    /// node yet, so that there is nothing in the clear that would have to be encrypted.
    ///
    /// # Errors
    /// [`VaultError`]; nothing was changed then.
    pub async fn open(environment: &Environment, settings: &Settings, new: bool) -> Result<Self, VaultError> {
        let directory = settings.data_dir.join("identity");
        let (files, place) = (Arc::clone(&environment.files), directory.clone());
        let found = environment.exec.run(move || find(files.as_ref(), &place)).await?;
        // One that cannot be read is there, too: no other one is made in its place.
        let is_there = found.files.iter().any(|file| !matches!(file, Ok(None)));
        let path = directory.join(KEYRING);
        let Some(source) = Source::configured(&settings.encryption) else {
            return match found.sealed {
                _ if is_there => Err(VaultError::NoSource { path, wrapped_by: wrapped_by(&found) }),
                Some(sealed) => Err(VaultError::Lost { path, sealed }),
                None => Ok(Self::none()),
            };
        };
        if let (false, Some(sealed)) = (is_there, found.sealed.clone()) {
            return Err(VaultError::Lost { path, sealed });
        }
        let said = if is_there { source.ask(environment).await? } else { source.ask_for_new(environment).await? };
        let content = settings.encryption.content;
        let environment = environment.clone();
        let exec = environment.exec;
        exec.run(move || {
                let entropy = environment.entropy.as_ref();
                let ((wrapping, known), place) = if is_there {
                    opened(&path, &found, source, &said)?
                } else {
                    let mut ring = Ring::new(new_key(entropy), environment.clock.now());
                    ring.settled = new.then(|| ring.wanted(content));
                    info!(key = %ring.current().id(), %source, "keyring made: what this node writes is encrypted from now on");
                    ((Wrapping::new(&source, &said, entropy), Known { source, ring }), KEYRING)
                };
                let (known, wrapping) = (ArcSwap::from_pointee(known), Mutex::new(wrapping));
                let shared = Shared { environment, directory, content, known, wrapping };
                shared.settle_files(&found.files, place)?;
                Ok(Self { shared: Some(Arc::new(shared)) })
            })
            .await
    }
}

/// A fresh data key.
pub(super) fn new_key(entropy: &dyn Entropy) -> DataKey {
    let mut secret = Zeroizing::new([0; DataKey::BYTES]);
    entropy.fill(secret.as_mut());
    DataKey::new(KeyId(entropy.id()), *secret)
}

impl Shared {
    /// Writes what has to be written at the start, and hands the keys on. A keyring that is whole, with its copy, is left
    /// alone. `place` is the file that was opened.
    fn settle_files(&self, found: &[io::Result<Option<Vec<u8>>>; 2], place: &str) -> Result<(), VaultError> {
        let known = self.known.load();
        if !matches!(found, [Ok(Some(main)), Ok(Some(copy))] if main == copy) {
            match self.write(&self.wrapping(), &known.ring) {
                // The copy has all keys, and the keyring beside it opens no better than before.
                Err(error) if place == COPY => warn!(%error, "the keyring cannot be mended from its copy"),
                result => result?,
            }
        }
        self.environment.keys.swap(known.ring.keyring(self.content)?);
        Ok(())
    }
}

/// Why a file does not give a keyring.
#[derive(Debug)]
enum Failed<'a> {
    Unread(&'a io::Error),
    Refused(Refused),
}

impl Failed<'_> {
    /// How much it tells, of the two files: what is wrong with the key or the program counts before damage to a file.
    const fn weight(&self) -> u8 {
        match self {
            Self::Refused(Refused::Version(_)) => 3,
            Self::Refused(Refused::WrongKey) => 2,
            Self::Unread(_) => 1,
            Self::Refused(Refused::Damaged(_)) => 0,
        }
    }
}

/// Opens the keyring, or its copy when that does not open, and says which one it was.
fn opened(
    path: &Path,
    found: &Found,
    source: Source,
    said: &Said,
) -> Result<((Wrapping, Known), &'static str), VaultError> {
    let mut failed: Option<(Failed<'_>, &'static str)> = None;
    for (file, name) in found.files.iter().zip([KEYRING, COPY]) {
        let result = match file {
            Ok(Some(bytes)) => {
                Wrapped::read(bytes).and_then(|wrapped| wrapped.open(&source, said)).map_err(Failed::Refused)
            }
            Ok(None) => Err(Failed::Refused(Refused::Damaged("it is gone".to_owned()))),
            Err(error) => Err(Failed::Unread(error)),
        };
        match result {
            Ok((wrapping, ring)) => {
                if let Some((reason, _)) = &failed {
                    warn!(?reason, "the keyring does not open: its copy is used, and it is made anew");
                }
                return Ok(((wrapping, Known { source, ring }), name));
            }
            // What the first one says counts, unless the copy tells more. No key is in use before both files have it:
            // whichever opens is enough.
            Err(reason) => {
                if failed.as_ref().is_none_or(|(before, _)| reason.weight() > before.weight()) {
                    failed = Some((reason, name));
                }
            }
        }
    }
    let (reason, path) = match failed {
        Some((reason, name)) => (reason, path.with_file_name(name)),
        None => (Failed::Refused(Refused::WrongKey), path.to_owned()),
    };
    Err(match reason {
        Failed::Refused(Refused::Version(found)) => VaultError::Version { path, found, known: VERSION },
        Failed::Refused(Refused::Damaged(message)) => VaultError::Damaged { path, message },
        Failed::Refused(Refused::WrongKey) => {
            VaultError::WrongKey { path, wrapped_by: wrapped_by(found), source_name: source.to_string() }
        }
        // The error itself cannot be cloned: its kind and its text are.
        Failed::Unread(error) => {
            VaultError::Io { path, action: "be read", source: io::Error::new(error.kind(), error.to_string()) }
        }
    })
}

/// What kind of source has wrapped it, as far as the files tell it.
fn wrapped_by(found: &Found) -> String {
    let mut texts = found.files.iter().filter_map(|file| file.as_ref().ok()?.as_ref());
    let read = texts.find_map(|bytes| Wrapped::read(bytes).ok());
    read.map_or_else(|| "source that cannot be read from it any more".to_owned(), |wrapped| wrapped.kind)
}

fn find(files: &dyn Files, directory: &Path) -> Result<Found, VaultError> {
    let read = |name: &str| match files.read(&directory.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let mut is_sealed = None;
    for name in SECRET_FILES {
        let content =
            read(name).map_err(|source| VaultError::Io { path: directory.join(name), action: "be read", source })?;
        if content.is_some_and(|content| sealed::lies_under(&content).is_some()) {
            is_sealed = Some(directory.join(name));
        }
    }
    Ok(Found { files: [read(KEYRING), read(COPY)], sealed: is_sealed })
}
