//! Every constant of policies in one place: defaults, and the most that an operator may set.

/// Seconds between the last moment at which a client could have learned of something that nothing holds and its end,
/// unless set: `grace_seconds`.
pub const GRACE_SECONDS: u64 = 24 * 3600;

/// Seconds in which a deleted tag or manifest can be restored, unless set: `restore_seconds`.
pub const RESTORE_SECONDS: u64 = 24 * 3600;

/// Seconds between two runs of retention, unless set: `retention.every_seconds`.
pub const RETENTION_EVERY_SECONDS: u64 = 24 * 3600;

/// Least seconds between two runs of retention.
pub const RETENTION_EVERY_SECONDS_MIN: u64 = 60;

/// Seconds between the setting of a retention policy and its first run, unless it runs more often: time to look at a
/// dry run and to think again.
pub const RETENTION_FIRST_SECONDS: u64 = 3600;

/// Longest time that a policy may name: ten years.
pub const SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

/// Most rules in each list of a policy.
pub const RULES_MAX: usize = 64;

/// Most characters of a pattern: a tag has no more.
pub const PATTERN_LENGTH_MAX: usize = 128;

/// Most characters of a principal's name in a policy.
pub const PRINCIPAL_LENGTH_MAX: usize = 256;

/// Principal of the node's local socket. It may delete where the policy says that deletes are off.
pub const OPERATOR: &str = "operator";

/// Principal of what brings a namespace's content to its copies. It alone writes there.
pub const REPLICATION: &str = "replication";
