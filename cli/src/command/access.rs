//! `regnode access`: rules, and why they decide as they do.

use anyhow::{Error, Result};
use node::admin::{
    AddRuleRequest, ConditionEntry, ExplainAccessRequest, NamedEffect, RuleRequest, RulesAnswer, RulesRequest,
};

use super::access_text;
use super::identity_text::{age, told};
use super::node::data_dir;
use crate::arguments::{
    Access, AccessAction, AccessDeny, AccessExplain, AccessGrant, AccessList, AccessRevoke, Ask, RuleCondition,
};
use crate::exit::{Code, Exit};
use crate::{admin_client, settings};

/// Does what is asked of rules.
pub(crate) async fn access(access: Access) -> Result<()> {
    match access.action {
        AccessAction::Grant(grant) => {
            let AccessGrant { subject, role, namespace, condition, ask } = grant;
            add(&ask, request(subject.to_string(), NamedEffect::Allow(role), namespace, condition, now())).await
        }
        AccessAction::Deny(deny) => {
            let AccessDeny { subject, actions, namespace, condition, ask } = deny;
            let actions = actions.iter().map(|action| action.name().to_owned()).collect();
            add(&ask, request(subject.to_string(), NamedEffect::Deny(actions), namespace, condition, now())).await
        }
        AccessAction::List(list) => self::list(list).await,
        AccessAction::Revoke(revoke) => self::revoke(revoke).await,
        AccessAction::Explain(explain) => self::explain(explain).await.map_err(unknown),
    }
}

/// The present moment, in milliseconds since the Unix epoch.
fn now() -> u64 {
    settings::environment().clock.now().0
}

fn request(
    subject: String,
    effect: NamedEffect,
    namespace: String,
    condition: RuleCondition,
    now: u64,
) -> AddRuleRequest {
    let RuleCondition { from, since, until, daily, note } = condition;
    let condition = ConditionEntry {
        addresses: from,
        not_before_milliseconds: since.map(|moment| moment.milliseconds(now)),
        not_after_milliseconds: until.map(|moment| moment.milliseconds(now)),
        daily_minutes: daily.map(|daily| (daily.from, daily.to)),
    };
    AddRuleRequest { subject, effect, namespace, condition, note }
}

async fn add(ask: &Ask, request: AddRuleRequest) -> Result<()> {
    let answer = admin_client::add_rule(&data_dir(ask).await?, &request).await?;
    told(ask, &answer, &access_text::added(&answer.rule))
}

async fn list(list: AccessList) -> Result<()> {
    let data_dir = data_dir(&list.ask).await?;
    let subject = list.subject.map(|subject| subject.to_string());
    let mut request = RulesRequest { after: None, subject, covering: list.covering };
    let mut rules = Vec::new();
    let answer = loop {
        let mut page = admin_client::rules(&data_dir, &request).await?;
        rules.append(&mut page.rules);
        if page.next.is_none() {
            break RulesAnswer { rules, ..page };
        }
        request.after = page.next;
    };
    let text = format!("{}{}", access_text::rules(&answer.rules), age(answer.reading));
    told(&list.ask, &answer, text.trim_end())
}

async fn revoke(revoke: AccessRevoke) -> Result<()> {
    let answer = admin_client::remove_rule(&data_dir(&revoke.ask).await?, &RuleRequest { id: revoke.id }).await?;
    told(&revoke.ask, &answer, &access_text::removed(&answer.rule))
}

/// An error while a decision is asked for, which must not look like a denial to scripts.
fn unknown(error: Error) -> Error {
    if error.chain().find_map(|cause| cause.downcast_ref::<Exit>()).is_some() {
        return error;
    }
    Exit::new(Code::UNKNOWN, format!("{error:#}")).into()
}

