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
