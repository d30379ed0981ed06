//! The token service.

use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use super::*;
use crate::limit::{Rates, ThrottleOptions};

fn access_of(body: &Value) -> Value {
    let token = body["token"].as_str().unwrap_or_default();
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap_or_default()["access"].clone()
}

fn granted(body: &Value) -> Vec<String> {
    let access = access_of(body);
    let grants = access.as_array().cloned().unwrap_or_default();
    let words = |grant: &Value| {
        let actions = grant["actions"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned());
        actions.collect::<Vec<_>>().join(",")
    };
    grants.iter().map(|grant| format!("{}:{}", grant["name"].as_str().unwrap(), words(grant))).collect()
}

const ANN: Option<(&str, &str)> = Some(("ann", "correct horse"));

#[tokio::test]
async fn a_token_says_what_was_asked_and_is_allowed() {
    let world = World::new().await;
    for (query, who, expected) in [
        ("scope=repository:acme/app:pull,push", ANN, vec!["acme/app:pull,push"]),
        ("scope=repository:acme/app:*", ANN, vec!["acme/app:pull,push,delete"]),
        ("scope=repository:other/app:pull,push", ANN, vec![]),
        ("scope=repository:public/app:pull,push", ANN, vec!["public/app:pull"]),
        ("scope=repository:acme:pull", ANN, vec!["acme:pull"]),
        ("scope=repository:acmes/app:pull", ANN, vec![]),
        ("scope=repository:acme/a:pull&scope=repository:acme/b:pull", ANN, vec!["acme/a:pull", "acme/b:pull"]),
        ("scope=repository:acme/a:pull+repository:acme/b:pull", ANN, vec!["acme/a:pull", "acme/b:pull"]),
        ("scope=repository%3Aacme%2Fa%3Apull%20repository:acme/b:delete", ANN, vec!["acme/a:pull", "acme/b:delete"]),
        ("scope=repository:localhost:5000/acme/a:pull", ANN, vec!["acme/a:pull"]),
        ("scope=repository:registry.example.org/acme/a:pull", ANN, vec!["acme/a:pull"]),
        ("scope=repository(plugin):acme/a:pull", ANN, vec!["acme/a:pull"]),
        ("scope=registry:catalog:*", ANN, vec!["catalog:*"]),
        ("scope=registry:catalog:*", None, vec!["catalog:*"]),
        ("scope=%zz&scope=::::&scope", ANN, vec![]),
        ("", ANN, vec![]),
        ("scope=repository:public/app:pull,push", None, vec!["public/app:pull"]),
        ("scope=repository:acme/app:pull", None, vec![]),
    ] {
        let (status, headers, body) = world.get(query, who).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        assert_eq!(granted(&body), expected, "{query}");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert_eq!((body["token"].clone(), body["expires_in"].as_u64()), (body["access_token"].clone(), Some(300)));
        assert_eq!(body["issued_at"], "2001-09-09T01:47:40Z");
        assert!(body.get("refresh_token").is_none());
    }
}

#[tokio::test]
async fn a_robot_that_may_push_gets_no_more() {
    let world = World::new().await;
    let secret = world.add_secret(Subject::Robot("ci".to_owned()), None).await;
    let (_, _, body) = world.get("scope=repository:acme/app:*", Some(("robot+ci", &secret.text))).await;
    assert_eq!(granted(&body), ["acme/app:pull,push"]);
    let (_, _, body) = world.get("scope=repository:acme/other:*", Some(("robot+ci", &secret.text))).await;
    assert_eq!(granted(&body), Vec::<String>::new());
}

#[tokio::test]
async fn an_anonymous_token_names_nobody() {
    let world = World::new().await;
    let (_, _, body) = world.get("scope=repository:public/app:pull", None).await;
    let caller = world.bearer(body["token"].as_str().unwrap()).await.unwrap();
    assert_eq!(caller.principal, Principal::Anonymous);
    assert_eq!(caller.grants.unwrap().len(), 1);
    assert!(world.audit.events().is_empty(), "nobody has logged in");
}

