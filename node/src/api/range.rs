//! Ranges: which bytes of a blob are asked for (RFC 9110, section 14), and which ones a chunk of an upload holds
//! (distribution-spec 1.1, "Pushing a blob in chunks").

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// Everything.
    Whole,
    /// These bytes; not empty, inside the content.
    Part(Range<u64>),
    /// Bytes that are not there: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for content of `length` bytes.
///
/// Another unit than bytes, several ranges, and any range of empty content are answered with everything, which is
/// allowed always; a malformed one is refused, as Go's server does and the conformance tests expect.
pub(super) fn requested(header: Option<&str>, length: u64) -> Requested {
    let Some((unit, ranges)) = header.and_then(|header| header.split_once('=')) else { return Requested::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') || length == 0 {
        return Requested::Whole;
    }
    let Some((first, last)) = ranges.trim().split_once('-') else { return Requested::Unsatisfiable };
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Some(0) | None => Requested::Unsatisfiable,
            Some(suffix) => Requested::Part(length.saturating_sub(suffix)..length),
        },
        (first, last) => {
            let end = if last.is_empty() { Some(length) } else { number(last).map(|last| last.saturating_add(1)) };
            match (number(first), end) {
                (Some(first), Some(end)) if first < end && first < length => Requested::Part(first..end.min(length)),
                _ => Requested::Unsatisfiable,
            }
        }
    }
}

/// A chunk's `Content-Range` that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidChunk {
    /// It cannot be read: 400.
    Malformed,
    /// Its end lies before its start: 416.
    Backwards,
}

/// Reads the `Content-Range` of a chunk: `N-M`, both inclusive; `bytes N-M/*` and the like are taken too.
pub(super) fn chunk(header: &str) -> Result<Range<u64>, InvalidChunk> {
    let text = header.trim();
    let text = match text.get(..5) {
        Some(unit) if unit.eq_ignore_ascii_case("bytes") => text[5..].trim_start_matches([' ', '=']),
        _ => text,
    };
    let text = text.split('/').next().unwrap_or_default();
    let (first, last) = text.split_once('-').ok_or(InvalidChunk::Malformed)?;
    let number = |text: &str| number(text.trim()).ok_or(InvalidChunk::Malformed);
    let (first, last) = (number(first)?, number(last)?);
    let end = last.checked_add(1).ok_or(InvalidChunk::Malformed)?;
    if first < end { Ok(first..end) } else { Err(InvalidChunk::Backwards) }
}

/// A number of digits alone; one beyond `u64` is as good as the largest.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_of_2048_bytes() {
        use Requested::{Part, Unsatisfiable, Whole};
        let cases = [
            ("bytes=500-1499", Part(500..1500)),
            ("bytes=500-", Part(500..2048)),
            ("bytes=-500", Part(1548..2048)),
            ("bytes=-5000", Part(0..2048)),
            ("bytes=2000-5000", Part(2000..2048)),
            ("bytes=2047-2047", Part(2047..2048)),
            ("bytes=0-", Part(0..2048)),
            ("Bytes = 1 - 2 ", Part(1..3)),
            ("bytes=0-18446744073709551615", Part(0..2048)),
            ("bytes=0-99999999999999999999999", Part(0..2048)),
            ("bytes=500-0", Unsatisfiable),
            ("bytes=2048-", Unsatisfiable),
            ("bytes=5000-10000", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=-", Unsatisfiable),
            ("bytes=a-b", Unsatisfiable),
            ("bytes=1", Unsatisfiable),
            ("bytes=+1-2", Unsatisfiable),
            ("bytes=0-1,5-6", Whole),
            ("items=0-1", Whole),
            ("garbage", Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(requested(Some(header), 2048), expected, "{header}");
        }
        assert_eq!(requested(None, 2048), Whole);
        assert_eq!(requested(Some("bytes=0-"), 0), Whole);
    }

    #[test]
    fn chunks_in_every_dialect() {
        for header in ["10-19", " 10-19 ", "bytes 10-19/*", "bytes 10-19/20", "bytes=10-19", "Bytes 10-19"] {
            assert_eq!(chunk(header), Ok(10..20), "{header}");
        }
        assert_eq!(chunk("0-0"), Ok(0..1));
        assert_eq!(chunk("5-4"), Err(InvalidChunk::Backwards));
        for header in ["", "-", "1-", "-1", "a-b", "1", "0-18446744073709551615", "1-2-3", "bytes", "byt\u{e9}s 1-2"] {
            assert_eq!(chunk(header), Err(InvalidChunk::Malformed), "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_inside(first in any::<u64>(), last in any::<u64>(), length in any::<u64>()) {
            for header in [format!("bytes={first}-{last}"), format!("bytes={first}-"), format!("bytes=-{last}")] {
                if let Requested::Part(part) = requested(Some(&header), length) {
                    prop_assert!(part.start < part.end && part.end <= length);
                }
            }
        }

        #[test]
        fn arbitrary_headers_never_panic(header in ".{0,60}", length in any::<u64>()) {
            let _ = requested(Some(&header), length);
            let _ = chunk(&header);
        }
    }
}
