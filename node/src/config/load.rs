//! Brings the sources together: defaults, file, environment variables, flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use storage::disk::Files;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Source};
use super::schema::{Given, Key};
use super::settings::{KEYS, Settings};
use crate::acme::AcmeOptions;
use crate::ldap::LdapOptions;
use crate::serve::check_plaintext;

/// Prefix of the environment variables.
const PREFIX: &str = "REGNODE_";
/// Variables with the prefix that are no keys: the command line reads them itself.
const RESERVED: &[&str] =
    &["REGNODE_CONFIG", "REGNODE_JOIN_TOKEN", "REGNODE_DEV_CHILD", "REGNODE_SERVER", "REGNODE_CA"];

/// Where values may come from, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file's path and text.
    pub file: Option<(PathBuf, String)>,
    /// The environment's variables; those without the prefix `REGNODE_` are left alone.
    pub variables: Vec<(String, String)>,
    /// Keys and values of flags.
    pub flags: Vec<(String, String)>,
}

/// Settings, and where each comes from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Source of each key that is not at its default, by name.
    pub sources: BTreeMap<&'static str, Source>,
}

/// Reads the file, if one is named, and resolves all sources. Blocks.
///
/// # Errors
/// The first thing that is wrong.
pub fn load(
    files: &dyn Files,
    path: Option<&Path>,
    variables: Vec<(String, String)>,
    flags: Vec<(String, String)>,
) -> Result<Resolved, ConfigError> {
    let file = match path {
        None => None,
        Some(path) => {
            let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
            let bytes = files.read(path).map_err(unreadable)?;
            let text = String::from_utf8(bytes)
                .map_err(|error| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
            Some((path.to_owned(), text))
        }
    };
    resolve(&Sources { file, variables, flags })
}

/// Resolves all sources.
///
/// # Errors
/// The first thing that is wrong.
pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigError> {
    let mut resolved = Resolved { settings: Settings::default(), sources: BTreeMap::new() };
    if let Some((path, text)) = &sources.file {
        resolved.apply_file(path, text)?;
    }
    for (name, value) in &sources.variables {
        if name.starts_with(PREFIX) && !RESERVED.contains(&name.as_str()) {
            let place = Source::Variable(name.clone());
            let key = KEYS.iter().find(|key| key.variable() == *name).ok_or_else(|| ConfigError::UnknownKey {
                place: place.clone(),
                key: name.clone(),
                suggestion: nearest(name, KEYS.iter().map(Key::variable)),
            })?;
            resolved.set(key, place, Given::Text(value), || format!("{value:?}"))?;
        }
    }
    for (name, value) in &sources.flags {
        let key = find(name, &Source::Flag)?;
        resolved.set(key, Source::Flag, Given::Text(value), || format!("{value:?}"))?;
    }
    resolved.check()?;
    Ok(resolved)
}

impl Resolved {
    fn apply_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let place =
            |offset: usize| Source::File { path: path.to_owned(), line: text[..offset].matches('\n').count() + 1 };
        let table = DeTable::parse(text).map_err(|error| ConfigError::Malformed {
            place: place(error.span().map_or(0, |span| span.start.min(text.len()))),
            message: error.message().to_owned(),
        })?;
        for (name, value) in table.get_ref() {
            let at = place(name.span().start);
            let name = name.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(section) if is_section(name) => {
                    for (key, value) in section {
                        let at = place(key.span().start);
                        let key = find(&format!("{name}.{}", key.get_ref()), &at)?;
                        self.set(key, at, Given::Toml(value.get_ref()), || text[value.span()].to_owned())?;
                    }
                }
                written => {
                    let key = find(name, &at)?;
                    self.set(key, at, Given::Toml(written), || text[value.span()].to_owned())?;
                }
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        key: &'static Key,
        place: Source,
        given: Given<'_>,
        value: impl Fn() -> String,
    ) -> Result<(), ConfigError> {
        if (key.set)(&mut self.settings, given).is_none() {
            return Err(ConfigError::InvalidValue {
                place,
                key: key.name.to_owned(),
                value: value(),
                expected: key.expected.to_owned(),
            });
        }
        self.sources.insert(key.name, place);
        Ok(())
    }

    /// What no single key can know.
    fn check(&self) -> Result<(), ConfigError> {
        let settings = &self.settings;
        let raft = &settings.raft;
        if raft.election_min_milliseconds < 3 * raft.heartbeat_milliseconds {
            return self.refuse("raft.election_min_milliseconds", "at least three times raft.heartbeat_milliseconds");
        }
        if raft.election_max_milliseconds <= raft.election_min_milliseconds {
            return self.refuse("raft.election_max_milliseconds", "more than raft.election_min_milliseconds");
        }
        if raft.directory_election_min_milliseconds < 3 * raft.directory_heartbeat_milliseconds {
            let expected = "at least three times raft.directory_heartbeat_milliseconds";
            return self.refuse("raft.directory_election_min_milliseconds", expected);
        }
        if raft.directory_election_max_milliseconds <= raft.directory_election_min_milliseconds {
            let expected = "more than raft.directory_election_min_milliseconds";
            return self.refuse("raft.directory_election_max_milliseconds", expected);
        }
        if let Err(invalid) = LdapOptions::new(&settings.ldap) {
            return self.refuse(invalid.key, invalid.expected);
        }
        let keys = &settings.encryption;
        let sources = [keys.key_file.is_some(), keys.passphrase_file.is_some(), !keys.key_command.is_empty()];
        if sources.iter().filter(|is_set| **is_set).count() > 1 {
            let name = if sources[2] { "encryption.key_command" } else { "encryption.passphrase_file" };
            return self.refuse(name, "only one of key_file, passphrase_file and key_command");
        }
        if let Err(invalid) = AcmeOptions::new(&settings.acme) {
            return self.refuse(invalid.key, invalid.expected);
        }
        match (&settings.api.tls_certificate, &settings.api.tls_key) {
            (Some(_), None) => self.refuse("api.tls_key", "the key of api.tls_certificate"),
            (None, Some(_)) => self.refuse("api.tls_certificate", "the certificate of api.tls_key"),
            _ if settings.api.client_ca.is_some() && !settings.api_is_tls() => {
                self.refuse("api.client_ca", "\"\" without api.tls_certificate or api.tls_directory")
            }
            _ if settings.api.proxy_protocol && settings.api.trusted_proxies.is_empty() => {
                self.refuse("api.proxy_protocol", "false without api.trusted_proxies")
            }
            _ if check_plaintext(
                &settings.admin.listen,
                settings.api_is_tls() || settings.admin.listen.is_empty(),
                false,
            )
            .is_err() =>
            {
                self.refuse(
                    "admin.listen",
                    "an address of this machine alone without api.tls_certificate: 127.0.0.1:PORT",
                )
            }
            _ if !settings.acme.http_listen.is_empty() && settings.acme.directory.is_empty() => {
                self.refuse("acme.http_listen", "\"\" without acme.directory")
            }
            _ if settings.metrics.listen.is_empty() && !settings.metrics.allow.is_empty() => {
                self.refuse("metrics.allow", "[] without metrics.listen")
            }
            _ => Ok(()),
        }
    }

    fn refuse(&self, name: &'static str, expected: &str) -> Result<(), ConfigError> {
        let key = find(name, &Source::Default)?;
        Err(ConfigError::InvalidValue {
            place: self.sources.get(name).cloned().unwrap_or(Source::Default),
            key: name.to_owned(),
            value: key.value(&self.settings),
            expected: expected.to_owned(),
        })
    }
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.split_once('.').is_some_and(|(section, _)| section == name))
}