#[tokio::test]
async fn a_wrong_password_is_no_anonymous_token() {
    let world = World::new().await;
    let (status, headers, body) = world.get("scope=repository:public/app:pull", Some(("ann", "wrong"))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(headers[WWW_AUTHENTICATE], "Basic realm=\"https://registry.example.org/token\"");
    assert_eq!((body["errors"][0]["code"].as_str(), body.get("token")), (Some("UNAUTHORIZED"), None));
    for index in 0..5 {
        world.get("", Some(("ann", &format!("wrong {index}")))).await;
    }
    let (status, headers, body) = world.get("", Some(("ann", "wrong"))).await;
    assert_eq!((status, headers[RETRY_AFTER].to_str().unwrap()), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(body["errors"][0]["code"], "TOOMANYREQUESTS");
    let token = Request::get("/token").header(AUTHORIZATION, "Bearer a.b.c").body(Body::empty()).unwrap();
    assert_eq!(world.request(token).await.0, StatusCode::UNAUTHORIZED, "no token is given for a token");
}

#[tokio::test]
async fn another_service_is_refused_and_our_own_by_its_name_is_not() {
    let world = World::new().await;
    let (status, _, body) = world.get("service=registry.docker.io", ANN).await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_target")));
    let challenge = world.login.challenge(&HeaderMap::new(), &world.client, None, None);
    let service = challenge.to_str().unwrap().split("service=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    assert_eq!(world.get(&format!("service={service}"), ANN).await.0, StatusCode::OK);
    assert_eq!(world.get("service=", ANN).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_form_gets_what_a_query_gets() {
    let world = World::new().await;
    let form = "grant_type=password&username=ann&password=correct+horse&client_id=containerd\
                &scope=repository%3Aacme%2Fapp%3Apull%2Cpush+repository:acme/b:pull&scope=repository:acme/c:pull";
    let (status, headers, body) = world.post(form).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(granted(&body), ["acme/app:pull,push", "acme/b:pull", "acme/c:pull"]);
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    assert_eq!(body["scope"], "repository:acme/app:pull,push repository:acme/b:pull repository:acme/c:pull");
    assert_eq!(body["token_type"], "Bearer");
    let wrong = world.post("grant_type=password&username=ann&password=x").await;
    assert_eq!((wrong.0, wrong.2["error"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_grant")));
    assert_eq!(world.post("grant_type=password").await.0, StatusCode::OK, "whoever shows nothing is anonymous");
    for (form, error) in [
        ("", "invalid_request"),
        ("username=ann&password=correct+horse", "invalid_request"),
        ("grant_type=magic", "unsupported_grant_type"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=urn:ietf:params:oauth:grant-type:token-exchange", "invalid_request"),
        ("grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=eyJ.person.ann", "invalid_request"),
    ] {
        let (status, _, body) = world.post(form).await;
        assert_eq!((status, body["error"].as_str()), (StatusCode::BAD_REQUEST, Some(error)), "{form}");
    }
    let huge = format!("grant_type=password&password={}", "a".repeat(70_000));
    assert_eq!(world.post(&huge).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_refresh_token_gets_new_tokens_until_the_account_changes() {
    let world = World::new().await;
    let (_, _, body) = world.get("offline_token=true&account=ann&client_id=docker", ANN).await;
    let refresh = body["refresh_token"].as_str().unwrap().to_owned();
    let ask = format!("grant_type=refresh_token&refresh_token={refresh}&scope=repository:acme/app:pull");
    world.advance_seconds(29 * 24 * 3600);
    let (status, _, body) = world.post(&ask).await;
    assert_eq!((status, granted(&body)), (StatusCode::OK, vec!["acme/app:pull".to_owned()]), "{body}");
    assert_eq!(body["refresh_token"].as_str(), Some(refresh.as_str()));
    world.advance_seconds(24 * 3600 + 60);
    assert_eq!(world.post(&ask).await.0, StatusCode::UNAUTHORIZED, "it has expired");
    let (_, _, body) = world.post("grant_type=password&username=ann&password=correct+horse&access_type=offline").await;
    let refresh = body["refresh_token"].as_str().unwrap().to_owned();
    world.set_password("ann", "battery staple").await;
    let ask = format!("grant_type=refresh_token&refresh_token={refresh}");
    assert_eq!(world.post(&ask).await.0, StatusCode::UNAUTHORIZED);
    let (_, _, body) = world.get("offline_token=true", None).await;
    assert!(body.get("refresh_token").is_none(), "nobody has no session");
    assert_eq!(world.get("offline_token=false", Some(("ann", "battery staple"))).await.2.get("refresh_token"), None);
}

#[tokio::test]
async fn without_a_key_there_is_no_token_and_it_is_said() {
    let world = World::empty().await;
    let (status, headers, body) = world.get("", None).await;
    assert_eq!((status, headers[RETRY_AFTER].to_str().unwrap()), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(body["errors"][0]["message"].as_str().unwrap().contains("regnode token-key rotate"), "{body}");
    world.add_key(&world.signing_key).await;
    assert_eq!(world.get("", None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_public_keys_verify_what_is_signed() {
    let world = World::new().await;
    let request = Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap();
    let (status, headers, body) = world.request(request).await;
    assert_eq!((status, headers[CACHE_CONTROL].to_str().unwrap()), (StatusCode::OK, "public, max-age=300"));
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(keys.keys.len(), 1);
    assert!(!body.to_string().contains("\"d\""), "nothing of it is private");
    let key = jsonwebtoken::DecodingKey::from_jwk(&keys.keys[0]).unwrap();
    let token = world.token_of("ann", "correct horse", "").await;
    let mut checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    (checks.validate_exp, checks.validate_aud) = (false, false);
    assert_eq!(jsonwebtoken::decode::<Value>(&token, &key, &checks).unwrap().claims["sub"], "user:ann");
}

#[tokio::test]
async fn a_login_is_a_record() {
    let world = World::new().await;
    world.get("scope=repository:acme/app:pull", ANN).await;
    let events = world.audit.events();
    let event = &events[0];
    assert_eq!((event.action, event.actor.as_str(), event.way), ("login", "user:ann", "password"));
    assert_eq!(
        (event.address, event.detail.as_str()),
        (Some(world.client.address), "a token for repository:acme/app:pull")
    );
    world.get("", Some(("ann", "wrong"))).await;
    assert_eq!(world.audit.events()[1].outcome, crate::audit::Outcome::Refused);
}

#[tokio::test]
async fn a_denied_action_is_no_part_of_a_token() {
    let world = World::new().await;
    let deny = Command::AddBinding {
        subject: Subject::User("ann".to_owned()),
        effect: Effect::Deny { actions: raft::directory::Actions::of(&[raft::directory::Action::Push]) },
        namespace: "acme/frozen".to_owned(),
        condition: Condition::default(),
        note: String::new(),
        by: "operator".to_owned(),
    };
    world.propose(deny).await;
    let (_, _, body) = world.get("scope=repository:acme/frozen/app:pull,push", ANN).await;
    assert_eq!(access_of(&body), json!([{ "type": "repository", "name": "acme/frozen/app", "actions": ["pull"] }]));
}

#[tokio::test]
async fn who_asks_for_too_many_tokens_is_told_when_to_come_again() {
    let identity = Rates { requests_per_second: 1, ..Rates::default() };
    let options = ThrottleOptions { identity, ..ThrottleOptions::default() };
    for by_form in [false, true] {
        let mut world = World::new().await;
        world.throttle = Throttle::new(options, crate::limit::Metrics::default());
        let ask = async |world: &World| {
            if by_form {
                return world.post("grant_type=refresh_token&refresh_token=x").await;
            }
            world.get("", None).await
        };
        let mut refused = None;
        for _ in 0..20 {
            let answered = ask(&world).await;
            if answered.2["errors"][0]["message"].as_str().is_some_and(|text| text.contains("too many requests")) {
                refused = Some(answered);
                break;
            }
        }
        let (status, headers, body) = refused.expect("requests for tokens count");
        assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("TOOMANYREQUESTS")));
        assert!(headers[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        world.client = Client::at("192.0.2.2".parse().unwrap());
        assert_ne!(ask(&world).await.2["error"], "slow_down", "another address has its own");
    }
}
