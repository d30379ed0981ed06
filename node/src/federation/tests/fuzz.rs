//! Fuzz targets: tokens of other issuers as they stand on paper, and the key sets that issuers publish.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::federation::json::DEPTH_MAX;
use crate::federation::jwks::{KEYS_MAX, KeySet, check_key_set};
use crate::federation::jws::Jws;
use crate::fuzz::{explore, spelled};

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// An issuer's token is exactly the text that was signed, so that nothing of it is read that nobody vouches for.
#[test]
fn an_issuers_token_is_read_as_it_was_signed() {
    const WORDS: &[&str] = &[
        "{",
        "}",
        "\"alg\":\"ES256\"",
        "\"alg\":\"none\"",
        "\"kid\":\"a\"",
        "\"kid\":7",
        "\"crit\":[]",
        "\"x5c\":[\"AQI=\"]",
        "\"x5c\":[\"%\"]",
        ",",
        "[",
        "]",
        "[[[[[[[[[[[[[[[[",
        "\"iss\":\"https://issuer.example\"",
        "\"iss\":1",
        "\"sub\":",
        "null",
        "\"a\"",
        ":",
        "1e999",
        "\\ud800",
        " ",
    ];
    explore!("issuer_tokens", |input: &[u8]| {
        let text = spelled(input, WORDS);
        // As it is, and as header and claims of a token.
        let parts: Vec<String> =
            input.split(|byte| *byte == b'.').map(|part| URL_SAFE_NO_PAD.encode(spelled(part, WORDS))).collect();
        let header = format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#), URL_SAFE_NO_PAD.encode(&text));
        for token in [text.clone(), parts.join("."), header] {
            let Ok(jws) = Jws::read(&token) else { continue };
            assert_eq!(token.matches('.').count(), 2, "{token:?}");
            let signature = URL_SAFE_NO_PAD.encode(&jws.signature);
            assert_eq!([jws.signed, b".", signature.as_bytes()].concat(), token.as_bytes());
            let decoded = |part: usize| URL_SAFE_NO_PAD.decode(token.split('.').nth(part).unwrap()).unwrap();
            let (header, claims): (Value, Value) =
                (serde_json::from_slice(&decoded(0)).unwrap(), serde_json::from_slice(&decoded(1)).unwrap());
            assert!(depth(&header) <= DEPTH_MAX && depth(&claims) <= DEPTH_MAX, "{token:?}");
            assert_eq!(claims, Value::Object(jws.claims.clone()));
            assert_eq!(header["alg"], jws.algorithm);
            assert!(header.get("crit").is_none_or(Value::is_null), "{header}");
            assert_eq!(jws.issuer(), claims["iss"].as_str());
        }
    });
}

#[test]
fn a_key_set_has_public_keys_that_stand_in_it_and_not_too_many() {
    const WORDS: &[&str] = &[
        "{\"keys\":[",
        "]}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",",
        "{\"kty\":\"RSA\",",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "\"x\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\",",
        "\"e\":\"AQAB\",",
        "\"n\":\"AQAB\",",
        "\"y\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\",",
        "\"kid\":\"a\"}",
        "\"kid\":\"b\"}",
        "\"use\":\"enc\",",
        "\"alg\":\"ES256\",",
        ",",
        "7",
        "\"key_ops\":[\"sign\"],",
        "[[[[[[[[[[[[[[[[[[",
        "\"kid\":{}}",
    ];
    explore!("key_sets", |input: &[u8]| {
        let text = spelled(input, WORDS);
        let read = KeySet::read(text.as_bytes());
        assert_eq!(check_key_set(&text).is_ok(), read.is_ok());
        let Ok(set) = read else { return };
        assert!((1..=KEYS_MAX).contains(&set.keys.len()));
        let document: Value = serde_json::from_str(&text).unwrap();
        let keys = document["keys"].as_array().unwrap();
        for key in &set.keys {
            let is_it =
                |jwk: &&Value| jwk["kid"].as_str() == key.id.as_deref() && jwk["alg"].as_str() == key.only.as_deref();
            let jwk =
                keys.iter().find(|jwk| is_it(jwk) && ["RSA", "EC", "OKP"].contains(&jwk["kty"].as_str().unwrap()));
            assert!(jwk.is_some(), "{key:?} is not in {text}");
        }
    });
}
