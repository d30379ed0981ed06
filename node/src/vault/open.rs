//! The keyring at the start of a node: found and opened, made when there is none, mended from its copy when it is
//! damaged. Nothing else of the data directory is opened before.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use storage::disk::Files;
use storage::seal::{DataKey, KeyId};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::error::VaultError;
use super::keyring::{Refused, VERSION, Wrapped, Wrapping};
use super::ring::Ring;
use super::sealed;
use super::source::{Said, Source};
use super::{COPY, Held, KEYRING, Shared, Vault};
use crate::config::Settings;
use crate::environment::{Entropy, Environment};
use crate::identity::SECRET_FILES;

/// What is in the data directory.
struct Found {
    /// The keyring and its copy.
    files: [Option<Vec<u8>>; 2],
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
        let is_there = found.files.iter().any(Option::is_some);
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
        let said = source.ask(environment).await?;
        let content = settings.encryption.content;
        let environment = environment.clone();
        let exec = environment.exec;
        exec.run(move || {
                let entropy = environment.entropy.as_ref();
                let held = if is_there {
                    opened(&path, &found, source, &said)?
                } else {
                    let mut ring = Ring::new(new_key(entropy), environment.clock.now());
                    ring.settled = new.then(|| ring.wanted(content));
                    info!(key = %ring.current().id(), %source, "keyring made: what this node writes is encrypted from now on");
                    Held { wrapping: Wrapping::new(&source, &said, entropy), source, ring }
                };
                let shared = Shared { environment, directory, content, held: Mutex::new(held) };
                shared.settle_files(&found.files)?;
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
    /// alone.
    fn settle_files(&self, found: &[Option<Vec<u8>>; 2]) -> Result<(), VaultError> {
        let held = self.held();
        if !matches!(found, [Some(main), Some(copy)] if main == copy) {
            self.write(&held.wrapping, &held.ring)?;
        }
        self.environment.keys.swap(held.ring.keyring(self.content)?);
        Ok(())
    }
}

/// Opens the keyring, or its copy when that does not open.
fn opened(path: &Path, found: &Found, source: Source, said: &Said) -> Result<Held, VaultError> {
    let mut refused = None;
    for (file, name) in found.files.iter().zip([KEYRING, COPY]) {
        let result = match file {
            Some(bytes) => Wrapped::read(bytes).and_then(|wrapped| wrapped.open(&source, said)),
            None => Err(Refused::Damaged("it is gone".to_owned())),
        };
        match result {
            Ok((wrapping, ring)) => {
                if let Some(reason) = &refused {
                    warn!(?reason, file = name, "the keyring does not open and was made anew from its copy");
                }
                return Ok(Held { wrapping, source, ring });
            }
            // A newer program has written it: an older copy beside it lacks its newest keys.
            Err(Refused::Version(found)) => {
                return Err(VaultError::Version { path: path.with_file_name(name), found, known: VERSION });
            }
            // What the first one says counts, unless it is damaged and the copy tells more.
            Err(reason) => match &refused {
                None | Some(Refused::Damaged(_)) if reason == Refused::WrongKey => refused = Some(reason),
                None => refused = Some(reason),
                Some(_) => {}
            },
        }
    }
    let path = path.to_owned();
    Err(match refused {
        Some(Refused::Damaged(message)) => VaultError::Damaged { path, message },
        _ => VaultError::WrongKey { path, wrapped_by: wrapped_by(found), source_name: source.to_string() },
    })
}

/// What kind of source has wrapped it, as far as the files tell it.
fn wrapped_by(found: &Found) -> String {
    let read = found.files.iter().flatten().find_map(|bytes| Wrapped::read(bytes).ok());
    read.map_or_else(|| "source that cannot be read from it any more".to_owned(), |wrapped| wrapped.kind)
}

fn find(files: &dyn Files, directory: &Path) -> Result<Found, VaultError> {
    let read = |name: &str| match files.read(&directory.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(VaultError::Io { path: directory.join(name), action: "be read", source }),
    };
    let mut is_sealed = None;
    for name in SECRET_FILES {
        if read(name)?.is_some_and(|content| sealed::lies_under(&content).is_some()) {
            is_sealed = Some(directory.join(name));
        }
    }
    Ok(Found { files: [read(KEYRING)?, read(COPY)?], sealed: is_sealed })
}
