//! What the policy of a namespace refuses, in words for people: which policy it is, and the way out.

use raft::catalog::{Digest, Response, Tag};
use raft::policy::QuotaResource;

/// A change that the policy of a namespace does not allow. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There would be more than the namespace may have.
    #[error(
        "the quota of {namespace} is used up: {used} of {limit} {what} are in use and {needed} more are needed; delete \
         what is not needed or raise the quota",
        namespace = named(namespace), what = resource.name()
    )]
    Quota {
        /// Prefix of the namespace, empty for the root.
        namespace: String,
        /// What there would be too much of.
        resource: QuotaResource,
        /// How much there is.
        used: u64,
        /// How much there may be.
        limit: u64,
        /// How much more is needed.
        needed: u64,
    },
    /// The tag can neither be moved nor deleted.
    #[error(
        "tag {tag} is immutable by the pattern {pattern:?} of {namespace}: it stays on {digest}; push under another tag",
        namespace = named(namespace)
    )]
    Immutable {
        /// The tag.
        tag: Tag,
        /// Manifest that it points to.
        digest: Box<Digest>,
        /// Prefix of the namespace, empty for the root.
        namespace: String,
        /// Pattern that the tag matches.
        pattern: String,
    },
    /// Nothing can be deleted.
    #[error(
        "deleting is switched off in {namespace}: an operator may delete with regnode delete, or switch it on with \
         regnode namespace set {prefix} --deletes on",
        prefix = if namespace.is_empty() { "/" } else { namespace.as_str() }, namespace = named(namespace)
    )]
    DeletesOff {
        /// Prefix of the namespace, empty for the root.
        namespace: String,
    },
    /// Nobody writes in this region, or not any more: the request came by a way that was right a moment ago.
    #[error("the home of {namespace} is changing: try again", namespace = named(namespace))]
    Foreign {
        /// Prefix of the namespace, empty for the root.
        namespace: String,
    },
}

impl Refusal {
    /// The refusal that a response is; `None` if it is another one.
    #[must_use]
    pub(crate) fn of(response: &Response) -> Option<Self> {
        match response {
            Response::QuotaExceeded { namespace, resource, used, limit, needed } => Some(Self::Quota {
                namespace: namespace.clone(),
                resource: *resource,
                used: *used,
                limit: *limit,
                needed: *needed,
            }),
            Response::Immutable { tag, digest, namespace, pattern } => Some(Self::Immutable {
                tag: tag.clone(),
                digest: Box::new(*digest),
                namespace: namespace.clone(),
                pattern: pattern.clone(),
            }),
            Response::DeletesOff { namespace } => Some(Self::DeletesOff { namespace: namespace.clone() }),
            Response::Foreign { namespace } => Some(Self::Foreign { namespace: namespace.clone() }),
            _ => None,
        }
    }
}

/// A namespace in a sentence.
fn named(prefix: &str) -> String {
    if prefix.is_empty() { "the root namespace".to_owned() } else { format!("namespace {prefix:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_how_much_is_used_and_allowed() {
        let response = Response::QuotaExceeded {
            namespace: "acme".to_owned(),
            resource: QuotaResource::Bytes,
            used: 90,
            limit: 100,
            needed: 20,
        };
        let text = Refusal::of(&response).unwrap().to_string();
        for part in ["namespace \"acme\"", "90 of 100 bytes", "20 more"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(Refusal::of(&Response::Done).is_none());
        let text = Refusal::DeletesOff { namespace: String::new() }.to_string();
        assert!(text.starts_with("deleting is switched off in the root namespace: "), "{text}");
        assert!(text.ends_with("regnode namespace set / --deletes on"), "{text}");
    }
}
