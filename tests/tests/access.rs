//! Who may do what: a cluster that is closed but for what its operator allows, each request to another node.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use tests::access::{self, Closed, NOTICE, until_status};
use tests::cluster::{Cluster, OPERATOR, OPERATOR_PASSWORD};
use tests::content;
use tests::image::Recipe;
use tests::jwt::claims;
use tests::operator::{query, run};
use tests::registry::{Registry, blob_path, manifest_path, texts, with_query};
use tests::suite::Suite;
use tests::wait::eventually;

#[tokio::test]
async fn a_closed_cluster_lets_in_whom_its_rules_name() -> Result<()> {
    let mut cluster = Cluster::start_closed(3).await?;
    let closed = Closed::of(&cluster);
    let mut suite = Suite::default();
    macro_rules! behaviours {
        ($($name:ident),+ $(,)?) => { $( suite.add(stringify!($name), $name(closed.clone())); )+ };
    }
    behaviours!(
        nobody_gets_in_without_a_login,
        roles_allow_what_they_say_and_no_more,
        a_private_repository_looks_like_none,
        public_and_private_stand_side_by_side,
        tokens_carry_what_was_asked_and_is_allowed,
        a_refresh_token_gives_tokens_until_its_user_is_disabled,
        keys_and_robots_stand_in_for_passwords,
        a_denial_stands_above_what_is_allowed,
        an_upload_is_its_beginners,
        an_unreadable_blob_is_not_mounted,
        lists_show_what_may_be_pulled,
        changes_say_who_made_them,
        a_logout_ends_what_was_given,
        a_change_of_a_group_is_done_as_a_whole_or_not_at_all,
        lists_for_programs_say_their_version,
    );
    let verdict = suite.run().await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

/// A closed cluster tells where tokens are had, and nothing else; its operator may everything.
async fn nobody_gets_in_without_a_login(closed: Closed) -> Result<()> {
    let ping = closed.registry.get("/v2/").await?.expect_error(401, "UNAUTHORIZED")?;
    let challenge = ping.need("www-authenticate")?;
    ensure!(challenge.starts_with("Bearer realm=\"http://"), "{challenge}");
    ensure!(challenge.contains("/token\",service=\"") && !challenge.contains("scope="), "{challenge}");
    ensure!(ping.header("docker-distribution-api-version") == Some("registry/2.0"), "{:?}", ping.headers);
    ensure!(ping.header("set-cookie").is_none(), "{:?}", ping.headers);

    let refused = closed.registry.get("/v2/nobody/app/tags/list").await?.expect_error(401, "UNAUTHORIZED")?;
    let challenge = refused.need("www-authenticate")?;
    ensure!(challenge.contains("scope=\"repository:nobody/app:pull\""), "{challenge}");
    let begin = closed.registry.upload(Method::POST, "/v2/nobody/app/blobs/uploads/", "").await?;
    let challenge = begin.expect_error(401, "UNAUTHORIZED")?.need("www-authenticate")?.to_owned();
    ensure!(challenge.contains("scope=\"repository:nobody/app:pull,push\""), "{challenge}");

    closed.user(OPERATOR, "not the password").get("/v2/").await?.expect_error(401, "UNAUTHORIZED")?;
    closed.user("nobody", OPERATOR_PASSWORD).get("/v2/").await?.expect_error(401, "UNAUTHORIZED")?;
    closed.operator().get("/v2/").await?.expect(200)?;
    Recipe::new(900).build()?.push(&closed.operator(), "nobody/app", "v1").await
}

/// Readers pull, writers push too, maintainers delete.
async fn roles_allow_what_they_say_and_no_more(closed: Closed) -> Result<()> {
    let mut users = Vec::new();
    for role in ["reader", "writer", "maintainer"] {
        let name = format!("roles-{role}");
        let password = access::add_user(&closed.data, &name).await?;
        closed.grant(&format!("user:{name}"), role, "roles").await?;
        let user = closed.user(&name, &password);
        until_status(&user, "/v2/roles/app/tags/list", 404).await?;
        users.push(user);
    }
    let [reader, writer, maintainer] = &users[..] else { unreachable!() };
    let image = Recipe::new(901).layers(2, 100_000).build()?;
    image.push(writer, "roles/app", "v1").await?;
    image.check(reader, "roles/app", "v1").await?;

    let begin = "/v2/roles/app/blobs/uploads/";
    reader.upload(Method::POST, begin, "").await?.expect_error(403, "DENIED")?;
    let manifest = manifest_path("roles/app", "v2");
    reader.upload(Method::PUT, &manifest, image.manifest.bytes.clone()).await?.expect_error(403, "DENIED")?;
    for user in [reader, writer] {
        user.delete(&manifest_path("roles/app", "v1")).await?.expect_error(403, "DENIED")?;
    }
    // Nor anywhere else: the next component of a name is another one, however it begins.
    for user in [reader, writer, maintainer] {
        user.get("/v2/roles-2/app/tags/list").await?.expect_error(403, "DENIED")?;
    }
    maintainer.delete(&manifest_path("roles/app", "v1")).await?.expect(202)?;
    reader.manifest("roles/app", "v1").await?.expect(404).map(drop)
}

/// Whoever may not pull gets the same answer for what is there and for what is not.
async fn a_private_repository_looks_like_none(closed: Closed) -> Result<()> {
    let image = Recipe::new(902).build()?;
    image.push(&closed.operator(), "secret/there", "v1").await?;
    let password = access::add_user(&closed.data, "stranger").await?;
    let stranger = closed.user("stranger", &password);
    until_status(&stranger, "/v2/", 200).await?;
    let anonymous = closed.registry.anonymous();
    let blob = image.blobs[0].digest.clone();
    let paths = |repository: &str| {
        [
            format!("/v2/{repository}/tags/list"),
            manifest_path(repository, "v1"),
            manifest_path(repository, &image.manifest.digest),
            blob_path(repository, &blob),
            format!("/v2/{repository}/referrers/{}", image.manifest.digest),
        ]
    };
    for registry in [&stranger, &anonymous] {
        for (there, missing) in paths("secret/there").iter().zip(paths("secret/gone1")) {
            let (there, missing) = (registry.get(there).await?, registry.get(&missing).await?);
            let told = |answer: &tests::registry::Answer| answer.text().replace("secret/gone1", "secret/there");
            ensure!((there.status, told(&there)) == (missing.status, told(&missing)), "{there:?}\n{missing:?}");
            ensure!([401, 403].contains(&there.status), "{there:?}");
        }
    }
    Ok(())
}

/// What is public is pulled without a login, beside what is not.
async fn public_and_private_stand_side_by_side(closed: Closed) -> Result<()> {
    let image = Recipe::new(903).build()?;
    for repository in ["public/app", "private/app"] {
        image.push(&closed.operator(), repository, "v1").await?;
    }
    closed.grant("anonymous", "reader", "public").await?;
    let anonymous = closed.registry.anonymous();
    until_status(&anonymous, "/v2/public/app/tags/list", 200).await?;
    image.check(&anonymous, "public/app", "v1").await?;
    anonymous.get("/v2/").await?.expect(401)?;
    anonymous.manifest("private/app", "v1").await?.expect_error(401, "UNAUTHORIZED")?;
    // As Docker does it: a token without a login, for what is public.
    let token = anonymous.token(&["repository:public/app:pull"]).await?;
    let docker = anonymous.with_token(&token);
    docker.get("/v2/").await?.expect(200)?;
    image.check(&docker, "public/app", "v1").await?;
    let refused = docker.manifest("private/app", "v1").await?.expect(401)?;
    ensure!(refused.need("www-authenticate")?.contains("error=\"insufficient_scope\""), "{refused:?}");
    Ok(())
}

/// Several scopes, as parameters and in one; what may not be had is left out, and no error.
async fn tokens_carry_what_was_asked_and_is_allowed(closed: Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "scopes").await?;
    closed.grant("user:scopes", "writer", "scopes/own").await?;
    closed.grant("user:scopes", "reader", "scopes/others").await?;
    let user = closed.user("scopes", &password);
    until_status(&user, "/v2/scopes/others/app/tags/list", 404).await?;
    let scopes = [
        "repository:scopes/own/app:pull,push,delete",
        "repository:scopes/others/app:push,pull repository:nobody/x:pull",
    ];
    let token = user.token(&[scopes[0], &scopes[1].replace(' ', "%20")]).await?;
    let claims = claims(&token)?;
    let access = claims["access"].as_array().context("access")?;
    let mut granted: Vec<(String, Vec<String>)> = access
        .iter()
        .map(|entry| Ok((access::text(entry, "name")?, texts(&entry["actions"])?)))
        .collect::<Result<Vec<_>>>()?;
    for (_, actions) in &mut granted {
        actions.sort();
    }
    granted.retain(|(_, actions)| !actions.is_empty());
    granted.sort();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let expected = vec![
        ("scopes/others/app".to_owned(), words(&["pull"])),
        ("scopes/own/app".to_owned(), words(&["pull", "push"])),
    ];
    ensure!(granted == expected, "{claims}");
    ensure!(claims["sub"] == "user:scopes" && claims["exp"].as_u64() > claims["iat"].as_u64(), "{claims}");

    // The token goes as far as it says, on every node, and no further.
    let docker = closed.registry.with_token(&token);
    for number in 0..3 {
        Recipe::new(904).build()?.push(&docker.only(number), "scopes/own/app", &format!("v{number}")).await?;
    }
    // What its user may not do at all no other token would give him.
    docker.upload(Method::POST, "/v2/scopes/others/app/blobs/uploads/", "").await?.expect_error(403, "DENIED")?;
    // What it was not asked for is refused, though its user may: a client fetches another one then.
    let refused = docker.get("/v2/scopes/own/other/tags/list").await?.expect(401)?;
    ensure!(refused.need("www-authenticate")?.contains("repository:scopes/own/other:pull"), "{refused:?}");
    Ok(())
}

