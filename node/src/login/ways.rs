//! How people log in to administer: what `regnode login` and the browser ask first. Everybody may know it, so there is no
//! secret in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use raft::directory::IssuerUse;
use serde::{Deserialize, Serialize};

use super::{Login, LoginError};
use crate::serve::Client;

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

/// The nonce of an ID token, to be compared with that of a login. Whether the token counts is asked elsewhere.
pub(super) fn nonce_of(token: &str) -> Option<String> {
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
    fn a_nonce_is_read_from_a_token_and_nowhere_else() {
        let token = |claims: &str| format!("eyJ.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(nonce_of(&token(r#"{"nonce":"n","sub":"a"}"#)).as_deref(), Some("n"));
        for none in [token("{}"), token(r#"{"nonce":1}"#), token("x"), "eyJ".to_owned(), "a.!.c".to_owned()] {
            assert_eq!(nonce_of(&none), None, "{none}");
        }
    }
}
