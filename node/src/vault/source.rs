//! Where the key comes from that wraps the keyring: a file, a passphrase in a file, or a program that prints it.
//!
//! None of it lies in the data directory: whoever steals the disks has the keyring and not what opens it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::cipher::{KEY_BYTES, Key};
use super::error::VaultError;
use crate::config::EncryptionSettings;
use crate::environment::Environment;

/// Fewest characters of a passphrase.
const PASSPHRASE_CHARACTERS_MIN: usize = 12;
/// Longest file that is read for a key or a passphrase.
const FILE_BYTES_MAX: usize = 4096;
/// Where systemd puts a service's credentials. It alone says who may read them, whatever their mode shows.
const CREDENTIALS: &str = "/run/credentials";

/// What a key or a passphrase is to look like.
pub(super) const KEY_EXPECTED: &str =
    "32 random bytes are expected, as 64 hexadecimal digits, as base64 or as they are: openssl rand -hex 32";

/// A source of the key that wraps the keyring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A file with the key.
    KeyFile(PathBuf),
    /// A file with a passphrase, which the key is computed from.
    PassphraseFile(PathBuf),
    /// A program, with its arguments, that writes the key to its standard output, and the time that it has.
    KeyCommand(Vec<String>, u64),
}

/// How people call it, with the key of the configuration in it.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(path) => write!(formatter, "encryption.key_file = {:?}", path.to_string_lossy()),
            Self::PassphraseFile(path) => {
                write!(formatter, "encryption.passphrase_file = {:?}", path.to_string_lossy())
            }
            Self::KeyCommand(words, _) => write!(formatter, "encryption.key_command = {words:?}"),
        }
    }
}

/// What a source has said.
pub(super) enum Said {
    /// The key itself.
    Key(Key),
    /// What the key is computed from.
    Passphrase(Zeroizing<Vec<u8>>),
}

impl Source {
    /// The one that is configured. More than one is refused with the configuration.
    #[must_use]
    pub fn configured(settings: &EncryptionSettings) -> Option<Self> {
        if let Some(path) = &settings.key_file {
            return Some(Self::KeyFile(path.clone()));
        }
        if let Some(path) = &settings.passphrase_file {
            return Some(Self::PassphraseFile(path.clone()));
        }
        let words = settings.key_command.clone();
        (!words.is_empty()).then_some(Self::KeyCommand(words, settings.key_command_timeout_seconds))
    }

    /// Its name in the keyring.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::KeyFile(_) => "key-file",
            Self::PassphraseFile(_) => "passphrase-file",
            Self::KeyCommand(..) => "key-command",
        }
    }

    /// Asks it for the key of a keyring that is to be written. A program is asked twice: one that makes a new key each
    /// time would lock the node out with the next start.
    pub(super) async fn ask_for_new(&self, environment: &Environment) -> Result<Said, VaultError> {
        let said = self.ask(environment).await?;
        if let (Self::KeyCommand(..), Said::Key(one)) = (self, &said)
            && !matches!(self.ask(environment).await?, Said::Key(two) if *two == **one)
        {
            return Err(VaultError::Unsteady { source_name: self.to_string() });
        }
        Ok(said)
    }

    /// Asks it.
    pub(super) async fn ask(&self, environment: &Environment) -> Result<Said, VaultError> {
        match self {
            Self::KeyFile(path) => {
                let bytes = read_private(environment, path).await?;
                key(&bytes).map(Said::Key).map_err(|()| self.unusable(KEY_EXPECTED))
            }
            Self::PassphraseFile(path) => {
                let mut bytes = read_private(environment, path).await?;
                while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
                    bytes.pop();
                }
                let long = str::from_utf8(&bytes).is_ok_and(|text| text.chars().count() >= PASSPHRASE_CHARACTERS_MIN);
                if long {
                    Ok(Said::Passphrase(bytes))
                } else {
                    Err(self.unusable("12 characters of text are the least"))
                }
            }
            Self::KeyCommand(words, seconds) => {
                let (program, arguments) = words.split_first().ok_or_else(|| self.unusable("a program is expected"))?;
                let within = Duration::from_secs(*seconds);
                let output = environment.commands.run(program, arguments, &[], within).await;
                let mut output = output.map_err(|source| VaultError::Command { source })?;
                let read = key(&output.stdout).map(Said::Key).map_err(|()| self.unusable(KEY_EXPECTED));
                output.stdout.zeroize();
                read
            }
        }
    }

    fn unusable(&self, expected: &'static str) -> VaultError {
        VaultError::Unusable { source_name: self.to_string(), expected }
    }
}

/// Reads a key in one of its forms.
fn key(bytes: &[u8]) -> Result<Key, ()> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let text = bytes.trim_ascii();
    if bytes.len() == KEY_BYTES && !bytes.iter().all(u8::is_ascii_graphic) {
        // Text of this length has fewer than 256 random bits, if any.
        key.copy_from_slice(bytes);
    } else if text.len() == 2 * KEY_BYTES {
        hex::decode_to_slice(text, key.as_mut()).map_err(|_| ())?;
    } else {
        let decoded = Zeroizing::new(STANDARD.decode(text).map_err(|_| ())?);
        if decoded.len() != KEY_BYTES {
            return Err(());
        }
        key.copy_from_slice(&decoded);
    }
    // A file of zeros is the commonest key that nobody has drawn.
    if key.iter().all(|byte| *byte == key[0]) { Err(()) } else { Ok(key) }
}