async fn explain(explain: AccessExplain) -> Result<()> {
    let at_milliseconds = explain.at.map(|moment| moment.milliseconds(now()));
    let request = ExplainAccessRequest {
        subject: explain.subject.to_string(),
        action: explain.action.name().to_owned(),
        repository: explain.repository.clone(),
        address: explain.from,
        at_milliseconds,
    };
    let answer = admin_client::explain_access(&data_dir(&explain.ask).await?, &request).await?;
    told(&explain.ask, &answer, access_text::explanation(&answer).trim_end())?;
    if answer.allowed { Ok(()) } else { Err(Exit::silent(Code::DENIED).into()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use raft::directory::{Action, Actions, Subject};

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parsed(words: &[&str]) -> Result<AccessAction, clap::Error> {
        match Arguments::try_parse_from(["regnode", "access"].iter().chain(words))?.command {
            Command::Access(access) => Ok(access.action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_grant_says_who_what_where_and_when() {
        let words = [
            "grant",
            "robot:ci",
            "writer",
            "acme/",
            "--from",
            "10.0.0.0/8",
            "--from",
            "192.0.2.7",
            "--since",
            "1970-01-02",
            "--until",
            "30d",
            "--daily",
            "22:00-06:00",
            "--note",
            "builds",
        ];
        let AccessAction::Grant(grant) = parsed(&words).unwrap() else { panic!("another action") };
        assert_eq!(
            (grant.subject.to_string().as_str(), grant.role.as_str(), grant.namespace.as_str()),
            ("robot:ci", "writer", "acme")
        );
        let made =
            request("robot:ci".to_owned(), NamedEffect::Allow(grant.role), grant.namespace, grant.condition, 5_000);
        let condition = ConditionEntry {
            addresses: vec!["10.0.0.0/8".to_owned(), "192.0.2.7/32".to_owned()],
            not_before_milliseconds: Some(86_400_000),
            not_after_milliseconds: Some(2_592_005_000),
            daily_minutes: Some((1320, 360)),
        };
        assert_eq!((made.condition, made.note.as_str()), (condition, "builds"));
    }

    #[test]
    fn a_rule_covers_everything_unless_a_namespace_is_named() {
        let AccessAction::Grant(grant) = parsed(&["grant", "anonymous", "reader"]).unwrap() else {
            panic!("another action")
        };
        assert_eq!((grant.subject, grant.namespace.as_str()), (Subject::Anonymous, ""));
        let AccessAction::Deny(deny) = parsed(&["deny", "authenticated", "push,tag", "acme"]).unwrap() else {
            panic!("another action")
        };
        assert_eq!((deny.actions, deny.namespace.as_str()), (Actions::of(&[Action::Push, Action::Tag]), "acme"));
    }

    #[test]
    fn an_error_is_no_denial() {
        let code = |error: Error| error.downcast::<Exit>().unwrap().code;
        let failed = anyhow::anyhow!("there is no user \"alice\"").context("cannot explain");
        assert_eq!(unknown(failed).to_string(), "cannot explain: there is no user \"alice\"");
        assert_eq!(code(unknown(anyhow::anyhow!("the node is starting"))), Code::Usage);
        assert_eq!(code(unknown(Exit::silent(Code::DENIED).into())), Code::Failed);
        assert_eq!(code(unknown(Exit::new(Code::NoNode, "no node answers").into())), Code::NoNode);
    }

    #[test]
    fn a_question_names_one_caller() {
        let words = ["explain", "user:alice", "push", "acme/app", "--from", "192.0.2.7", "--at", "2027-01-31"];
        let AccessAction::Explain(explain) = parsed(&words).unwrap() else { panic!("another action") };
        assert_eq!((explain.action, explain.repository.as_str()), (Action::Push, "acme/app"));
        assert_eq!(explain.from.to_string(), "192.0.2.7");
        for words in [
            &["explain", "group:developers", "push", "acme/app"][..],
            &["explain", "alice", "push", "acme/app"],
            &["explain", "user:alice", "write", "acme/app"],
            &["explain", "user:alice", "push", "Acme"],
            &["grant", "user:alice"],
            &["grant", "user:alice", "writer", "acme", "--from", "office"],
            &["grant", "user:alice", "writer", "acme", "--until", "soon"],
            &["deny", "user:alice"],
            &["deny", "user:alice", "everything"],
            &["revoke", "the-first"],
        ] {
            assert_eq!(parsed(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }
}
