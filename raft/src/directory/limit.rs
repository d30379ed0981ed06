//! Every constant of the directory in one place.

/// Most namespaces: every catalog keeps a copy of them.
pub const NAMESPACES_MAX: usize = 10_000;

/// Most regions: every change looks at all of them.
pub const REGIONS_MAX: usize = 64;

/// Most characters of a region's name: that of a DNS label.
pub const REGION_NAME_LENGTH_MAX: usize = 63;

/// Most characters of a region's public URL.
pub const PUBLIC_URL_LENGTH_MAX: usize = 512;

/// Most patterns of tags that a namespace's replication names.
pub const REPLICATION_TAGS_MAX: usize = 32;

/// Which namespace goes first where several wait, unless set.
pub const REPLICATION_PRIORITY: u8 = 5;

/// The priority that goes before all others.
pub const REPLICATION_PRIORITY_MAX: u8 = 9;

/// Most former homes of a namespace that stand aside.
pub const ASIDE_MAX: usize = 8;

/// Most audits of residency that are kept; the oldest go.
pub const AUDITS_MAX: usize = 1000;

/// Most examples in an audit of residency.
pub const AUDIT_EXAMPLES_MAX: usize = 16;

/// Most bytes of each of them.
pub const AUDIT_EXAMPLE_BYTES_MAX: usize = 256;

/// Most users: a node keeps all of them in memory, and the removal of a group looks at all.
pub const USERS_MAX: usize = 20_000;

/// Most robots, for the same reasons.
pub const ROBOTS_MAX: usize = 10_000;

/// Most groups.
pub const GROUPS_MAX: usize = 2_000;

/// Most roles besides those that are built in.
pub const ROLES_MAX: usize = 200;

/// Most bindings: a node keeps all of them in memory, and the removal of a subject or of a role looks at all.
pub const BINDINGS_MAX: usize = 20_000;

/// Most domains: a node keeps all of them in memory, and a command may look at all.
pub const DOMAINS_MAX: usize = 1000;

/// Most issuers.
pub const ISSUERS_MAX: usize = 32;

/// Most secrets of one user or robot.
pub const SECRETS_MAX: usize = 16;

/// Most rules of one robot about who else it is.
pub const TRUSTS_MAX: usize = 16;

/// Most claims that one of them names.
pub const TRUST_CLAIMS_MAX: usize = 16;

/// Most bytes of a claim's path, and of the pattern for its value.
pub const CLAIM_LENGTH_MAX: usize = 512;

/// Most groups that one user or robot is in.
pub const GROUPS_PER_SUBJECT_MAX: usize = 256;

/// Most users and robots that one command moves into groups and out of them.
pub const REGROUPED_MAX: usize = 1000;

/// How long the request is remembered that made a binding which is removed: longer than any repetition takes.
pub const REMOVED_BINDINGS_KEPT_SECONDS: u64 = 3600;

/// A user is noted as confirmed where he logs in elsewhere once in so many seconds.
pub const CONFIRMED_EVERY_SECONDS: u64 = 24 * 3600;

/// Most keys that the cluster's tokens are signed with, those included that only verify.
pub const SIGNING_KEYS_MAX: usize = 8;

/// Most bytes of a signing key, public or wrapped.
pub const SIGNING_KEY_BYTES_MAX: usize = 4096;

/// Most networks that a binding's condition names.
pub const CONDITION_ADDRESSES_MAX: usize = 64;

/// Minutes of a day.
pub const MINUTES_OF_DAY: u16 = 24 * 60;

/// Most uses of secrets that are told at once.
pub const SECRET_USES_MAX: usize = 1000;

/// Most audiences, and most group names, that an issuer is known with.
pub const ISSUER_LIST_MAX: usize = 256;

/// Most bytes of an issuer's `iss`, of a URL, an audience or a claim's name.
pub const ISSUER_TEXT_LENGTH_MAX: usize = 512;

/// Most bytes of a key set or of a bundle of certificates.
pub const ISSUER_KEYS_LENGTH_MAX: usize = 256 << 10;

/// Most characters of the name of a robot, a group, a role or an issuer.
pub const ACCESS_NAME_LENGTH_MAX: usize = 63;

/// Most characters of a user's name.
pub const USER_NAME_LENGTH_MAX: usize = 127;

/// Most bytes of what people call a user, of a secret's name, and of who made a binding.
pub const LABEL_LENGTH_MAX: usize = 256;

/// Most bytes of a description or a note.
pub const DESCRIPTION_LENGTH_MAX: usize = 1024;

/// Most domains with a certificate of an ACME authority: every node keeps all of them in memory.
pub const CERTIFICATES_MAX: usize = 4096;

/// Most bytes of a certificate's chain, and of a key or an account as they are wrapped.
pub const CERTIFICATE_BYTES_MAX: usize = 64 << 10;

/// Most bytes of a URL, a token or a key authorization of an ACME authority.
pub const CERTIFICATE_TEXT_LENGTH_MAX: usize = 2048;

/// Most bytes of the reason why there is no certificate.
pub const CERTIFICATE_REASON_BYTES_MAX: usize = 2048;

/// Most challenges that wait at the same time.
pub const CHALLENGES_MAX: usize = 256;

/// Most bytes of a password's hash.
pub const PASSWORD_HASH_LENGTH_MAX: usize = 512;
