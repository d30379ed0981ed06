//! Pull times: told of in batches, kept for manifests that exist.

use super::context::Context;
use super::malformed;
use crate::catalog::limit::PULLS_PER_COMMAND;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::response::Response;
use crate::catalog::table::{Manifests, Pulls};
use crate::machine::ApplyError;
use crate::table::Table;

/// Notes that manifests were pulled by now, and answers how many of them exist.
pub(super) fn record(
    context: &mut Context<'_, '_>,
    pulls: &[(RepositoryName, Digest)],
) -> Result<Response, ApplyError> {
    if pulls.len() > PULLS_PER_COMMAND {
        return Ok(malformed(format!("{} pulls at once, more than {PULLS_PER_COMMAND}", pulls.len())));
    }
    let mut count = 0;
    for (repository, digest) in pulls {
        if Manifests::contains(context.state, (repository, digest))? {
            Pulls::put(context.state, (repository, digest), &context.now);
            count += 1;
        }
    }
    Ok(Response::Count { count })
}
