//! Golden files: one line per sample, its name and its bytes in hexadecimal. They freeze every encoding.
//!
//! A difference means that stored data or a peer's messages could not be read any more. New samples are written by
//! running the tests with `REGNODE_WRITE_GOLDEN=1`; a line that exists is never changed by hand.

use std::fmt::Debug;
use std::path::PathBuf;

use crate::codec::{CodecError, Versioned, decode, encode};

/// Samples of one type, each under the name of its variant.
pub(crate) struct Samples {
    lines: String,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Self { lines: String::new() }
    }

    /// Adds a sample, after having seen that it round-trips and that everything near it is refused.
    pub(crate) fn add<T: Versioned + PartialEq + Debug>(&mut self, name: &str, value: &T) {
        let bytes = encode(value);
        assert_eq!(&decode::<T>(&bytes).unwrap(), value, "{name}");
        for length in 0..bytes.len() {
            assert!(decode::<T>(&bytes[..length]).is_err(), "{name}: {length} bytes are not a value");
        }
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert!(matches!(decode::<T>(&trailing), Err(CodecError::Malformed { .. })), "{name}");
        let mut newer = bytes.clone();
        newer[0] += 1;
        assert!(matches!(decode::<T>(&newer), Err(CodecError::UnknownVersion { .. })), "{name}");
        self.lines.extend([name, " ", &hex::encode(bytes), "\n"]);
    }

    /// Compares with the golden file of this name.
    #[expect(clippy::disallowed_methods, reason = "golden files of the source tree, read by tests only")]
    pub(crate) fn compare(self, file: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        if std::env::var_os("REGNODE_WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &self.lines).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (golden, present): (Vec<_>, Vec<_>) = (golden.lines().collect(), self.lines.lines().collect());
        for (golden, present) in golden.iter().zip(&present) {
            assert_eq!(present, golden, "an encoding in {file} has changed");
        }
        assert_eq!(present.len(), golden.len(), "samples of {file} are missing or new");
    }
}

/// Decodes any bytes without a panic; what is accepted means the same when it is written again.
pub(crate) fn survives<T: Versioned>(bytes: &[u8]) {
    let mut versioned = vec![T::VERSION];
    versioned.extend_from_slice(bytes);
    for bytes in [bytes, &versioned] {
        if let Ok(value) = decode::<T>(bytes) {
            let again = encode(&value);
            assert_eq!(encode(&decode::<T>(&again).unwrap()), again);
        }
    }
}
