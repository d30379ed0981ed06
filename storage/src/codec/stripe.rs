//! Codes one stripe under a profile.
//!
//! Which code a profile uses is part of the format of stored data and never changes: no parity for `m = 0`, copies
//! for `k = 1`, XOR for `m = 1`, Reed–Solomon otherwise. Whether blocks are *right* is not asked here: callers give
//! only blocks whose checksums match.

use bytes::Bytes;

use super::Profile;
use super::reed_solomon::ReedSolomon;

/// Why a stripe could not be coded. The blocks given are unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Another number of blocks than the profile has.
    #[error("a stripe of {expected} blocks was expected, {actual} were given")]
    Count {
        /// Blocks that the profile asks for.
        expected: usize,
        /// Blocks given.
        actual: usize,
    },
    /// The blocks are of unequal, odd or no length.
    #[error("the blocks of a stripe have one even length above zero")]
    Length,
    /// Too many blocks are lost.
    #[error("{needed} blocks of the stripe are needed, {present} are there")]
    TooFew {
        /// Blocks needed, `k`.
        needed: usize,
        /// Blocks there.
        present: usize,
    },
}

/// The code of one profile. Calls burn CPU.
#[derive(Debug)]
pub struct Codec {
    profile: Profile,
    code: Code,
}

#[derive(Debug)]
enum Code {
    /// No parity.
    None,
    /// Every shard is a copy.
    Mirror,
    /// The parity is the XOR of the data.
    Xor,
    ReedSolomon(Box<ReedSolomon>),
}

impl Codec {
    /// The code of `profile`.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let code = match (profile.data(), profile.parity()) {
            (_, 0) => Code::None,
            (1, _) => Code::Mirror,
            (_, 1) => Code::Xor,
            _ => Code::ReedSolomon(Box::new(ReedSolomon::new(profile))),
        };
        Self { profile, code }
    }

    /// Its profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The parity blocks of a stripe: `k` data blocks of one even length give `m` blocks of the same length.
    ///
    /// # Errors
    /// [`CodecError::Count`] and [`CodecError::Length`].
    pub fn encode(&self, data: &[&[u8]]) -> Result<Vec<Vec<u8>>, CodecError> {
        count(self.profile.data(), data.len())?;
        let length = common_length(data.iter().map(|block| block.len()))?;
        Ok(match &self.code {
            Code::None => Vec::new(),
            Code::Mirror => vec![data[0].to_vec(); self.profile.parity()],
            Code::Xor => vec![xor(data)],
            Code::ReedSolomon(code) => code.encode(data, length),
        })
    }

    /// Fills in the missing data blocks of a stripe, from any `k` of its `k + m` blocks. Parity stays as it is.
    ///
    /// # Errors
    /// All of [`CodecError`].
    pub fn reconstruct(&self, shards: &mut [Option<Bytes>]) -> Result<(), CodecError> {
        count(self.profile.shards(), shards.len())?;
        let length = common_length(shards.iter().flatten().map(Bytes::len));
        let present = shards.iter().flatten().count();
        let needed = self.profile.data();
        if present < needed {
            return Err(CodecError::TooFew { needed, present });
        }
        let length = length?;
        let (data, parity) = shards.split_at_mut(needed);
        if data.iter().all(Option::is_some) {
            return Ok(());
        }
        match &self.code {
            // With all `k` blocks present nothing is missing.
            Code::None => {}
            Code::Mirror => data[0] = parity.iter().flatten().next().cloned(),
            Code::Xor => {
                let rest: Vec<&[u8]> = data.iter().chain(parity.iter()).flatten().map(AsRef::as_ref).collect();
                let restored = Bytes::from(xor(&rest));
                if let Some(missing) = data.iter_mut().find(|block| block.is_none()) {
                    *missing = Some(restored);
                }
            }
            Code::ReedSolomon(code) => code.restore(data, parity, length),
        }
        Ok(())
    }

    /// Fills in every missing block of a stripe, parity too, from any `k` of them.
    ///
    /// # Errors
    /// All of [`CodecError`].
    pub fn reconstruct_all(&self, shards: &mut [Option<Bytes>]) -> Result<(), CodecError> {
        self.reconstruct(shards)?;
        let (data, parity) = shards.split_at_mut(self.profile.data());
        if parity.iter().all(Option::is_some) {
            return Ok(());
        }
        let data: Vec<&[u8]> = data.iter().flatten().map(AsRef::as_ref).collect();
        for (block, encoded) in parity.iter_mut().zip(self.encode(&data)?) {
            block.get_or_insert_with(|| Bytes::from(encoded));
        }
        Ok(())
    }
}

fn count(expected: usize, actual: usize) -> Result<(), CodecError> {
    if expected == actual { Ok(()) } else { Err(CodecError::Count { expected, actual }) }
}

fn common_length(mut lengths: impl Iterator<Item = usize>) -> Result<usize, CodecError> {
    let length = lengths.next().ok_or(CodecError::Length)?;
    let even = length > 0 && length.is_multiple_of(2);
    if even && lengths.all(|other| other == length) { Ok(length) } else { Err(CodecError::Length) }
}

/// XOR of blocks of one length. The plain loop compiles to vector instructions.
fn xor(blocks: &[&[u8]]) -> Vec<u8> {
    let Some((first, rest)) = blocks.split_first() else { return Vec::new() };
    let mut result = match rest.split_first() {
        // The first two blocks are combined while copying, which saves a pass over the result.
        Some((second, _)) => first.iter().zip(*second).map(|(left, right)| left ^ right).collect(),
        None => first.to_vec(),
    };
    for block in rest.iter().skip(1) {
        for (left, right) in result.iter_mut().zip(*block) {
            *left ^= right;
        }
    }
    result
}
