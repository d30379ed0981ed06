//! Users, robots and groups, their secrets, and what was done to them, as text for people.

use std::fmt::Write as _;

use anyhow::Result;
use node::admin::{
    Confirmation, GroupEntry, Hidden, MembersAnswer, RobotEntry, RoleEntry, SecretAnswer, SecretEntry, UserEntry,
};
use serde::Serialize;

use super::place_text;
use super::status_text::{table, trimmed};
use crate::arguments::Ask;
use crate::figures::{exact, moment};

/// Prints an answer: JSON for programs, a text for people.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn told(ask: &Ask, answer: &impl Serialize, text: &str) -> Result<()> {
    if ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
    } else {
        println!("{text}");
    }
    Ok(())
}

/// How old it is what is shown, if nobody has confirmed it.
pub(super) fn age(reading: Confirmation) -> String {
    place_text::age(reading.confirmed, reading.as_of_milliseconds)
}

/// Somebody's sessions have ended; `subject` is `user:NAME` or `robot:NAME`.
pub(super) fn logged_out(subject: &str) -> String {
    let (kind, name) = subject.split_once(':').unwrap_or(("user", subject));
    let goes_on = if kind == "robot" { "its secrets go on" } else { "the password and the keys go on" };
    format!("{kind} {name} is logged out: no token of before counts any more, {goes_on}")
}

