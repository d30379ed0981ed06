//! The `Authorization` header: `Basic` (RFC 7617) and `Bearer` (RFC 6750). Whatever else it holds is an error, never a panic.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::LoginError;

/// Longest header that is looked at: tokens with many claims are some kilobytes.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What somebody shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// Nothing.
    None,
    /// A name and a password.
    Basic {
        /// The name.
        name: String,
        /// The password, a secret, or a token in its place.
        password: String,
    },
    /// A token.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::Basic { name, .. } => write!(formatter, "Basic({name:?}, ..)"),
            Self::Bearer(_) => formatter.write_str("Bearer(..)"),
        }
    }
}

/// Reads the header.
pub(super) fn credentials(headers: &HeaderMap) -> Result<Credentials, LoginError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Credentials::None) };
    if values.next().is_some() {
        return Err(malformed("there is more than one Authorization header"));
    }
    if value.len() > HEADER_BYTES_MAX {
        return Err(malformed("the Authorization header is too long"));
    }
    let text = value.to_str().map_err(|_| malformed("the Authorization header is not ASCII"))?.trim();
    let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        return basic(rest);
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return match rest {
            "" => Err(malformed("the Authorization header has no token")),
            token => Ok(Credentials::Bearer(token.to_owned())),
        };
    }
    Err(malformed("the Authorization header is neither Basic nor Bearer"))
}

fn basic(encoded: &str) -> Result<Credentials, LoginError> {
    let bytes = BASE64.decode(encoded).map_err(|_| malformed("the Basic credentials are not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| malformed("the Basic credentials are not UTF-8"))?;
    let (name, password) = text.split_once(':').ok_or_else(|| malformed("the Basic credentials have no colon"))?;
    Ok(Credentials::Basic { name: name.to_owned(), password: password.to_owned() })
}

fn malformed(message: &str) -> LoginError {
    LoginError::Malformed(message.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Result<Credentials, LoginError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        credentials(&headers)
    }

    fn pair(name: &str, password: &str) -> Credentials {
        Credentials::Basic { name: name.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn both_schemes_are_read_in_any_case() {
        assert_eq!(credentials(&HeaderMap::new()), Ok(Credentials::None));
        assert_eq!(read("Basic YW5uOnNlY3JldA=="), Ok(pair("ann", "secret")));
        assert_eq!(read("bAsIc  YW5uOnNlY3JldA"), Ok(pair("ann", "secret")), "without padding");
        assert_eq!(read(&format!("Basic {}", BASE64.encode("ann:a:b ü"))), Ok(pair("ann", "a:b ü")));
        assert_eq!(read(&format!("Basic {}", BASE64.encode(":"))), Ok(pair("", "")));
        assert_eq!(read("BEARER a.b.c"), Ok(Credentials::Bearer("a.b.c".to_owned())));
    }

    #[test]
    fn what_is_neither_is_malformed() {
        let huge = format!("Bearer {}", "a".repeat(HEADER_BYTES_MAX));
        let no_colon = format!("Basic {}", BASE64.encode("ann"));
        let no_text = format!("Basic {}", BASE64.encode([0xff, b':']));
        for value in
            ["", "Basic", "Basic !!!", "Bearer", "Bearer ", "Negotiate abc", "ann:secret", &huge, &no_colon, &no_text]
        {
            assert!(matches!(read(value), Err(LoginError::Malformed(_))), "{value}");
        }
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic YW5uOnNlY3JldA=="));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        assert!(matches!(credentials(&headers), Err(LoginError::Malformed(_))));
        headers.clear();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(b"Basic \xff").unwrap());
        assert!(matches!(credentials(&headers), Err(LoginError::Malformed(_))));
    }

    #[test]
    fn secrets_stay_out_of_logs() {
        let shown = format!("{:?} {:?}", pair("ann", "secret"), Credentials::Bearer("token".to_owned()));
        assert!(!shown.contains("secret") && !shown.contains("token"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(scheme in "(?i)(basic|bearer|\\PC{0,6})", rest in prop::collection::vec(any::<u8>(), 0..80)) {
            let value = [scheme.as_bytes(), b" ", &rest].concat();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let mut headers = HeaderMap::new();
                headers.insert(AUTHORIZATION, value);
                let _ = credentials(&headers);
            }
        }

        #[test]
        fn every_pair_survives(name in "[^:]{0,20}", password in "\\PC{0,40}") {
            let header = format!("Basic {}", BASE64.encode(format!("{name}:{password}")));
            prop_assert_eq!(read(&header), Ok(pair(&name, &password)));
        }
    }
}
