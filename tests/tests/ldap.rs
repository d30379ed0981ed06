//! People of an LDAP directory: a real `slapd`, asked over StartTLS and over LDAPS. Skipped with a message where it is not
//! installed, unless `./tests/run` demands it.

use std::path::Path;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tests::access::{Closed, NOTICE, until_allowed, until_status};
use tests::certificates::{Authority, Pair};
use tests::cluster::{Cluster, OPERATOR, Settings};
use tests::operator::{query, run};
use tests::registry::Registry;
use tests::skopeo::{Skopeo, Way};
use tests::slapd::{BASE, NODE, People, Slapd};
use tests::wait::eventually;

/// A password of all kinds of letters.
const ODD: &str = "p\u{e4}ss: *)(uid=*\\00 \"'";

/// Each logs in where nobody is remembered from before; `admin` is somebody else here.
const PEOPLE: People = People {
    people: &[
        ("ann", "ann's own"),
        ("bob", ODD),
        ("carl", "carl's own"),
        ("dora", "dora's own"),
        ("emil", "emil's own"),
        ("fay", "fay's own"),
        (OPERATOR, "no password here"),
    ],
    // Ann is one of the staff by three groups inside each other, two of which are in each other.
    groups: &[
        ("crew", &["ann", "staff"]),
        ("team", &["crew", "fay"]),
        ("staff", &["team"]),
        ("lonely", &["bob"]),
        ("secret", &["carl"]),
    ],
};

/// Keys of a node that asks these servers.
fn keys(servers: &[String], folder: &Path) -> Result<Vec<(String, String)>> {
    let (node, password) = NODE;
    let file = folder.join("node-password");
    std::fs::write(&file, format!("{password}\n"))?;
    let keys = [
        ("ldap.servers", servers.join(";")),
        ("ldap.authority", folder.join("authority.pem").display().to_string()),
        ("ldap.bind_dn", node.to_owned()),
        ("ldap.bind_password_file", file.display().to_string()),
        ("ldap.user_base", format!("ou=people,{BASE}")),
        ("ldap.user_filter", "(&(objectClass=inetOrgPerson)(uid={name}))".to_owned()),
        ("ldap.group_base", format!("ou=groups,{BASE}")),
        ("ldap.groups", format!("cn=staff,ou=groups,{BASE}=employees;lonely=hermits")),
        ("ldap.timeout_seconds", "2".to_owned()),
    ];
    Ok(keys.map(|(key, value)| (key.to_owned(), value)).to_vec())
}

