//! Audits of residency: the last ones are kept.

use super::{Context, Outcome, region};
use crate::directory::audit::ResidencyAudit;
use crate::directory::command::Response;
use crate::directory::limit::AUDITS_MAX;
use crate::directory::table::{Regions, ResidencyAudits};
use crate::table::Table;

/// Keeps what an audit has found; the oldest go. A repetition finds its own record and changes nothing.
pub(super) fn record(context: &mut Context<'_, '_>, audit: ResidencyAudit) -> Outcome {
    if !Regions::contains(context.state, &audit.region)? {
        return Ok(Err(region::unknown(context, &audit.region.to_string())?));
    }
    let audit = audit.bounded(context.now);
    ResidencyAudits::put(context.state, (&audit.time, &audit.region), &audit);
    let kept = ResidencyAudits::scan::<()>(context.state, (), None, AUDITS_MAX + 1)?;
    for ((time, region), _) in kept.iter().take(kept.len().saturating_sub(AUDITS_MAX)) {
        ResidencyAudits::delete(context.state, (time, region));
    }
    Ok(Ok(Response::Done))
}
