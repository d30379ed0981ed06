//! How people log in to administer: what `regnode login` and the browser ask first. Everybody may know it, so there is no
//! secret in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use raft::directory::IssuerUse;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::form::Form;
use super::{Known, Login, LoginError};
use crate::access::{Caller, Principal, Way};
use crate::serve::Client;

/// What nonces begin with that say at which registry somebody logs in.
const NONCE_PREFIX: &str = "regnode.";

/// How people log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    /// Version of this form.
    pub version: u32,
    /// What the token service is called, for its parameter `service`.
    pub service: String,
    /// URL of the token service.
    pub token_url: String,
    /// Where people log in by their browser (OpenID Connect), by name.
    pub issuers: Vec<Issuer>,
}

/// An issuer of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Its name in this registry.
    pub name: String,
    /// Its URL, below which it tells of itself.
    pub issuer: String,
    /// What this registry is called there: a public client.
    pub client_id: String,
    /// Authorities of its certificate, PEM, if it is not one that systems know.
    pub authority: Option<String>,
}

impl Login {
    /// How people log in here, as a client finds it that has come so.
    pub(crate) fn ways(&self, headers: &HeaderMap, client: &Client) -> Result<Ways, LoginError> {
        let rights = self.rights()?;
        let issuers = rights.issuers().iter().filter_map(|(name, record)| match &record.purpose {
            IssuerUse::People { client_id, .. } => Some(Issuer {
                name: name.clone(),
                issuer: record.issuer.clone(),
                client_id: client_id.clone(),
                authority: record.authority.clone(),
            }),
            _ => None,
        });
        let issuers = issuers.collect();
        Ok(Ways {
            version: 1,
            service: self.shared.names.service.clone(),
            token_url: self.realm(headers, client),
            issuers,
        })
    }
}

/// The nonce of a login by a browser: it commits to the registry's URL, so that an ID token that was made for a login at one
/// registry is of no use at another of the same issuer and client, to which the first one could hand it on.
#[must_use]
pub fn bound_nonce(secret: &str, url: &str) -> String {
    let digest = Sha256::digest(format!("{secret}\n{}", origin(url)));
    format!("{NONCE_PREFIX}{}", URL_SAFE_NO_PAD.encode(digest))
}

/// Scheme, host and port of a URL in one way of writing.
fn origin(url: &str) -> String {
    let url = url.trim().to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url.as_str()));
    let authority = rest.split('/').next().unwrap_or_default();
    let default = if scheme == "http" { ":80" } else { ":443" };
    format!("{scheme}://{}", authority.strip_suffix(default).unwrap_or(authority))
}

/// For which login an ID token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeFor {
    /// For one at this registry, for certain.
    Here,
    /// It does not say, or this registry does not know its own URL.
    Untold,
    /// For another one.
    Another,
}

impl Login {
    /// For which login an ID token was made that came with this form. What the client says of the host does not count:
    /// whoever hands a token on says what he likes.
    pub(super) fn made_for(&self, token: &str, form: &Form, client: &Client) -> MadeFor {
        let nonce = nonce_of(token);
        if form.get("nonce").is_some_and(|told| nonce.as_deref() != Some(told)) {
            return MadeFor::Another;
        }
        let Some(nonce) = nonce.filter(|nonce| nonce.starts_with(NONCE_PREFIX)) else { return MadeFor::Untold };
        let Some(secret) = form.get("nonce_secret") else { return MadeFor::Another };
        let public_url = self.shared.options.public_url.as_str();
        if public_url.is_empty() {
            return MadeFor::Untold;
        }
        // The domain of a tenant was looked up, its port was not: that is no other registry's.
        let host = client.tenant.as_ref().map(|tenant| client.host.as_deref().unwrap_or(tenant.domain()));
        let domain = host.map(|host| format!("https://{host}"));
        let is_own = |url: &str| bound_nonce(secret, url) == nonce;
        if is_own(public_url) || domain.as_deref().is_some_and(is_own) { MadeFor::Here } else { MadeFor::Another }
    }

    /// Whether any ID token lets its holder administer. Where this registry knows its own URL, it has to say that it was
    /// made for a login here.
    pub(super) fn administers_by_any_token(&self) -> bool {
        self.shared.options.public_url.is_empty()
    }

    /// Whether somebody has shown what one administers with, as far as the rules let him.
    pub(crate) fn lets_administer(&self, caller: &Caller) -> bool {
        let by_id_token = caller.grants.is_none() && is_by_id_token(&caller.principal, caller.way);
        caller.may_administer() && (!by_id_token || self.administers_by_any_token())
    }
}

impl Known {
    /// Whether it was an ID token of a person that he has shown.
    pub(super) fn is_by_id_token(&self) -> bool {
        !self.lasting && is_by_id_token(&self.session.principal, self.way)
    }
}

/// People show no other tokens than those that say what they are for.
fn is_by_id_token(principal: &Principal, way: Way) -> bool {
    way == Way::Token && matches!(principal, Principal::User(_))
}

/// Whether an ID token was made for a login by a browser, which brings it to the token service itself.
pub(super) fn is_of_browser_login(token: &str) -> bool {
    nonce_of(token).is_some_and(|nonce| nonce.starts_with(NONCE_PREFIX))
}

/// The nonce of an ID token, to be compared with that of a login. Whether the token counts is asked elsewhere.
fn nonce_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        nonce: String,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_of_one_registry_however_its_url_is_written() {
        let nonce = bound_nonce("secret", "https://registry.example.org");
        for same in ["https://Registry.example.org/", "https://registry.example.org:443", "registry.example.org"] {
            assert_eq!(bound_nonce("secret", same), nonce, "{same}");
        }
        for (secret, url) in [
            ("secret", "https://evil.example"),
            ("secret", "https://registry.example.org:5000"),
            ("secret", "http://registry.example.org"),
            ("other", "https://registry.example.org"),
        ] {
            assert_ne!(bound_nonce(secret, url), nonce, "{secret} {url}");
        }
        let token = |nonce: &str| format!("eyJ.{}.sig", URL_SAFE_NO_PAD.encode(format!(r#"{{"nonce":"{nonce}"}}"#)));
        assert!(is_of_browser_login(&token(&nonce)) && !is_of_browser_login(&token("n")));
    }

    #[test]
    fn a_nonce_is_read_from_a_token_and_nowhere_else() {
        let token = |claims: &str| format!("eyJ.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(nonce_of(&token(r#"{"nonce":"n","sub":"a"}"#)).as_deref(), Some("n"));
        for none in [token("{}"), token(r#"{"nonce":1}"#), token("x"), "eyJ".to_owned(), "a.!.c".to_owned()] {
            assert_eq!(nonce_of(&none), None, "{none}");
        }
    }
}
