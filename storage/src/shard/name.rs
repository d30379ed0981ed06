//! Names of stored things: objects, extents, attempts, shards and disks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut id = [0; 16];
                hex::decode_to_slice(text, &mut id)
                    .map_err(|_| InvalidId::new($what, "32 hexadecimal digits are expected", text))?;
                Ok(Self(id))
            }
        }
    };
}

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what} id: {expected}")]
pub struct InvalidId {
    what: &'static str,
    expected: &'static str,
    text: String,
}

impl InvalidId {
    fn new(what: &'static str, expected: &'static str, text: &str) -> Self {
        Self { what, expected, text: text.chars().take(96).collect() }
    }
}

random_id! {
    /// The stored bytes of one blob. Random, 128 bits; not its digest.
    ObjectId, "object"
}

random_id! {
    /// One data directory. Random, 128 bits; written into the directory when it is first used.
    DiskId, "disk"
}

/// Position of an extent within its object, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExtentIndex(pub u32);

/// Distinguishes several writers of one extent: random per attempt, so that two gateways cannot mix their bytes and
/// a late delete never hits a re-upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt(pub u64);

/// Column of an extent's stripes: `0..k` are data shards, `k..k + m` parity shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardIndex(pub u8);

/// Names one shard file within a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardName {
    /// Object the shard belongs to.
    pub object: ObjectId,
    /// Extent of the object.
    pub extent: ExtentIndex,
    /// Attempt that wrote it.
    pub attempt: Attempt,
    /// Column within the extent.
    pub shard: ShardIndex,
}

/// File name of a shard: `OBJECT-EXTENT-ATTEMPT-SHARD`, each in lower-case hexadecimal digits of fixed width.
impl fmt::Display for ShardName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, extent, attempt, shard } = self;
        write!(formatter, "{object}-{:08x}-{:016x}-{:02x}", extent.0, attempt.0, shard.0)
    }
}

impl FromStr for ShardName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('-');
            let name = Self {
                object: parts.next()?.parse().ok()?,
                extent: ExtentIndex(u32::from_str_radix(parts.next()?, 16).ok()?),
                attempt: Attempt(u64::from_str_radix(parts.next()?, 16).ok()?),
                shard: ShardIndex(u8::from_str_radix(parts.next()?, 16).ok()?),
            };
            // A name has one spelling: this refuses capitals, signs, missing zeros and anything behind the end.
            (name.to_string() == text).then_some(name)
        };
        parse().ok_or_else(|| InvalidId::new("shard", "OBJECT-EXTENT-ATTEMPT-SHARD is expected", text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_shard_name_reads_back(object: [u8; 16], extent: u32, attempt: u64, shard: u8) {
            let name = ShardName {
                object: ObjectId(object),
                extent: ExtentIndex(extent),
                attempt: Attempt(attempt),
                shard: ShardIndex(shard),
            };
            prop_assert_eq!(name.to_string().parse::<ShardName>().unwrap(), name);
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            if let Ok(name) = text.parse::<ShardName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let name = "000102030405060708090a0b0c0d0e0f-00000001-00000000000000ff-02";
        assert!(name.parse::<ShardName>().is_ok());
        for other in
            [name.to_uppercase(), format!("{name}-00"), name.replace("-00000001", "-1"), name.replace("-02", "-+2")]
        {
            assert!(other.parse::<ShardName>().is_err(), "{other}");
        }
    }
}
