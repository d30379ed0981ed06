//! The erasure codec: data blocks to parity blocks and back.

mod profile;
mod reed_solomon;
mod stripe;

pub use profile::{InvalidProfile, Profile};
pub use stripe::{Codec, CodecError};
