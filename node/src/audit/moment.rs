//! Moments as text: RFC 3339 in UTC with milliseconds. All have the same length, so they compare as they follow each other.

use std::fmt::Write as _;

use raft::time::Timestamp;

const DAY_MILLISECONDS: u64 = 24 * 3600 * 1000;

/// The end of the year 9999, behind which the form has no room.
const LAST: u64 = 253_402_300_799_999;

/// A moment as text, for example `2026-11-21T15:01:01.042Z`.
#[must_use]
pub(super) fn text(time: Timestamp) -> String {
    let time = time.0.min(LAST);
    let (year, month, day) = date(time / DAY_MILLISECONDS);
    let within = time % DAY_MILLISECONDS;
    let (hour, minute, second) = (within / 3_600_000, within / 60_000 % 60, within / 1000 % 60);
    let mut text = String::with_capacity(24);
    write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", within % 1000)
        .expect("a string takes any text");
    text
}

/// A moment that [`text`] has written.
#[must_use]
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if bytes.len() != 24 || marks.iter().any(|(position, mark)| bytes[*position] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second, rest) = (number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 23)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    let (shifted_year, shifted) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(Timestamp(days * DAY_MILLISECONDS + hour * 3_600_000 + minute * 60_000 + second * 1000 + rest))
}

/// The date of a day since the Unix epoch, by the rule of the proleptic Gregorian calendar: years begin in March, so that the
/// day that is put in now and then is the last one, and 400 of them are an era (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_what_other_tools_make_of_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_800_000_000_042, "2027-01-15T08:00:00.042Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(text(Timestamp(milliseconds)), expected);
            assert_eq!(read(expected), Some(Timestamp(milliseconds.min(LAST))));
        }
        for wrong in [
            "",
            "1970-01-01T00:00:00Z",
            "1970-13-01T00:00:00.000Z",
            "1970-01-01T00:00:00.+00Z",
            "x970-01-01T00:00:00.000Z",
        ] {
            assert_eq!(read(wrong), None);
        }
    }

    #[test]
    fn the_calendar_has_no_gaps() {
        let mut last = date(0);
        for day in 1..200_000 {
            let next = date(day);
            let follows = next == (last.0, last.1, last.2 + 1)
                || next == (last.0, last.1 + 1, 1)
                || next == (last.0 + 1, 1, 1) && last.1 == 12 && last.2 == 31;
            assert!(follows, "{last:?} {next:?}");
            last = next;
        }
    }
}
