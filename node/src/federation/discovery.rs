//! Where an issuer's keys are: OpenID Connect discovery, and the fetch of the key set itself.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::json;
use super::jwks::{KEY_SET_BYTES_MAX, KeySet, KeySetError};
use crate::web::{Plaintext, WebClient, WebError, WebLimits, WebRequest};

/// Bounds of each of the two requests. Never without TLS: whoever can answer in the issuer's place signs tokens in its
/// place.
const LIMITS: WebLimits =
    WebLimits { deadline: Duration::from_secs(5), body_bytes_max: KEY_SET_BYTES_MAX, plaintext: Plaintext::Refused };

/// Why an issuer's keys are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{url} could not be asked")]
    Web { url: String, source: WebError },
    #[error("{url} answered {status}, 200 is expected")]
    Status { url: String, status: StatusCode },
    #[error("what {url} answered is no discovery document")]
    Document { url: String },
    #[error("{url} speaks for the issuer {told:?}, not for {asked:?}")]
    Issuer { url: String, told: String, asked: String },
    #[error("the key set of {url} cannot be used: {source}")]
    KeySet { url: String, source: KeySetError },
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// The key set of an issuer that says itself where it is (OpenID Connect Discovery 1.0, section 4).
pub(super) async fn discover(web: &WebClient, issuer: &str) -> Result<KeySet, FetchError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let body = get(web, &url).await?;
    let document: Document = json::read(&body).ok_or_else(|| FetchError::Document { url: url.clone() })?;
    if document.issuer != issuer {
        return Err(FetchError::Issuer { url, told: document.issuer, asked: issuer.to_owned() });
    }
    fetch(web, &document.jwks_uri).await
}

/// The key set at a URL.
pub(super) async fn fetch(web: &WebClient, url: &str) -> Result<KeySet, FetchError> {
    let body = get(web, url).await?;
    KeySet::read(&body).map_err(|source| FetchError::KeySet { url: url.to_owned(), source })
}

async fn get(web: &WebClient, url: &str) -> Result<bytes::Bytes, FetchError> {
    let answer = web.send(WebRequest::get(url), LIMITS).await;
    let answer = answer.map_err(|source| FetchError::Web { url: url.to_owned(), source })?;
    if answer.status != StatusCode::OK {
        return Err(FetchError::Status { url: url.to_owned(), status: answer.status });
    }
    Ok(answer.body)
}
