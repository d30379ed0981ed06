//! One seed decides everything. Each part of a run draws from a stream of its own, named by what it is for, so that a
//! change of one part does not change what the others draw.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The seed of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seed(pub u64);

impl fmt::Display for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl Seed {
    /// The stream of random numbers for one purpose.
    #[must_use]
    pub fn stream(self, purpose: &str) -> StdRng {
        let mut hasher = Sha256::new();
        hasher.update(self.0.to_be_bytes());
        hasher.update(purpose.as_bytes());
        StdRng::from_seed(hasher.finalize().into())
    }

    /// A seed that follows from this one, for one purpose.
    #[must_use]
    pub fn derive(self, purpose: &str) -> Self {
        use rand::RngCore as _;
        Self(self.stream(purpose).next_u64())
    }
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_and_purpose() {
        let first = |seed, purpose: &str| Seed(seed).stream(purpose).next_u64();
        assert_eq!(first(1, "disks"), first(1, "disks"));
        assert_ne!(first(1, "disks"), first(2, "disks"));
        assert_ne!(first(1, "disks"), first(1, "network"));
    }
}