#[tokio::test]
async fn people_of_a_directory_log_in_as_long_as_one_server_answers() -> Result<()> {
    let folder = TempDir::new()?;
    let authority = Authority::new("an authority of directories")?;
    authority.write(folder.path().join("authority.pem"))?;
    let pair = authority.issue(&["127.0.0.1"])?;
    let Some(first) = Slapd::new(&folder.path().join("first"), PEOPLE).await? else { return Ok(()) };
    let Some(second) = Slapd::new(&folder.path().join("second"), PEOPLE).await? else { return Ok(()) };
    let servers = [first.plain_url(), second.tls_url()];
    let settings = Settings { keys: keys(&servers, folder.path())?, closed: true, ..Settings::default() };
    let mut cluster = Cluster::start_with(1, settings).await?;
    let closed = Closed::of(&cluster);
    let mut servers = [first, second];
    let verdict = logins(&closed, &mut servers, &pair).await.and_then(|()| cluster.check_sound());
    if verdict.is_err() {
        eprintln!("--- log of the first slapd ---\n{}", servers[0].log());
        eprintln!("--- log of the second slapd ---\n{}", servers[1].log());
    }
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn logins(closed: &Closed, servers: &mut [Slapd; 2], pair: &Pair) -> Result<()> {
    let [first, second] = servers;
    for group in ["employees", "hermits", "secret"] {
        run(&closed.data, &["group", "add", group]).await?;
        closed.grant(&format!("group:{group}"), "reader", group).await?;
    }

    // By StartTLS: only the first runs.
    first.start(pair).await?;
    let ann = closed.user("ann", "ann's own");
    ann.get("/v2/").await?.expect(200)?;
    sees(&ann, &["employees"]).await?;
    ensure!(first.log().contains("STARTTLS") && first.log().contains("uid=ann"), "{}", first.log());
    let user = query(&closed.data, &["user", "show", "ann"]).await?.to_string();
    ensure!(user.contains("The person ann") && user.contains("employees") && user.contains("\"ldap\""), "{user}");
    // The token that Docker asks for, and what is in it.
    let token = ann.token(&["repository:employees/app:pull"]).await?;
    closed.registry.with_token(&token).get("/v2/employees/app/tags/list").await?.expect(404)?;
    sees(&closed.user("bob", ODD), &["hermits"]).await?;
    closed.grant("group:employees", "writer", "employees/own").await?;
    until_allowed(&closed.data, "user:ann", "push", "employees/own/app").await?;
    if let Some(skopeo) = Skopeo::new(985)? {
        let way = Way::Login("ann", "ann's own");
        skopeo.goes_through(&closed.registry.host(), way, "employees/own/app", "employees/app").await?;
    }

    strangers(closed).await?;

    // Neither a server that hangs nor one that is gone keeps anybody out while another one answers: by LDAPS.
    second.start(pair).await?;
    first.freeze()?;
    // A group of the same name is none of ours: it is not named.
    sees(&closed.user("carl", "carl's own"), &[]).await?;
    ensure!(second.log().contains("uid=carl"), "{}", second.log());
    first.kill()?;
    closed.user("dora", "dora's own").get("/v2/").await?.expect(200)?;
    second.kill()?;

    // Nobody can say whether it is right, which is not wrong.
    let emil = closed.user("emil", "emil's own");
    let answer = emil.get("/v2/").await?.expect(503)?;
    ensure!(answer.header("retry-after").is_some(), "{answer:?}");
    emil.get("/token").await?.expect(503)?;

    // Nor is a server asked that could be anybody's.
    let stranger = Authority::new("somebody else")?;
    first.start(&stranger.issue(&["127.0.0.1"])?).await?;
    emil.get("/v2/").await?.expect(503)?;
    first.kill()?;
    ensure!(!first.log().contains("uid=emil"), "a name was told to a stranger: {}", first.log());
    first.start(pair).await?;
    emil.get("/v2/").await?.expect(200)?;

    // Who is disabled here is out, whatever the directory says.
    run(&closed.data, &["user", "disable", "ann"]).await?;
    until_status(&ann, "/v2/", 401).await
}

/// Names and passwords that are wrong, however they are written.
async fn strangers(closed: &Closed) -> Result<()> {
    let wrong = [
        ("ann", "bob's own"),
        ("ann", ""),
        ("ann", "*"),
        ("eve", "ann's own"),
        ("*", "ann's own"),
        ("a*", "ann's own"),
        ("ann)(uid=*", "ann's own"),
        ("*)(|(uid=*", "ann's own"),
        ("uid=ann,ou=people,dc=example,dc=org", "ann's own"),
        ("regnode", NODE.1),
        (OPERATOR, "no password here"),
    ];
    for (name, password) in wrong {
        let answer = closed.user(name, password).get("/v2/").await?;
        ensure!(answer.status == 401, "{name:?} with {password:?}: {}: {}", answer.status, answer.text());
    }
    let users = query(&closed.data, &["user", "list"]).await?.to_string();
    ensure!(!users.contains("eve") && !users.contains('*') && !users.contains("\"regnode\""), "{users}");
    Ok(())
}

/// Whoever logs in sees what these groups may read, and nothing else.
async fn sees(person: &Registry, groups: &[&str]) -> Result<()> {
    for group in ["employees", "hermits", "secret"] {
        let status = if groups.contains(&group) { 404 } else { 403 };
        // The rule may be younger than what the node knows; the login is right in any case.
        eventually(&format!("{group} is answered with {status}"), NOTICE, async || {
            person.get(&format!("/v2/{group}/app/tags/list")).await?.expect(status).map(Some)
        })
        .await?;
    }
    Ok(())
}
