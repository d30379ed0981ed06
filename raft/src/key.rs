//! Keys of stored records: parts written so that the order of the bytes is the order of the parts.
//!
//! Integers are big-endian, ids raw, digests begin with their algorithm (which gives their length), names end with a
//! zero byte, which no name holds. So each part delimits itself, a key of fewer parts is a prefix of all keys that
//! begin with them, and a scan needs no separator arithmetic. Nothing here knows columns or values.

use storage::shard::{Attempt, DiskId, ExtentIndex, ObjectId, ShardIndex};

use crate::catalog::{Algorithm, Digest, JobId, RepositoryName, SessionId, Tag};
use crate::directory::BindingId;
use crate::id::{NodeId, RegionId, RequestId};
use crate::time::Timestamp;

/// One part of a key.
pub(crate) trait Part: Sized {
    /// Appends the part.
    fn write(&self, key: &mut Vec<u8>);

    /// Takes the part from the front; `None` if the bytes are not one.
    fn read(key: &mut &[u8]) -> Option<Self>;
}

/// A key: some parts in order, or a leading run of another key's parts.
pub(crate) trait Key: Sized {
    /// The key by reference, so that a lookup copies no names.
    type Ref<'a>: Copy
    where
        Self: 'a;

    /// Appends all parts.
    fn write(key: Self::Ref<'_>, bytes: &mut Vec<u8>);

    /// Takes all parts from the front.
    fn read(bytes: &mut &[u8]) -> Option<Self>;

    /// The key by reference, for tests of all tables.
    #[cfg(test)]
    fn by_ref(&self) -> Self::Ref<'_>;
}

fn take<const N: usize>(key: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = key.split_first_chunk::<N>()?;
    *key = rest;
    Some(*head)
}

macro_rules! integer_part {
    ($($integer:ty),+) => {
        $(impl Part for $integer {
            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(&self.to_be_bytes());
            }

            fn read(key: &mut &[u8]) -> Option<Self> {
                take(key).map(Self::from_be_bytes)
            }
        })+
    };
}

integer_part!(u8, u32, u64);

impl<const N: usize> Part for [u8; N] {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self);
    }

    fn read(key: &mut &[u8]) -> Option<Self> {
        take(key)
    }
}

macro_rules! wrapped_part {
    ($($name:ident),+ $(,)?) => {
        $(impl Part for $name {
            fn write(&self, key: &mut Vec<u8>) {
                self.0.write(key);
            }

            fn read(key: &mut &[u8]) -> Option<Self> {
                Part::read(key).map(Self)
            }
        })+
    };
}

wrapped_part!(
    Timestamp,
    NodeId,
    RegionId,
    RequestId,
    ObjectId,
    DiskId,
    SessionId,
    ExtentIndex,
    Attempt,
    ShardIndex,
    JobId,
    BindingId
);

macro_rules! name_part {
    ($($name:ident),+) => {
        $(impl Part for $name {
            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(self.as_str().as_bytes());
                key.push(0);
            }

            fn read(key: &mut &[u8]) -> Option<Self> {
                let end = key.iter().position(|byte| *byte == 0)?;
                let (name, rest) = key.split_at(end);
                *key = &rest[1..];
                std::str::from_utf8(name).ok()?.parse().ok()
            }
        })+
    };
}

name_part!(RepositoryName, Tag);

impl Part for Digest {
    fn write(&self, key: &mut Vec<u8>) {
        key.push(match self.algorithm() {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        });
        key.extend_from_slice(self.as_bytes());
    }

    fn read(key: &mut &[u8]) -> Option<Self> {
        let algorithm = match key.first()? {
            1 => Algorithm::Sha256,
            2 => Algorithm::Sha512,
            _ => return None,
        };
        let (digest, rest) = key.split_at_checked(1 + algorithm.length_bytes())?;
        *key = rest;
        Self::from_bytes(algorithm, &digest[1..]).ok()
    }
}

/// A prefix of repository names as a part that others follow: it ends with a zero byte, which no name holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix(pub(crate) String);

impl Part for Prefix {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.0.as_bytes());
        key.push(0);
    }

    fn read(key: &mut &[u8]) -> Option<Self> {
        let end = key.iter().position(|byte| *byte == 0)?;
        let (text, rest) = key.split_at(end);
        *key = &rest[1..];
        Some(Self(std::str::from_utf8(text).ok()?.to_owned()))
    }
}

/// Free text takes the rest of the key: only ever the last part.
impl Part for String {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.as_bytes());
    }

    fn read(key: &mut &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(std::mem::take(key)).ok()?;
        Some(text.to_owned())
    }
}

impl Key for () {
    type Ref<'a> = ();

    fn write((): (), _bytes: &mut Vec<u8>) {}

    fn read(_bytes: &mut &[u8]) -> Option<Self> {
        Some(())
    }

    #[cfg(test)]
    fn by_ref(&self) {}
}

impl<P: Part> Key for P {
    type Ref<'a>
        = &'a P
    where
        P: 'a;

    fn write(key: &P, bytes: &mut Vec<u8>) {
        key.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        <P as Part>::read(bytes)
    }

    #[cfg(test)]
    fn by_ref(&self) -> &P {
        self
    }
}

macro_rules! tuple_key {
    ($($part:ident $position:tt),+) => {
        impl<$($part: Part),+> Key for ($($part,)+) {
            type Ref<'a> = ($(&'a $part,)+) where $($part: 'a),+;

            fn write(key: Self::Ref<'_>, bytes: &mut Vec<u8>) {
                $(key.$position.write(bytes);)+
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($part::read(bytes)?,)+))
            }

            #[cfg(test)]
            fn by_ref(&self) -> Self::Ref<'_> {
                ($(&self.$position,)+)
            }
        }
    };
}

tuple_key!(A 0, B 1);
tuple_key!(A 0, B 1, C 2);
tuple_key!(A 0, B 1, C 2, D 3);
tuple_key!(A 0, B 1, C 2, D 3, E 4);
