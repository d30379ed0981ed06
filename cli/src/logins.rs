//! The logins of whoever runs the program, `regnode/logins.json` in his folder of configurations: for each registry a refresh
//! token, which is over soon, and never a password. Nobody else may read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use node::environment::Environment;
use serde::{Deserialize, Serialize};

/// Version of the file.
const VERSION: u32 = 1;

/// One login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// Who is logged in, for people.
    pub(crate) principal: String,
    /// Where tokens are had.
    pub(crate) token_url: String,
    /// What the token service is called.
    pub(crate) service: String,
    /// What they are had for.
    pub(crate) refresh_token: String,
    /// Authorities of the registry's certificate, PEM, if they were named at the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authority: Option<String>,
}

/// All of them, by the registry's URL.
#[derive(Serialize, Deserialize)]
struct Logins {
    version: u32,
    logins: BTreeMap<String, Login>,
}

/// The file of a user, by the variables `XDG_CONFIG_HOME` and `HOME`.
pub(crate) fn path(config_home: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf> {
    // One that is not absolute counts for nothing (XDG Base Directory Specification).
    let named = config_home.filter(|path| path.is_absolute());
    let folder = named.or_else(|| home.filter(|path| path.is_absolute()).map(|home| home.join(".config")));
    let folder = folder.context("it is not known where logins are kept: HOME names no folder")?;
    Ok(folder.join("regnode").join("logins.json"))
}

/// The login at a registry.
pub(crate) async fn find(environment: &Environment, path: &Path, url: &str) -> Result<Option<Login>> {
    Ok(read(environment, path).await?.logins.remove(url))
}

/// Keeps a login.
pub(crate) async fn keep(environment: &Environment, path: &Path, url: &str, login: Login) -> Result<()> {
    let mut all = read(environment, path).await?;
    all.logins.insert(url.to_owned(), login);
    write(environment, path, &all).await
}

/// Forgets a login; whether there was one.
pub(crate) async fn forget(environment: &Environment, path: &Path, url: &str) -> Result<bool> {
    let mut all = read(environment, path).await?;
    let was = all.logins.remove(url).is_some();
    if was {
        write(environment, path, &all).await?;
    }
    Ok(was)
}

async fn read(environment: &Environment, path: &Path) -> Result<Logins> {
    let (files, owned) = (environment.files.clone(), path.to_owned());
    let bytes = match environment.exec.run(move || files.read(&owned)).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Logins { version: VERSION, logins: BTreeMap::new() });
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let all: Logins = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} cannot be read: remove it, and log in again", path.display()))?;
    if all.version != VERSION {
        bail!("{} is of another version of this program: remove it, and log in again", path.display());
    }
    Ok(all)
}

async fn write(environment: &Environment, path: &Path, all: &Logins) -> Result<()> {
    let (files, owned, text) = (environment.files.clone(), path.to_owned(), serde_json::to_vec_pretty(all)?);
    let written = environment.exec.run(move || {
        if let Some(folder) = owned.parent() {
            files.create_directory_all(folder)?;
        }
        // Made for its owner alone, as every file here.
        files.replace(&owned, &text)
    });
    written.await.with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    fn login(token: &str) -> Login {
        let text = |text: &str| text.to_owned();
        Login {
            principal: text("user:ann"),
            token_url: text("https://a/token"),
            service: text("regnode:1"),
            refresh_token: token.to_owned(),
            authority: None,
        }
    }

    #[tokio::test]
    async fn a_login_is_kept_until_it_is_forgotten_and_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let environment = settings::environment();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regnode").join("logins.json");
        assert!(find(&environment, &path, "https://a").await.unwrap().is_none());
        keep(&environment, &path, "https://a", login("one")).await.unwrap();
        keep(&environment, &path, "https://b", login("two")).await.unwrap();
        assert!(find(&environment, &path, "https://a").await.unwrap() == Some(login("one")));
        #[expect(clippy::disallowed_methods, reason = "the mode is what is looked at")]
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(forget(&environment, &path, "https://a").await.unwrap());
        assert!(!forget(&environment, &path, "https://a").await.unwrap());
        assert!(find(&environment, &path, "https://b").await.unwrap() == Some(login("two")));
    }

    #[test]
    fn the_file_lies_where_others_lie() {
        let absolute = |path: &str| Some(PathBuf::from(path));
        assert_eq!(path(absolute("/c"), absolute("/h")).unwrap(), PathBuf::from("/c/regnode/logins.json"));
        assert_eq!(path(absolute("c"), absolute("/h")).unwrap(), PathBuf::from("/h/.config/regnode/logins.json"));
        assert_eq!(path(None, absolute("/h")).unwrap(), PathBuf::from("/h/.config/regnode/logins.json"));
        assert!(path(None, None).is_err());
    }
}
