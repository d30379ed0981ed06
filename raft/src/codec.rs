//! The one codec of everything that reaches a disk or a peer as metadata: `[format byte][bincode body]`.
//!
//! Each type has a format byte of its own version chain; unknown versions and trailing bytes are refused, lengths
//! are limited before anything is allocated. Golden-file tests freeze the encodings. Enums are append-only.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes that one encoded value may take when it is decoded.
pub const LIMIT_BYTES: usize = 64 << 20;

/// A type with a frozen encoding.
pub trait Versioned: Serialize + DeserializeOwned {
    /// What it is, for errors.
    const NAME: &'static str;
    /// Present version of its encoding, from 1.
    const VERSION: u8;
}

/// Bytes that are not a value of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The version is newer than this program, or not one at all.
    #[error("{name}: encoding version {version} is not known, this program reads {known}: upgrade this node")]
    UnknownVersion {
        /// Type that was expected.
        name: &'static str,
        /// Version found.
        version: u8,
        /// Newest version that is understood.
        known: u8,
    },
    /// The bytes are damaged.
    #[error("{name}: malformed encoding: {message}")]
    Malformed {
        /// Type that was expected.
        name: &'static str,
        /// What is wrong.
        message: String,
    },
}

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<LIMIT_BYTES>,
> = bincode::config::standard().with_limit::<LIMIT_BYTES>();

/// Encodes a value.
///
/// # Panics
/// Never for the types of this project: they hold nothing that bincode cannot write.
#[must_use]
pub fn encode<T: Versioned>(value: &T) -> Vec<u8> {
    let mut bytes = vec![T::VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .expect("every versioned type is plain data, and a vector takes any number of bytes");
    bytes
}

/// Decodes a value.
///
/// # Errors
/// [`CodecError`] for an unknown version, damaged or trailing bytes.
pub fn decode<T: Versioned>(bytes: &[u8]) -> Result<T, CodecError> {
    let malformed = |message: String| CodecError::Malformed { name: T::NAME, message };
    let (version, body) = bytes.split_first().ok_or_else(|| malformed("no bytes".to_owned()))?;
    if *version != T::VERSION {
        return Err(CodecError::UnknownVersion { name: T::NAME, version: *version, known: T::VERSION });
    }
    let (value, read) =
        bincode::serde::decode_from_slice(body, CONFIG).map_err(|error| malformed(error.to_string()))?;
    if read == body.len() { Ok(value) } else { Err(malformed(format!("{} trailing bytes", body.len() - read))) }
}

/// Declares the encoding of types: `versioned! { Type = 1, "name" }`.
#[macro_export]
macro_rules! versioned {
    ($($type:ty = $version:literal, $name:literal;)+) => {
        $(impl $crate::codec::Versioned for $type {
            const NAME: &'static str = $name;
            const VERSION: u8 = $version;
        })+
    };
}
