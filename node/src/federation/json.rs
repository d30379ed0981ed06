//! JSON from outside, with a bound on how deeply it nests.
//!
//! The parser has a bound of its own (128 levels); this one is what tokens and key sets need, and is checked before any
//! memory is taken.

use serde::de::DeserializeOwned;

/// Most levels of objects and arrays inside each other.
pub(super) const DEPTH_MAX: usize = 16;

/// Reads JSON that nests at most [`DEPTH_MAX`] levels deep; `None` for everything else.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if depth(bytes) > DEPTH_MAX {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

/// Most brackets that are open at the same time, outside of strings. Of what is no JSON it is some number.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut most, mut inside_string, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        if inside_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => inside_string = true,
            b'{' | b'[' => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn depth_is_bounded_and_strings_do_not_count() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read::<Value>(nested(DEPTH_MAX).as_bytes()).is_some());
        assert!(read::<Value>(nested(DEPTH_MAX + 1).as_bytes()).is_none());
        assert!(read::<Value>(nested(1_000_000).as_bytes()).is_none());
        let text = format!(r#"["\"{}"]"#, "[{".repeat(100));
        assert!(read::<Value>(text.as_bytes()).is_some());
    }
}
