//! Keys that the cluster's tokens are signed with. There are few: a command may look at all of them.

use super::secret::earlier;
use super::{changed, counted};
use crate::directory::access::{AccessRefusal, NewSigningKey, SigningKeyRecord};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{SIGNING_KEY_BYTES_MAX, SIGNING_KEYS_MAX};
use crate::directory::refusal::Refusal;
use crate::directory::table::SigningKeys;
use crate::table::Table;
use crate::time::Timestamp;

/// Adds a key. Those that have ended make room. The others end no earlier than it begins, so that one always signs.
pub(in crate::directory::apply) fn add(
    context: &mut Context<'_, '_>,
    key: NewSigningKey,
    signs_after_seconds: u64,
    others_retire_after_seconds: u64,
) -> Outcome {
    if counted(context)?.is_none() {
        return Ok(Err(Refusal::NotFounded));
    }
    if let Err(refusal) = check(&key) {
        return Ok(Err(refusal.into()));
    }
    if others_retire_after_seconds < signs_after_seconds {
        return Ok(Err(AccessRefusal::SigningGap { signs_after_seconds, others_retire_after_seconds }.into()));
    }
    if let Some(present) = SigningKeys::get(context.state, &key.id)? {
        let repeated = (&present.public, &present.wrapped_private) == (&key.public, &key.wrapped_private);
        return Ok(if repeated { Ok(Response::Done) } else { Err(AccessRefusal::SigningKeyExists.into()) });
    }
    let now = context.now;
    let (others, ended): (Vec<_>, Vec<_>) = SigningKeys::scan::<()>(context.state, (), None, usize::MAX)?
        .into_iter()
        .partition(|(_, other)| other.is_valid(now));
    if others.len() >= SIGNING_KEYS_MAX {
        return Ok(Err(AccessRefusal::TooManySigningKeys(SIGNING_KEYS_MAX as u64).into()));
    }
    for (id, _) in ended {
        SigningKeys::delete(context.state, &id);
    }
    for (id, mut other) in others {
        other.retires = Some(earlier(other.retires, now.plus_seconds(others_retire_after_seconds)));
        SigningKeys::put(context.state, &id, &other);
    }
    store_new(context, key, now.plus_seconds(signs_after_seconds));
    changed(context, |_| {})?;
    Ok(Ok(Response::Done))
}

/// Removes a key without which others sign at any time from now on.
pub(in crate::directory::apply) fn remove(context: &mut Context<'_, '_>, id: [u8; 8]) -> Outcome {
    if SigningKeys::contains(context.state, &id)? {
        let mut others = SigningKeys::scan::<()>(context.state, (), None, usize::MAX)?;
        others.retain(|(other, _)| *other != id);
        if !always_sign(&others, context.now) {
            return Ok(Err(AccessRefusal::SigningKeyNeeded(hex::encode(id)).into()));
        }
        SigningKeys::delete(context.state, &id);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// Stores a key that was found valid.
pub(super) fn store_new(context: &mut Context<'_, '_>, key: NewSigningKey, signs_from: Timestamp) {
    let NewSigningKey { id, public, wrapped_private } = key;
    let record = SigningKeyRecord { public, wrapped_private, created: context.now, signs_from, retires: None };
    SigningKeys::put(context.state, &id, &record);
}

/// Refuses what cannot be a key.
pub(super) fn check(key: &NewSigningKey) -> Result<(), AccessRefusal> {
    for (part, bytes) in [("public", &key.public), ("private", &key.wrapped_private)] {
        if !(1..=SIGNING_KEY_BYTES_MAX).contains(&bytes.len()) {
            return Err(AccessRefusal::SigningKeyInvalid(format!(
                "has a {part} part of {} bytes: 1 to {SIGNING_KEY_BYTES_MAX} are expected",
                bytes.len()
            )));
        }
    }
    Ok(())
}

/// Whether one of these keys signs at any time from `now` on.
fn always_sign(keys: &[([u8; 8], SigningKeyRecord)], now: Timestamp) -> bool {
    let mut covered = now;
    loop {
        let signing = keys.iter().map(|(_, key)| key).filter(|key| key.signs(covered));
        // One that does not end is the longest of all.
        match signing.map(|key| key.retires.unwrap_or(Timestamp(u64::MAX))).max() {
            None => return false,
            Some(Timestamp(u64::MAX)) => return true,
            Some(end) => covered = end,
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::kv::Bytes;

    use super::*;

    fn key(signs_from: u64, retires: Option<u64>) -> ([u8; 8], SigningKeyRecord) {
        let part = Bytes::from_static(b"key");
        let (signs_from, retires) = (Timestamp(signs_from), retires.map(Timestamp));
        let (public, wrapped_private, created) = (part.clone(), part, Timestamp(0));
        ([0; 8], SigningKeyRecord { public, wrapped_private, created, signs_from, retires })
    }

    #[test]
    fn keys_sign_without_a_gap_or_do_not() {
        let now = Timestamp(10);
        assert!(always_sign(&[key(10, None)], now) && !always_sign(&[key(11, None)], now));
        assert!(!always_sign(&[], now) && !always_sign(&[key(0, Some(20))], now));
        assert!(always_sign(&[key(20, None), key(0, Some(15)), key(12, Some(20))], now));
        assert!(!always_sign(&[key(20, None), key(0, Some(19))], now));
        assert!(!always_sign(&[key(0, Some(10)), key(11, None)], now), "what has ended signs nothing");
    }
}