/// By POST, as containerd asks; the refresh token ends with the account.
async fn a_refresh_token_gives_tokens_until_its_user_is_disabled(closed: Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "refresh").await?;
    closed.grant("user:refresh", "writer", "refresh").await?;
    until_status(&closed.user("refresh", &password), "/v2/refresh/app/tags/list", 404).await?;
    let anonymous = closed.registry.anonymous();
    let post =
        async |form: &[(&str, &str)]| tests::registry::send(anonymous.request(Method::POST, "/token").form(form)).await;
    let scope = "repository:refresh/app:pull,push";
    let service = service(&anonymous).await?;
    let password_form = [
        ("grant_type", "password"),
        ("username", "refresh"),
        ("password", password.as_str()),
        ("service", service.as_str()),
        ("client_id", "test"),
        ("access_type", "offline"),
        ("scope", scope),
    ];
    let first = post(&password_form).await?.expect(200)?.json()?;
    let refresh = access::text(&first, "refresh_token")?;
    let refresh_form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
        ("service", service.as_str()),
        ("client_id", "test"),
        ("scope", scope),
    ];
    let second = post(&refresh_form).await?.expect(200)?.json()?;
    let token = access::text(&second, "access_token")?;
    closed.registry.with_token(&token).get("/v2/refresh/app/tags/list").await?.expect(404)?;
    // A refresh token is no token.
    closed.registry.with_token(&refresh).get("/v2/refresh/app/tags/list").await?.expect(401)?;

    run(&closed.data, &["user", "disable", "refresh"]).await?;
    // Both at once, without waiting for the token's end; what is there is no more said than to anybody.
    until_status(&closed.registry.with_token(&token), "/v2/refresh/app/tags/list", 401).await?;
    post(&refresh_form).await?.expect(401)?;
    closed.user("refresh", &password).get("/v2/").await?.expect(401).map(drop)
}

