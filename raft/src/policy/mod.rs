//! Namespace policies: what an operator sets at a path prefix, and what follows from it for a repository.
//!
//! Pure: the directory keeps what was set, each catalog a copy of it, and both come to the same result by
//! [`Policy::resolve`]. `namespace` is what is set, `validate` what may be, `effective` what holds and which prefix
//! decided it, `retention` which tags go, `attachment` the tags by which older tools attach signatures, `role` who
//! writes in a region. Where data rests (`home`, `residency`) is not here: the directory alone needs it.

mod age;
mod attachment;
mod effective;
mod limit;
mod namespace;
mod pattern;
mod prefix;
mod retention;
mod role;
#[cfg(test)]
mod tests;
mod validate;

pub use age::Age;
pub use attachment::{Attachment, AttachmentKind, is_signature};
pub use effective::{Policy, Sources};
pub use limit::*;
pub use namespace::{ImmutableRule, NamespacePolicy, Quota, QuotaResource, Retention, RetentionRule, Untagged};
pub use pattern::{InvalidPattern, Pattern};
pub use prefix::{covers, is_prefix, prefixes};
pub use retention::{Decision, TagFacts, WhyDeleted, WhyKept, decide};
pub use role::Role;
pub use validate::PolicyError;

#[cfg(test)]
pub(crate) use tests::whole_policy;
