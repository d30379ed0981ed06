//! Figures as people read them: sizes, counts, durations.

use std::time::{Duration, UNIX_EPOCH};

/// Bytes with a binary unit.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut divisor = 1_u64;
    while bytes / divisor >= 1024 && unit + 1 < UNITS.len() {
        divisor *= 1024;
        unit += 1;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(divisor);
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

/// A number with its noun.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A duration of which nobody needs to know the small parts: its two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    let coarse = match seconds {
        0..3_600 => seconds,
        3_600..86_400 => seconds / 60 * 60,
        _ => seconds / 3_600 * 3_600,
    };
    humantime::format_duration(Duration::from_secs(coarse)).to_string()
}

/// A duration that somebody has set: to the second. Months and years are told in days.
pub(crate) fn exact(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let rest_text = humantime::format_duration(Duration::from_secs(rest)).to_string();
    match (days, rest) {
        (0, _) => rest_text,
        (1, 0) => "1day".to_owned(),
        (_, 0) => format!("{days}days"),
        (1, _) => format!("1day {rest_text}"),
        _ => format!("{days}days {rest_text}"),
    }
}

/// The end of the year 9999, behind which no form of a date goes.
const LAST_MOMENT_MILLISECONDS: u64 = 253_402_300_799_000;

/// A moment, in UTC, to the second.
pub(crate) fn moment(milliseconds: u64) -> String {
    let moment = UNIX_EPOCH + Duration::from_millis(milliseconds.min(LAST_MOMENT_MILLISECONDS));
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16383.9 PiB");
    }

    #[test]
    fn what_was_set_is_told_exactly() {
        assert_eq!(exact(0), "0s");
        assert_eq!(exact(30 * 86_400), "30days");
        assert_eq!(exact(86_400 + 61), "1day 1m 1s");
        assert_eq!(
            humantime::parse_duration(&exact(400 * 86_400)).map(|duration| duration.as_secs()),
            Ok(400 * 86_400)
        );
        assert_eq!(moment(1_000), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!(duration(75), "1m 15s");
        assert_eq!(duration(3 * 3600 + 125), "3h 2m");
        assert_eq!(duration(90_061), "1day 1h");
    }
}