/// What the challenge calls the service.
async fn service(registry: &Registry) -> Result<String> {
    let ping = registry.get("/v2/").await?;
    let challenge = ping.need("www-authenticate")?;
    let (_, rest) = challenge.split_once("service=\"").with_context(|| challenge.to_owned())?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Personal access keys, and robots with secrets that overlap when they are changed.
async fn keys_and_robots_stand_in_for_passwords(closed: Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "keys").await?;
    closed.grant("user:keys", "reader", "keys").await?;
    let made = query(&closed.data, &["user", "key", "add", "keys", "--name", "laptop"]).await?;
    let (key, id) = (access::text(&made, "secret")?, access::text(&made, "id")?);
    let path = "/v2/keys/app/tags/list";
    until_status(&closed.user("keys", &key), path, 404).await?;
    run(&closed.data, &["user", "key", "remove", "keys", &id]).await?;
    until_status(&closed.user("keys", &key), path, 401).await?;
    closed.user("keys", &password).get(path).await?.expect(404)?;

    let first = access::add_robot(&closed.data, "mover").await?;
    closed.grant("robot:mover", "writer", "keys").await?;
    until_status(&closed.user("robot+mover", &first), path, 404).await?;
    closed.user("mover", &first).get(path).await?.expect(401)?;
    let second = query(&closed.data, &["robot", "rotate", "mover", "--overlap", "1h"]).await?;
    let second = access::text(&second, "secret")?;
    for secret in [&first, &second] {
        until_status(&closed.user("robot+mover", secret), path, 404).await?;
    }
    let third = query(&closed.data, &["robot", "rotate", "mover", "--overlap", "0s"]).await?;
    let third = access::text(&third, "secret")?;
    until_status(&closed.user("robot+mover", &third), path, 404).await?;
    for secret in [&first, &second] {
        until_status(&closed.user("robot+mover", secret), path, 401).await?;
    }
    Ok(())
}

