//! `regnode robot`: programs that log in, their secrets, and whose tokens stand for them.

use anyhow::{Context, Result};
use node::admin::{
    AddRobotRequest, AddSecretRequest, NameRequest, PageRequest, RemoveSecretRequest, RobotsAnswer, SetRobotRequest,
    SubjectRequest, TrustRequest,
};

use super::identity_text::{self, told};
use super::node::data_dir;
use crate::admin_client;
use crate::arguments::{
    IdentityList, NamedRobot, Robot, RobotAction, RobotAdd, RobotDistrust, RobotRevoke, RobotRotate, RobotSet,
    RobotTrust,
};

/// Does what is asked of robots.
pub(crate) async fn robot(robot: Robot) -> Result<()> {
    match robot.action {
        RobotAction::Add(add) => self::add(add).await,
        RobotAction::List(list) => self::list(list).await,
        RobotAction::Show(named) => show(named).await,
        RobotAction::Set(set) => self::set(set).await,
        RobotAction::Rotate(rotate) => self::rotate(rotate).await,
        RobotAction::Revoke(revoke) => self::revoke(revoke).await,
        RobotAction::Trust(trust) => self::trust(trust).await,
        RobotAction::Distrust(distrust) => self::distrust(distrust).await,
        RobotAction::Logout(named) => logout(named).await,
        RobotAction::Disable(named) => disable(named, true).await,
        RobotAction::Enable(named) => disable(named, false).await,
        RobotAction::Remove(named) => remove(named).await,
    }
}

async fn add(add: RobotAdd) -> Result<()> {
    let data_dir = data_dir(&add.ask).await?;
    let request = AddRobotRequest {
        name: add.name,
        description: add.description,
        groups: add.groups,
        lifetime_seconds: add.lifetime.map(|lifetime| lifetime.as_secs()),
    };
    let added = admin_client::add_robot(&data_dir, &request).await?;
    let name = &added.name;
    if add.no_secret {
        let text = format!(
            "robot {name} is added, without a secret. Say whose tokens stand for it: regnode robot trust {name} ISSUER \
             CLAIM=PATTERN"
        );
        return told(&add.ask, &added, &text);
    }
    let lifetime_seconds = add.expires.seconds();
    let subject = format!("robot:{name}");
    let secret = AddSecretRequest { subject, name: String::new(), lifetime_seconds, others_end_after_seconds: None };
    let made = admin_client::add_secret(&data_dir, &secret).await;
    let made =
        made.with_context(|| format!("robot {name} is added, but has no secret: regnode robot rotate {name}"))?;
    told(&add.ask, &made, &format!("robot {name} is added.\n\n{}", identity_text::secret_made(&made)))
}

async fn rotate(rotate: RobotRotate) -> Result<()> {
    let request = AddSecretRequest {
        subject: format!("robot:{}", rotate.name),
        name: rotate.secret_name,
        lifetime_seconds: rotate.expires.seconds(),
        others_end_after_seconds: Some(rotate.overlap.as_secs()),
    };
    let made = admin_client::add_secret(&data_dir(&rotate.ask).await?, &request).await?;
    let text = format!("{}\n\n{}", identity_text::secret_made(&made), identity_text::overlap(rotate.overlap.as_secs()));
    told(&rotate.ask, &made, &text)
}

async fn revoke(revoke: RobotRevoke) -> Result<()> {
    let request = RemoveSecretRequest { subject: format!("robot:{}", revoke.name), id: revoke.id };
    let answer = admin_client::remove_secret(&data_dir(&revoke.ask).await?, &request).await?;
    told(&revoke.ask, &answer, &identity_text::secret_removed(&answer.name, &request.subject))
}

async fn list(list: IdentityList) -> Result<()> {
    let data_dir = data_dir(&list.ask).await?;
    let mut robots = Vec::new();
    let mut after = None;
    let answer = loop {
        let mut page = admin_client::robots(&data_dir, &PageRequest { after }).await?;
        robots.append(&mut page.robots);
        if page.next.is_none() {
            break RobotsAnswer { robots, ..page };
        }
        after = page.next;
    };
    let text = format!("{}{}", identity_text::robots(&answer.robots), identity_text::age(answer.reading));
    told(&list.ask, &answer, text.trim_end())
}

async fn show(named: NamedRobot) -> Result<()> {
    let answer = admin_client::robot(&data_dir(&named.ask).await?, &NameRequest { name: named.name }).await?;
    let text = format!("{}{}", identity_text::robot(&answer.robot), identity_text::age(answer.reading));
    told(&named.ask, &answer, text.trim_end())
}

