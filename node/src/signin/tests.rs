//! What a browser is sent with, and what is believed of what it brings.

use std::collections::BTreeMap;

use super::{AnswerError, Provider, Request};
use crate::login::bound_nonce;
use crate::login::testing::Counting;

fn request(names_issuer: bool) -> (Request, BTreeMap<String, String>) {
    let provider = Provider::fixed("https://id.example", names_issuer);
    let entropy = Counting::default();
    let request = Request::new(
        &provider,
        ("https://registry.example.org", "regnode"),
        "http://127.0.0.1:4711/callback",
        "openid email",
        &entropy,
    );
    let (endpoint, query) = request.url().split_once('?').unwrap();
    assert_eq!(endpoint, "https://id.example/authorize");
    let fields = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    (request, fields)
}

#[test]
fn a_browser_is_sent_with_all_that_ties_the_answer_to_it() {
    let (request, fields) = request(false);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "regnode"),
        ("redirect_uri", "http://127.0.0.1:4711/callback"),
        ("scope", "openid email"),
        ("nonce", request.nonce()),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
    assert_eq!(fields["nonce"], bound_nonce(request.nonce_secret(), "https://registry.example.org"));
    assert!(!request.url().contains(request.nonce_secret()), "what the nonce is made of stays here");
    let nonce_secret = request.nonce_secret().to_owned();
    let secrets = [&fields["state"], &nonce_secret, &fields["code_challenge"]];
    for secret in secrets {
        assert_eq!(secret.len(), 43);
        assert_eq!(secrets.iter().filter(|other| *other == &secret).count(), 1);
    }
    assert!(!request.url().contains(&request.verifier), "the verifier stays here");
}

#[test]
fn only_the_answer_to_this_login_is_one() {
    let (request, fields) = request(false);
    let state = &fields["state"];
    let code = |query: &str| request.answered(query).map(|found| found.code);
    assert_eq!(code(&format!("code=abc&state={state}")), Ok("abc".to_owned()));
    assert_eq!(code(&format!("code=abc&state={state}&iss=https%3A%2F%2Fid.example")), Ok("abc".to_owned()));
    for query in ["", "code=abc", "code=abc&state=", "code=abc&state=other", "error=x&state=other"] {
        assert_eq!(code(query), Err(AnswerError::Foreign), "{query}");
    }
    let other = format!("code=abc&state={state}&iss=https://evil.example");
    assert_eq!(code(&other), Err(AnswerError::Issuer("https://evil.example".to_owned())));
    let refused = format!("error=access_denied&error_description=not%0Ayou&state={state}");
    assert_eq!(code(&refused), Err(AnswerError::Refused("access_denied: notyou".to_owned())));
    for query in [format!("state={state}"), format!("code=&state={state}"), format!("code=a&code=b&state={state}")] {
        assert_eq!(code(&query), Err(AnswerError::NoCode), "{query}");
    }
}

#[test]
fn an_issuer_that_names_itself_has_to() {
    let (request, fields) = request(true);
    let query = format!("code=abc&state={}", fields["state"]);
    assert_eq!(request.answered(&query).map(|_| ()), Err(AnswerError::Issuer(String::new())));
    assert!(request.answered(&format!("{query}&iss=https://id.example")).is_ok());
}
