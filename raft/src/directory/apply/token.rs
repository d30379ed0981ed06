//! Join tokens: made by an operator. `admission` uses them up.

use super::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::record::JoinTokenRecord;
use crate::directory::refusal::Refusal;
use crate::directory::table::{Cluster, JoinTokens};
use crate::table::Table;

/// Most old tokens that are looked at when one is added.
const TOKENS_TRIMMED: usize = 64;

/// Seconds that an expired token is kept, so that whoever shows it learns that it has expired, and a repeated
/// admission gets its answer.
const TOKEN_RETENTION_SECONDS: u64 = 24 * 3600;

/// Adds a token, and forgets some that expired long ago.
pub(super) fn add(
    context: &mut Context<'_, '_>,
    token: [u8; 8],
    secret_hash: [u8; 32],
    lifetime_seconds: u64,
) -> Outcome {
    if !Cluster::contains(context.state, ())? {
        return Ok(Err(Refusal::NotFounded));
    }
    if let Some(present) = JoinTokens::get(context.state, &token)? {
        let repeated = present.secret_hash == secret_hash;
        return Ok(if repeated { Ok(Response::Done) } else { Err(Refusal::TokenExists) });
    }
    for (id, old) in JoinTokens::scan::<()>(context.state, (), None, TOKENS_TRIMMED)? {
        if old.expires.plus_seconds(TOKEN_RETENTION_SECONDS) <= context.now {
            JoinTokens::delete(context.state, &id);
        }
    }
    let expires = context.now.plus_seconds(lifetime_seconds);
    JoinTokens::put(context.state, &token, &JoinTokenRecord { secret_hash, expires, used_by: None });
    Ok(Ok(Response::Done))
}
