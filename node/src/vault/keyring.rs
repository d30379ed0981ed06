//! The keyring file: all data keys of a node, sealed as a whole by AES-256-GCM under a key that is derived from the one
//! that the configured source gives.
//!
//! TOML. In the clear stand the version, what kind of source has wrapped it, a salt that is new with each writing, a
//! check value that tells a wrong key from damage, and, for a passphrase, what argon2id needs. All of that is bound to
//! what is sealed: a changed header does not open.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::{self, KEY_BYTES, Key, SALT_BYTES};
use super::ring::Ring;
use super::source::{Said, Source};
use crate::environment::Entropy;
use crate::login::{Stretch, stretch};

/// Version that this program writes and reads.
pub(super) const VERSION: u32 = 1;
/// Bytes of the check value.
const CHECK_BYTES: usize = 16;
/// What the check value is derived for.
const CHECK: &str = "regnode keyring 1 check";
/// What the key that seals is derived for.
const WRAP: &str = "regnode keyring 1 wrap";
/// What a person reads who opens the file.
const HEAD: &str = "# The keys of this node's files, wrapped with the key that [encryption] names. Without this file nothing that the\n\
                    # node keeps can be read. It is written by regnode: do not change it, and keep it with every backup.\n";

/// What opens a keyring: the key that a source has given, and how it was made of a passphrase.
#[derive(Clone)]
pub(super) struct Wrapping {
    pub(super) kind: String,
    key: Key,
    stretch: Option<Stretch>,
}

