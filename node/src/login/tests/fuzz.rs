//! Fuzz targets: tokens, scopes, the `Authorization` header, and what is sent to the token service.

use std::cell::Cell;
use std::net::Ipv4Addr;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use raft::catalog::RepositoryName;
use serde_json::json;

use super::*;
use crate::access::GrantKind;
use crate::fuzz::{damaged, explore, spelled};
use crate::login::authorization::{Credentials, credentials};
use crate::login::scope::{Scope, scopes};
use crate::tenant::Tenants;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Each try comes from somewhere else: whoever fails often is not even looked at.
fn elsewhere(tries: &Cell<u32>) -> Client {
    tries.set(tries.get().wrapping_add(1));
    Client::at(Ipv4Addr::from_bits(tries.get()).into())
}

fn written(scope: &Scope) -> String {
    let kind = if scope.kind == GrantKind::Repository { "repository" } else { "registry" };
    format!("{kind}:{}:{}", scope.name, scope.actions.join(","))
}

#[test]
fn a_scope_asks_for_no_more_than_stands_in_its_text() {
    const WORDS: &[&str] = &[
        "repository:",
        "registry:",
        "repository(plugin):",
        "catalog",
        "admin",
        "acme/app",
        "a",
        "/",
        "..",
        ":",
        "pull",
        "push",
        "delete",
        "*",
        ",",
        " ",
        "\t",
        "localhost:5000/",
        "[::1]:5000/",
        "registry.example.org/",
        "A",
        "é",
        "%2f",
    ];
    explore!("scopes", |input: &[u8]| {
        let text = spelled(input, WORDS);
        let words: Vec<&str> = text.split_whitespace().collect();
        for host in [None, Some("registry.example.org:5000")] {
            let read = scopes([text.as_str()], host);
            for scope in &read {
                assert!(!scope.actions.is_empty(), "{text:?}: {scope:?}");
                match scope.kind {
                    GrantKind::Repository => assert!(scope.name.parse::<RepositoryName>().is_ok(), "{scope:?}"),
                    GrantKind::Registry => assert!(["catalog", "admin"].contains(&&*scope.name), "{scope:?}"),
                    GrantKind::Other => panic!("{scope:?}"),
                }
                // Each action was asked for, of this thing, in one word.
                for action in &scope.actions {
                    let asks = |word: &&str| {
                        let (named, actions) = word.rsplit_once(':').unwrap_or_default();
                        named.ends_with(&scope.name) && actions.split(',').any(|one| one == action)
                    };
                    assert!(words.iter().any(asks), "{text:?}: {action} of {scope:?}");
                }
                assert_eq!(scopes([&*written(scope)], None), std::slice::from_ref(scope));
            }
            let again: Vec<String> = read.iter().map(written).collect();
            assert_eq!(scopes([&*again.join(" ")], None), read, "{text:?}");
        }
    });
}

#[test]
fn an_authorization_header_is_read_as_it_was_written_or_not_at_all() {
    const WORDS: &[&str] = &[
        "Basic ",
        "basic\t",
        "Bearer ",
        "BEARER",
        "Digest ",
        "YW5uOmNvcnJlY3Q=",
        "YW5uOmNvcnJlY3Q",
        "Og==",
        "Og",
        "=",
        "!",
        " ",
        "eyJhIjoxfQ",
        ".",
        "/w",
        "\u{1}",
        "é",
        ",",
    ];
    explore!("authorization", |input: &[u8]| {
        let text = spelled(input, WORDS);
        let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else { return };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value.clone())]);
        let shown = text.trim().split_once([' ', '\t']).map_or("", |(_, rest)| rest.trim());
        match credentials(&headers) {
            Ok(Credentials::Basic { name, password }) => {
                assert!(!name.contains(':'), "{text:?}");
                let told = format!("{:?}", Credentials::Basic { name: name.clone(), password: password.clone() });
                assert_eq!(told, format!("Basic({name:?}, ..)"), "a password in a log");
                let encoded = STANDARD_NO_PAD.encode(format!("{name}:{password}"));
                assert_eq!(shown.trim_end_matches('='), encoded, "{text:?}");
            }
            Ok(Credentials::Bearer(token)) => {
                assert!(!token.is_empty() && token == shown, "{text:?}");
            }
            Ok(Credentials::None) => panic!("{text:?} is nothing"),
            Err(error) => assert!(matches!(error, LoginError::Malformed(_)), "{text:?}: {error:?}"),
        }
        // What one server reads first, and another one last, is read by none.
        let mut both = HeaderMap::from_iter([(AUTHORIZATION, value.clone())]);
        both.append(AUTHORIZATION, value);
        assert!(credentials(&both).is_err(), "{text:?}");
    });
}

