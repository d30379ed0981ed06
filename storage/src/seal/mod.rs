//! Encryption at rest: the keys of a node under which whatever it stores is sealed.
//!
//! A [`DataKey`] is 32 random bytes with an id. The [`Keyring`] holds all that the node knows and says which one new
//! files are sealed under; [`Keys`] is the keyring that a running node swaps for another one. No file is sealed under a
//! data key itself: each has a key of its own, derived from the data key and from random bytes in its header.
//!
//! Where the keys come from, and how they are kept, is not known here.

pub(crate) mod cipher;
pub(crate) mod file;
pub(crate) mod files;
mod key;
mod keyring;

pub use files::{CheckpointReader, CheckpointWriter, Seals, SurveyedFile, survey, survey_files};
pub use key::{DataKey, InvalidKeyId, KeyId};
pub use keyring::{Keyring, Keys, UnknownKey};
