//! Tokens that are not what they say.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;

use super::*;
use crate::login::testing::{record, rights_with_keys};
use crate::login::token::TokenKind;

const PULL: &str = "scope=repository:acme/app:pull";

pub(super) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token like another one, signed anew with the cluster's own key.
pub(super) fn signed(world: &World, change: impl FnOnce(&mut Header, &mut Value), token: &str) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(hex::encode(world.signing_key.id));
    let mut claims = part(token, 1);
    change(&mut header, &mut claims);
    let context = [CLUSTER.0.as_slice(), b" token signing key ", &world.signing_key.id].concat();
    let private = cluster_key().unwrap(&context, &world.signing_key.wrapped_private).unwrap();
    encode(&header, &claims, &EncodingKey::from_ec_der(&private)).unwrap()
}

#[tokio::test]
async fn a_token_names_its_principal_and_what_it_is_for() {
    let world = World::new().await;
    let token = world.token_of("ann", "correct horse", "scope=repository:acme/app:pull,push").await;
    let (header, claims) = (part(&token, 0), part(&token, 1));
    let kid = hex::encode(world.signing_key.id);
    assert_eq!(header, json!({ "typ": "JWT", "alg": "ES256", "kid": kid }));
    let service = format!("regnode:{CLUSTER}");
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(service.as_str()), Some(service.as_str())));
    assert_eq!(claims["sub"], "user:ann");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    assert_eq!(claims["access"], json!([{ "type": "repository", "name": "acme/app", "actions": ["pull", "push"] }]));
    let caller = world.bearer(&token).await.unwrap();
    assert_eq!((caller.principal, caller.way), (Principal::User("ann".to_owned()), Way::Token));
    assert_eq!(caller.grants.unwrap()[0].actions, ["pull", "push"]);
    let again = world.token_of("ann", "correct horse", PULL).await;
    assert_ne!(part(&again, 1)["jti"], claims["jti"]);
}

#[tokio::test]
async fn a_token_that_another_one_has_signed_or_changed_does_not_count() {
    let world = World::new().await;
    let token = world.token_of("ann", "correct horse", PULL).await;
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = (part(&token, 0), part(&token, 1));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header);
        encoded(&header)
    };
    let mut forged = Vec::new();
    // No algorithm at all, with and without a signature.
    let none = with(&|header| header["alg"] = json!("none"));
    forged.push(format!("{none}.{}.", parts[1]));
    forged.push(format!("{none}.{}.{}", parts[1], parts[2]));
    // HMAC with what is public as the secret, in each form that it has.
    let public = &world.signing_key.public;
    let mut hmac = Header::new(Algorithm::HS256);
    hmac.kid = Some(hex::encode(world.signing_key.id));
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(public));
    for secret in [public.as_ref(), &public[public.len() - 65..], pem.as_bytes(), b""] {
        forged.push(encode(&hmac, &claims, &EncodingKey::from_secret(secret)).unwrap());
    }
    // Another key under the same name, and one that the token brings along.
    let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut own = Header::new(Algorithm::ES256);
    own.kid = hmac.kid.clone();
    forged.push(encode(&own, &claims, &EncodingKey::from_ec_der(other.serialized_der())).unwrap());
    own.jku = Some("https://evil.example/keys".to_owned());
    own.x5u.clone_from(&own.jku);
    forged.push(encode(&own, &claims, &EncodingKey::from_ec_der(other.serialized_der())).unwrap());
    // Names of keys that are none.
    for kid in ["", "../../../dev/null", "' or 1=1", &"0".repeat(16), &hex::encode(world.signing_key.id).to_uppercase()]
    {
        if kid != hex::encode(world.signing_key.id) {
            forged.push(format!("{}.{}.{}", with(&|header| header["kid"] = json!(kid)), parts[1], parts[2]));
        }
    }
    forged.push(format!("{}.{}.{}", with(&|header| header["kid"] = json!(null)), parts[1], parts[2]));
    forged.push(format!("{}.{}.{}", with(&|header| header["kid"] = json!(["a"])), parts[1], parts[2]));
    forged.push(format!("{}.{}.{}", with(&|header| header["alg"] = json!("ES384")), parts[1], parts[2]));
    // A changed payload, a changed or cut signature, parts too many and too few.
    let mut more = claims.clone();
    more["access"][0]["actions"] = json!(["pull", "push", "delete"]);
    forged.push(format!("{}.{}.{}", parts[0], encoded(&more), parts[2]));
    forged.push(format!("{}.{}.{}", parts[0], parts[1], &parts[2][..80]));
    forged.push(format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)));
    forged.push(format!("{}.{}.", parts[0], parts[1]));
    forged.push(format!("{token}.{}", parts[1]));
    forged.push(format!("{}.{}", parts[0], parts[1]));
    forged.push("..".to_owned());
    forged.push("eyJ".to_owned());
    for forged in forged {
        let outcome = world.bearer(&forged).await;
        assert!(is_malformed(&outcome), "{forged}: {outcome:?}");
    }
    assert!(world.bearer(&token).await.is_ok());
}

