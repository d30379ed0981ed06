//! The erasure profile `k+m`: how many data and parity shards an extent has. Recorded in each extent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `k` data shards and `m` parity shards: any `k` of the `k + m` restore the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Profile {
    data: u8,
    parity: u8,
}

/// A profile that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("erasure profile {text:?} is not k+m with 1 ≤ k ≤ 32 and 0 ≤ m ≤ 16")]
pub struct InvalidProfile {
    text: String,
}

impl Profile {
    /// Most data shards of a profile.
    pub const MAX_DATA: u8 = 32;
    /// Most parity shards of a profile.
    pub const MAX_PARITY: u8 = 16;

    /// A profile of `data` data and `parity` parity shards.
    ///
    /// # Errors
    /// [`InvalidProfile`] outside `1..=32` and `0..=16`.
    pub fn new(data: u8, parity: u8) -> Result<Self, InvalidProfile> {
        if (1..=Self::MAX_DATA).contains(&data) && parity <= Self::MAX_PARITY {
            Ok(Self { data, parity })
        } else {
            Err(InvalidProfile { text: format!("{data}+{parity}") })
        }
    }

    /// Number of data shards, `k`.
    #[must_use]
    pub const fn data(self) -> usize {
        self.data as usize
    }

    /// Number of parity shards, `m`: as many losses are borne.
    #[must_use]
    pub const fn parity(self) -> usize {
        self.parity as usize
    }

    /// All shards, `k + m`.
    #[must_use]
    pub const fn shards(self) -> usize {
        self.data() + self.parity()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}+{}", self.data, self.parity)
    }
}

impl FromStr for Profile {
    type Err = InvalidProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidProfile { text: text.to_owned() };
        let (data, parity) = text.split_once('+').ok_or_else(invalid)?;
        let data = data.parse().map_err(|_| invalid())?;
        let parity = parity.parse().map_err(|_| invalid())?;
        Self::new(data, parity).map_err(|_| invalid())
    }
}
