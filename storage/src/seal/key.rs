//! A data key and its id.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroize;

/// Id of a data key: random, no secret, and written into every file that is sealed under it. Shown in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

/// Text is not the id of a data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a data key is 32 hexadecimal digits")]
pub struct InvalidKeyId;

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| InvalidKeyId)?;
        Ok(Self(id))
    }
}

/// A key of 256 bits that files' own keys are derived from. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct DataKey {
    id: KeyId,
    secret: [u8; Self::BYTES],
}

impl DataKey {
    /// Bytes of the secret.
    pub const BYTES: usize = 32;

    /// A key of these bytes, which are random and nowhere else a key.
    #[must_use]
    pub fn new(id: KeyId, secret: [u8; Self::BYTES]) -> Self {
        Self { id, secret }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The secret itself, for whoever wraps it to keep it.
    #[must_use]
    pub fn secret(&self) -> &[u8; Self::BYTES] {
        &self.secret
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for DataKey {
    /// The id only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DataKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        let id = KeyId(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "3f2a", "zz", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32)] {
            assert_eq!(text.parse::<KeyId>(), Err(InvalidKeyId), "{text:?}");
        }
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        let key = DataKey::new(KeyId([1; 16]), [0xAB; 32]);
        let shown = format!("{key:?} {key:#?}");
        assert!(!shown.contains("ab") && !shown.contains("AB") && !shown.contains("171"), "{shown}");
        assert!(shown.contains(&key.id().to_string()));
    }
}
