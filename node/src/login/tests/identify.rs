//! People and robots by name.

use super::*;

#[tokio::test]
async fn a_user_is_known_by_his_password_and_a_changed_one_counts_at_once() {
    let world = World::new().await;
    let caller = world.basic("ann", "correct horse").await.unwrap();
    assert_eq!((caller.principal, caller.way), (Principal::User("ann".to_owned()), Way::Password));
    assert!(caller.grants.is_none(), "the rules alone count");
    assert_eq!(world.basic("ann", "wrong horse").await, Err(LoginError::Wrong));
    assert_eq!(world.basic("bob", "correct horse").await, Err(LoginError::Wrong));
    assert_eq!(world.basic("", "").await, Err(LoginError::Wrong));
    world.set_password("ann", "battery staple").await;
    assert_eq!(world.basic("ann", "correct horse").await, Err(LoginError::Wrong), "not even for those five minutes");
    assert!(world.basic("ann", "battery staple").await.is_ok());
    world.disable("ann").await;
    assert_eq!(world.basic("ann", "battery staple").await, Err(LoginError::Wrong));
}

#[tokio::test]
async fn nothing_shown_is_the_anonymous_one() {
    let world = World::empty().await;
    let caller = world.login.identify(&HeaderMap::new(), &world.client, Leeway::None).await.unwrap();
    assert_eq!(caller, Caller::anonymous(world.client.address));
}

