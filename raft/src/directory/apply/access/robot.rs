//! Machines.

use super::{account, binding, changed, check_name, counted};
use crate::directory::access::{AccessRefusal, BY_CERTIFICATE, IssuerUse, RobotRecord, Subject, TrustRule, check_text};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{DESCRIPTION_LENGTH_MAX, ROBOTS_MAX, TRUSTS_MAX};
use crate::directory::refusal::Refusal;
use crate::directory::table::{Issuers, Robots};
use crate::machine::ApplyError;
use crate::table::Table;

/// What is said of a robot that is to be added.
pub(in crate::directory::apply) struct NewRobot {
    /// What it is for.
    pub(in crate::directory::apply) description: String,
    /// Its groups.
    pub(in crate::directory::apply) groups: Vec<String>,
    /// Seconds until it may no longer log in.
    pub(in crate::directory::apply) lifetime_seconds: Option<u64>,
}

/// What is to change of a robot; what is none stays.
pub(in crate::directory::apply) struct RobotChange {
    /// What it is for.
    pub(in crate::directory::apply) description: Option<String>,
    /// Its groups.
    pub(in crate::directory::apply) groups: Option<Vec<String>>,
    /// Whether it may not log in.
    pub(in crate::directory::apply) disabled: Option<bool>,
    /// Who else is it.
    pub(in crate::directory::apply) trusts: Option<Vec<TrustRule>>,
}

/// Adds a robot.
pub(in crate::directory::apply) fn add(context: &mut Context<'_, '_>, name: String, new: NewRobot) -> Outcome {
    let Some(count) = counted(context)? else { return Ok(Err(Refusal::NotFounded)) };
    if let Err(refusal) = check_name("robot", &name).and_then(|()| check(&name, &new.description)) {
        return Ok(Err(refusal.into()));
    }
    let groups = match account::groups(context, &Subject::Robot(name.clone()), new.groups)? {
        Ok(groups) => groups,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    if let Some(present) = Robots::get(context.state, &name)? {
        let expires = new.lifetime_seconds.map(|seconds| present.created.plus_seconds(seconds));
        let said = (&new.description, &groups, expires);
        let repeated = said == (&present.description, &present.groups, present.expires);
        return Ok(if repeated { Ok(Response::Done) } else { Err(AccessRefusal::RobotExists(name).into()) });
    }
    if count.robots >= ROBOTS_MAX as u64 {
        return Ok(Err(AccessRefusal::TooManyRobots(ROBOTS_MAX as u64).into()));
    }
    let robot = RobotRecord {
        description: new.description,
        groups,
        disabled: false,
        created: context.now,
        expires: new.lifetime_seconds.map(|seconds| context.now.plus_seconds(seconds)),
        sessions_from: context.now,
        secrets: Vec::new(),
        trusts: Vec::new(),
    };
    Robots::put(context.state, &name, &robot);
    changed(context, |count| count.robots += 1)?;
    Ok(Ok(Response::Done))
}

/// Changes what is named of a robot. Whoever was it by a rule that is gone is it no longer.
pub(in crate::directory::apply) fn set(context: &mut Context<'_, '_>, name: String, change: RobotChange) -> Outcome {
    let Some(present) = Robots::get(context.state, &name)? else {
        return Ok(Err(AccessRefusal::RobotUnknown(name).into()));
    };
    let mut robot = present.clone();
    if let Some(description) = change.description {
        if let Err(refusal) = check(&name, &description) {
            return Ok(Err(refusal.into()));
        }
        robot.description = description;
    }
    if let Some(groups) = change.groups {
        robot.groups = match account::groups(context, &Subject::Robot(name.clone()), groups)? {
            Ok(groups) => groups,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
    }
    if let Some(trusts) = change.trusts {
        if let Some(refusal) = refuse_trusts(context, &name, &trusts)? {
            return Ok(Err(refusal.into()));
        }
        robot.trusts = trusts;
    }
    robot.disabled = change.disabled.unwrap_or(robot.disabled);
    let gone = present.trusts.iter().any(|rule| !robot.trusts.contains(rule));
    if gone || robot.disabled != present.disabled {
        robot.sessions_from = account::later_than(present.sessions_from, context);
    }
    if robot != present {
        Robots::put(context.state, &name, &robot);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// Removes a robot and its bindings.
pub(in crate::directory::apply) fn remove(context: &mut Context<'_, '_>, name: String) -> Outcome {
    if Robots::contains(context.state, &name)? {
        Robots::delete(context.state, &name);
        let bindings = binding::remove_of(context, &Subject::Robot(name))?;
        changed(context, |count| {
            count.robots -= 1;
            count.bindings -= bindings;
        })?;
    }
    Ok(Ok(Response::Done))
}

fn check(name: &str, description: &str) -> Result<(), AccessRefusal> {
    check_text(&format!("the description of robot {name:?}"), description, DESCRIPTION_LENGTH_MAX)
}

/// Why a robot cannot trust like this.
fn refuse_trusts(
    context: &Context<'_, '_>,
    name: &str,
    trusts: &[TrustRule],
) -> Result<Option<AccessRefusal>, ApplyError> {
    if trusts.len() > TRUSTS_MAX {
        let problem = format!("is one of {}, {TRUSTS_MAX} at most may be: join some with '*'", trusts.len());
        return Ok(Some(AccessRefusal::TrustInvalid { robot: name.to_owned(), problem }));
    }
    for rule in trusts {
        if let Err(refusal) = rule.check(name) {
            return Ok(Some(refusal));
        }
        if rule.issuer == BY_CERTIFICATE {
            continue;
        }
        let issuer = Issuers::get(context.state, &rule.issuer)?;
        if !issuer.is_some_and(|issuer| issuer.purpose == IssuerUse::Workload) {
            return Ok(Some(AccessRefusal::IssuerUnknown(rule.issuer.clone())));
        }
    }
    Ok(None)
}
