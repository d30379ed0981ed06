//! Secrets of users and robots, and the sessions that come from them.

use super::account::Account;
use super::changed;
use crate::directory::access::{AccessRefusal, SecretRecord, Subject, check_text};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{LABEL_LENGTH_MAX, SECRET_USES_MAX, SECRETS_MAX};
use crate::machine::ApplyError;
use crate::time::Timestamp;

/// What is said of a secret that is to be added.
pub(in crate::directory::apply) struct NewSecret {
    /// Its random id.
    pub(in crate::directory::apply) id: [u8; 8],
    /// BLAKE3 of it.
    pub(in crate::directory::apply) hash: [u8; 32],
    /// What it is for.
    pub(in crate::directory::apply) name: String,
    /// Seconds until it ends.
    pub(in crate::directory::apply) lifetime_seconds: Option<u64>,
    /// Seconds after which the others end at the latest.
    pub(in crate::directory::apply) others_end_after_seconds: Option<u64>,
}

/// Adds a secret. Those that have ended make room, and for a rotation the others get an end.
pub(in crate::directory::apply) fn add(context: &mut Context<'_, '_>, subject: Subject, new: NewSecret) -> Outcome {
    let mut account = match Account::find(context, &subject)? {
        Ok(account) => account,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    if let Err(refusal) = check_text(&format!("the name of a secret of {subject}"), &new.name, LABEL_LENGTH_MAX) {
        return Ok(Err(refusal.into()));
    }
    let now = context.now;
    let secrets = account.secrets();
    if let Some(present) = secrets.iter().find(|secret| secret.id == new.id) {
        let expires = new.lifetime_seconds.map(|seconds| present.created.plus_seconds(seconds));
        // A rotation that came later may have given it an earlier end.
        let ends =
            expires == present.expires || present.expires.is_some_and(|end| expires.is_none_or(|wanted| end < wanted));
        let repeated = (&new.hash, &new.name) == (&present.hash, &present.name) && ends;
        return Ok(if repeated { Ok(Response::Done) } else { Err(AccessRefusal::SecretExists(subject).into()) });
    }
    secrets.retain(|secret| secret.is_valid(now));
    if secrets.len() >= SECRETS_MAX {
        return Ok(Err(AccessRefusal::TooManySecrets { subject, most: SECRETS_MAX as u64 }.into()));
    }
    if let Some(seconds) = new.others_end_after_seconds {
        for other in secrets.iter_mut() {
            other.expires = Some(earlier(other.expires, now.plus_seconds(seconds)));
        }
    }
    let expires = new.lifetime_seconds.map(|seconds| now.plus_seconds(seconds));
    let (NewSecret { id, hash, name, .. }, created) = (new, now);
    secrets.push(SecretRecord { id, hash, name, created, expires, last_used: None });
    account.store(context);
    changed(context, |_| {})?;
    Ok(Ok(Response::Done))
}

/// Removes a secret. Nobody knows which tokens were given for it, so all of the subject's sessions end.
pub(in crate::directory::apply) fn remove(context: &mut Context<'_, '_>, subject: &Subject, id: [u8; 8]) -> Outcome {
    let mut account = match Account::find(context, subject)? {
        Ok(account) => account,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let secrets = account.secrets();
    let before = secrets.len();
    secrets.retain(|secret| secret.id != id);
    if secrets.len() < before {
        account.end_sessions(context)?;
        account.store(context);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// Lets no token count that a subject was given until now.
pub(in crate::directory::apply) fn end_sessions(context: &mut Context<'_, '_>, subject: &Subject) -> Outcome {
    let mut account = match Account::find(context, subject)? {
        Ok(account) => account,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    account.end_sessions(context)?;
    account.store(context);
    changed(context, |_| {})?;
    Ok(Ok(Response::Done))
}

/// Notes when secrets were last used. Nodes tell it late and each for itself: it only ever moves on, and is no change of
/// who may do what.
pub(in crate::directory::apply) fn note_uses(
    context: &mut Context<'_, '_>,
    uses: &[(Subject, [u8; 8], Timestamp)],
) -> Outcome {
    if uses.len() > SECRET_USES_MAX {
        let (uses, most) = (uses.len() as u64, SECRET_USES_MAX as u64);
        return Ok(Err(AccessRefusal::TooManyUses { uses, most }.into()));
    }
    for (subject, id, time) in uses {
        note_use(context, subject, *id, *time)?;
    }
    Ok(Ok(Response::Done))
}

fn note_use(context: &mut Context<'_, '_>, subject: &Subject, id: [u8; 8], time: Timestamp) -> Result<(), ApplyError> {
    let Ok(mut account) = Account::find(context, subject)? else { return Ok(()) };
    // Nothing was used in the future, whatever a node's clock says.
    let used = Some(time.min(context.now));
    let Some(secret) = account.secrets().iter_mut().find(|secret| secret.id == id) else { return Ok(()) };
    if secret.last_used < used {
        secret.last_used = used;
        account.store(context);
    }
    Ok(())
}

/// The earlier one of an end, if there is any, and another one.
pub(super) fn earlier(end: Option<Timestamp>, other: Timestamp) -> Timestamp {
    end.map_or(other, |end| end.min(other))
}
