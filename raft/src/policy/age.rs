//! How long ago something was, or how long it is kept, as people say it.

use std::fmt;

/// A span of time in seconds. `Display` tells its two largest units: `3d 4h`, `2h 10m`, `59s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub u64);

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
        let first = UNITS.iter().position(|(seconds, _)| self.0 >= *seconds).unwrap_or(UNITS.len() - 1);
        let (seconds, unit) = UNITS[first];
        write!(formatter, "{}{unit}", self.0 / seconds)?;
        if let Some((smaller, unit)) = UNITS.get(first + 1)
            && self.0 % seconds >= *smaller
        {
            write!(formatter, " {}{unit}", self.0 % seconds / smaller)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Age;

    #[test]
    fn two_units_are_told() {
        let told = |seconds| Age(seconds).to_string();
        assert_eq!([0, 59, 60, 61, 3600].map(told), ["0s", "59s", "1m", "1m 1s", "1h"]);
        assert_eq!([3661, 86_400, 100 * 86_400 + 7200, 86_400 + 59].map(told), ["1h 1m", "1d", "100d 2h", "1d"]);
    }
}
