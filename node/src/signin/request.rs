//! What a browser is sent to an issuer with, and what is believed of what it brings back.
//!
//! `state` ties the answer to the browser that was sent, `nonce` the token to the login and to the registry, the verifier the code to this
//! program: whoever reads the answer on its way can do nothing with it (RFC 7636). All three are random and used once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::provider::Provider;
use crate::environment::Entropy;
use crate::login::bound_nonce;

/// Random bytes of a verifier, a state and a nonce: 43 characters each, the fewest that RFC 7636 takes.
const RANDOM_BYTES: usize = 32;

/// A login that has begun.
#[derive(Clone)]
pub struct Request {
    url: String,
    state: String,
    issuer: String,
    names_issuer: bool,
    nonce_secret: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
}

/// What an issuer has given for a login: good once, and for this program alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    pub(super) code: String,
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not of this login, or of nobody who was asked. The login still waits.
    #[error("this is not the answer to the login that waits here")]
    Foreign,
    /// The issuer refuses.
    #[error("the issuer refused the login: {0}")]
    Refused(String),
    /// It is of another issuer than the one that was asked (RFC 9207).
    #[error("the answer is of another issuer, {0:?}")]
    Issuer(String),
    /// It says nothing.
    #[error("the issuer's answer has no code")]
    NoCode,
}

impl Request {
    /// Begins a login at the registry of this URL, which the token will be of use at alone. `redirect_uri` is where the
    /// browser brings the answer, `scopes` what the token is to tell.
    #[must_use]
    pub fn new(
        provider: &Provider,
        (registry, client_id): (&str, &str),
        redirect_uri: &str,
        scopes: &str,
        entropy: &dyn Entropy,
    ) -> Self {
        let random = || {
            let mut bytes = [0; RANDOM_BYTES];
            entropy.fill(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let (state, nonce_secret, verifier) = (random(), random(), random());
        let nonce = bound_nonce(&nonce_secret, registry);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", scopes)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge(&verifier))
            .append_pair("code_challenge_method", "S256")
            .finish();
        let endpoint = &provider.authorization_endpoint;
        let join = if endpoint.contains('?') { '&' } else { '?' };
        Self {
            url: format!("{endpoint}{join}{query}"),
            state,
            issuer: provider.issuer.clone(),
            names_issuer: provider.names_issuer,
            nonce_secret,
            nonce,
            verifier,
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    /// Where the browser is sent.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The nonce, which the token service compares too.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// What the nonce was made of, besides the registry's URL: the token service compares that with its own.
    #[must_use]
    pub fn nonce_secret(&self) -> &str {
        &self.nonce_secret
    }

    /// What the browser has brought back, as the query of the address that it was sent to.
    ///
    /// # Errors
    /// What is wrong with it. Only after [`AnswerError::Foreign`] there is something to wait for.
    pub fn answered(&self, query: &str) -> Result<Authorization, AnswerError> {
        let mut fields: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut take = |name: &str| {
            let place = fields.iter().position(|(key, _)| key == name)?;
            Some(fields.swap_remove(place).1)
        };
        if take("state").as_deref() != Some(self.state.as_str()) {
            return Err(AnswerError::Foreign);
        }
        match take("iss") {
            Some(issuer) if issuer != self.issuer => return Err(AnswerError::Issuer(issuer)),
            None if self.names_issuer => return Err(AnswerError::Issuer(String::new())),
            _ => {}
        }
        if let Some(error) = take("error") {
            let more = take("error_description").map(|text| format!(": {text}")).unwrap_or_default();
            let text: String =
                format!("{error}{more}").chars().filter(|letter| !letter.is_control()).take(300).collect();
            return Err(AnswerError::Refused(text));
        }
        let code = take("code").filter(|code| !code.is_empty()).ok_or(AnswerError::NoCode)?;
        // Twice is not what an issuer sends.
        if take("code").is_some() || take("state").is_some() {
            return Err(AnswerError::NoCode);
        }
        Ok(Authorization { code })
    }
}

/// What of a verifier is told when the login begins (RFC 7636, S256).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
