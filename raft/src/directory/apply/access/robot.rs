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
    let sessions_from = account::begin_sessions(context)?;
    let robot = RobotRecord {
        description: new.description,
        groups,
        disabled: false,
        created: context.now,
        expires: new.lifetime_seconds.map(|seconds| context.now.plus_seconds(seconds)),
        sessions_from,
        secrets: Vec::new(),
        trusts: Vec::new(),
    };
    Robots::put(context.state, &name, &robot);
    changed(context, |count| count.robots += 1)?;
    Ok(Ok(Response::Done))
}

/// Changes what is named of a robot.
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
    robot.disabled = change.disabled.unwrap_or(robot.disabled);
    if robot.disabled != present.disabled {
        robot.sessions_from = account::begin_sessions(context)?;
    }
    if robot != present {
        Robots::put(context.state, &name, &robot);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// Lets whom a rule describes be a robot.
pub(in crate::directory::apply) fn trust(context: &mut Context<'_, '_>, name: String, rule: TrustRule) -> Outcome {
    let Some(mut robot) = Robots::get(context.state, &name)? else {
        return Ok(Err(AccessRefusal::RobotUnknown(name).into()));
    };
    if let Some(refusal) = refuse_trust(context, &name, &rule)? {
        return Ok(Err(refusal.into()));
    }
    if robot.trusts.contains(&rule) {
        return Ok(Ok(Response::Done));
    }
    if robot.trusts.len() >= TRUSTS_MAX {
        let problem = format!("would be one of {}, {TRUSTS_MAX} at most may be: join some with '*'", TRUSTS_MAX + 1);
        return Ok(Err(AccessRefusal::TrustInvalid { robot: name, problem }.into()));
    }
    robot.trusts.push(rule);
    Robots::put(context.state, &name, &robot);
    changed(context, |_| {})?;
    Ok(Ok(Response::Done))
}

/// Takes all rules of an issuer from a robot. Whoever was it by one of them is it no longer.
pub(in crate::directory::apply) fn distrust(context: &mut Context<'_, '_>, name: String, issuer: &str) -> Outcome {
    let Some(mut robot) = Robots::get(context.state, &name)? else {
        return Ok(Err(AccessRefusal::RobotUnknown(name).into()));
    };
    let before = robot.trusts.len();
    robot.trusts.retain(|rule| rule.issuer != issuer);
    if robot.trusts.len() < before {
        robot.sessions_from = account::begin_sessions(context)?;
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
fn refuse_trust(context: &Context<'_, '_>, name: &str, rule: &TrustRule) -> Result<Option<AccessRefusal>, ApplyError> {
    if let Err(refusal) = rule.check(name) {
        return Ok(Some(refusal));
    }
    if rule.issuer == BY_CERTIFICATE {
        return Ok(None);
    }
    let issuer = Issuers::get(context.state, &rule.issuer)?;
    let is_of_workloads = issuer.is_some_and(|issuer| issuer.purpose == IssuerUse::Workload);
    Ok((!is_of_workloads).then(|| AccessRefusal::IssuerUnknown(rule.issuer.clone())))
}
