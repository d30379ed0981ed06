//! Fuzz targets: whatever reads texts of strangers is tried with inputs that nobody has thought of. Here is what they share,
//! and the targets of what other rooms define; each other one stands in the tests of the room whose code it tries.
//!
//! A target is an ordinary test: it goes through its corpus (`__fuzz__/NAME/corpus` beside it) and then, for a moment, through
//! inputs that are made up. The very same target runs guided by coverage, for as long as one likes; how is told in
//! `deploy/handbook/fuzzing.md`.

mod names;

use std::time::Duration;

/// How long each target makes inputs up when it runs among the other tests.
pub(crate) const MOMENT: Duration = Duration::from_millis(700);

/// Runs a check (`Fn(&[u8])`, which panics at what must not be) on a corpus and on made up inputs.
macro_rules! explore {
    ($name:literal, $check:expr) => {{
        let check = std::panic::AssertUnwindSafe($check);
        bolero::check!(name = $name).with_test_time($crate::fuzz::MOMENT).for_each(move |input: &[u8]| {
            let check = &check;
            (check.0)(input);
        });
    }};
}
pub(crate) use explore;

/// The text of an input. Bytes at random are hardly ever a name or a header, so those that begin above ASCII spell it by
/// words; all others, such as what lies in a corpus, are the text themselves.
pub(crate) fn spelled(input: &[u8], words: &[&str]) -> String {
    match input.split_first() {
        Some((first, rest)) if *first >= 0x80 => {
            rest.iter().map(|byte| words[usize::from(*byte) % words.len()]).collect()
        }
        _ => String::from_utf8_lossy(input).into_owned(),
    }
}

/// Most bytes that are changed of something valid: with more, only its first checks would be tried.
const CHANGES_MAX: usize = 8;

/// Something valid with some bytes changed: the input is a list of places and of bytes to put there.
pub(crate) fn damaged(valid: &[u8], input: &[u8]) -> Vec<u8> {
    let mut damaged = valid.to_vec();
    for change in input.chunks_exact(3).take(CHANGES_MAX) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % valid.len();
        damaged[place] = change[2];
    }
    damaged
}
