//! Seeded randomness.

use std::sync::{Mutex, PoisonError};

use node::environment::Entropy;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

/// A stream of random bytes that its seed decides.
#[derive(Debug)]
pub struct SeededEntropy {
    generator: Mutex<StdRng>,
}

impl SeededEntropy {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { generator: Mutex::new(StdRng::seed_from_u64(seed)) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.generator.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(buffer);
    }
}
