//! Every constant of the directory in one place.

/// Most namespaces: every catalog keeps a copy of them.
pub const NAMESPACES_MAX: usize = 10_000;
