//! Our own tokens: JWTs signed with ES256 by a key of the directory, for nobody but this cluster.
//!
//! Access tokens say what a client may do for some minutes, by what it asked for; refresh tokens get new ones for days
//! without a password. Neither is ever taken for the other: they differ in `typ` and in `aud`. What a token is checked by
//! (algorithm, key) comes from here, never from the token. A token is bound to its account as it was: `since` is when the
//! account's sessions began, which another password, a lost key, or the end of all sessions moves on. So two nodes' clocks
//! are not compared.

use std::sync::Arc;

use bytes::Bytes;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::LoginError;
use super::keys::{KeyId, Keys};
use super::proven::Proven;
use crate::access::{Grant, Principal, Rights, Shown};
use crate::environment::Entropy;
use crate::identity::ClusterId;

/// By how much clocks may differ.
pub(super) const LEEWAY_SECONDS: u64 = 60;
/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 24 << 10;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Requests.
    Access,
    /// New access tokens.
    Refresh,
}

impl TokenKind {
    pub(super) const fn typ(self) -> &'static str {
        match self {
            Self::Access => "JWT",
            Self::Refresh => "refresh+jwt",
        }
    }

    /// Its name in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// The names of a cluster's token service.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Issuer of tokens and their audience, what clients call `service`.
    pub(super) service: String,
    /// Audience of refresh tokens: whoever checks access tokens by the published keys does not take them.
    refresh: String,
}

impl Names {
    pub(super) fn new(cluster: ClusterId) -> Self {
        let service = format!("regnode:{cluster}");
        Self { refresh: format!("{service}/token"), service }
    }

    fn audience(&self, kind: TokenKind) -> &str {
        match kind {
            TokenKind::Access => &self.service,
            TokenKind::Refresh => &self.refresh,
        }
    }
}

/// Whom a token is for, and by what he got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// Who he is: anonymous, a user or a robot.
    pub(super) principal: Principal,
    /// When the sessions of his account began.
    pub(super) since: Timestamp,
    /// The secret that he showed: the token ends with it.
    pub(super) secret: Option<[u8; 8]>,
}

impl Session {
    /// What it shows of his account.
    pub(super) const fn shown(&self) -> Shown {
        Shown { since: self.since, secret: self.secret }
    }
}

/// A token as it is signed (RFC 7519, and distribution's `access`).
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
    #[serde(default)]
    access: Vec<Grant>,
    since: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Signs a token. `None`: this node has no key to sign with.
pub(super) fn sign(
    (kind, names): (TokenKind, &Names),
    (session, access): (&Session, &[Grant]),
    (now, lifetime_seconds): (Timestamp, u64),
    (keys, rights): (&Keys, &Rights),
    entropy: &dyn Entropy,
) -> Option<String> {
    let (id, key) = keys.signing(rights, now)?;
    let now = now.0 / 1000;
    let claims = Claims {
        iss: names.service.clone(),
        sub: session.principal.to_string(),
        aud: names.audience(kind).to_owned(),
        exp: now.saturating_add(lifetime_seconds),
        nbf: now,
        iat: now,
        jti: hex::encode(entropy.id()),
        access: access.to_vec(),
        since: session.since.0,
        secret: session.secret.map(hex::encode),
    };
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some(kind.typ().to_owned());
    header.kid = Some(hex::encode(id));
    encode(&header, &claims, &key).ok()
}

/// Whether a text looks like a signed token at all.
pub(super) fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whether a token says that one of the cluster's own keys has signed it. If so, nobody else is asked.
pub(super) fn is_own(text: &str, rights: &Rights) -> bool {
    text.len() <= TOKEN_BYTES_MAX
        && decode_header(text).ok().and_then(|header| Keys::named(rights, &header.kid?)).is_some()
}

/// What a token says that one of the cluster's keys has signed.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    /// The key.
    pub(super) key: KeyId,
    /// Its public half, as the directory has it.
    pub(super) public: Bytes,
    session: Session,
    grants: Arc<[Grant]>,
    exp: u64,
    nbf: u64,
    iat: u64,
}

