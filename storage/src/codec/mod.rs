//! The erasure codec: data blocks to parity blocks and back.

mod profile;

pub use profile::{InvalidProfile, Profile};