/// The users.
pub(super) fn users(users: &[UserEntry]) -> String {
    if users.is_empty() {
        return "there are no users; add one with: regnode user add\n".to_owned();
    }
    let mut rows = table(&["USER", "NAME", "LOGS IN", "GROUPS", "KEYS", "STATE"]);
    for user in users {
        rows.add_row([
            user.name.clone(),
            user.display.clone(),
            logs_in(user),
            user.groups.join(", "),
            user.keys.len().to_string(),
            state(user.disabled).to_owned(),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

fn state(disabled: bool) -> &'static str {
    if disabled { "disabled" } else { "active" }
}

fn logs_in(user: &UserEntry) -> String {
    match (&user.source, user.has_password) {
        (Some(source), _) => format!("at {source}"),
        (None, true) => "by password".to_owned(),
        (None, false) => "by keys only".to_owned(),
    }
}

/// One user.
pub(super) fn user(user: &UserEntry) -> String {
    let mut text = format!("user {}", user.name);
    if !user.display.is_empty() {
        line(&mut text, format_args!(", {}", user.display));
    }
    line(&mut text, format_args!("\nstate      {}", state(user.disabled)));
    line(&mut text, format_args!("\nlogs in    {}", logs_in(user)));
    line(&mut text, format_args!("\ngroups     {}", or_none(&user.groups)));
    line(&mut text, format_args!("\nadded      {}", moment(user.created_milliseconds)));
    line(&mut text, format_args!("\nlogins     count since {}", moment(user.sessions_from_milliseconds)));
    if let Some(last) = user.confirmed_milliseconds {
        line(&mut text, format_args!("\nlast seen  {}, where he logs in", moment(last)));
    }
    finished(text, &user.keys, "no personal access keys")
}

/// The robots.
pub(super) fn robots(robots: &[RobotEntry]) -> String {
    if robots.is_empty() {
        return "there are no robots; add one with: regnode robot add\n".to_owned();
    }
    let mut rows = table(&["ROBOT", "FOR", "GROUPS", "SECRETS", "NEXT EXPIRES", "LAST USED", "TRUSTS", "STATE"]);
    for robot in robots {
        let expires = robot.secrets.iter().filter_map(|secret| secret.expires_milliseconds).min();
        let used = robot.secrets.iter().filter_map(|secret| secret.last_used_milliseconds).max();
        let mut issuers: Vec<&str> = robot.trusts.iter().map(|rule| rule.issuer.as_str()).collect();
        issuers.dedup();
        rows.add_row([
            robot.name.clone(),
            robot.description.clone(),
            robot.groups.join(", "),
            robot.secrets.len().to_string(),
            expires.map(moment).unwrap_or_default(),
            used.map(moment).unwrap_or_default(),
            issuers.join(", "),
            state(robot.disabled).to_owned(),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

/// One robot.
pub(super) fn robot(robot: &RobotEntry) -> String {
    let mut text = format!("robot {}", robot.name);
    if !robot.description.is_empty() {
        line(&mut text, format_args!(", {}", robot.description));
    }
    line(&mut text, format_args!("\nstate      {}", state(robot.disabled)));
    line(&mut text, format_args!("\nlogs in    as {}", robot.login));
    line(&mut text, format_args!("\ngroups     {}", or_none(&robot.groups)));
    line(&mut text, format_args!("\nadded      {}", moment(robot.created_milliseconds)));
    if let Some(expires) = robot.expires_milliseconds {
        line(&mut text, format_args!("\nends       {}", moment(expires)));
    }
    line(&mut text, format_args!("\nlogins     count since {}", moment(robot.sessions_from_milliseconds)));
    for rule in &robot.trusts {
        let claims: Vec<String> = rule.claims.iter().map(|(claim, pattern)| format!("{claim}={pattern}")).collect();
        line(&mut text, format_args!("\ntrusts     {} with {}", rule.issuer, claims.join(" and ")));
    }
    finished(text, &robot.secrets, "no secrets")
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn line(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes any text");
}

fn finished(mut text: String, held: &[SecretEntry], none: &str) -> String {
    match secrets(held) {
        rows if rows.is_empty() => line(&mut text, format_args!("\n\n{none}\n")),
        rows => line(&mut text, format_args!("\n\n{rows}")),
    }
    text
}

/// Keys or secrets; nothing if there are none.
pub(super) fn secrets(held: &[SecretEntry]) -> String {
    if held.is_empty() {
        return String::new();
    }
    let mut rows = table(&["ID", "FOR", "MADE", "EXPIRES", "LAST USED"]);
    for secret in held {
        rows.add_row([
            secret.id.clone(),
            secret.name.clone(),
            moment(secret.created_milliseconds),
            secret.expires_milliseconds.map_or_else(|| "never".to_owned(), moment),
            secret.last_used_milliseconds.map_or_else(|| "never".to_owned(), moment),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

/// What is said once somebody was added.
pub(super) fn user_added(name: &str, generated: Option<&str>, source: Option<&str>) -> String {
    let mut text = match source {
        Some(source) => format!("user {name} is added, and logs in at {source}."),
        None => format!("user {name} is added."),
    };
    if let Some(password) = generated {
        line(&mut text, format_args!("\n\n  password  {password}\n\nIt is not shown again."));
    }
    line(
        &mut text,
        format_args!(" Say what the user may do, for example:\n\n  regnode access grant user:{name} writer NAMESPACE"),
    );
    text
}

/// What is said once somebody has another password.
pub(super) fn password_changed(name: &str, generated: Option<&str>) -> String {
    let sessions = "Whoever is logged in by the old one has to log in again; personal access keys go on.";
    match generated {
        Some(password) => {
            format!("user {name} has another password:\n\n  {password}\n\nIt is not shown again. {sessions}")
        }
        None => format!("user {name} has another password. {sessions}"),
    }
}

/// A secret, the one time that it is shown.
pub(super) fn secret_made(made: &SecretAnswer) -> String {
    let Hidden(secret) = &made.secret;
    let end = match made.expires_milliseconds {
        Some(expires) => format!("It works until {}.", moment(expires)),
        None => "It works until it is taken away.".to_owned(),
    };
    format!(
        "The secret of {}, which is not shown again (its id is {}):\n\n  {secret}\n\n{end} Log in with it as the \
         password:\n\n  docker login {} -u {}",
        made.subject, made.id, made.host, made.login
    )
}

/// What becomes of the secrets before.
pub(super) fn overlap(seconds: u64) -> String {
    if seconds == 0 {
        "Those before it do not work any more.".to_owned()
    } else {
        format!("Those before it work for another {} at most.", exact(seconds))
    }
}

/// What is said once a secret was taken away.
pub(super) fn secret_removed(id: &str, subject: &str) -> String {
    format!("{id} of {subject} is refused from now on, and whoever is logged in as {subject} has to log in again")
}

/// The groups.
pub(super) fn groups(groups: &[GroupEntry]) -> String {
    if groups.is_empty() {
        return "there are no groups; add one with: regnode group add\n".to_owned();
    }
    let mut rows = table(&["GROUP", "FOR", "USERS", "ROBOTS"]);
    for group in groups {
        let (users, robots) = (group.users.to_string(), group.robots.to_string());
        rows.add_row([group.name.clone(), group.description.clone(), users, robots]);
    }
    trimmed(&format!("{rows}\n"))
}

/// Who belongs to a group.
pub(super) fn members(answer: &MembersAnswer) -> String {
    if answer.members.is_empty() {
        return format!(
            "nobody belongs to group {0}; add with: regnode group member {0} --add user:NAME\n",
            answer.name
        );
    }
    format!("{}\n", answer.members.join("\n"))
}

/// The roles.
pub(super) fn roles(roles: &[RoleEntry]) -> String {
    let mut rows = table(&["ROLE", "ALLOWS", "FOR", ""]);
    for role in roles {
        let built_in = if role.built_in { "built in" } else { "" };
        rows.add_row([role.name.clone(), role.actions.join(", "), role.description.clone(), built_in.to_owned()]);
    }
    trimmed(&format!("{rows}\n"))
}

#[cfg(test)]
mod tests {
    use node::admin::TrustEntry;

    use super::*;

    const START: u64 = 1_800_000_000_000;

    fn secret(id: &str, used: Option<u64>) -> SecretEntry {
        SecretEntry {
            id: id.to_owned(),
            name: "laptop".to_owned(),
            created_milliseconds: START,
            expires_milliseconds: used.map(|_| START + 7_776_000_000),
            last_used_milliseconds: used,
        }
    }

    fn alice() -> UserEntry {
        UserEntry {
            name: "alice".to_owned(),
            display: "Alice Example".to_owned(),
            source: None,
            has_password: true,
            groups: vec!["developers".to_owned(), "oncall".to_owned()],
            disabled: false,
            created_milliseconds: START,
            sessions_from_milliseconds: START + 60_000,
            confirmed_milliseconds: None,
            keys: vec![secret("0011223344556677", Some(START + 1_000)), secret("8899aabbccddeeff", None)],
        }
    }

    fn ci() -> RobotEntry {
        RobotEntry {
            name: "ci".to_owned(),
            login: "robot+ci".to_owned(),
            description: "builds".to_owned(),
            groups: Vec::new(),
            disabled: true,
            created_milliseconds: START,
            expires_milliseconds: Some(START + 1),
            sessions_from_milliseconds: START,
            secrets: Vec::new(),
            trusts: vec![TrustEntry {
                issuer: "github".to_owned(),
                claims: vec![
                    ("repository".to_owned(), "acme/app".to_owned()),
                    ("ref".to_owned(), "refs/heads/*".to_owned()),
                ],
            }],
        }
    }

    #[test]
    fn who_is_logged_out_is_told_what_goes_on() {
        let expected = "user anna is logged out: no token of before counts any more, the password and the keys go on";
        assert_eq!(logged_out("user:anna"), expected);
        assert!(logged_out("robot:ci").ends_with("its secrets go on"));
    }

    #[test]
    fn users_read_well() {
        let bob = UserEntry {
            name: "bob".to_owned(),
            display: String::new(),
            source: Some("ldap".to_owned()),
            disabled: true,
            has_password: false,
            groups: Vec::new(),
            confirmed_milliseconds: Some(START),
            keys: Vec::new(),
            ..alice()
        };
        insta::assert_snapshot!(format!("{}\n{}\n{}", users(&[alice(), bob.clone()]), user(&alice()), user(&bob)));
        assert!(users(&[]).contains("regnode user add"));
    }

    #[test]
    fn robots_read_well() {
        let used = RobotEntry { disabled: false, secrets: vec![secret("0011223344556677", Some(START))], ..ci() };
        insta::assert_snapshot!(format!("{}\n{}\n{}", robots(&[ci(), used.clone()]), robot(&ci()), robot(&used)));
        assert!(robots(&[]).contains("regnode robot add"));
    }

    #[test]
    fn groups_and_roles_read_well() {
        let group = GroupEntry {
            name: "developers".to_owned(),
            description: "who writes".to_owned(),
            created_milliseconds: START,
            users: 12,
            robots: 1,
        };
        let reading = Confirmation { confirmed: true, as_of_milliseconds: START };
        let members_of = |members: &[&str]| MembersAnswer {
            version: 1,
            reading,
            name: "developers".to_owned(),
            description: String::new(),
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        };
        let role = |name: &str, actions: &[&str], built_in| RoleEntry {
            name: name.to_owned(),
            description: String::new(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            built_in,
        };
        insta::assert_snapshot!(format!(
            "{}\n{}{}\n{}",
            groups(&[group]),
            members(&members_of(&["user:alice", "robot:ci"])),
            members(&members_of(&[])),
            roles(&[role("writer", &["pull", "push", "tag"], true), role("pusher", &["push"], false)])
        ));
    }

    #[test]
    fn what_is_shown_once_says_so() {
        let made = SecretAnswer {
            version: 1,
            subject: "robot:ci".to_owned(),
            login: "robot+ci".to_owned(),
            secret: Hidden("rnr_secret".to_owned()),
            id: "0011223344556677".to_owned(),
            expires_milliseconds: Some(START),
            host: "registry.example.com:5000".to_owned(),
        };
        let endless = SecretAnswer { expires_milliseconds: None, ..made.clone() };
        let texts = [
            secret_made(&made),
            secret_made(&endless),
            overlap(86_400),
            overlap(0),
            user_added("alice", Some("abcd2345"), None),
            user_added("bob", None, Some("ldap")),
            password_changed("alice", None),
            password_changed("alice", Some("abcd2345")),
            secret_removed("0011223344556677", "robot:ci"),
        ];
        insta::assert_snapshot!(texts.join("\n----\n"));
        assert!(!format!("{made:?}").contains("rnr_secret"), "nothing is shown by accident");
    }
}