/// Checks a token: signature, kind, names, time, and that the account still counts as it did. `late_seconds`: how long ago
/// it may have expired. What is proven needs no signature to be verified once more.
pub(super) fn verify(
    (kind, names): (TokenKind, &Names),
    text: &str,
    (now, late_seconds): (Timestamp, u64),
    rights: &Rights,
    proven: &Proven,
) -> Result<(Session, Arc<[Grant]>), LoginError> {
    let known = proven.get(kind, text, rights);
    proven.count(known.is_some());
    let signed = if let Some(signed) = known {
        signed
    } else {
        let signed = Arc::new(read((kind, names), text, now, rights)?);
        proven.insert(kind, text, &signed);
        signed
    };
    check(&signed, (now, late_seconds), rights)?;
    Ok((signed.session.clone(), Arc::clone(&signed.grants)))
}

fn malformed(message: &str) -> LoginError {
    LoginError::Malformed(message.to_owned())
}

/// Reads a token: signature, kind and names.
fn read((kind, names): (TokenKind, &Names), text: &str, now: Timestamp, rights: &Rights) -> Result<Signed, LoginError> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(malformed("the token is too long"));
    }
    let header = decode_header(text).map_err(|_| malformed("the token cannot be read"))?;
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(malformed("the token needs something that tokens of this registry do not have"));
    }
    let unsigned = || malformed("the token was signed by no key of this registry");
    let id = header.kid.as_deref().and_then(|kid| Keys::named(rights, kid)).ok_or_else(unsigned)?;
    let key = Keys::verifying(rights, id, now).ok_or_else(unsigned)?;
    let public = rights.signing_keys().get(&id).map(|record| record.public.clone()).ok_or_else(unsigned)?;
    if header.typ.as_deref() != Some(kind.typ()) {
        return Err(malformed("the token is for something else"));
    }
    let mut checks = Validation::new(Algorithm::ES256);
    // The library would ask the system's clock.
    (checks.validate_exp, checks.validate_nbf) = (false, false);
    checks.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    checks.set_issuer(&[&names.service]);
    checks.set_audience(&[names.audience(kind)]);
    let claims: Claims =
        decode(text, &key, &checks).map_err(|_| malformed("the token is not one of this registry"))?.claims;
    let session = session(&claims).ok_or_else(|| malformed("the token names nobody"))?;
    let Claims { access, exp, nbf, iat, .. } = claims;
    Ok(Signed { key: id, public, session, grants: access.into(), exp, nbf, iat })
}

/// Whether what was signed counts now: the key, the time, the account.
fn check(signed: &Signed, (now, late_seconds): (Timestamp, u64), rights: &Rights) -> Result<(), LoginError> {
    let key = rights.signing_keys().get(&signed.key);
    if !key.is_some_and(|key| key.is_valid(now)) {
        return Err(malformed("the token was signed by no key of this registry"));
    }
    let seconds = now.0 / 1000;
    if signed.exp.saturating_add(LEEWAY_SECONDS).saturating_add(late_seconds) <= seconds {
        return Err(malformed("the token has expired"));
    }
    if signed.nbf > seconds.saturating_add(LEEWAY_SECONDS) || signed.iat > seconds.saturating_add(LEEWAY_SECONDS) {
        return Err(malformed("the token is of the future"));
    }
    if !is_standing(&signed.session, rights, now) {
        return Err(malformed("the token does not count any more: log in again"));
    }
    Ok(())
}

fn session(claims: &Claims) -> Option<Session> {
    let principal = claims.sub.parse().ok()?;
    if !matches!(principal, Principal::Anonymous | Principal::User(_) | Principal::Robot(_)) {
        return None;
    }
    let secret = match &claims.secret {
        Some(text) => {
            let mut id = [0; 8];
            hex::decode_to_slice(text, &mut id).ok()?;
            Some(id)
        }
        None => None,
    };
    Some(Session { principal, since: Timestamp(claims.since), secret })
}

/// Whether the account stands, its sessions have not been ended, and the secret is still one of its own.
pub(super) fn is_standing(session: &Session, rights: &Rights, now: Timestamp) -> bool {
    let principal = &session.principal;
    rights.counts(principal, session.shown(), now) && rights.standing(principal, now).is_ok()
}