/// And `explain` names the rule.
async fn a_denial_stands_above_what_is_allowed(closed: Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "contractor").await?;
    run(&closed.data, &["group", "add", "contractors"]).await?;
    run(&closed.data, &["group", "member", "contractors", "--add", "user:contractor"]).await?;
    let grant = closed.grant("user:contractor", "maintainer", "deny").await?;
    let user = closed.user("contractor", &password);
    until_status(&user, "/v2/deny/app/tags/list", 404).await?;
    Recipe::new(905).build()?.push(&user, "deny/app", "v1").await?;
    let explain = async || {
        let words = ["access", "explain", "user:contractor", "delete", "deny/app"];
        tests::process::ended(tests::command::operate(&closed.data, &[&words[..], &["--json"]].concat())?, NOTICE).await
    };
    let told = explain().await?;
    let answer: Value = serde_json::from_str(&told.stdout)?;
    ensure!(told.code == Some(0) && answer["allowed"] == true && answer["deciding"] == grant, "{answer}");

    let deny = access::deny(&closed.data, "group:contractors", "delete", "/").await?;
    eventually("the denial holds", NOTICE, async || {
        let told = explain().await?;
        let answer: Value = serde_json::from_str(&told.stdout)?;
        ensure!(told.code == Some(1) && answer["deciding"] == deny, "{answer}");
        Ok(Some(()))
    })
    .await?;
    eventually("every node denies it", NOTICE, async || {
        for number in 0..3 {
            user.only(number).delete(&manifest_path("deny/app", "none")).await?.expect_error(403, "DENIED")?;
        }
        Ok(Some(()))
    })
    .await?;
    user.manifest("deny/app", "v1").await?.expect(200)?;
    access::revoke(&closed.data, deny).await?;
    eventually("it may be deleted again", NOTICE, async || {
        user.delete(&manifest_path("deny/app", "v1")).await?.expect(202).map(Some)
    })
    .await
    .map(drop)
}