/// The content of a file that nobody else may read.
async fn read_private(environment: &Environment, path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (files, path) = (std::sync::Arc::clone(&environment.files), path.to_owned());
    environment
        .exec
        .run(move || {
            let failed = |source| VaultError::SourceFile { path: path.clone(), source };
            if let Some(access) = files.access(&path).map_err(failed)?
                && !path.starts_with(CREDENTIALS)
                && !is_private(access.mode, access.owner)
            {
                return Err(VaultError::NotPrivate { path, mode: access.mode & 0o777 });
            }
            let bytes = Zeroizing::new(files.read(&path).map_err(failed)?);
            if bytes.len() > FILE_BYTES_MAX {
                return Err(VaultError::SourceTooLong { path });
            }
            Ok(bytes)
        })
        .await
}

/// Whether a file is for its owner alone. One of the system administrator's may be for the group that the node is in.
const fn is_private(mode: u32, owner: u32) -> bool {
    let others = if owner == 0 { 0o037 } else { 0o077 };
    mode & others == 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::disk::RealFiles;
    use storage::kv::MemoryEngines;

    use super::*;
    use crate::environment::real;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn environment() -> Environment {
        let files = Arc::new(RealFiles);
        real(Arc::<RealFiles>::clone(&files), Arc::new(MemoryEngines::new(files)))
    }

    #[expect(clippy::disallowed_methods, reason = "a file of the operator's")]
    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_key_is_read_in_each_of_its_forms() {
        let bytes: Vec<u8> = (0..32).collect();
        let base64 = STANDARD.encode(&bytes);
        for form in
            [bytes.clone(), HEX.into(), format!("{}\n", HEX.to_uppercase()).into(), format!("{base64}\r\n").into()]
        {
            assert_eq!(key(&form).unwrap().as_slice(), bytes, "{form:?}");
        }
    }

    #[test]
    fn what_nobody_has_drawn_is_no_key() {
        let short = &HEX[..62];
        let passwords: [&[u8]; 9] = [
            b"",
            b"correct horse battery staple",
            b"0123456789abcdef0123456789abcdef",
            short.as_bytes(),
            &[0; 32],
            &[b'0'; 64],
            &[7; 31],
            &[7; 4096],
            b"zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        ];
        for text in passwords {
            assert!(key(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn who_may_read_a_key() {
        for (mode, owner, private) in [
            (0o600, 1000, true),
            (0o400, 1000, true),
            (0o640, 1000, false),
            (0o604, 1000, false),
            (0o620, 0, false),
            (0o640, 0, true),
            (0o440, 0, true),
            (0o644, 0, false),
        ] {
            assert_eq!(is_private(mode, owner), private, "{mode:o} {owner}");
        }
    }

    #[tokio::test]
    async fn a_file_that_others_may_read_is_refused() {
        let (_directory, path) = file(HEX.as_bytes(), 0o604);
        let error = Source::KeyFile(path.clone()).ask(&environment()).await.err().unwrap().to_string();
        assert!(error.contains("604") && error.contains("chmod 600"), "{error}");
        let (_directory, path) = file(HEX.as_bytes(), 0o600);
        assert!(matches!(Source::KeyFile(path).ask(&environment()).await, Ok(Said::Key(_))));
    }

    #[tokio::test]
    async fn a_passphrase_is_a_line_of_some_length() {
        let said = |content: &'static [u8]| async move {
            let (_directory, path) = file(content, 0o600);
            Source::PassphraseFile(path).ask(&environment()).await
        };
        let Said::Passphrase(one) = said(b"correct horse battery\r\n").await.unwrap() else { panic!("a passphrase") };
        assert_eq!(one.as_slice(), b"correct horse battery");
        for bad in [b"".as_slice(), b"too short\n", b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n", &[0xff; 40]] {
            assert!(matches!(said(bad).await, Err(VaultError::Unusable { .. })), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_program_prints_the_key() {
        let ask = |script: &str| {
            let words = ["sh", "-c", script].map(str::to_owned).to_vec();
            async move { Source::KeyCommand(words, 1).ask(&environment()).await }
        };
        let Said::Key(key) = ask(&format!("echo {HEX}")).await.unwrap() else { panic!("a key") };
        assert_eq!(hex::encode(*key), HEX);
        let error = ask("echo garbage").await.err().unwrap().to_string();
        assert!(error.starts_with("encryption.key_command = ") && error.contains("32 random bytes"), "{error}");
        assert!(matches!(ask("sleep 5").await, Err(VaultError::Command { .. })));
        assert!(matches!(ask(&format!("echo {HEX}; exit 1")).await, Err(VaultError::Command { .. })));
    }

    #[tokio::test]
    async fn a_program_that_gives_another_key_each_time_is_noticed() {
        let source = |script: &str| Source::KeyCommand(["sh", "-c", script].map(str::to_owned).to_vec(), 10);
        // The number of its process is another one each time.
        let changing = source("printf %064d $$");
        assert!(matches!(changing.ask(&environment()).await, Ok(Said::Key(_))));
        let error = changing.ask_for_new(&environment()).await.err().unwrap();
        assert!(matches!(&error, VaultError::Unsteady { .. }), "{error}");
        let steady = source(&format!("echo {HEX}"));
        assert!(matches!(steady.ask_for_new(&environment()).await, Ok(Said::Key(_))));
    }

    #[test]
    fn the_configured_source_is_found() {
        let mut settings = EncryptionSettings::default();
        assert_eq!(Source::configured(&settings), None);
        settings.key_command = vec!["tpm2_unseal".to_owned()];
        assert_eq!(Source::configured(&settings), Some(Source::KeyCommand(settings.key_command.clone(), 30)));
        settings = EncryptionSettings { key_file: Some("/k".into()), ..EncryptionSettings::default() };
        assert_eq!(Source::configured(&settings).unwrap().to_string(), "encryption.key_file = \"/k\"");
    }
}
