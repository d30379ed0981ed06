//! Whom somebody outside vouches for.

use super::*;

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
    assert_eq!(world.asked(), 0, "her password is here, and is told to nobody");
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
    let disable = Command::SetRobot {
        name: "ci".to_owned(),
        description: None,
        groups: None,
        disabled: Some(true),
        trusts: None,
    };
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
