//! An issuer of people, as it tells of itself (OpenID Connect Discovery 1.0), and the exchange of a code for an ID token.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::request::{Authorization, Request};
use crate::web::{Plaintext, WebClient, WebError, WebLimits, WebRequest, check_url};

/// Bounds of each request. Never without TLS: the code and the token must reach nobody else.
const LIMITS: WebLimits =
    WebLimits { deadline: Duration::from_secs(15), body_bytes_max: 1 << 20, plaintext: Plaintext::Refused };

const FORM: &str = "application/x-www-form-urlencoded";

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The issuer could not be asked.
    #[error("the issuer could not be asked at {url}")]
    Web {
        /// Where.
        url: String,
        /// Why.
        source: WebError,
    },
    /// It answers with something else.
    #[error("the issuer answered at {url} with {status}{detail}")]
    Status {
        /// Where.
        url: String,
        /// Its status.
        status: StatusCode,
        /// What it says, behind a colon.
        detail: String,
    },
    /// What it answers makes no sense.
    #[error("what the issuer answered at {url} cannot be used: {reason}")]
    Document {
        /// Where.
        url: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The ID token is not of this login.
    #[error("the issuer's ID token is not of this login: its {0} is another one")]
    Token(&'static str),
}

/// An issuer.
#[derive(Clone, Debug)]
pub struct Provider {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    /// Whether its answers name it (RFC 9207).
    pub(super) names_issuer: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: serde_json::Value,
    #[serde(default)]
    nonce: String,
}

impl Provider {
    /// What an issuer tells of itself.
    ///
    /// # Errors
    /// When it does not, or speaks for another one.
    pub async fn discover(web: &WebClient, issuer: &str) -> Result<Self, SignInError> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Document = ask(web, WebRequest::get(url.clone())).await?;
        let unfit = |reason| SignInError::Document { url: url.clone(), reason };
        if document.issuer != issuer {
            return Err(unfit("it speaks for another issuer"));
        }
        // Those that say nothing of it mostly can (RFC 8414); one that names others only cannot.
        if document.code_challenge_methods_supported.is_some_and(|methods| !methods.iter().any(|name| name == "S256")) {
            return Err(unfit("it does not take PKCE with S256"));
        }
        for endpoint in [&document.authorization_endpoint, &document.token_endpoint] {
            check_url(endpoint, Plaintext::Refused).map_err(|_| unfit("its endpoints are no https:// URLs"))?;
        }
        Ok(Self {
            issuer: document.issuer,
            authorization_endpoint: document.authorization_endpoint,
            token_endpoint: document.token_endpoint,
            names_issuer: document.authorization_response_iss_parameter_supported,
        })
    }

    /// The ID token of a login.
    ///
    /// # Errors
    /// When the issuer refuses, or gives one of another login. Its signature is the registry's to verify: here it came over
    /// TLS from whom it says that it is of (OpenID Connect Core 1.0, 3.1.3.7).
    pub async fn id_token(
        &self,
        web: &WebClient,
        request: &Request,
        authorization: Authorization,
    ) -> Result<String, SignInError> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &authorization.code)
            .append_pair("redirect_uri", &request.redirect_uri)
            .append_pair("client_id", &request.client_id)
            .append_pair("code_verifier", &request.verifier)
            .finish();
        let tokens: Tokens = ask(web, WebRequest::post(self.token_endpoint.clone(), FORM, form)).await?;
        let unfit = |reason| SignInError::Document { url: self.token_endpoint.clone(), reason };
        let token = tokens.id_token.ok_or_else(|| unfit("it has no ID token"))?;
        let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
        let claims = claims.ok_or_else(|| unfit("its ID token cannot be read"))?;
        if claims.iss != self.issuer {
            return Err(SignInError::Token("issuer"));
        }
        let is_for_us = match &claims.aud {
            serde_json::Value::String(one) => *one == request.client_id,
            serde_json::Value::Array(several) => several.iter().any(|one| *one == *request.client_id),
            _ => false,
        };
        if !is_for_us {
            return Err(SignInError::Token("audience"));
        }
        if claims.nonce != request.nonce {
            return Err(SignInError::Token("nonce"));
        }
        Ok(token)
    }
}

async fn ask<A: DeserializeOwned>(web: &WebClient, request: WebRequest) -> Result<A, SignInError> {
    let url = request.url.clone();
    let answer = web.send(request, LIMITS).await.map_err(|source| SignInError::Web { url: url.clone(), source })?;
    if answer.status != StatusCode::OK {
        let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
        let detail = refusal.map(|told| format!(": {} {}", told.error, told.error_description)).unwrap_or_default();
        let detail: String = detail.trim_end().chars().filter(|letter| !letter.is_control()).take(300).collect();
        return Err(SignInError::Status { url, status: answer.status, detail });
    }
    serde_json::from_slice(&answer.body).map_err(|_| SignInError::Document { url, reason: "it is no such document" })
}

#[cfg(test)]
impl Provider {
    /// One that was not asked.
    pub(super) fn fixed(issuer: &str, names_issuer: bool) -> Self {
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: format!("{issuer}/authorize"),
            token_endpoint: format!("{issuer}/token"),
            names_issuer,
        }
    }
}