#[tokio::test]
async fn nobody_is_recognised_before_the_rules_are_known() {
    let world = World::new().await;
    let access = Access::start(directory(), Exec::inline(), Arc::<Hand>::clone(&world.clock));
    let parts = LoginParts {
        cluster: CLUSTER,
        cluster_key: None,
        access,
        directory: Arc::clone(&world.directory),
        audit: Audit::off(),
        entropy: Arc::<Counting>::clone(&world.entropy),
        exec: Exec::inline(),
        sources: Vec::new(),
        outside: None,
        metrics: Metrics::default(),
        options: world.login.shared.options.clone(),
    };
    let login = Login::new(parts);
    for headers in [basic("ann", "correct horse"), basic("robot+ci", "x"), bearer("eyJ.a.b")] {
        let outcome = login.identify(&headers, &world.client, Leeway::None).await;
        assert!(matches!(outcome, Err(LoginError::Unavailable(_) | LoginError::Wrong)), "{outcome:?}");
    }
    let outcome = login.identify(&basic("ann", "correct horse"), &world.client, Leeway::None).await;
    assert!(matches!(outcome, Err(LoginError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_down_and_keeps_nobody_out_who_has_been_there() {
    let world = World::new().await;
    world.basic("ann", "correct horse").await.unwrap();
    let elsewhere = Client::at("198.51.100.7".parse().unwrap());
    let guess = |password: String| {
        let (login, elsewhere) = (world.login.clone(), elsewhere.clone());
        async move { login.identify(&basic("ann", &password), &elsewhere, Leeway::None).await }
    };
    for index in 0..6 {
        assert_eq!(guess(format!("guess {index}")).await, Err(LoginError::Wrong));
    }
    assert_eq!(guess("guess".to_owned()).await, Err(LoginError::Locked { retry_after_seconds: 1 }));
    let right = guess("correct horse".to_owned()).await;
    assert_eq!(right, Err(LoginError::Locked { retry_after_seconds: 1 }), "a right guess is not told from a wrong one");
    assert!(world.basic("ann", "correct horse").await.is_ok(), "she is known at her address");
    sleep(Duration::from_secs(1)).await;
    assert!(guess("correct horse".to_owned()).await.is_ok());
    // A name that does not exist is locked the same way.
    for index in 0..6 {
        let outcome = world.basic("nobody", &format!("guess {index}")).await;
        assert_eq!(outcome, Err(LoginError::Wrong));
    }
    assert_eq!(world.basic("nobody", "guess").await, Err(LoginError::Locked { retry_after_seconds: 1 }));
}

#[tokio::test]
async fn many_requests_with_the_right_password_at_once_are_one_login() {
    let world = World::new().await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (login, client) = (world.login.clone(), world.client.clone());
        requests.spawn(async move { login.identify(&basic("ann", "correct horse"), &client, Leeway::None).await });
    }
    while let Some(outcome) = requests.join_next().await {
        assert!(outcome.unwrap().is_ok());
    }
}

#[tokio::test]
async fn keys_and_secrets_count_until_they_end() {
    let world = World::new().await;
    let (ann, ci) = (Subject::User("ann".to_owned()), Subject::Robot("ci".to_owned()));
    let key = world.add_secret(ann.clone(), Some(3600)).await;
    let secret = world.add_secret(ci.clone(), None).await;
    let caller = world.basic("ann", &key.text).await.unwrap();
    assert_eq!((caller.principal, caller.way), (Principal::User("ann".to_owned()), Way::Key));
    let caller = world.basic("robot+ci", &secret.text).await.unwrap();
    assert_eq!((caller.principal, caller.way), (Principal::Robot("ci".to_owned()), Way::Key));
    for (name, password) in [
        ("ci", secret.text.as_str()),
        ("robot+ci", &key.text),
        ("bob", &key.text),
        ("robot+other", &secret.text),
        ("robot+ci", "correct horse"),
        ("robot+", &secret.text),
    ] {
        assert_eq!(world.basic(name, password).await, Err(LoginError::Wrong), "{name}");
    }
    let other = new_secret(SecretKind::Robot, world.entropy.as_ref());
    assert_eq!(world.basic("robot+ci", &other.text).await, Err(LoginError::Wrong));
    world.advance_seconds(3600);
    assert_eq!(world.basic("ann", &key.text).await, Err(LoginError::Wrong), "it has expired");
    assert!(world.basic("robot+ci", &secret.text).await.is_ok());
    world.propose(Command::RemoveSecret { subject: ci, id: secret.id }).await;
    assert_eq!(world.basic("robot+ci", &secret.text).await, Err(LoginError::Wrong));
}

#[tokio::test(start_paused = true)]
async fn who_fails_at_an_address_keeps_no_right_secret_out_there() {
    let world = World::new().await;
    let key = world.add_secret(Subject::User("ann".to_owned()), None).await;
    let secret = world.add_secret(Subject::Robot("ci".to_owned()), None).await;
    let wrong = new_secret(SecretKind::Robot, world.entropy.as_ref()).text;
    for _ in 0..21 {
        assert_eq!(world.basic("robot+ci", &wrong).await, Err(LoginError::Wrong));
    }
    let locked = Err(LoginError::Locked { retry_after_seconds: 1 });
    for (name, shown) in [("robot+ci", wrong.as_str()), ("robot+ci", "eyJ.robot.other"), ("ann", "correct horse")] {
        assert_eq!(world.basic(name, shown).await, locked, "{name}: {shown}");
    }
    for (name, shown) in [("robot+ci", secret.text.as_str()), ("robot+ci", "eyJ.robot.ci"), ("ann", &key.text)] {
        assert!(world.basic(name, shown).await.is_ok(), "{name}: {shown}");
    }
    assert_eq!(world.basic("robot+ci", &wrong).await, locked, "what was right forgives nothing");
    let refusals = world.audit.events().len();
    assert_eq!(refusals, 21, "what waits is no record");
}

#[tokio::test(start_paused = true)]
async fn the_directory_hears_once_an_hour_when_a_secret_was_used() {
    let world = World::new().await;
    let ci = Subject::Robot("ci".to_owned());
    let secret = world.add_secret(ci, None).await;
    let last_used = || world.directory.view().robot("ci").unwrap().unwrap().secrets[0].last_used;
    let mut heard = Vec::new();
    for seconds in [60, 60, 3600, 60] {
        world.basic("robot+ci", &secret.text).await.unwrap();
        sleep(Duration::from_secs(61)).await;
        heard.push(last_used().expect("it was told within a minute"));
        world.advance_seconds(seconds);
    }
    assert!(heard[0] == heard[1] && heard[1] == heard[2], "{heard:?}");
    assert!(heard[3] > heard[2], "{heard:?}");
}

#[tokio::test]
async fn a_token_that_does_not_count_is_a_record_that_tells_why() {
    let world = World::new().await;
    assert_eq!(world.basic("robot+ci", "eyJ.robot.other").await, Err(LoginError::Wrong));
    assert_eq!(world.basic("oidc", "eyJ.strange.r").await, Err(LoginError::Wrong));
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
                    &subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token=eyJ.strange.r";
    assert_eq!(world.post(exchange).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(world.post("grant_type=refresh_token&refresh_token=eyJ.forged").await.0, StatusCode::UNAUTHORIZED);
    let events = world.audit.events();
    let told: Vec<_> = events.iter().map(|event| (event.actor.as_str(), event.detail.as_str())).collect();
    assert_eq!(
        told,
        [
            ("robot:ci", "not trusted"),
            ("user:oidc", "not of this issuer"),
            ("anonymous", "not of this issuer"),
            ("anonymous", "the token cannot be read")
        ]
    );
    assert!(events.iter().all(|event| event.action == "login" && event.outcome == crate::audit::Outcome::Refused));
    assert!(events.iter().all(|event| event.address == Some(world.client.address)));
}

#[tokio::test]
async fn a_refused_login_is_a_record_that_tells_no_secret() {
    let world = World::new().await;
    let _ = world.basic("ann", "wrong horse").await;
    let _ = world.basic("My Secret Password!", "ann").await;
    let _ = world.basic("robot+ci", "rnr_x").await;
    let events = world.audit.events();
    let actors: Vec<&str> = events.iter().map(|event| event.actor.as_str()).collect();
    assert_eq!(actors, ["user:ann", "anonymous", "robot:ci"]);
    assert!(events.iter().all(|event| event.action == "login" && event.outcome == crate::audit::Outcome::Refused));
    assert!(!format!("{events:?}").contains("horse") && !format!("{events:?}").contains("Secret"));
}
