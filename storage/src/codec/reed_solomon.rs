//! Reed–Solomon by `reed-solomon-simd` (Leopard-RS: 16-bit symbols, hence even lengths).
//!
//! The library's encoders keep large working memory; one of each kind is kept for the next stripe. Callers have
//! checked counts and lengths, so that its errors cannot happen.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use super::Profile;

/// Why the library's errors cannot happen.
const CHECKED: &str = "profile, number and lengths of the blocks were checked";

/// The code of a profile with at least two data and two parity shards.
pub(super) struct ReedSolomon {
    profile: Profile,
    encoder: Mutex<Option<ReedSolomonEncoder>>,
    decoder: Mutex<Option<ReedSolomonDecoder>>,
}

impl ReedSolomon {
    pub(super) fn new(profile: Profile) -> Self {
        Self { profile, encoder: Mutex::new(None), decoder: Mutex::new(None) }
    }

    /// Parity of `k` blocks of `length` bytes.
    pub(super) fn encode(&self, data: &[&[u8]], length: usize) -> Vec<Vec<u8>> {
        let (k, m) = (self.profile.data(), self.profile.parity());
        let mut encoder = match take(&self.encoder) {
            Some(mut encoder) => encoder.reset(k, m, length).map(|()| encoder),
            None => ReedSolomonEncoder::new(k, m, length),
        }
        .expect(CHECKED);
        for block in data {
            encoder.add_original_shard(block).expect(CHECKED);
        }
        let parity = encoder.encode().expect(CHECKED).recovery_iter().map(<[u8]>::to_vec).collect();
        give_back(&self.encoder, encoder);
        parity
    }

    /// Fills in missing data; at least `k` blocks of `length` bytes are there, and one data block is not.
    pub(super) fn restore(&self, data: &mut [Option<Bytes>], parity: &[Option<Bytes>], length: usize) {
        let (k, m) = (self.profile.data(), self.profile.parity());
        let mut decoder = match take(&self.decoder) {
            Some(mut decoder) => decoder.reset(k, m, length).map(|()| decoder),
            None => ReedSolomonDecoder::new(k, m, length),
        }
        .expect(CHECKED);
        for (index, block) in data.iter().enumerate() {
            if let Some(block) = block {
                decoder.add_original_shard(index, block).expect(CHECKED);
            }
        }
        for (index, block) in parity.iter().enumerate() {
            if let Some(block) = block {
                decoder.add_recovery_shard(index, block).expect(CHECKED);
            }
        }
        for (index, block) in decoder.decode().expect(CHECKED).restored_original_iter() {
            data[index] = Some(Bytes::copy_from_slice(block));
        }
        give_back(&self.decoder, decoder);
    }
}

impl fmt::Debug for ReedSolomon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReedSolomon").field("profile", &self.profile).finish_non_exhaustive()
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn give_back<T>(slot: &Mutex<Option<T>>, value: T) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}