/// Why a keyring does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was wrapped with another key.
    WrongKey,
    /// Another version of the program wrote it.
    Version(u32),
    /// It is not what was written.
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    wrapped_by: String,
    salt: String,
    check: String,
    sealed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    argon2id: Option<StretchEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StretchEntry {
    salt: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// A keyring file that was read, and not opened yet.
pub(super) struct Wrapped {
    /// Kind of source that has wrapped it.
    pub(super) kind: String,
    salt: [u8; SALT_BYTES],
    check: [u8; CHECK_BYTES],
    stretch: Option<Stretch>,
    sealed: Vec<u8>,
}

impl Wrapping {
    /// What a source has said, for a new keyring. Takes a moment of a processor for a passphrase.
    pub(super) fn new(source: &Source, said: &Said, entropy: &dyn Entropy) -> Self {
        let stretched = matches!(said, Said::Passphrase(_)).then(|| Stretch::new(entropy));
        Self::with(source, said, stretched).expect("a passphrase has parameters, and fresh ones are within limits")
    }

    /// The same for a keyring that is there. `None`: it was not wrapped by such a source.
    fn with(source: &Source, said: &Said, parameters: Option<Stretch>) -> Option<Self> {
        let (key, parameters) = match (said, parameters) {
            (Said::Key(key), None) => (key.clone(), None),
            (Said::Passphrase(passphrase), Some(parameters)) => {
                let mut key = Zeroizing::new([0; KEY_BYTES]);
                stretch(passphrase, &parameters, key.as_mut())?;
                (key, Some(parameters))
            }
            _ => return None,
        };
        Some(Self { kind: source.kind().to_owned(), key, stretch: parameters })
    }

    /// The file with these keys.
    pub(super) fn wrap(&self, ring: &Ring, entropy: &dyn Entropy) -> String {
        let salt = cipher::salt(entropy);
        let check = *cipher::derive::<CHECK_BYTES>(self.key.as_ref(), &salt, CHECK);
        let mut wrapped =
            Wrapped { kind: self.kind.clone(), salt, check, stretch: self.stretch.clone(), sealed: Vec::new() };
        wrapped.sealed = cipher::seal(&self.sealing_key(&salt), &wrapped.context(), ring.encode().as_bytes());
        wrapped.encode()
    }

    fn sealing_key(&self, salt: &[u8; SALT_BYTES]) -> Key {
        cipher::derive(self.key.as_ref(), salt, WRAP)
    }
}

impl Wrapped {
    /// Reads a file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let damaged = |message: String| Refused::Damaged(message);
        let text = str::from_utf8(bytes).map_err(|_| damaged("it is not text".to_owned()))?;
        let toml = |error: toml::de::Error| damaged(error.message().to_owned());
        let version = toml::from_str::<VersionOnly>(text).map_err(toml)?.version;
        if version != VERSION {
            return Err(Refused::Version(version));
        }
        let file: File = toml::from_str(text).map_err(toml)?;
        let stretch = match file.argon2id {
            None => None,
            Some(entry) => {
                let salt = array(&entry.salt, "argon2id.salt")?;
                Some(Stretch { salt, memory_kib: entry.memory_kib, passes: entry.passes, lanes: entry.lanes })
            }
        };
        Ok(Self {
            kind: file.wrapped_by,
            salt: array(&file.salt, "salt")?,
            check: array(&file.check, "check")?,
            stretch,
            sealed: hex::decode(&file.sealed).map_err(|error| damaged(format!("sealed: {error}")))?,
        })
    }

    /// Opens it with what a source has said.
    pub(super) fn open(&self, source: &Source, said: &Said) -> Result<(Wrapping, Ring), Refused> {
        let wrapping = Wrapping::with(source, said, self.stretch.clone()).ok_or(Refused::WrongKey)?;
        if *cipher::derive::<CHECK_BYTES>(wrapping.key.as_ref(), &self.salt, CHECK) != self.check {
            return Err(Refused::WrongKey);
        }
        let damaged = || Refused::Damaged("what is sealed in it is not what was written".to_owned());
        let plain =
            cipher::open(&wrapping.sealing_key(&self.salt), &self.context(), &self.sealed).ok_or_else(damaged)?;
        let text = str::from_utf8(&plain).map_err(|_| damaged())?;
        Ok((wrapping, Ring::decode(text).map_err(Refused::Damaged)?))
    }

    /// All that stands in the clear.
    fn context(&self) -> Vec<u8> {
        let stretch = self.stretch.as_ref().map_or_else(String::new, |stretch| {
            let Stretch { salt, memory_kib, passes, lanes } = stretch;
            format!("{} {memory_kib} {passes} {lanes}", hex::encode(salt))
        });
        let (salt, check) = (hex::encode(self.salt), hex::encode(self.check));
        format!("{VERSION}\n{}\n{salt}\n{check}\n{stretch}", self.kind).into_bytes()
    }

    fn encode(&self) -> String {
        let entry = |stretch: &Stretch| StretchEntry {
            salt: hex::encode(stretch.salt),
            memory_kib: stretch.memory_kib,
            passes: stretch.passes,
            lanes: stretch.lanes,
        };
        let file = File {
            version: VERSION,
            wrapped_by: self.kind.clone(),
            salt: hex::encode(self.salt),
            check: hex::encode(self.check),
            sealed: hex::encode(&self.sealed),
            argon2id: self.stretch.as_ref().map(entry),
        };
        format!("{HEAD}{}", toml::to_string(&file).expect("texts and numbers are valid TOML"))
    }
}

