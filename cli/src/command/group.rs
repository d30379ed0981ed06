//! `regnode group` and `regnode role`: who belongs together, and what may be done at once.

use anyhow::Result;
use node::admin::{AddGroupRequest, MembersRequest, NameRequest, SetRoleRequest};

use super::identity_text::{self, told};
use super::node::data_dir;
use crate::admin_client;
use crate::arguments::{Group, GroupAction, GroupMember, Role, RoleAction, RoleSet};

/// Does what is asked of groups.
pub(crate) async fn group(group: Group) -> Result<()> {
    match group.action {
        GroupAction::Add(add) => {
            let request = AddGroupRequest { name: add.name, description: add.description };
            let answer = admin_client::add_group(&data_dir(&add.ask).await?, &request).await?;
            let text = format!(
                "group {0} is added; nobody belongs to it yet: regnode group member {0} --add user:NAME",
                answer.name
            );
            told(&add.ask, &answer, &text)
        }
        GroupAction::List(list) => {
            let answer = admin_client::groups(&data_dir(&list.ask).await?).await?;
            let text = format!("{}{}", identity_text::groups(&answer.groups), identity_text::age(answer.reading));
            told(&list.ask, &answer, text.trim_end())
        }
        GroupAction::Remove(named) => {
            let request = NameRequest { name: named.name };
            let answer = admin_client::remove_group(&data_dir(&named.ask).await?, &request).await?;
            let text = format!("group {} is removed, with all that was granted or denied to it", answer.name);
            told(&named.ask, &answer, &text)
        }
        GroupAction::Member(member) => self::member(member).await,
    }
}

async fn member(member: GroupMember) -> Result<()> {
    let data_dir = data_dir(&member.ask).await?;
    let answer = if member.add.is_empty() && member.remove.is_empty() {
        admin_client::members(&data_dir, &NameRequest { name: member.name }).await?
    } else {
        let names = |subjects: &[raft::directory::Subject]| subjects.iter().map(ToString::to_string).collect();
        let (add, remove) = (names(&member.add), names(&member.remove));
        admin_client::set_members(&data_dir, &MembersRequest { name: member.name, add, remove }).await?
    };
    let text = format!("{}{}", identity_text::members(&answer), identity_text::age(answer.reading));
    told(&member.ask, &answer, text.trim_end())
}

/// Does what is asked of roles.
pub(crate) async fn role(role: Role) -> Result<()> {
    match role.action {
        RoleAction::Set(set) => set_role(set).await,
        RoleAction::List(list) => {
            let answer = admin_client::roles(&data_dir(&list.ask).await?).await?;
            let text = format!("{}{}", identity_text::roles(&answer.roles), identity_text::age(answer.reading));
            told(&list.ask, &answer, text.trim_end())
        }
        RoleAction::Remove(named) => {
            let request = NameRequest { name: named.name };
            let answer = admin_client::remove_role(&data_dir(&named.ask).await?, &request).await?;
            told(&named.ask, &answer, &format!("role {} is removed", answer.name))
        }
    }
}

async fn set_role(set: RoleSet) -> Result<()> {
    let actions: Vec<String> = set.actions.iter().map(|action| action.name().to_owned()).collect();
    let request = SetRoleRequest { name: set.name, description: set.description, actions };
    let answer = admin_client::set_role(&data_dir(&set.ask).await?, &request).await?;
    let text = format!("role {} allows {}, for all who have it", answer.name, request.actions.join(", "));
    told(&set.ask, &answer, &text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use raft::directory::Action;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parsed(words: &[&str]) -> Result<Command, clap::Error> {
        Ok(Arguments::try_parse_from(["regnode"].iter().chain(words))?.command)
    }

    #[test]
    fn members_and_actions_are_named() {
        let words =
            ["group", "member", "developers", "--add", "user:alice", "--add", "robot:ci", "--remove", "user:bob"];
        let Command::Group(Group { action: GroupAction::Member(member) }) = parsed(&words).unwrap() else {
            panic!("another command")
        };
        assert_eq!((member.add.len(), member.remove.len()), (2, 1));
        for words in [["role", "set", "pusher", "push,tag"].as_slice(), &["role", "set", "pusher", "push", "tag"]] {
            let Command::Role(Role { action: RoleAction::Set(set) }) = parsed(words).unwrap() else {
                panic!("another command")
            };
            assert_eq!(set.actions, [Action::Push, Action::Tag]);
        }
        for words in [
            &["group", "member", "developers", "--add", "group:others"][..],
            &["group", "add", "Developers"],
            &["role", "set", "pusher"],
            &["role", "set", "pusher", "write"],
        ] {
            assert_eq!(parsed(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }
}