fn find(name: &str, place: &Source) -> Result<&'static Key, ConfigError> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| ConfigError::UnknownKey {
        place: place.clone(),
        key: name.to_owned(),
        suggestion: nearest(name, KEYS.iter().map(|key| key.name.to_owned())),
    })
}

/// The candidate that a person most likely meant: the same last word in another section, or a few typing errors away.
fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let last = |text: &str| text.rsplit('.').next().unwrap_or_default().to_owned();
    candidates
        .map(|candidate| {
            let same_word = last(&candidate) == last(name);
            (if same_word { 1 } else { distance(name, &candidate) }, candidate)
        })
        .min()
        .filter(|(distance, _)| *distance <= 1 + name.len() / 4)
        .map(|(_, candidate)| candidate)
}

/// Edit distance (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, left) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, right) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Sources {
        Sources { file: Some((PathBuf::from("regnode.toml"), text.to_owned())), ..Sources::default() }
    }

    fn message(sources: &Sources) -> String {
        resolve(sources).unwrap_err().to_string()
    }

    #[test]
    fn later_sources_win() {
        let mut sources = file("[storage]\nreserve_percent = 7\nblock_size_bytes = 65536\n[node]\nzone = \"a\"");
        sources.variables =
            vec![("REGNODE_STORAGE_RESERVE_PERCENT".into(), "8".into()), ("HOME".into(), "/root".into())];
        sources.flags = vec![("node.zone".into(), "b".into())];
        let resolved = resolve(&sources).unwrap();
        assert_eq!(resolved.settings.storage.reserve_percent, 8);
        assert_eq!(resolved.settings.storage.block_size_bytes, 65536);
        assert_eq!(resolved.settings.node.zone, "b");
        assert_eq!(resolved.sources["node.zone"], Source::Flag);
        assert_eq!(resolved.sources["storage.block_size_bytes"], Source::File { path: "regnode.toml".into(), line: 3 });
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_one() {
        assert_eq!(
            message(&file("\n[storage]\nreserve_pct = 7")),
            "regnode.toml:3: there is no key \"storage.reserve_pct\", did you mean \"storage.reserve_percent\"?"
        );
        assert_eq!(
            message(&file("reserve_percent = 7")),
            "regnode.toml:1: there is no key \"reserve_percent\", did you mean \"storage.reserve_percent\"?"
        );
        assert_eq!(
            message(&file("[quux]\na = 7")),
            "regnode.toml:1: there is no key \"quux\"; all keys: regnode config reference"
        );
        let variables = vec![("REGNODE_DATADIR".into(), "/x".into())];
        assert_eq!(
            message(&Sources { variables, ..Sources::default() }),
            "environment variable REGNODE_DATADIR: there is no key \"REGNODE_DATADIR\", did you mean \
             \"REGNODE_DATA_DIR\"?"
        );
    }

    #[test]
    fn bad_values_are_named_with_what_is_expected() {
        assert_eq!(
            message(&file("[storage]\nreserve_percent = \"many\"")),
            "regnode.toml:2: storage.reserve_percent = \"many\" is not valid: a whole number from 0 to 50 expected"
        );
        assert_eq!(
            message(&file("[api]\nlisten = \"5000\"")),
            "regnode.toml:2: api.listen = \"5000\" is not valid: host:port expected"
        );
        let flags = vec![("api.allow_plaintext".into(), "yes".into())];
        assert_eq!(
            message(&Sources { flags, ..Sources::default() }),
            "flag: api.allow_plaintext = \"yes\" is not valid: true or false expected"
        );
        assert_eq!(
            message(&file("[api]\ntls_certificate = \"a.pem\"")),
            "default: api.tls_key = \"\" is not valid: the key of api.tls_certificate expected"
        );
        assert_eq!(
            message(&file("[api]\nallow = [\"10.0.0.0/8\", \"everybody\"]")),
            "regnode.toml:2: api.allow = [\"10.0.0.0/8\", \"everybody\"] is not valid: a list of networks such as \
             10.0.0.0/8, or addresses expected"
        );
        assert!(message(&file("[api]\nproxy_protocol = true")).contains("false without api.trusted_proxies expected"));
        let metrics = message(&file("[metrics]\nallow = [\"10.0.0.0/8\"]"));
        assert!(metrics.contains("[] without metrics.listen expected"), "{metrics}");
        assert!(resolve(&file("[metrics]\nlisten = \"0.0.0.0:9100\"\nallow = [\"10.0.0.0/8\"]")).is_ok());
        assert!(message(&file("[api]\nclient_ca = \"ca.pem\"")).contains("\"\" without api.tls_certificate"));
        let ldap = message(&file("[ldap]\nservers = [\"ldaps://a.test\"]"));
        assert!(ldap.contains("ldap.user_base = \"\" is not valid: the distinguished name"), "{ldap}");
        assert!(message(&file("[api\n")).starts_with("regnode.toml:1: not valid TOML"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = resolve(&file(&text));
        }
    }
}
