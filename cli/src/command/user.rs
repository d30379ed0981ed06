//! `regnode user`: people who log in, and their personal access keys.

use std::path::Path;

use anyhow::Result;
use node::admin::{
    AddSecretRequest, AddUserRequest, Hidden, NameRequest, PageRequest, RemoveSecretRequest, SetUserRequest,
    SubjectRequest, UsersAnswer,
};

use super::identity_text::{self, told};
use super::node::data_dir;
use crate::arguments::{
    IdentityList, NamedUser, User, UserAction, UserAdd, UserKey, UserKeyAction, UserKeyAdd, UserKeyRemove,
    UserPassword, UserSet,
};
use crate::{admin_client, password, settings};

/// Does what is asked of users.
pub(crate) async fn user(user: User) -> Result<()> {
    match user.action {
        UserAction::Add(add) => self::add(add).await,
        UserAction::List(list) => self::list(list).await,
        UserAction::Show(named) => show(named).await,
        UserAction::Set(set) => self::set(set).await,
        UserAction::Password(wanted) => change_password(wanted).await,
        UserAction::Logout(named) => logout(named).await,
        UserAction::Disable(named) => disable(named, true).await,
        UserAction::Enable(named) => disable(named, false).await,
        UserAction::Remove(named) => remove(named).await,
        UserAction::Key(UserKey { action }) => match action {
            UserKeyAction::Add(add) => add_key(add).await,
            UserKeyAction::List(named) => keys(named).await,
            UserKeyAction::Remove(remove) => remove_key(remove).await,
        },
    }
}

/// A password: made up and then to be shown, or asked for.
async fn new_password(generated: bool, whose: &str) -> Result<(String, bool)> {
    let environment = settings::environment();
    let password = if generated {
        password::generate(environment.entropy.as_ref())
    } else {
        password::ask_new(&format!("user {whose}")).await?
    };
    Ok((password, generated))
}

async fn add(add: UserAdd) -> Result<()> {
    let data_dir = data_dir(&add.ask).await?;
    let elsewhere = add.source.is_some() || add.no_password;
    let password = if elsewhere { None } else { Some(new_password(add.generate_password, &add.name).await?) };
    let request = AddUserRequest {
        name: add.name,
        display: add.display,
        password: password.clone().map(|(password, _)| Hidden(password)),
        source: add.source,
        groups: add.groups,
    };
    let answer = admin_client::add_user(&data_dir, &request).await?;
    let generated = password.filter(|(_, generated)| *generated).map(|(password, _)| password);
    let text = identity_text::user_added(&answer.name, generated.as_deref(), request.source.as_deref());
    told(&add.ask, &with_password(&answer, generated), &text)
}

async fn change_password(wanted: UserPassword) -> Result<()> {
    let data_dir = data_dir(&wanted.ask).await?;
    let (password, generated) = new_password(wanted.generate, &wanted.name).await?;
    let hidden = Some(Hidden(password.clone()));
    let request = SetUserRequest { name: wanted.name, password: hidden, ..SetUserRequest::default() };
    let answer = admin_client::set_user(&data_dir, &request).await?;
    let shown = generated.then_some(password);
    let text = identity_text::password_changed(&answer.name, shown.as_deref());
    told(&wanted.ask, &with_password(&answer, shown), &text)
}

/// An answer for programs, with the password that was made up.
fn with_password(answer: &node::admin::ChangedAnswer, password: Option<String>) -> serde_json::Value {
    let mut answer = serde_json::json!({ "version": answer.version, "name": answer.name });
    if let Some(password) = password {
        answer["password"] = password.into();
    }
    answer
}

/// All users, in one answer.
async fn all(data_dir: &Path) -> Result<UsersAnswer> {
    let mut users = Vec::new();
    let mut after = None;
    loop {
        let mut page = admin_client::users(data_dir, &PageRequest { after }).await?;
        users.append(&mut page.users);
        if page.next.is_none() {
            return Ok(UsersAnswer { users, ..page });
        }
        after = page.next;
    }
}

async fn list(list: IdentityList) -> Result<()> {
    let answer = all(&data_dir(&list.ask).await?).await?;
    let text = format!("{}{}", identity_text::users(&answer.users), identity_text::age(answer.reading));
    told(&list.ask, &answer, text.trim_end())
}

async fn show(named: NamedUser) -> Result<()> {
    let answer = admin_client::user(&data_dir(&named.ask).await?, &NameRequest { name: named.name }).await?;
    let text = format!("{}{}", identity_text::user(&answer.user), identity_text::age(answer.reading));
    told(&named.ask, &answer, text.trim_end())
}

