//! An issuer of tokens beside the registry, as a CI system or an identity provider is one: it signs what a test says, and
//! tells its public keys over HTTPS, at loopback.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;
use crate::jwt;
use crate::sign_in::SignIn;

/// Whom tokens are for if a test does not say otherwise.
pub const AUDIENCE: &str = "regnode";
/// How long they are good for, in seconds.
const LIFETIME_SECONDS: u64 = 300;

/// A key that signs tokens (ES256).
#[derive(Debug)]
pub struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    /// A fresh key with this id.
    ///
    /// # Errors
    /// When none can be made, which only a broken build can cause.
    pub fn new(id: &str) -> Result<Self> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())?;
        Ok(Self { id: id.to_owned(), pair: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref())? })
    }

    /// The public half as a key set (RFC 7517) has it.
    #[must_use]
    pub fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        })
    }

    /// A token of an issuer. `claims` go before what is usual: [`AUDIENCE`], from now on, for five minutes.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, issuer: &str, claims: &Value) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut all = json!({
            "iss": issuer, "aud": AUDIENCE, "sub": "somebody", "iat": now, "nbf": now, "exp": now + LIFETIME_SECONDS,
        });
        for (name, value) in claims.as_object().context("claims are an object")? {
            all[name] = value.clone();
        }
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.id });
        let mut signature = Err(anyhow::anyhow!("nothing was signed"));
        let token = jwt::signed(&header, &all, |text| {
            signature =
                self.pair.sign(&SystemRandom::new(), text).context("signing").map(|made| made.as_ref().to_vec());
            signature.as_ref().map(Clone::clone).unwrap_or_default()
        });
        signature.map(|_| token)
    }
}

/// Seconds since 1970, so many before now: the `exp` of a token that is over.
///
/// # Errors
/// When the clock stands before 1970.
pub fn seconds_ago(seconds: u64) -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().saturating_sub(seconds))
}

/// A key set (RFC 7517).
#[must_use]
pub fn key_set(keys: &[&SigningKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>() })
}

/// An issuer that is found by OpenID Connect discovery. Ended when dropped.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    authority: Authority,
    key: Arc<Mutex<Arc<SigningKey>>>,
    sign_in: Arc<Mutex<SignIn>>,
    server: JoinHandle<()>,
}

impl Issuer {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let authority = Authority::new("an issuer's authority")?;
        let acceptor = TlsAcceptor::from(authority.issue(&["127.0.0.1"])?.server()?);
        let key = Arc::new(Mutex::new(Arc::new(SigningKey::new("first")?)));
        let sign_in = Arc::new(Mutex::new(SignIn::default()));
        let site = Site { url: url.clone(), key: Arc::clone(&key), sign_in: Arc::clone(&sign_in) };
        let server = tokio::spawn(serve(listener, acceptor, site));
        Ok(Self { url, authority, key, sign_in, server })
    }

    /// What its tokens say in `iss`, and where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who has signed the certificate of its HTTPS.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// How people log in there by their browser.
    pub fn sign_in(&self) -> MutexGuard<'_, SignIn> {
        self.sign_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs with another key from now on. The present one is not told any more.
    ///
    /// # Errors
    /// When there is none.
    pub fn rotate(&self, id: &str) -> Result<()> {
        *locked(&self.key) = Arc::new(SigningKey::new(id)?);
        Ok(())
    }

    /// A token with these claims; see [`SigningKey::token`].
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, claims: &Value) -> Result<String> {
        let key = Arc::clone(&locked(&self.key));
        key.token(&self.url, claims)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn locked(key: &Mutex<Arc<SigningKey>>) -> MutexGuard<'_, Arc<SigningKey>> {
    key.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What it answers from.
#[derive(Clone)]
struct Site {
    url: String,
    key: Arc<Mutex<Arc<SigningKey>>>,
    sign_in: Arc<Mutex<SignIn>>,
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, site: Site) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, site) = (acceptor.clone(), site.clone());
        tokio::spawn(async move {
            // Who breaks off is somebody who was shown a certificate that he does not trust.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answered = service_fn(move |request: Request<Incoming>| {
                let site = site.clone();
                async move { Ok::<_, Infallible>(site.answer(request).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answered).await;
        });
    }
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let form = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let sign_in = || self.sign_in.lock().unwrap_or_else(PoisonError::into_inner);
        let (url, key) = (&self.url, Arc::clone(&locked(&self.key)));
        let found = match parts.uri.path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"),
                "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
                "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": true,
            }),
            "/keys" => key_set(&[&key]),
            "/authorize" => return sign_in().authorize(url, parts.uri.query().unwrap_or_default()),
            "/token" => {
                let form = String::from_utf8_lossy(&form);
                return sign_in().token(&form, |claims| key.token(url, claims).ok());
            }
            _ => Value::Null,
        };
        let mut response = Response::new(Full::from(found.to_string()));
        if found.is_null() {
            *response.status_mut() = http::StatusCode::NOT_FOUND;
        }
        response
    }
}