/// Somebody else's session does not exist.
async fn an_upload_is_its_beginners(closed: Closed) -> Result<()> {
    let mut users = Vec::new();
    for name in ["first", "second"] {
        let password = access::add_user(&closed.data, name).await?;
        closed.grant(&format!("user:{name}"), "writer", "sessions").await?;
        let user = closed.user(name, &password);
        until_status(&user, "/v2/sessions/app/tags/list", 404).await?;
        users.push(user);
    }
    let (bytes, other) = (content::bytes(906, 200_000), content::bytes(907, 1000));
    let session = users[0].start_upload("sessions/app").await?;
    for stranger in [&users[1], &closed.operator()] {
        stranger.get(&session).await?.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
        let answer = stranger.upload(Method::PATCH, &session, other.clone()).await?;
        answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
        stranger.delete(&session).await?.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    }
    let next = users[0].patch(&session, bytes.clone()).await?;
    let digest = tests::digest::sha256(&bytes);
    users[0].finish(&next, &digest, "").await?.expect(201)?;
    ensure!(users[1].blob("sessions/app", &digest).await? == bytes, "other bytes");
    Ok(())
}

/// A mount from where one may not read is a plain upload, whether the blob is there or not.
async fn an_unreadable_blob_is_not_mounted(closed: Closed) -> Result<()> {
    let bytes = content::bytes(908, 50_000);
    let digest = closed.operator().push_blob("mounts/secret", &bytes).await?;
    let password = access::add_user(&closed.data, "mounter").await?;
    closed.grant("user:mounter", "writer", "mounts/own").await?;
    closed.grant("user:mounter", "reader", "mounts/shared").await?;
    let user = closed.user("mounter", &password);
    until_status(&user, "/v2/mounts/shared/app/tags/list", 404).await?;
    let mount = |digest: &str, from: &str| {
        with_query("/v2/mounts/own/app/blobs/uploads/", &format!("mount={digest}&from={from}"))
    };
    let missing = tests::digest::sha256(b"nothing has this");
    for (digest, from) in [(&digest, "mounts/secret"), (&missing, "mounts/secret"), (&missing, "mounts/shared/app")] {
        let answer = user.upload(Method::POST, &mount(digest, from), "").await?.expect(202)?;
        ensure!(answer.need("location")?.contains("/uploads/"), "{answer:?}");
    }
    user.get(&blob_path("mounts/own/app", &digest)).await?.expect_error(404, "BLOB_UNKNOWN")?;
    closed.operator().push_blob("mounts/shared/app", &bytes).await?;
    user.upload(Method::POST, &mount(&digest, "mounts/shared/app"), "").await?.expect(201)?;
    ensure!(user.blob("mounts/own/app", &digest).await? == bytes, "other bytes");
    Ok(())
}

/// The catalog shows each what he may pull, in whole pages.
async fn lists_show_what_may_be_pulled(closed: Closed) -> Result<()> {
    let image = Recipe::new(909).build()?;
    for number in 0..6 {
        for kind in ["mine", "yours"] {
            image.push(&closed.operator(), &format!("lists/{kind}-{number}/app"), "v1").await?;
        }
    }
    let password = access::add_user(&closed.data, "lister").await?;
    for number in 0..6 {
        closed.grant("user:lister", "reader", &format!("lists/mine-{number}")).await?;
    }
    let user = closed.user("lister", &password);
    until_status(&user, "/v2/lists/mine-5/app/tags/list", 200).await?;
    let (mut found, mut page) = (Vec::new(), Some("/v2/_catalog?n=2".to_owned()));
    while let Some(path) = page {
        let answer = user.get(&path).await?.expect(200)?;
        let names = texts(&answer.json()?["repositories"])?;
        ensure!(names.len() <= 2 && (answer.next_page().is_none() || names.len() == 2), "{names:?}");
        found.extend(names.into_iter().filter(|name| name.starts_with("lists/")));
        page = answer.next_page();
    }
    let expected: Vec<String> = (0..6).map(|number| format!("lists/mine-{number}/app")).collect();
    ensure!(found == expected, "{found:?}");
    Ok(())
}