#[tokio::test]
async fn a_token_of_another_cluster_does_not_count() {
    let world = World::new().await;
    let token = world.token_of("ann", "correct horse", PULL).await;
    // The same names and the same id, but the key of another cluster.
    let stranger = World::new().await.token_of("ann", "correct horse", PULL).await;
    assert_eq!(part(&stranger, 0), part(&token, 0));
    assert!(is_malformed(&world.bearer(&stranger).await));
    // The same key, but other names.
    let service = "regnode:06060606060606060606060606060606";
    for claim in ["iss", "aud"] {
        let forged = signed(&world, |_, claims| claims[claim] = json!(service), &token);
        assert!(is_malformed(&world.bearer(&forged).await), "{claim}");
        let forged = signed(
            &world,
            |_, claims| {
                claims.as_object_mut().unwrap().remove(claim);
            },
            &token,
        );
        assert!(is_malformed(&world.bearer(&forged).await), "{claim}");
    }
    assert!(world.bearer(&signed(&world, |_, _| {}, &token)).await.is_ok());
}

#[tokio::test]
async fn a_token_counts_in_its_time_and_a_minute_more() {
    let world = World::new().await;
    let token = world.token_of("ann", "correct horse", PULL).await;
    world.advance_seconds(359);
    assert!(world.bearer(&token).await.is_ok());
    world.advance_seconds(1);
    assert!(is_malformed(&world.bearer(&token).await));
    let upload = async |seconds: u64| {
        world.advance_seconds(seconds);
        world.login.identify(&bearer(&token), &world.client, Leeway::Upload).await
    };
    assert_eq!(upload(0).await.unwrap().principal, Principal::User("ann".to_owned()));
    assert!(upload(7 * 24 * 3600 - 1).await.is_ok());
    assert!(is_malformed(&upload(1).await));
    let now = world.clock.now().0 / 1000;
    for (claim, ahead, counts) in
        [("nbf", 59, true), ("nbf", 62, false), ("iat", 62, false), ("nbf", u64::MAX - now, false)]
    {
        let token = signed(
            &world,
            |_, claims| {
                claims["exp"] = json!(now + 300);
                claims[claim] = json!(now + ahead);
            },
            &token,
        );
        assert_eq!(world.bearer(&token).await.is_ok(), counts, "{claim} {ahead}");
    }
    for expires in [json!("soon"), json!(-1), json!(1e300), json!(null)] {
        let token = signed(&world, |_, claims| claims["exp"] = expires.clone(), &token);
        assert!(is_malformed(&world.bearer(&token).await), "{expires}");
    }
}