fn array<const N: usize>(text: &str, what: &str) -> Result<[u8; N], Refused> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|error| Refused::Damaged(format!("{what}: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;
    use storage::seal::{DataKey, KeyId};

    use super::super::ring::Wanted;
    use super::*;
    use crate::login::testing::Counting;

    /// What this program has written since version 1.
    fn golden(name: &str, (source, said): &(Source, Said)) -> String {
        super::super::tests::golden(name, || {
            let entropy = Counting::default();
            Wrapping::new(source, said, &entropy).wrap(&ring(), &entropy)
        })
    }

    fn golden_by_key() -> String {
        golden("keyring-key-file.toml", &by_key(7))
    }

    fn golden_by_passphrase() -> String {
        golden("keyring-passphrase-file.toml", &by_passphrase("correct horse battery"))
    }

    fn ring() -> Ring {
        let mut ring = Ring::new(DataKey::new(KeyId([1; 16]), [11; 32]), Timestamp(1_800_000_000_000));
        ring.add(DataKey::new(KeyId([2; 16]), [22; 32]), Timestamp(1_800_000_001_000));
        ring.settled = Some(Wanted { key: KeyId([1; 16]), content: true });
        ring
    }

    fn by_key(byte: u8) -> (Source, Said) {
        (Source::KeyFile("/key".into()), Said::Key(Zeroizing::new([byte; 32])))
    }

    fn by_passphrase(text: &str) -> (Source, Said) {
        (Source::PassphraseFile("/words".into()), Said::Passphrase(Zeroizing::new(text.into())))
    }

    fn opened(text: &str, (source, said): &(Source, Said)) -> Result<String, Refused> {
        Wrapped::read(text.as_bytes())?.open(source, said).map(|(_, ring)| ring.encode().to_string())
    }

    #[test]
    fn the_form_of_the_file_is_frozen() {
        let words = by_passphrase("correct horse battery");
        for (golden, from) in [(golden_by_key(), by_key(7)), (golden_by_passphrase(), words)] {
            let entropy = Counting::default();
            let written = Wrapping::new(&from.0, &from.1, &entropy).wrap(&ring(), &entropy);
            assert_eq!(written, golden);
            assert_eq!(opened(&golden, &from), Ok(ring().encode().to_string()));
        }
    }

    #[test]
    fn a_wrong_key_is_told_as_such() {
        let (by_file, by_words) = (golden_by_key(), golden_by_passphrase());
        assert_eq!(opened(&by_file, &by_key(8)), Err(Refused::WrongKey));
        assert_eq!(opened(&by_file, &by_passphrase("correct horse battery")), Err(Refused::WrongKey));
        assert_eq!(opened(&by_words, &by_passphrase("correct horse batterz")), Err(Refused::WrongKey));
        assert_eq!(opened(&by_words, &by_key(7)), Err(Refused::WrongKey));
    }

    #[test]
    fn the_same_key_opens_it_whatever_gives_it() {
        let by_file = golden_by_key();
        let (_, said) = by_key(7);
        let command = Source::KeyCommand(vec!["unseal".to_owned()], 30);
        assert!(opened(&by_file, &(command, said)).is_ok());
    }

    #[test]
    fn no_damage_opens() {
        let by_file = golden_by_key();
        let body = by_file.find("version").unwrap();
        for position in body..by_file.len() {
            let mut bytes = by_file.as_bytes().to_vec();
            bytes[position] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            if let Ok(read) = opened(&text, &by_key(7)) {
                panic!("{read} was read, although byte {position} is another one");
            }
        }
        for length in body..by_file.len() - 1 {
            assert!(opened(&by_file[..length], &by_key(7)).is_err(), "{length}");
        }
    }

    #[test]
    fn other_versions_and_dear_passphrases_are_refused() {
        let (by_file, by_words) = (golden_by_key(), golden_by_passphrase());
        let newer = by_file.replace("version = 1", "version = 2");
        assert_eq!(opened(&newer, &by_key(7)), Err(Refused::Version(2)));
        let dear = by_words.replace("memory_kib = 65536", "memory_kib = 4000000000");
        assert_ne!(dear, by_words);
        assert!(opened(&dear, &by_passphrase("correct horse battery")).is_err());
    }

    #[test]
    fn each_writing_is_sealed_anew() {
        let entropy = Counting::default();
        let (source, said) = by_key(7);
        let wrapping = Wrapping::new(&source, &said, &entropy);
        let (one, two) = (wrapping.wrap(&ring(), &entropy), wrapping.wrap(&ring(), &entropy));
        assert_ne!(one, two);
        assert_eq!(opened(&one, &(source, said)), Ok(ring().encode().to_string()));
    }
}
