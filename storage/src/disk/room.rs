//! Room for what is written anew beside what it takes the place of: asked for before, so that a rewriting never fills a
//! disk that others write to.

use std::io;
use std::path::Path;

use super::{Files, Space};

/// Most that is left to others.
const SPARE_BYTES_MAX: u64 = 1 << 30;
/// The same as a part of the file system.
const SPARE_PERCENT: u64 = 1;
const MIB: u64 = 1 << 20;

/// There is less free space than something takes that is written anew. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "writing it anew takes {} MiB of free space for a while, and {} MiB of that are missing: free space on its disk",
    needed_bytes.div_ceil(MIB),
    missing_bytes.div_ceil(MIB)
)]
pub struct NoRoom {
    /// Bytes that have to be free, with those that are left to others.
    pub needed_bytes: u64,
    /// How many more than there are.
    pub missing_bytes: u64,
}

/// Whether so many bytes may be written below a path for a while.
pub(crate) fn room_for(files: &dyn Files, path: &Path, bytes: u64) -> io::Result<Result<(), NoRoom>> {
    Ok(room_in(files.space(path)?, bytes))
}

fn room_in(space: Space, bytes: u64) -> Result<(), NoRoom> {
    let spare = (space.total_bytes / 100 * SPARE_PERCENT).min(SPARE_BYTES_MAX);
    let needed_bytes = bytes.saturating_add(spare);
    match needed_bytes.saturating_sub(space.available_bytes) {
        0 => Ok(()),
        missing_bytes => Err(NoRoom { needed_bytes, missing_bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_to_others_is_not_given_away() {
        let space = |available_bytes| Space { total_bytes: 1000 * MIB, available_bytes: available_bytes * MIB };
        assert_eq!(room_in(space(40), 30 * MIB), Ok(()));
        let refused = room_in(space(37), 30 * MIB).unwrap_err();
        assert_eq!(refused, NoRoom { needed_bytes: 40 * MIB, missing_bytes: 3 * MIB });
        assert_eq!(
            refused.to_string(),
            "writing it anew takes 40 MiB of free space for a while, and 3 MiB of that are missing: free space on its disk"
        );
        let large = Space { total_bytes: u64::MAX, available_bytes: 3 << 30 };
        assert_eq!(room_in(large, 2 << 30), Ok(()), "no more than a gibibyte of a large disk");
        assert!(room_in(large, u64::MAX).is_err());
    }
}