async fn set(set: UserSet) -> Result<()> {
    let groups = (set.no_groups || !set.groups.is_empty()).then_some(set.groups);
    let request = SetUserRequest { name: set.name, display: set.display, groups, ..SetUserRequest::default() };
    let answer = admin_client::set_user(&data_dir(&set.ask).await?, &request).await?;
    told(&set.ask, &answer, &format!("user {} is changed", answer.name))
}

async fn logout(named: NamedUser) -> Result<()> {
    let request = SubjectRequest { subject: format!("user:{}", named.name) };
    let answer = admin_client::end_sessions(&data_dir(&named.ask).await?, &request).await?;
    told(&named.ask, &answer, &identity_text::logged_out(&answer.name))
}

async fn disable(named: NamedUser, disabled: bool) -> Result<()> {
    let request = SetUserRequest { name: named.name, disabled: Some(disabled), ..SetUserRequest::default() };
    let answer = admin_client::set_user(&data_dir(&named.ask).await?, &request).await?;
    let text = if disabled {
        format!(
            "user {0} is disabled: nothing that he was given works any more; back with: regnode user enable {0}",
            answer.name
        )
    } else {
        format!("user {} may log in again", answer.name)
    };
    told(&named.ask, &answer, &text)
}

async fn remove(named: NamedUser) -> Result<()> {
    let answer = admin_client::remove_user(&data_dir(&named.ask).await?, &NameRequest { name: named.name }).await?;
    told(&named.ask, &answer, &format!("user {} is removed, with all that was granted or denied to him", answer.name))
}

async fn add_key(add: UserKeyAdd) -> Result<()> {
    let request = AddSecretRequest {
        subject: format!("user:{}", add.user),
        name: add.name,
        lifetime_seconds: add.expires.seconds(),
        others_end_after_seconds: None,
    };
    let answer = admin_client::add_secret(&data_dir(&add.ask).await?, &request).await?;
    told(&add.ask, &answer, &identity_text::secret_made(&answer))
}

async fn keys(named: NamedUser) -> Result<()> {
    let answer = admin_client::user(&data_dir(&named.ask).await?, &NameRequest { name: named.name }).await?;
    let text = identity_text::secrets(&answer.user.keys);
    let text = if text.is_empty() { format!("user {} has no keys", answer.user.name) } else { text };
    let told_keys =
        serde_json::json!({ "version": answer.version, "name": answer.user.name, "keys": answer.user.keys });
    told(&named.ask, &told_keys, text.trim_end())
}

async fn remove_key(remove: UserKeyRemove) -> Result<()> {
    let request = RemoveSecretRequest { subject: format!("user:{}", remove.user), id: remove.id };
    let answer = admin_client::remove_secret(&data_dir(&remove.ask).await?, &request).await?;
    told(&remove.ask, &answer, &identity_text::secret_removed(&answer.name, &request.subject))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command, Lifetime};

    fn parsed(words: &[&str]) -> Result<UserAction, clap::Error> {
        match Arguments::try_parse_from(["regnode", "user"].iter().chain(words))?.command {
            Command::User(user) => Ok(user.action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_option_says_its_field() {
        let words = ["add", "alice", "--display", "Alice", "--group", "a", "--group", "b", "--generate-password"];
        let UserAction::Add(add) = parsed(&words).unwrap() else { panic!("another action") };
        assert_eq!((add.name.as_str(), add.display.as_str(), add.groups.len()), ("alice", "Alice", 2));
        assert!(add.generate_password && !add.no_password);
        let words = ["key", "add", "alice", "--name", "laptop", "--expires", "never"];
        let UserAction::Key(UserKey { action: UserKeyAction::Add(key) }) = parsed(&words).unwrap() else {
            panic!("another action")
        };
        assert_eq!((key.user.as_str(), key.expires), ("alice", Lifetime::Endless));
        let UserAction::Set(set) = parsed(&["set", "alice", "--no-groups"]).unwrap() else { panic!("another action") };
        assert!(set.no_groups && set.display.is_none());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for words in [
            &["add", "Alice"][..],
            &["add", "robot+ci"],
            &["add", "alice", "--password", "secret"],
            &["add", "alice", "--no-password", "--generate-password"],
            &["add", "alice", "--source", "ldap", "--no-password"],
            &["set", "alice"],
            &["set", "alice", "--group", "a", "--no-groups"],
            &["key", "add", "alice", "--expires", "0s"],
            &["key", "remove", "alice"],
        ] {
            assert_eq!(parsed(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn a_password_that_was_made_up_is_there_for_programs() {
        let answer = node::admin::ChangedAnswer { version: 1, name: "alice".to_owned() };
        assert_eq!(with_password(&answer, None)["password"], serde_json::Value::Null);
        assert_eq!(with_password(&answer, Some("x".to_owned()))["password"], "x");
    }
}
