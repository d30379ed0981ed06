//! What longer prefixes inherit when a home changes.
//!
//! The list of copies changes together with a home: the next home leaves it, the former one may come into it. That concerns
//! what moves. A longer prefix with a home of its own stays where it is, so it keeps the residency that it has inherited
//! until then, as its own: its copies may be all that is left of it.

use std::collections::BTreeSet;

use super::{Context, namespace};
use crate::directory::namespace::{NamespaceRecord, Residency};
use crate::directory::table::Namespaces;
use crate::id::RegionId;
use crate::machine::ApplyError;
use crate::table::Table;

/// Sets what is said at a prefix, and counts the change.
pub(super) fn put(context: &mut Context<'_, '_>, prefix: &String, record: &NamespaceRecord) -> Result<(), ApplyError> {
    let before = namespace::place(context.state, prefix)?;
    Namespaces::put(context.state, prefix, record);
    let after = namespace::place(context.state, prefix)?;
    if let (Some(before), Some(after)) = (before, after)
        && before.home != after.home
        && before.residency != after.residency
    {
        keep(context, prefix, &before.residency)?;
    }
    namespace::changed(context)
}

/// Writes a residency into the longer prefixes that have a home of their own and inherited it. They have a record each, so
/// there is always room.
fn keep(context: &mut Context<'_, '_>, prefix: &str, residency: &Residency) -> Result<(), ApplyError> {
    let inner = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    // What inherits from one of these inherits from the changed prefix no more. A shorter prefix comes before a longer one.
    let mut apart: BTreeSet<String> = BTreeSet::new();
    for (longer, mut record) in Namespaces::scan::<()>(context.state, (), None, usize::MAX)? {
        let below = longer.len() > prefix.len() && longer.starts_with(&inner);
        let ends = longer.match_indices('/').map(|(end, _)| end);
        if !below || ends.into_iter().any(|end| apart.contains(&longer[..end])) {
            continue;
        }
        if record.residency.is_none() {
            let Some(home) = record.home else { continue };
            record.residency = Some(without(residency, home).unwrap_or_else(|| residency.clone()));
            Namespaces::put(context.state, &longer, &record);
        }
        apart.insert(longer);
    }
    Ok(())
}

/// A residency whose list of copies names a home, without it; `None` for any other.
pub(super) fn without(residency: &Residency, home: RegionId) -> Option<Residency> {
    let Residency::Replicated(copies) = residency else { return None };
    let left: Vec<RegionId> = copies.iter().copied().filter(|copy| *copy != home).collect();
    match left.len() {
        0 => Some(Residency::Home),
        some if some < copies.len() => Some(Residency::Replicated(left)),
        _ => None,
    }
}
