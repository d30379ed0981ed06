//! Whom somebody outside vouches for.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::access::Records;

impl World {
    fn outsider(&self, name: &str, password: &str, groups: &[&str]) {
        let groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
        let outsider = Outsider { display: format!("{name} of outside"), groups };
        self.people.passwords.lock().unwrap().insert(name.to_owned(), (password.to_owned(), outsider));
    }

    async fn add_group(&self, name: &str) {
        self.propose(Command::AddGroup { name: name.to_owned(), description: String::new() }).await;
    }

    fn asked(&self) -> u64 {
        self.people.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_from_outside_becomes_a_user_with_his_groups() {
    let world = World::new().await;
    world.add_group("devs").await;
    world.outsider("eve", "secret of eve", &["devs", "unknown"]);
    let caller = world.basic("eve", "secret of eve").await.unwrap();
    assert_eq!((caller.principal, caller.way), (Principal::User("eve".to_owned()), Way::Password));
    assert_eq!(caller.groups, BTreeSet::from(["devs".to_owned()]));
    let user = world.directory.view().user("eve").unwrap().unwrap();
    assert_eq!((user.source.as_deref(), user.password, user.display.as_str()), (Some("ldap"), None, "eve of outside"));
    let asked = world.asked();
    assert!(world.basic("eve", "secret of eve").await.is_ok());
    assert_eq!(world.asked(), asked, "for a moment nobody is asked again");
    assert_eq!(world.basic("eve", "wrong").await, Err(LoginError::Wrong));
    // What has changed outside is taken over with the next login that is verified.
    world.outsider("eve", "another secret", &[]);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(world.basic("eve", "secret of eve").await, Err(LoginError::Wrong));
    assert!(world.basic("eve", "another secret").await.unwrap().groups.is_empty());
    world.disable("eve").await;
    assert_eq!(world.basic("eve", "another secret").await, Err(LoginError::Wrong), "she is disabled here");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_knows_no_groups_takes_nobody_out_of_one() {
    let world = World::new().await;
    world.add_group("devs").await;
    let outsider = Outsider { display: String::new(), groups: None };
    world.people.passwords.lock().unwrap().insert("eve".to_owned(), ("secret of eve".to_owned(), outsider));
    assert!(world.basic("eve", "secret of eve").await.unwrap().groups.is_empty());
    let groups = Some(vec!["devs".to_owned()]);
    let name = "eve".to_owned();
    world.propose(Command::SetUser { name, display: None, password: None, disabled: None, groups }).await;
    sleep(Duration::from_secs(31)).await;
    let caller = world.basic("eve", "secret of eve").await.unwrap();
    assert_eq!(caller.groups, BTreeSet::from(["devs".to_owned()]));
}

#[tokio::test]
async fn nobody_outside_takes_the_name_of_somebody_here() {
    let world = World::new().await;
    world.outsider("ann", "secret of another ann", &[]);
    assert_eq!(world.basic("ann", "secret of another ann").await, Err(LoginError::Wrong));
    let asked: Vec<String> = world.people.names.lock().unwrap().iter().cloned().collect();
    assert!(asked.len() == 1 && asked[0].starts_with("nobody-"), "her password is told to nobody as hers: {asked:?}");
    assert_eq!(world.basic("ann", "eyJ.person.ann").await, Err(LoginError::Wrong));
    assert_eq!(world.basic("oidc", "eyJ.person.ann").await, Err(LoginError::Wrong));
    assert!(world.basic("ann", "correct horse").await.is_ok());
}

#[tokio::test]
async fn who_cannot_be_asked_locks_nobody_out() {
    let world = World::new().await;
    world.outsider("eve", "secret of eve", &[]);
    *world.people.is_down.lock().unwrap() = true;
    for _ in 0..10 {
        assert!(matches!(world.basic("eve", "secret of eve").await, Err(LoginError::Unavailable(_))));
    }
    *world.people.is_down.lock().unwrap() = false;
    assert!(world.basic("eve", "secret of eve").await.is_ok());
}

#[tokio::test]
async fn who_guesses_while_nobody_outside_answers_does_not_learn_which_names_are_here() {
    let world = World::new().await;
    world
        .propose(Command::AddUser {
            name: "old".to_owned(),
            display: String::new(),
            password: Some(hash_password("correct horse", world.entropy.as_ref())),
            source: None,
            groups: Vec::new(),
        })
        .await;
    world.disable("old").await;
    let answers = async || {
        let mut answers = Vec::new();
        for name in ["ann", "old", "nobody.at.all"] {
            answers.push(world.basic(name, "wrong").await.unwrap_err());
        }
        answers.dedup();
        answers
    };
    assert_eq!(answers().await, [LoginError::Wrong]);
    *world.people.is_down.lock().unwrap() = true;
    let down = answers().await;
    assert!(matches!(down[..], [LoginError::Unavailable(_)]), "{down:?}");
    // Whose password is right is let in, and wrong ones are counted all the same.
    assert!(world.basic("ann", "correct horse").await.is_ok());
    for guess in 0..4 {
        let _refused = world.login.identify(&basic("ann", &format!("guess {guess}")), &far(), Leeway::None).await;
    }
    let locked = world.login.identify(&basic("ann", "guess"), &far(), Leeway::None).await;
    assert!(matches!(locked, Err(LoginError::Locked { .. } | LoginError::Unavailable(_))), "{locked:?}");
    let locked = world.login.identify(&basic("ann", "guess"), &far(), Leeway::None).await;
    assert!(matches!(locked, Err(LoginError::Locked { .. })), "{locked:?}");
}

/// Somebody who was never seen before.
fn far() -> Client {
    Client::at("203.0.113.77".parse().unwrap())
}

#[tokio::test]
async fn a_stranger_is_told_nothing_of_issuers_and_the_audit_log_all() {
    let world = World::new().await;
    let told = |error: &LoginError| error.to_string();
    let error = world.bearer("eyJ.caller-of-nobody.x").await.unwrap_err();
    assert_eq!(told(&error), "the token does not count here: the audit log of the registry says why");
    assert_eq!(error.reason(), "nobody has signed it");
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
                    &subject_token_type=urn:ietf:params:oauth:token-type:jwt";
    let (status, _, body) = world.post(&format!("{exchange}&subject_token=eyJ.nobody.x")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!body.to_string().contains("not of this issuer"), "{body}");
    let recorded = world.audit.events();
    assert!(recorded.iter().any(|event| event.detail == "not of this issuer"), "{recorded:?}");
    let error = world.basic("robot+ci", "eyJ.robot.down").await.unwrap_err();
    assert_eq!(error, LoginError::Unavailable("the token cannot be verified now: try again".to_owned()));
}

#[tokio::test]
async fn an_upload_outlives_the_token_of_an_issuer_outside() {
    let world = World::new().await;
    let outcome = world.login.identify(&bearer("eyJ.caller.late"), &world.client, Leeway::None).await;
    assert!(matches!(outcome, Err(LoginError::Untrusted(_))), "{outcome:?}");
    // The issuer of the tests is none that the directory knows: it is refused for that, and no more for its time.
    let outcome = world.login.identify(&bearer("eyJ.caller.late"), &world.client, Leeway::Upload).await;
    assert_eq!(outcome, Err(LoginError::Untrusted("the token's issuer does not count any more".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_right_id_token_is_let_in_where_others_have_failed() {
    let world = World::new().await;
    world.add_group("devs").await;
    for _ in 0..21 {
        let _refused = world.basic("robot+ci", "x").await;
    }
    assert!(matches!(world.basic("robot+ci", "x").await, Err(LoginError::Locked { .. })), "the address waits");
    let caller = world.basic("oidc", "eyJ.person.eve").await.unwrap();
    assert_eq!(caller.principal, Principal::User("eve".to_owned()));
    assert!(matches!(world.basic("oidc", "eyJ.nobody.eve").await, Err(LoginError::Locked { .. })));
}

#[tokio::test]
async fn keys_of_who_was_not_seen_where_he_logs_in_stop_only_if_they_are_to() {
    const DAY: u64 = 24 * 3600;
    let world = World::new().await;
    world.outsider("eve", "secret of eve", &[]);
    world.basic("eve", "secret of eve").await.unwrap();
    let key = world.add_secret(Subject::User("eve".to_owned()), None).await;
    let anns = world.add_secret(Subject::User("ann".to_owned()), None).await;
    let token = world.token_of("eve", &key.text, "").await;
    let bound = |days: u64| {
        let view = world.directory.view();
        let records = Records {
            users: view.users(None, 99).unwrap().into_iter().collect(),
            signing_keys: view.signing_keys().unwrap().into_iter().collect(),
            ..Records::default()
        };
        let rights = Rights::new(records).with_people_keys((days > 0).then_some(days * DAY));
        world.access.replace(rights);
    };
    world.people.passwords.lock().unwrap().clear();
    bound(0);
    world.advance_seconds(60);
    assert!(world.basic("eve", &key.text).await.is_ok(), "a key does not hang on a session elsewhere");
    assert!(world.bearer(&token).await.is_ok());
    bound(1);
    assert!(world.basic("eve", &key.text).await.is_ok());
    world.advance_seconds(2 * DAY);
    assert_eq!(world.basic("eve", &key.text).await, Err(LoginError::Wrong));
    let late = world.login.identify(&bearer(&token), &world.client, Leeway::Upload).await;
    assert!(is_malformed(&late), "nor what was given for it: {late:?}");
    assert!(world.basic("ann", &anns.text).await.is_ok(), "who logs in here is not asked about elsewhere");
    bound(0);
    assert!(world.basic("eve", &key.text).await.is_ok());
}

#[tokio::test]
async fn what_is_shown_is_counted_by_kind_and_outcome() {
    let world = World::new().await;
    let secret = world.add_secret(Subject::Robot("ci".to_owned()), None).await;
    world.basic("ann", "correct horse").await.unwrap();
    world.basic("robot+ci", &secret.text).await.unwrap();
    for guess in 0..7 {
        let _refused = world.login.identify(&basic("ann", &format!("guess {guess}")), &far(), Leeway::None).await;
    }
    let _refused = world.basic("robot+ci", "eyJ.robot.x").await;
    let token = world.token_of("ann", "correct horse", "").await;
    for _ in 0..3 {
        world.bearer(&token).await.unwrap();
    }
    let told = world.login.shared.metrics.told();
    for line in [
        "attempts_total{kind=\"password\",outcome=\"done\"} 2",
        "attempts_total{kind=\"password\",outcome=\"refused\"} 6",
        "attempts_total{kind=\"password\",outcome=\"locked\"} 1",
        "attempts_total{kind=\"secret\",outcome=\"done\"} 1",
        "attempts_total{kind=\"token\",outcome=\"refused\"} 1",
        "lockouts_total{by=\"name\"} 1",
        "issued_total{kind=\"access\"} 1",
        "verified_total{how=\"signature\"} 1",
        "verified_total{how=\"known\"} 2",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
    assert!(!told.contains("ann"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_before_the_answer_has_guessed_all_the_same() {
    let world = World::new().await;
    world.outsider("eve", "secret of eve", &[]);
    *world.people.is_silent.lock().unwrap() = true;
    for index in 0..6 {
        let guess = format!("guess {index}");
        let answer = tokio::time::timeout(Duration::from_secs(1), world.basic("eve", &guess)).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(world.basic("eve", "guess").await, Err(LoginError::Locked { retry_after_seconds: 1 }));
}

#[tokio::test]
async fn whoever_is_vouched_for_elsewhere_gets_no_refresh_token() {
    let world = World::new().await;
    world.outsider("eve", "secret of eve", &[]);
    let (status, _, body) = world.get("offline_token=true", Some(("eve", "secret of eve"))).await;
    assert_eq!((status, body.get("refresh_token")), (StatusCode::OK, None));
    let (status, _, body) = world.get("offline_token=true", Some(("eve", "secret of eve"))).await;
    assert_eq!((status, body.get("refresh_token")), (StatusCode::OK, None), "nor by what is remembered of it");
    let (status, _, body) = world.get("offline_token=true", Some(("robot+ci", "eyJ.robot.ci"))).await;
    assert_eq!((status, body.get("refresh_token")), (StatusCode::OK, None));
}

#[tokio::test]
async fn a_workload_is_the_robot_that_trusts_it() {
    let world = World::new().await;
    let caller = world.basic("robot+ci", "eyJ.robot.ci").await.unwrap();
    assert_eq!((caller.principal, caller.way), (Principal::Robot("ci".to_owned()), Way::Token));
    assert_eq!(world.basic("robot+ci", "eyJ.robot.other").await, Err(LoginError::Wrong));
    assert_eq!(world.basic("robot+other", "eyJ.robot.other").await, Err(LoginError::Wrong), "there is no such robot");
    assert!(matches!(world.basic("robot+ci", "eyJ.robot.down").await, Err(LoginError::Unavailable(_))));
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
                    &subject_token_type=urn:ietf:params:oauth:token-type:jwt";
    let asked = format!("{exchange}&subject_token=eyJ.robot.ci&client_id=robot%2Bci&scope=repository:acme/app:push");
    let (status, _, body) = world.post(&asked).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let caller = world.bearer(body["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(caller.principal, Principal::Robot("ci".to_owned()));
    let wrong = format!("{exchange}&subject_token=eyJ.robot.x&audience=robot%2Bci");
    assert_eq!(world.post(&wrong).await.0, StatusCode::UNAUTHORIZED);
    let disable = Command::SetRobot { name: "ci".to_owned(), description: None, groups: None, disabled: Some(true) };
    world.propose(disable).await;
    assert_eq!(world.basic("robot+ci", "eyJ.robot.ci").await, Err(LoginError::Wrong));
}

#[tokio::test]
async fn a_person_is_who_his_id_token_says() {
    let world = World::new().await;
    world.add_group("devs").await;
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
                    &subject_token_type=urn:ietf:params:oauth:token-type:id_token";
    let (status, _, body) = world.post(&format!("{exchange}&subject_token=eyJ.person.eve")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let caller = world.bearer(body["token"].as_str().unwrap()).await.unwrap();
    assert_eq!(caller.principal, Principal::User("eve".to_owned()));
    assert_eq!(caller.groups, BTreeSet::from(["devs".to_owned()]));
    assert_eq!(world.basic("oidc", "eyJ.person.eve").await.unwrap().principal, Principal::User("eve".to_owned()));
    assert!(world.basic("eve", "eyJ.person.eve").await.is_ok());
    assert_eq!(world.basic("bob", "eyJ.person.eve").await, Err(LoginError::Wrong), "another name");
    assert_eq!(world.basic("oidc", "eyJ.x.y").await, Err(LoginError::Wrong));
    assert_eq!(world.post(&format!("{exchange}&subject_token=eyJ.x.y")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_id_token_of_a_browser_login_is_of_use_where_somebody_has_logged_in() {
    const HERE: &str = "https://registry.example.org";
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&scope=registry:admin:*\
                    &subject_token_type=urn:ietf:params:oauth:token-type:id_token";
    let token = |nonce: &str| {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"nonce":"{nonce}"}}"#));
        format!("eyJ-person-eve.{claims}.sig")
    };
    let bound = |url: &str| token(&bound_nonce("secret", url));
    let world = World::called(HERE).await;
    world.add_group("devs").await;
    let login = async |token: &str, more: &str| {
        let (status, _, body) = world.post(&format!("{exchange}&subject_token={token}{more}")).await;
        (status, body["scope"].as_str().unwrap_or_default().to_owned())
    };
    let administers = (StatusCode::OK, "registry:admin:*".to_owned());
    let is_refused = (StatusCode::UNAUTHORIZED, String::new());
    assert_eq!(login(&bound(HERE), "&nonce_secret=secret").await, administers);
    // Handed on by another registry, or without what shows where it was to be used; also as a password.
    for (token, more) in [
        (bound("https://evil.example"), "&nonce_secret=secret"),
        (bound(HERE), "&nonce_secret=another"),
        (bound(HERE), ""),
        (bound(HERE), "&nonce_secret=secret&nonce=other"),
    ] {
        assert_eq!(login(&token, more).await, is_refused, "{token} {more}");
    }
    assert_eq!(world.basic("oidc", &bound(HERE)).await, Err(LoginError::Wrong));
    // Tokens of other clients log in, but administer nothing.
    for other in ["eyJ.person.eve".to_owned(), token("other")] {
        assert_eq!(login(&other, "").await, (StatusCode::OK, String::new()), "{other}");
    }
    let caller = world.basic("oidc", "eyJ.person.eve").await.unwrap();
    assert!(caller.may_administer() && !world.login.lets_administer(&caller));
    let caller = world.basic("ann", "correct horse").await.unwrap();
    assert!(world.login.lets_administer(&caller), "a password is no such token");
    // A registry that does not know its URL cannot ask for it.
    let world = World::new().await;
    let caller = world.basic("oidc", "eyJ.person.eve").await.unwrap();
    assert!(world.login.lets_administer(&caller));
}

#[tokio::test]
async fn a_certificate_is_the_robot_that_trusts_it_unless_something_else_is_shown() {
    let world = World::new().await;
    let with = |san: &str| {
        let certificate = Some(Arc::new(ClientCertificate { sans: vec![san.to_owned()] }));
        Client { certificate, ..world.client.clone() }
    };
    let identify = |headers: HeaderMap, san: &str| {
        let (login, client) = (world.login.clone(), with(san));
        async move { login.identify(&headers, &client, Leeway::None).await }
    };
    let caller = identify(HeaderMap::new(), "dns:ci").await.unwrap();
    assert_eq!((caller.principal, caller.way), (Principal::Robot("ci".to_owned()), Way::Certificate));
    assert_eq!(identify(HeaderMap::new(), "email:ci").await.unwrap().principal, Principal::Anonymous);
    assert_eq!(identify(HeaderMap::new(), "dns:nobody").await, Err(LoginError::Wrong));
    let caller = identify(basic("ann", "correct horse"), "dns:ci").await.unwrap();
    assert_eq!(caller.principal, Principal::User("ann".to_owned()));
    assert_eq!(identify(basic("ann", "wrong"), "dns:ci").await, Err(LoginError::Wrong));
}

#[tokio::test]
async fn a_token_of_an_issuer_that_is_gone_does_not_count() {
    let world = World::new().await;
    assert!(is_malformed(&world.bearer("eyJ.caller.x").await), "the directory knows no issuer \"hub\"");
    assert!(is_malformed(&world.bearer("eyJ.other.x").await));
}
