//! Tokens that somebody would like to count.

use aws_lc_rs::hmac;

use super::issuer::{Signer, base64, compact};
use super::*;

const ISSUER: &str = "https://ci.test";

fn set(signers: &[&Signer]) -> IssuerKeys {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    IssuerKeys::Jwks(json!({ "keys": keys }).to_string())
}

#[tokio::test]
async fn every_algorithm_is_verified_with_its_own_key() {
    let environment = environment();
    for algorithm in SIGNATURE_ALGORITHMS {
        let signer = Signer::new("one", algorithm);
        let federation = federation(&environment, vec![("ci", record(ISSUER, set(&[&signer])))]);
        let good = signer.token(&claims(ISSUER));
        assert_eq!(federation.robot("ci", &good).await, Ok(()), "{algorithm}");
        // The same with one letter of the claims changed.
        let other = Signer::new("one", algorithm).token(&claims(ISSUER));
        assert!(reason(federation.robot("ci", &other).await).contains("signature is wrong"), "{algorithm}");
    }
}

#[tokio::test]
async fn forged_tokens_do_not_count() {
    let environment = environment();
    let (ec, rsa) = (Signer::new("ec", "ES256"), Signer::new("rsa", "RS256"));
    let federation = federation(&environment, vec![("ci", record(ISSUER, set(&[&ec, &rsa])))]);
    assert_eq!(federation.robot("ci", &ec.token(&claims(ISSUER))).await, Ok(()));

    let good = claims(ISSUER);
    let secret =
        |message: &[u8], bytes: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), message).as_ref().to_vec();
    let headed = |header: Value| compact(&header, &good, |message| ec.sign(message));
    let rsa_bytes = rsa.public_bytes();
    let whole = ec.token(&good);
    let (message, signature) = whole.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let changed = but(good.clone(), "sub", json!("repo:acme/app:x"));
    let attacks = [
        ("none", compact(&json!({"alg": "none"}), &good, |_| Vec::new()), "algorithm"),
        ("none with a key", compact(&json!({"alg": "none", "kid": "ec"}), &good, |_| Vec::new()), "algorithm"),
        ("None", compact(&json!({"alg": "None", "kid": "ec"}), &good, |_| Vec::new()), "algorithm"),
        (
            "the public key as a secret",
            compact(&json!({"alg": "HS256", "kid": "rsa"}), &good, |message| secret(message, &rsa_bytes)),
            "algorithm",
        ),
        ("no signature", format!("{message}."), "signature is wrong"),
        ("other claims", format!("{header}.{}.{signature}", base64(changed.to_string())), "signature"),
        ("swapped algorithm", headed(json!({"alg": "RS256", "kid": "ec"})), "no key"),
        ("swapped key", headed(json!({"alg": "ES256", "kid": "rsa"})), "no key"),
        ("another curve", headed(json!({"alg": "ES384", "kid": "ec"})), "no key"),
        ("RS for PS", compact(&json!({"alg": "PS256", "kid": "rsa"}), &good, |message| rsa.sign(message)), "signature"),
        ("its own key", headed(json!({"alg": "ES256", "kid": "x", "jwk": ec.jwk()})), "no key"),
        ("keys from elsewhere", headed(json!({"alg": "ES256", "kid": "x", "jku": "https://evil.test/"})), "no key"),
        ("a path for an id", headed(json!({"alg": "ES256", "kid": "../../dev/null"})), "no key"),
        ("a query for an id", headed(json!({"alg": "ES256", "kid": "ec' OR '1'='1"})), "no key"),
        ("an empty id", headed(json!({"alg": "ES256", "kid": ""})), "no key"),
        ("critical", headed(json!({"alg": "ES256", "kid": "ec", "crit": ["exp"], "exp": 0})), "crit"),
        ("a certificate of nobody", headed(json!({"alg": "ES256", "kid": "x", "x5c": ["AAAA"]})), "no key"),
    ];
    for (name, token, why) in attacks {
        let reason = reason(federation.robot("ci", &token).await);
        assert!(reason.contains(why), "{name}: {reason}");
    }
}

#[tokio::test]
async fn good_signatures_under_wrong_claims_do_not_count() {
    let environment = environment();
    let signer = Signer::new("one", "ES256");
    let federation = federation(&environment, vec![("ci", record(ISSUER, set(&[&signer])))]);
    for (name, value, why) in [
        ("iss", json!("https://ci.test/"), "of no issuer"),
        ("iss", json!("https://other.test"), "of no issuer"),
        ("iss", json!(["https://ci.test"]), "of no issuer"),
        ("aud", json!("other"), "another audience"),
        ("aud", json!("registry.evil"), "another audience"),
        ("aud", json!([]), "another audience"),
        ("exp", json!(NOW_SECONDS - 60), "expired"),
        ("exp", json!(null), "no point in time"),
        ("nbf", json!(NOW_SECONDS + 61), "not valid yet"),
        ("iat", json!(NOW_SECONDS + 61), "not valid yet"),
        ("sub", json!("repo:acme/app"), "no rule"),
        ("sub", json!("repo:acme/app-evil:ref:x"), "no rule"),
        ("sub", json!("repo:ACME/app:ref:x"), "no rule"),
        ("sub", json!("x repo:acme/app:ref:x"), "no rule"),
        ("sub", json!(null), "no rule"),
        ("sub", json!({"repo:acme/app:": "x"}), "no rule"),
    ] {
        let token = signer.token(&but(claims(ISSUER), name, value.clone()));
        let reason = reason(federation.robot("ci", &token).await);
        assert!(reason.contains(why), "{name} {value}: {reason}");
    }
    let unknown = reason(federation.robot("nobody", &signer.token(&claims(ISSUER))).await);
    let distrusting = but(claims(ISSUER), "sub", json!("x"));
    assert_eq!(unknown, reason(federation.robot("ci", &signer.token(&distrusting)).await));
}

#[tokio::test]
async fn only_the_algorithms_of_the_issuer_count() {
    let environment = environment();
    let signer = Signer::new("one", "RS256");
    let token = signer.token(&claims(ISSUER));
    let strong = signer.with("PS256");
    let mut record = record(ISSUER, set(&[&strong]));
    record.algorithms = vec!["PS256".to_owned(), "none".to_owned(), "HS256".to_owned()];
    let federation = federation(&environment, vec![("ci", record)]);
    assert_eq!(federation.robot("ci", &strong.token(&claims(ISSUER))).await, Ok(()));
    assert!(reason(federation.robot("ci", &token).await).contains("\"RS256\" is not among"));
    let none = compact(&json!({"alg": "none", "kid": "one"}), &claims(ISSUER), |_| Vec::new());
    assert!(reason(federation.robot("ci", &none).await).contains("algorithm"));
}

#[tokio::test]
async fn an_issuer_of_one_use_is_none_of_another() {
    let environment = environment();
    let signer = Signer::new("one", "ES256");
    let federation = federation(&environment, vec![("ci", record(ISSUER, set(&[&signer])))]);
    let token = signer.token(&claims(ISSUER));
    assert!(matches!(federation.caller(&token, ADDRESS, 0).await, Err(OutsideError::Refused(_))));
    assert!(matches!(federation.person(&token).await, Err(OutsideError::Refused(_))));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let environment = environment();
        let federation = federation(&environment, Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(federation.robot("ci", &text));
        proptest::prop_assert!(matches!(outcome, Err(OutsideError::Refused(_))));
    }
}
