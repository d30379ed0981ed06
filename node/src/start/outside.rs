//! Who is known elsewhere: the places outside that this node's settings name.

use std::sync::Arc;

use tracing::error;

use crate::config::Settings;
use crate::environment::Environment;
use crate::federation::Htpasswd;
use crate::ldap::{Ldap, LdapOptions};
use crate::login::PasswordSource;

/// Where people have passwords that the cluster does not keep, in the order in which they are asked.
pub(super) fn password_sources(settings: &Settings, environment: &Environment) -> Vec<Arc<dyn PasswordSource>> {
    let mut sources: Vec<Arc<dyn PasswordSource>> = Vec::new();
    if let Some(path) = &settings.access.htpasswd {
        sources.push(Arc::new(Htpasswd::new(path, environment)));
    }
    match LdapOptions::new(&settings.ldap) {
        Ok(Some(options)) => sources.push(Arc::new(Ldap::new(options, environment))),
        Ok(None) => {}
        // Settings that were loaded have passed this check.
        Err(error) => error!(%error, "nobody logs in by LDAP"),
    }
    sources
}

#[cfg(test)]
mod tests {
    use storage::disk::RealFiles;
    use storage::kv::RocksEngines;
    use storage::seal::Keys;

    use super::*;
    use crate::environment::real;

    #[test]
    fn places_are_asked_that_the_settings_name() {
        let environment = real(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear())));
        let mut settings = Settings::default();
        assert!(password_sources(&settings, &environment).is_empty());
        settings.access.htpasswd = Some("/nowhere".into());
        settings.ldap.servers = vec!["ldaps://a.test".to_owned()];
        settings.ldap.user_base = "dc=test".to_owned();
        let sources = password_sources(&settings, &environment);
        assert_eq!(sources.iter().map(|source| source.name()).collect::<Vec<_>>(), ["htpasswd", "ldap"]);
    }
}