async fn set(set: RobotSet) -> Result<()> {
    let groups = (set.no_groups || !set.groups.is_empty()).then_some(set.groups);
    let request = SetRobotRequest { name: set.name, description: set.description, groups, disabled: None };
    let answer = admin_client::set_robot(&data_dir(&set.ask).await?, &request).await?;
    told(&set.ask, &answer, &format!("robot {} is changed", answer.name))
}

async fn trust(trust: RobotTrust) -> Result<()> {
    let claims = trust.claims.into_iter().map(|claim| (claim.claim, claim.pattern)).collect();
    let request = TrustRequest { name: trust.name, issuer: trust.issuer, claims };
    let answer = admin_client::trust(&data_dir(&trust.ask).await?, &request).await?;
    let claims: Vec<String> = request.claims.iter().map(|(claim, pattern)| format!("{claim}={pattern}")).collect();
    let what = if request.issuer == "certificate" { "client certificates" } else { "tokens" };
    let text = format!(
        "{what} of {} with {} stand for robot {} from now on",
        if request.issuer == "certificate" { "the configured authorities" } else { &request.issuer },
        claims.join(" and "),
        answer.name
    );
    told(&trust.ask, &answer, &text)
}

async fn distrust(distrust: RobotDistrust) -> Result<()> {
    let request = TrustRequest { name: distrust.name, issuer: distrust.issuer, claims: Vec::new() };
    let answer = admin_client::trust(&data_dir(&distrust.ask).await?, &request).await?;
    let text = format!("nothing of {} stands for robot {} any more", request.issuer, answer.name);
    told(&distrust.ask, &answer, &text)
}

async fn logout(named: NamedRobot) -> Result<()> {
    let request = SubjectRequest { subject: format!("robot:{}", named.name) };
    let answer = admin_client::end_sessions(&data_dir(&named.ask).await?, &request).await?;
    told(&named.ask, &answer, &identity_text::logged_out(&answer.name))
}

async fn disable(named: NamedRobot, disabled: bool) -> Result<()> {
    let request = SetRobotRequest { name: named.name, disabled: Some(disabled), ..SetRobotRequest::default() };
    let answer = admin_client::set_robot(&data_dir(&named.ask).await?, &request).await?;
    let text = if disabled {
        format!(
            "robot {0} is disabled: nothing that it was given works any more; back with: regnode robot enable {0}",
            answer.name
        )
    } else {
        format!("robot {} may log in again", answer.name)
    };
    told(&named.ask, &answer, &text)
}

async fn remove(named: NamedRobot) -> Result<()> {
    let answer = admin_client::remove_robot(&data_dir(&named.ask).await?, &NameRequest { name: named.name }).await?;
    told(&named.ask, &answer, &format!("robot {} is removed, with all that was granted or denied to it", answer.name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command, Lifetime};

    fn parsed(words: &[&str]) -> Result<RobotAction, clap::Error> {
        match Arguments::try_parse_from(["regnode", "robot"].iter().chain(words))?.command {
            Command::Robot(robot) => Ok(robot.action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_option_says_its_field() {
        let RobotAction::Add(add) = parsed(&["add", "ci", "--expires", "30d", "--lifetime", "1y"]).unwrap() else {
            panic!("another action")
        };
        assert_eq!(add.expires, Lifetime::For(Duration::from_hours(720)));
        assert!(add.lifetime.is_some() && !add.no_secret);
        let RobotAction::Rotate(rotate) = parsed(&["rotate", "ci", "--overlap", "0s"]).unwrap() else {
            panic!("another action")
        };
        assert_eq!(rotate.overlap, Duration::ZERO);
        let words = ["trust", "ci", "github", "repository=acme/app", "ref=refs/heads/*"];
        let RobotAction::Trust(trust) = parsed(&words).unwrap() else { panic!("another action") };
        assert_eq!((trust.issuer.as_str(), trust.claims.len()), ("github", 2));
        assert_eq!(trust.claims[1].pattern, "refs/heads/*");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for words in [
            &["add", "ci@example.com"][..],
            &["add", "ci", "--no-secret", "--expires", "1d"],
            &["rotate", "ci", "--overlap", "soon"],
            &["trust", "ci", "github"],
            &["trust", "ci", "github", "repository"],
            &["set", "ci"],
        ] {
            assert_eq!(parsed(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }
}
