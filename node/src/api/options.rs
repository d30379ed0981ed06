//! What can be set about the API.

use std::time::Duration;

/// Limits of the API. The defaults fit production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiOptions {
    /// Largest manifest that is taken.
    pub manifest_bytes_max: u64,
    /// A request whose body makes no progress for so long is ended.
    pub idle_body_timeout: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { manifest_bytes_max: 4 << 20, idle_body_timeout: Duration::from_mins(1) }
    }
}
