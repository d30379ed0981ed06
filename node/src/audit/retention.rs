//! What the log forgets: whole segments, the oldest first, by age and by size. A pure function.
//!
//! The newest segment stays in any case. What is removed is announced by a record before it goes, with the hash of the last
//! record that goes, so that the chain is still proved from there on.

use raft::time::Timestamp;

const DAY_MILLISECONDS: u64 = 24 * 3600 * 1000;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Records older than this go, up to a day later.
    pub days: u32,
    /// More bytes than this are not kept, up to one segment.
    pub bytes_max: u64,
}

/// What has to be known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Number of its first record.
    pub(super) first: u64,
    /// Time of it, which is the time of the last one of the segment before, nearly.
    pub(super) time: Timestamp,
    /// Its length.
    pub(super) bytes: u64,
}

impl Retention {
    /// How many of the oldest segments go.
    pub(super) fn to_remove(self, segments: &[Kept], now: Timestamp) -> usize {
        let oldest = Timestamp(now.0.saturating_sub(u64::from(self.days) * DAY_MILLISECONDS));
        let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let mut count = 0;
        for pair in segments.windows(2) {
            // All of a segment is at least as old as the first record of the next one.
            if pair[1].time >= oldest && bytes <= self.bytes_max {
                break;
            }
            bytes -= pair[0].bytes;
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(days: &[u64]) -> Vec<Kept> {
        let day = |day: &u64| Kept { first: *day, time: Timestamp(*day * DAY_MILLISECONDS), bytes: 10 };
        days.iter().map(day).collect()
    }

    fn removed(days: u32, bytes_max: u64, segments: &[u64], now: u64) -> usize {
        Retention { days, bytes_max }.to_remove(&kept(segments), Timestamp(now * DAY_MILLISECONDS))
    }

    #[test]
    fn what_is_too_old_goes_whole_segments_only() {
        assert_eq!(removed(3, 1000, &[1, 2, 3, 4, 5], 5), 0);
        assert_eq!(removed(3, 1000, &[1, 2, 3, 4, 5], 6), 1);
        assert_eq!(removed(3, 1000, &[1, 2, 3, 4, 5], 60), 4);
        assert_eq!(removed(3, 1000, &[], 2), 0);
    }

    #[test]
    fn what_is_too_much_goes_and_the_newest_segment_stays() {
        assert_eq!(removed(90, 30, &[1, 2, 3, 4, 5], 5), 2);
        assert_eq!(removed(90, 0, &[1, 2, 3, 4, 5], 5), 4);
        assert_eq!(removed(1, 0, &[1], 500), 0);
    }
}