/// Before the right one was shown and afterwards: what is remembered of it is for no other one.
#[test]
fn no_changed_token_is_taken() {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let token = runtime.block_on(world.token_of("ann", "correct horse", "scope=repository:acme/app:pull,push"));
    let tries = Cell::new(0);
    explore!("tokens", |input: &[u8]| {
        let changed = match input.split_first() {
            Some((first, rest)) if *first >= 0x80 => {
                // Letters that a token may have, or the text would not even be taken apart.
                let letter = |byte: u8| LETTERS[usize::from(byte) % LETTERS.len()];
                let at = |(index, byte): (usize, &u8)| if index % 3 == 2 { letter(*byte) } else { *byte };
                damaged(token.as_bytes(), &rest.iter().enumerate().map(at).collect::<Vec<u8>>())
            }
            _ => input.to_vec(),
        };
        let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", &changed[..]].concat()) else { return };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let outcome = runtime.block_on(world.login.identify(&headers, &elsewhere(&tries), Leeway::Upload));
        if changed.trim_ascii() == token.as_bytes() {
            assert!(outcome.is_ok(), "{outcome:?}");
        } else {
            // The issuer beside the cluster in these tests takes one kind of token that is none of ours.
            let is_ours = outcome.as_ref().is_ok_and(|caller| !matches!(caller.principal, Principal::External { .. }));
            assert!(!is_ours, "{}: {outcome:?}", String::from_utf8_lossy(&changed));
        }
    });
}

/// Whatever the cluster's own key has signed: only a token for this service, of somebody, in its time, lets in.
#[test]
fn a_signed_token_counts_for_what_it_says_and_no_more() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let token = runtime.block_on(world.token_of("ann", "correct horse", "scope=repository:acme/app:pull"));
    let claims = tokens::part(&token, 1);
    let now = world.clock.now().0 / 1000;
    let service = claims["iss"].clone();
    let values = [
        json!(null),
        json!(0),
        json!(now),
        json!(now + 200),
        json!(now - 200),
        json!(u64::MAX),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("user:ann"),
        json!("user:nobody"),
        json!("robot:ci"),
        json!("anonymous"),
        json!("operator"),
        json!("user:"),
        json!("token:hub/x"),
        service.clone(),
        json!([service]),
        json!(format!("{}/token", service.as_str().unwrap())),
        json!("regnode:00"),
        json!([]),
        json!({}),
        json!([{ "type": "repository", "name": "acme/app", "actions": ["*"] }]),
        json!([{ "type": "repository", "name": "../x", "actions": [] }]),
        json!("00"),
        json!("0011223344556677"),
    ];
    let fields = ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "access", "since", "secret", "more"];
    let tries = Cell::new(0);
    explore!("claims", |input: &[u8]| {
        let mut said = claims.clone();
        for change in input.chunks_exact(2).take(8) {
            let (field, value) =
                (fields[usize::from(change[0]) % fields.len()], &values[usize::from(change[1]) % values.len()]);
            said[field] = value.clone();
        }
        let token = tokens::signed(&world, |_, claims| claims.clone_from(&said), &token);
        let headers = bearer(&token);
        let outcome = runtime.block_on(world.login.identify(&headers, &elsewhere(&tries), Leeway::None));
        let Ok(caller) = outcome else { return };
        let at = |field: &str| said[field].as_u64().unwrap();
        assert!(said["iss"] == service && (said["aud"] == service || said["aud"] == json!([service])), "{said}");
        assert!(at("exp").saturating_add(60) > now && at("nbf") <= now + 60 && at("iat") <= now + 60, "{said}");
        assert_eq!(caller.principal.to_string(), said["sub"], "{said}");
        assert!(["user:ann", "robot:ci", "anonymous"].contains(&said["sub"].as_str().unwrap()), "{said}");
        let grants: Vec<String> = caller.grants.unwrap().iter().map(|grant| grant.name.clone()).collect();
        let names: Vec<String> = said["access"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["name"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(grants, names, "{said}");
    });
}

#[test]
fn no_request_for_a_token_is_an_end() {
    const WORDS: &[&str] = &[
        "scope=",
        "service=",
        "account=",
        "grant_type=",
        "password",
        "refresh_token",
        "refresh_token=",
        "username=",
        "client_id=",
        "access_type=offline",
        "offline_token=true",
        "subject_token=",
        "subject_token_type=",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:token-type:jwt",
        "&",
        "%",
        "%2",
        "%zz",
        "+",
        "repository:acme/app:pull",
        "registry:catalog:*",
        "eyJ.robot.ci",
        "eyJ.person.ann",
        "robot%2Bci",
        "ann",
        "é",
        "=",
    ];
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let tries = Cell::new(0);
    explore!("token_requests", |input: &[u8]| {
        let text = spelled(input, WORDS);
        let ask = async |request: Request<Body>| {
            let mut request = request;
            request.extensions_mut().insert(elsewhere(&tries));
            router(world.login.clone(), world.throttle.clone(), Tenants::new(world.access.clone(), []))
                .oneshot(request)
                .await
                .unwrap()
                .status()
        };
        let status = runtime.block_on(ask(Request::post("/token").body(Body::from(text.clone())).unwrap()));
        assert!(status.is_success() || status.is_client_error(), "{text:?}: {status}");
        let query = URL_SAFE_NO_PAD.encode(&text);
        for uri in [format!("/token?{text}"), format!("/token?scope={query}")] {
            let Ok(request) = Request::get(uri).body(Body::empty()) else { continue };
            let status = runtime.block_on(ask(request));
            assert!(status.is_success() || status.is_client_error(), "{text:?}: {status}");
        }
    });
}