/// A tag's history and the audit log name the user; what was refused is in the log too.
async fn changes_say_who_made_them(closed: Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "author").await?;
    closed.grant("user:author", "writer", "authors").await?;
    let user = closed.user("author", &password);
    until_status(&user, "/v2/authors/app/tags/list", 404).await?;
    Recipe::new(910).build()?.push(&user, "authors/app", "v1").await?;
    user.delete(&manifest_path("authors/app", "v1")).await?.expect_error(403, "DENIED")?;
    let history = user.get("/v2/_regnode/history/authors/app/v1").await?.expect(200)?.text();
    ensure!(history.contains("user:author"), "{history}");
    for (action, outcome) in [("tag", "done"), ("denied", "refused")] {
        eventually(&format!("the audit log tells of {action}"), NOTICE, async || {
            let words = ["audit", "search", "--actor", "user:author", "--action", action, "--json"];
            let found = run(&closed.data, &words).await?;
            ensure!(found.contains("authors/app") && found.contains(outcome), "{found}");
            Ok(Some(()))
        })
        .await?;
    }
    let changes =
        run(&closed.data, &["audit", "search", "--actor", "operator", "--action", "access", "--json"]).await?;
    ensure!(changes.contains("user:author"), "{changes}");
    run(&closed.data, &["audit", "verify"]).await.map(drop)
}

/// What somebody has logged in for ends with a word of the operator; his password goes on.
async fn a_logout_ends_what_was_given(closed: Closed) -> Result<()> {
    let password = access::add_user(&closed.data, "loser").await?;
    closed.grant("user:loser", "reader", "logout").await?;
    Recipe::new(930).build()?.push(&closed.operator(), "logout/app", "v1").await?;
    let (user, path) = (closed.user("loser", &password), manifest_path("logout/app", "v1"));
    until_status(&user, &path, 200).await?;
    let token = user.token(&["repository:logout/app:pull"]).await?;
    let lost = closed.registry.with_token(&token);
    until_status(&lost, &path, 200).await?;
    let answer = query(&closed.data, &["user", "logout", "loser"]).await?;
    ensure!(answer["name"] == "user:loser", "{answer}");
    until_status(&lost, &path, 401).await?;
    user.get(&path).await?.expect(200)?;
    run(&closed.data, &["user", "logout", "nobody-of-this-name"]).await.err().context("nobody was logged out").map(drop)
}

/// One who does not exist keeps the others out, too: nothing is half done.
async fn a_change_of_a_group_is_done_as_a_whole_or_not_at_all(closed: Closed) -> Result<()> {
    for name in ["group-ann", "group-bob"] {
        access::add_user(&closed.data, name).await?;
    }
    run(&closed.data, &["group", "add", "whole"]).await?;
    let member = ["group", "member", "whole", "--add", "user:group-ann"];
    let wrong = [member.as_slice(), &["--add", "user:group-nobody"]].concat();
    ensure!(run(&closed.data, &wrong).await.is_err(), "nobody has become a member");
    let members = async || {
        let answer = query(&closed.data, &["group", "member", "whole"]).await?;
        texts(&answer["members"])
    };
    ensure!(members().await?.is_empty(), "{:?}", members().await?);
    let right = [member.as_slice(), &["--add", "user:group-bob"]].concat();
    let answer = query(&closed.data, &right).await?;
    ensure!(texts(&answer["members"])? == ["user:group-ann", "user:group-bob"], "{answer}");
    Ok(())
}

/// Every list is an object that says its version.
async fn lists_for_programs_say_their_version(closed: Closed) -> Result<()> {
    for (command, list) in [
        (vec!["user", "list"], "users"),
        (vec!["robot", "list"], "robots"),
        (vec!["access", "list"], "rules"),
        (vec!["user", "key", "list", OPERATOR], "keys"),
        (vec!["group", "list"], "groups"),
    ] {
        let answer = query(&closed.data, &command).await?;
        ensure!(answer["version"].is_u64() && answer[list].is_array(), "{command:?}: {answer}");
    }
    Ok(())
}
