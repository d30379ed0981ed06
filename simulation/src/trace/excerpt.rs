//! The excerpt of a message: its first bytes, and a hash of some more.
//!
//! turmoil prints every byte of every segment three times on its way. Layers would make up nearly all of the trace and
//! most of the run's time. That a message differs from the one of another process shows in its first bytes, in its hash
//! or in what follows from it.

use std::fmt::{self, Debug, Write};

/// Characters shown: eight bytes as turmoil prints them.
const SHOWN: usize = 54;
/// Characters hashed beyond them: 250 bytes, the frames and headers of a message.
const HASHED: usize = 1500;

/// Appends the excerpt of a value to a line.
pub(super) fn write(line: &mut String, value: &dyn Debug) {
    let mut excerpt = Excerpt { line, shown_left: SHOWN, hashed_left: HASHED, hash: FNV_OFFSET };
    // An error is how the excerpt says that it has enough.
    let _ = write!(excerpt, "{value:?}");
    let Excerpt { line, hash, .. } = excerpt;
    if hash != FNV_OFFSET {
        let _ = write!(line, "… {hash:016x}");
    }
}

// FNV-1a, 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

struct Excerpt<'a> {
    line: &'a mut String,
    shown_left: usize,
    hashed_left: usize,
    hash: u64,
}

impl Write for Excerpt<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Messages are printed in ASCII; what is not is shown as a whole or not at all.
        let (shown, rest) = text.split_at_checked(self.shown_left.min(text.len())).unwrap_or(("", text));
        self.line.push_str(shown);
        self.shown_left -= shown.len();
        for byte in rest.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        self.hashed_left = self.hashed_left.saturating_sub(rest.len());
        if self.hashed_left == 0 { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(bytes: &[u8]) -> String {
        let mut line = String::new();
        write(&mut line, &bytes);
        line
    }

    #[test]
    fn short_messages_are_shown_whole() {
        assert_eq!(excerpt(&[1, 2, 3]), "[1, 2, 3]");
    }

    #[test]
    fn long_messages_are_told_apart_by_their_hash() {
        let first = excerpt(&[7; 200]);
        let mut other = [7; 200];
        other[150] = 8;
        assert!(first.len() < 100, "{first}");
        assert!(first.starts_with("[7, 7, 7"), "{first}");
        assert_ne!(first, excerpt(&other));
        assert_eq!(first, excerpt(&[7; 200]));
    }

    #[test]
    fn the_tail_of_a_very_long_message_costs_nothing() {
        struct Endless;
        impl Debug for Endless {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    formatter.write_str("0x1, ")?;
                }
            }
        }
        let mut line = String::new();
        write(&mut line, &Endless);
        assert!(line.starts_with("0x1, 0x1, "), "{line}");
    }
}
