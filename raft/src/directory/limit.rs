//! Every constant of the directory in one place.

/// Most namespaces: every catalog keeps a copy of them.
pub const NAMESPACES_MAX: usize = 10_000;

/// Most regions: every change looks at all of them.
pub const REGIONS_MAX: usize = 64;

/// Most characters of a region's name: that of a DNS label.
pub const REGION_NAME_LENGTH_MAX: usize = 63;

/// Most characters of a region's public URL.
pub const PUBLIC_URL_LENGTH_MAX: usize = 512;
