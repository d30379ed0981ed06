//! Whether a token is what it says: algorithm, key, signature, issuer, audience, times, in this order.
//!
//! Nothing of a token's claims is used before its signature is known to be the issuer's; only `iss` is looked at, to find
//! the issuer (RFC 8725).

use std::sync::Arc;

use raft::directory::IssuerRecord;
use raft::time::Timestamp;
use serde_json::{Map, Value};
use storage::exec::Exec;

use super::algorithm::{Algorithm, PublicKey};
use super::jws::Jws;
use super::ring::{NoKeys, Ring, Trust};
use crate::login::OutsideError;

/// How far the clocks of an issuer and of this node may differ.
const LEEWAY_SECONDS: f64 = 60.0;

/// Why a token does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum Invalid {
    #[error("its algorithm {0:?} is not among those of the issuer")]
    Algorithm(String),
    #[error("no key of the issuer has its id and fits its algorithm")]
    Key,
    #[error("its certificates lead to no root of the issuer, or are not valid now")]
    Chain,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it has no end (`exp`)")]
    Endless,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    Early,
    #[error("its {0} is no point in time")]
    Time(&'static str),
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
}

impl Invalid {
    /// The same as the login answers it.
    pub(super) fn of_issuer(self, name: &str) -> OutsideError {
        match self {
            Self::NoKeys(error) => OutsideError::Unavailable(error.to_string()),
            other => OutsideError::Refused(format!("a token of issuer {name:?} does not count: {other}")),
        }
    }
}

/// Checks a token of this issuer that is to be for one of these audiences and may have expired as many seconds ago. Its
/// claims may be believed afterwards.
pub(super) async fn verify<'c>(
    token: &'c Jws<'_>,
    record: &IssuerRecord,
    audiences: &[&str],
    (ring, exec): (&Arc<Ring>, Exec),
    (now, late_seconds): (Timestamp, u64),
) -> Result<&'c Map<String, Value>, Invalid> {
    let name = token.algorithm.as_str();
    // The list is the operator's. What it names besides is not known here and verifies nothing.
    let algorithm = record.algorithms.iter().any(|allowed| allowed == name).then(|| Algorithm::named(name)).flatten();
    let algorithm = algorithm.ok_or_else(|| Invalid::Algorithm(name.chars().take(20).collect()))?;
    let key_id = token.key_id.as_deref();
    let signed = |key: &PublicKey| algorithm.verifies(key, token.signed, &token.signature);
    let good = match ring.trust(key_id).await? {
        Trust::Keys(keys) => {
            let candidates = keys.candidates(key_id, algorithm, name);
            if candidates.is_empty() {
                return Err(Invalid::Key);
            }
            candidates.into_iter().any(signed)
        }
        Trust::Roots(roots) if token.certificates.is_empty() => {
            let named = key_id.and_then(|id| roots.named(id, now)).filter(|key| algorithm.fits(key));
            signed(named.ok_or(Invalid::Key)?)
        }
        Trust::Roots(roots) => {
            // Each certificate is another signature to verify: as many of them as the token brings along.
            let chain = token.certificates.clone();
            let key = exec.run(move || roots.leads(&chain, now)).await.ok_or(Invalid::Chain)?;
            if !algorithm.fits(&key) {
                return Err(Invalid::Key);
            }
            signed(&key)
        }
    };
    if !good {
        return Err(Invalid::Signature);
    }
    check_claims(&token.claims, &record.issuer, audiences, (now, late_seconds))?;
    Ok(&token.claims)
}

fn check_claims(
    claims: &Map<String, Value>,
    issuer: &str,
    audiences: &[&str],
    (now, late_seconds): (Timestamp, u64),
) -> Result<(), Invalid> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(Invalid::Issuer);
    }
    if !self::audiences(claims).iter().any(|audience| audiences.contains(audience)) {
        return Err(Invalid::Audience);
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of any clock are exact in 53 bits")]
    let (now, late_seconds) = ((now.0 / 1000) as f64, late_seconds as f64);
    let expires = time(claims, "exp")?.ok_or(Invalid::Endless)?;
    if expires + LEEWAY_SECONDS + late_seconds <= now {
        return Err(Invalid::Expired);
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|from| from > now + LEEWAY_SECONDS) {
            return Err(Invalid::Early);
        }
    }
    Ok(())
}

/// Whom a token is for. One text or a list of texts; anything else is for nobody (RFC 7519, 4.1.3).
pub(super) fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519, 2: NumericDate).
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, Invalid> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    seconds.map(Some).ok_or(Invalid::Time(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn checked(claims: &Value) -> Result<(), String> {
        let claims = claims.as_object().unwrap();
        check_claims(claims, "https://issuer.test", &["registry", "other"], (NOW, 0)).map_err(|error| error.to_string())
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = json!({"iss": "https://issuer.test", "aud": "registry", "exp": 1_000_300});
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        claims
    }

    #[test]
    fn good_claims_are_good() {
        for (name, value) in [
            ("iss", json!("https://issuer.test")),
            ("aud", json!(["somebody", "other"])),
            ("exp", json!(1_000_000.5)),
            ("exp", json!(999_941)),
            ("nbf", json!(1_000_060)),
            ("iat", json!(1_000_060)),
        ] {
            assert_eq!(checked(&with(name, value.clone())), Ok(()), "{name} {value}");
        }
    }

    #[test]
    fn claims_that_are_almost_good_are_refused() {
        for (name, value, why) in [
            ("iss", json!("https://issuer.test/"), Invalid::Issuer),
            ("iss", json!("https://Issuer.test"), Invalid::Issuer),
            ("iss", json!(["https://issuer.test"]), Invalid::Issuer),
            ("iss", Value::Null, Invalid::Issuer),
            ("aud", json!("Registry"), Invalid::Audience),
            ("aud", json!("registry,other"), Invalid::Audience),
            ("aud", json!(["registry", 7]), Invalid::Audience),
            ("aud", json!({"registry": true}), Invalid::Audience),
            ("aud", json!([]), Invalid::Audience),
            ("aud", Value::Null, Invalid::Audience),
            ("exp", Value::Null, Invalid::Endless),
            ("exp", json!("1000300"), Invalid::Time("exp")),
            ("exp", json!(-1), Invalid::Time("exp")),
            ("exp", json!([1_000_300]), Invalid::Time("exp")),
            ("exp", json!(999_940), Invalid::Expired),
            ("exp", json!(0), Invalid::Expired),
            ("nbf", json!(1_000_061), Invalid::Early),
            ("nbf", json!("never"), Invalid::Time("nbf")),
            ("iat", json!(1_000_061), Invalid::Early),
            ("iat", json!(true), Invalid::Time("iat")),
        ] {
            assert_eq!(checked(&with(name, value.clone())), Err(why.to_string()), "{name} {value}");
        }
    }

    #[test]
    fn an_upload_outlives_its_token() {
        let checked = |expires: u64, late_seconds| {
            let claims = with("exp", json!(expires));
            let claims = claims.as_object().unwrap();
            check_claims(claims, "https://issuer.test", &["registry"], (NOW, late_seconds)).is_ok()
        };
        assert!(checked(990_000, 10_000 - 59) && !checked(990_000, 10_000 - 60));
        assert!(!checked(990_000, 0));
    }
}
