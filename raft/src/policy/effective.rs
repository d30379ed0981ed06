//! What holds for a repository: the longest prefix that sets a field decides it.

use super::limit::{GRACE_SECONDS, RESTORE_SECONDS};
use super::namespace::{ImmutableRule, NamespacePolicy, Quota, Retention, Untagged};
use super::pattern::Pattern;

/// The policy that holds, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether clients may delete by the API.
    pub deletes: bool,
    /// What becomes of manifests that nothing holds.
    pub untagged: Untagged,
    /// Seconds that something is kept after the last moment at which a client could have learned that it exists.
    pub grace_seconds: u64,
    /// Seconds in which a deleted tag or manifest can be restored; 0 for none.
    pub restore_seconds: u64,
    /// Tags that can be neither moved nor deleted.
    pub immutable: Vec<ImmutableRule>,
    /// Which tags go by themselves; none do without it.
    pub retention: Option<Retention>,
    /// Every prefix that bounds the repository, with its bounds, the root first. All of them hold.
    pub quotas: Vec<(String, Quota)>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            deletes: true,
            untagged: Untagged::Keep,
            grace_seconds: GRACE_SECONDS,
            restore_seconds: RESTORE_SECONDS,
            immutable: Vec::new(),
            retention: None,
            quotas: Vec::new(),
        }
    }
}

/// For each field the prefix that decided it; `None` where nobody set it and the default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Of [`Policy::deletes`].
    pub deletes: Option<String>,
    /// Of [`Policy::untagged`].
    pub untagged: Option<String>,
    /// Of [`Policy::grace_seconds`].
    pub grace_seconds: Option<String>,
    /// Of [`Policy::restore_seconds`].
    pub restore_seconds: Option<String>,
    /// Of [`Policy::immutable`].
    pub immutable: Option<String>,
    /// Of [`Policy::retention`].
    pub retention: Option<String>,
}

impl Policy {
    /// What holds below layers, which come from the root to the longest prefix.
    #[must_use]
    pub fn resolve<'a>(layers: impl IntoIterator<Item = (&'a str, &'a NamespacePolicy)>) -> (Self, Sources) {
        let (mut policy, mut sources) = (Self::default(), Sources::default());
        for (prefix, layer) in layers {
            decide(&mut policy.deletes, &mut sources.deletes, prefix, layer.deletes);
            decide(&mut policy.untagged, &mut sources.untagged, prefix, layer.untagged);
            decide(&mut policy.grace_seconds, &mut sources.grace_seconds, prefix, layer.grace_seconds);
            decide(&mut policy.restore_seconds, &mut sources.restore_seconds, prefix, layer.restore_seconds);
            decide(&mut policy.immutable, &mut sources.immutable, prefix, layer.immutable.clone());
            let retention = layer.retention.clone();
            // Without rules no tag goes: that is how an inherited retention is ended.
            let retention = retention.map(|retention| (!retention.rules.is_empty()).then_some(retention));
            decide(&mut policy.retention, &mut sources.retention, prefix, retention);
            if !layer.quota.is_empty() {
                policy.quotas.push((prefix.to_owned(), layer.quota));
            }
        }
        (policy, sources)
    }

    /// The pattern that keeps a tag from being moved or deleted by this principal, if one does.
    #[must_use]
    pub fn immutable(&self, tag: &str, principal: Option<&str>) -> Option<&Pattern> {
        let excepted = |rule: &ImmutableRule| {
            principal.is_some_and(|principal| rule.except.iter().any(|except| except == principal))
        };
        self.immutable.iter().find(|rule| rule.tags.matches(tag) && !excepted(rule)).map(|rule| &rule.tags)
    }
}

fn decide<T>(field: &mut T, source: &mut Option<String>, prefix: &str, set: Option<T>) {
    if let Some(value) = set {
        *field = value;
        *source = Some(prefix.to_owned());
    }
}
