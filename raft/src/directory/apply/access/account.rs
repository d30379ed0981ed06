//! Users and robots alike: who can log in has secrets, sessions and groups.

use super::Context;
use crate::directory::access::{AccessRefusal, RobotRecord, SecretRecord, Subject, UserRecord, is_access_name};
use crate::directory::limit::GROUPS_PER_SUBJECT_MAX;
use crate::directory::table::{AccessState, Groups, Robots, Users};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// Who can log in.
#[derive(Debug)]
pub(super) enum Account {
    /// A person.
    User(String, UserRecord),
    /// A machine.
    Robot(String, RobotRecord),
}

impl Account {
    /// The account of a subject.
    pub(super) fn find(
        context: &Context<'_, '_>,
        subject: &Subject,
    ) -> Result<Result<Self, AccessRefusal>, ApplyError> {
        Ok(match subject {
            Subject::User(name) => match Users::get(context.state, name)? {
                Some(user) => Ok(Self::User(name.clone(), user)),
                None => Err(AccessRefusal::UserUnknown(name.clone())),
            },
            Subject::Robot(name) => match Robots::get(context.state, name)? {
                Some(robot) => Ok(Self::Robot(name.clone(), robot)),
                None => Err(AccessRefusal::RobotUnknown(name.clone())),
            },
            Subject::Anonymous | Subject::Authenticated | Subject::Group(_) => {
                Err(AccessRefusal::NoAccount(subject.clone()))
            }
        })
    }

    /// Its secrets.
    pub(super) fn secrets(&mut self) -> &mut Vec<SecretRecord> {
        match self {
            Self::User(_, user) => &mut user.keys,
            Self::Robot(_, robot) => &mut robot.secrets,
        }
    }

    /// Its groups.
    pub(super) fn groups(&mut self) -> &mut Vec<String> {
        match self {
            Self::User(_, user) => &mut user.groups,
            Self::Robot(_, robot) => &mut robot.groups,
        }
    }

    /// Lets no token count that was given to it until now.
    pub(super) fn end_sessions(&mut self, context: &mut Context<'_, '_>) -> Result<(), ApplyError> {
        let from = begin_sessions(context)?;
        match self {
            Self::User(_, user) => user.sessions_from = from,
            Self::Robot(_, robot) => robot.sessions_from = from,
        }
        Ok(())
    }

    /// Stores it.
    pub(super) fn store(&self, context: &mut Context<'_, '_>) {
        match self {
            Self::User(name, user) => Users::put(context.state, name, user),
            Self::Robot(name, robot) => Robots::put(context.state, name, robot),
        }
    }
}

/// Groups as a record holds them: sorted, each once. All must exist.
pub(super) fn groups(
    context: &Context<'_, '_>,
    member: &Subject,
    mut groups: Vec<String>,
) -> Result<Result<Vec<String>, AccessRefusal>, ApplyError> {
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > GROUPS_PER_SUBJECT_MAX {
        return Ok(Err(too_many(member, groups.len())));
    }
    for group in &groups {
        if !Groups::contains(context.state, group)? {
            return Ok(Err(AccessRefusal::GroupUnknown(group.clone())));
        }
    }
    Ok(Ok(groups))
}

/// The same of groups that somebody else has named: those that do not exist here are passed over. None that does is, since
/// something may be denied to it.
pub(super) fn known_groups(
    context: &Context<'_, '_>,
    member: &Subject,
    mut groups: Vec<String>,
) -> Result<Result<Vec<String>, AccessRefusal>, ApplyError> {
    groups.sort_unstable();
    groups.dedup();
    let mut known = Vec::new();
    for group in groups.into_iter().filter(|group| is_access_name(group)) {
        if Groups::contains(context.state, &group)? {
            known.push(group);
        }
    }
    if known.len() > GROUPS_PER_SUBJECT_MAX {
        return Ok(Err(too_many(member, known.len())));
    }
    Ok(Ok(known))
}

pub(super) fn too_many(member: &Subject, groups: usize) -> AccessRefusal {
    let most = GROUPS_PER_SUBJECT_MAX as u64;
    AccessRefusal::TooManyGroupsOf { member: member.clone(), groups: groups as u64, most }
}

/// The moment from which sessions begin: now, or just after the last such moment of any account if the clock stands still
/// behind a leader that was ahead. So tokens of before and after a change are told apart all the same, and those of a
/// removed account from those of another one of its name.
pub(super) fn begin_sessions(context: &mut Context<'_, '_>) -> Result<Timestamp, ApplyError> {
    let mut record = AccessState::get(context.state, ())?.unwrap_or_default();
    record.sessions = context.now.max(Timestamp(record.sessions.0.saturating_add(1)));
    AccessState::put(context.state, (), &record);
    Ok(record.sessions)
}
