//! A token as it stands on paper: JSON Web Signature, compact form (RFC 7515, 7.1), read strictly and believed in nothing.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

/// Most bytes of a token.
const TOKEN_BYTES_MAX: usize = 32 << 10;

/// Most certificates that a token may carry.
const CERTIFICATES_MAX: usize = 8;

/// Most bytes of a key's id.
const KEY_ID_BYTES_MAX: usize = 512;

/// Why a text is no token. None of them says what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it is longer than 32 KiB")]
    TooLong,
    #[error("it is no JSON Web Token in its compact form")]
    Form,
    #[error("its header cannot be used")]
    Header,
    #[error("its header has `crit`, which asks for what is not known here")]
    Critical,
    #[error("its claims are no JSON object, or nest too deeply")]
    Claims,
}

/// A token, taken apart.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// What is signed.
    pub(super) signed: &'a [u8],
    /// The signature.
    pub(super) signature: Vec<u8>,
    /// Name of the algorithm, as the token says.
    pub(super) algorithm: String,
    /// Id of the key, as the token says.
    pub(super) key_id: Option<String>,
    /// Certificates that the token carries, DER, the signer's first.
    pub(super) certificates: Vec<Vec<u8>>,
    /// The claims, not believed yet.
    pub(super) claims: Map<String, Value>,
}

/// What counts of a header. `jwk`, `jku` and `x5u` are never looked at: a token does not say where its own keys are.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default)]
    x5c: Vec<String>,
    crit: Option<Value>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(super) fn read(token: &'a str) -> Result<Self, Malformed> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Malformed::Form)?;
        let (header, claims) = message.split_once('.').ok_or(Malformed::Form)?;
        // A fourth part would be found among the claims, where no `.` decodes.
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed::Form);
        let (header, claims, signature) = (part(header)?, part(claims)?, part(signature)?);
        let header: Header = json::read(&header).ok_or(Malformed::Header)?;
        if header.crit.is_some() {
            return Err(Malformed::Critical);
        }
        if header.kid.as_ref().is_some_and(|id| id.len() > KEY_ID_BYTES_MAX) || header.x5c.len() > CERTIFICATES_MAX {
            return Err(Malformed::Header);
        }
        let certificates: Result<Vec<Vec<u8>>, _> = header.x5c.iter().map(|text| STANDARD.decode(text)).collect();
        Ok(Self {
            signed: message.as_bytes(),
            signature,
            algorithm: header.alg,
            key_id: header.kid,
            certificates: certificates.map_err(|_| Malformed::Header)?,
            claims: json::read(&claims).ok_or(Malformed::Claims)?,
        })
    }

    /// What it says of its issuer, to choose by and not believed yet.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_taken_apart() {
        let token =
            token(r#"{"alg":"ES256","kid":"../a","x5c":["AQI="],"jku":"https://evil.test"}"#, r#"{"iss":"me"}"#);
        let jws = Jws::read(&token).unwrap();
        assert_eq!((jws.algorithm.as_str(), jws.key_id.as_deref()), ("ES256", Some("../a")));
        assert_eq!(jws.certificates, [vec![1, 2]]);
        assert_eq!((jws.issuer(), jws.signature.as_slice()), (Some("me"), &b"sig"[..]));
        assert_eq!(jws.signed, token.rsplit_once('.').unwrap().0.as_bytes());
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "a".repeat(TOKEN_BYTES_MAX + 1);
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        assert!(Jws::read(&good).is_ok());
        for (text, why) in [
            (String::new(), Malformed::Form),
            ("a.b".to_owned(), Malformed::Form),
            (format!("{good}.c2ln"), Malformed::Form),
            (format!("{good}="), Malformed::Form),
            (good.replace('.', " ."), Malformed::Form),
            (long, Malformed::TooLong),
            (token("{}", "{}"), Malformed::Header),
            (token(r#"{"alg":1}"#, "{}"), Malformed::Header),
            (token(r#"{"alg":"ES256","kid":7}"#, "{}"), Malformed::Header),
            (token(r#"{"alg":"ES256","x5c":["%"]}"#, "{}"), Malformed::Header),
            (token(r#"{"alg":"ES256","x5c":["","","","","","","","",""]}"#, "{}"), Malformed::Header),
            (token(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, "{}"), Malformed::Critical),
            (token(r#"{"alg":"ES256"}"#, "[]"), Malformed::Claims),
            (token(r#"{"alg":"ES256"}"#, &deep), Malformed::Claims),
        ] {
            assert_eq!(Jws::read(&text).unwrap_err(), why, "{text:.80}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", header in ".{0,80}", claims in ".{0,80}") {
            let _ = Jws::read(&text);
            let _ = Jws::read(&token(&header, &claims));
        }
    }
}