#[tokio::test]
async fn refresh_and_access_tokens_are_not_taken_for_each_other() {
    let world = World::new().await;
    let (_, _, body) = world.get("offline_token=true", Some(("ann", "correct horse"))).await;
    let (access, refresh) = (body["token"].as_str().unwrap(), body["refresh_token"].as_str().unwrap());
    assert!(is_malformed(&world.bearer(refresh).await));
    assert_eq!(
        world.post(&format!("grant_type=refresh_token&refresh_token={access}")).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(world.post(&format!("grant_type=refresh_token&refresh_token={refresh}")).await.0, StatusCode::OK);
    // Neither the kind alone nor the audience alone makes one of the other.
    let typ = |header: &mut Header, typ: &str| header.typ = Some(typ.to_owned());
    assert!(is_malformed(&world.bearer(&signed(&world, |header, _| typ(header, "JWT"), refresh)).await));
    assert!(is_malformed(&world.bearer(&signed(&world, |header, _| typ(header, "refresh+jwt"), access)).await));
    assert!(is_malformed(&world.bearer(&signed(&world, |header, _| header.typ = None, access)).await));
    assert_eq!(part(refresh, 1)["access"], json!([]), "it allows nothing itself");
}

#[tokio::test]
async fn a_token_ends_with_its_account_its_sessions_its_secret_and_its_key() {
    let world = World::new().await;
    let ci = Subject::Robot("ci".to_owned());
    let secret = world.add_secret(ci.clone(), Some(100)).await;
    let robot = world.token_of("robot+ci", &secret.text, PULL).await;
    assert!(world.bearer(&robot).await.is_ok());
    world.advance_seconds(100);
    assert!(is_malformed(&world.bearer(&robot).await), "the secret has expired");

    let token = world.token_of("ann", "correct horse", PULL).await;
    world.propose(Command::EndSessions { subject: Subject::User("ann".to_owned()) }).await;
    assert!(is_malformed(&world.bearer(&token).await), "the sessions were ended");
    let token = world.token_of("ann", "correct horse", PULL).await;
    assert!(world.bearer(&token).await.is_ok(), "the next one counts at once");
    world.set_password("ann", "battery staple").await;
    assert!(is_malformed(&world.bearer(&token).await), "another password");
    let token = world.token_of("ann", "battery staple", PULL).await;
    world.disable("ann").await;
    assert!(is_malformed(&world.bearer(&token).await), "the account is disabled");
    world.propose(Command::RemoveUser { name: "ann".to_owned() }).await;
    assert!(is_malformed(&world.bearer(&token).await));
    world.add_user("ann", "battery staple").await;
    assert!(is_malformed(&world.bearer(&token).await), "another account of the same name");

    let token = world.token_of("ann", "battery staple", PULL).await;
    let next = new_signing_key(world.entropy.as_ref(), CLUSTER, &cluster_key()).unwrap();
    world.propose(Command::AddSigningKey { key: next, signs_after_seconds: 0, others_retire_after_seconds: 300 }).await;
    assert!(world.bearer(&token).await.is_ok(), "the old key counts for a while");
    let newer = world.token_of("ann", "battery staple", PULL).await;
    assert_ne!(part(&newer, 0)["kid"], part(&token, 0)["kid"]);
    world.propose(Command::RemoveSigningKey { id: world.signing_key.id }).await;
    assert!(is_malformed(&world.bearer(&token).await), "the key is gone");
    assert!(world.bearer(&newer).await.is_ok());
}

#[tokio::test]
async fn a_token_is_verified_once_and_asked_about_each_time() {
    let world = World::new().await;
    let token = world.token_of("ann", "correct horse", PULL).await;
    let is_known = |token: &str| {
        let rights = world.access.rights();
        world.login.shared.proven.get(TokenKind::Access, token, &rights).is_some()
    };
    assert!(!is_known(&token));
    assert!(world.bearer(&token).await.is_ok());
    assert!(is_known(&token));
    let mut forged = token.clone();
    forged.pop();
    assert!(!is_known(&forged) && is_malformed(&world.bearer(&forged).await));
    assert!(!is_known(&forged), "what is wrong is not remembered");
    let proven = &world.login.shared.proven;
    assert!(proven.get(TokenKind::Refresh, &token, &world.access.rights()).is_none(), "of its kind only");
    // Another key under the same id has not signed it.
    let other = new_signing_key(world.entropy.as_ref(), CLUSTER, &cluster_key()).unwrap();
    let rights = rights_with_keys([(world.signing_key.id, record(&other))]);
    assert!(proven.get(TokenKind::Access, &token, &rights).is_none());
    world.advance_seconds(361);
    assert!(is_known(&token) && is_malformed(&world.bearer(&token).await), "it has expired");
    let wide: Vec<String> =
        (0..40).map(|number| format!("scope=repository:acme/app{number}:pull,push,delete")).collect();
    let long = world.token_of("ann", "correct horse", &wide.join("&")).await;
    assert!(world.bearer(&long).await.is_ok() && !is_known(&long), "a long one is not kept: {} bytes", long.len());
}

#[tokio::test]
async fn nobody_becomes_another_one_by_what_a_token_says() {
    let world = World::new().await;
    let token = world.token_of("ann", "correct horse", PULL).await;
    for sub in ["operator", "token:hub/x", "user:nobody", "robot:ann", "", "group:x"] {
        let forged = signed(&world, |_, claims| claims["sub"] = json!(sub), &token);
        assert!(is_malformed(&world.bearer(&forged).await), "{sub}");
    }
    let forged = signed(&world, |_, claims| claims["since"] = json!(0), &token);
    assert!(is_malformed(&world.bearer(&forged).await));
    let forged = signed(&world, |_, claims| claims["secret"] = json!("0000000000000000"), &token);
    assert!(is_malformed(&world.bearer(&forged).await), "she has no such secret");
    let forged = signed(&world, |header, _| header.crit = Some(vec!["exp".to_owned()]), &token);
    assert!(is_malformed(&world.bearer(&forged).await));
}

#[tokio::test]
async fn huge_and_deep_tokens_are_refused() {
    let world = World::new().await;
    let kid = hex::encode(world.signing_key.id);
    let deep = format!("{{\"alg\":\"ES256\",\"kid\":\"{kid}\",\"x\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let wide = format!("{{\"alg\":\"ES256\",\"kid\":\"{kid}\",\"x\":\"{}\"}}", "a".repeat(30_000));
    let deep_claims = format!("{{\"iss\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let header = format!("{{\"alg\":\"ES256\",\"kid\":\"{kid}\"}}");
    for (header, claims) in [(deep.as_str(), "{}"), (&wide, "{}"), (&header, &deep_claims), (&header, ""), ("", "")] {
        let token = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        assert!(is_malformed(&world.bearer(&token).await));
    }
}
