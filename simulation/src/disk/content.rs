//! The bytes of a file, and what a power loss leaves of them.
//!
//! The present bytes are kept whole. Of every page that was written since the last sync the bytes are kept too that the
//! medium has for it: a power loss puts some of them back. Files never shrink here, as the file seam has no way to cut
//! one. Of a file that was damaged the bytes are kept that it should have, so that it is known who has read others.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// Bytes of a page, the unit in which data reaches the medium.
pub(super) const PAGE_BYTES: usize = 4096;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// What a process reads.
    bytes: Vec<u8>,
    /// Length as of the last sync.
    durable_length: usize,
    /// Pages that were written since the last sync, with what the medium has for them, cut at the durable length.
    dirty: BTreeMap<usize, Vec<u8>>,
    /// Pages whose sync failed. No later sync makes them durable: only writing them again does.
    lost: BTreeMap<usize, Vec<u8>>,
    /// Whether the file has no name any more.
    unlinked: bool,
    /// Whether a power loss took a part of what was written.
    torn: bool,
    /// What a process would read if nothing had been damaged; `None` if nothing was.
    undamaged: Option<Vec<u8>>,
    /// Virtual time at which a process last read bytes that are damaged.
    damage_read_at: Option<Duration>,
}

fn pages(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() { 0..0 } else { range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES) }
}

impl Content {
    /// Length in bytes.
    pub(super) const fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the file has no name any more, so that nobody counts its length.
    pub(super) const fn is_unlinked(&self) -> bool {
        self.unlinked
    }

    pub(super) const fn unlink(&mut self) {
        self.unlinked = true;
    }

    /// Whether a power loss would leave all of it, and none has taken a part.
    pub(super) fn is_durable(&self) -> bool {
        self.dirty.is_empty() && self.lost.is_empty() && !self.torn
    }

    /// Whether a process would read other bytes than were written.
    pub(super) fn is_damaged(&self) -> bool {
        self.undamaged.as_ref().is_some_and(|undamaged| *undamaged != self.bytes)
    }

    /// Virtual time at which a process last read bytes that are damaged.
    pub(super) const fn damage_read_at(&self) -> Option<Duration> {
        self.damage_read_at
    }

    /// A process reads at this virtual time.
    pub(super) fn read(&mut self, buffer: &mut [u8], offset: usize, now: Duration) -> usize {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        let undamaged = self.undamaged.as_ref().and_then(|bytes| bytes.get(offset..offset + length));
        if undamaged.is_some_and(|undamaged| *undamaged != buffer[..length]) {
            self.damage_read_at = Some(now);
        }
        length
    }

    /// Bytes of a range, which must lie within the file.
    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        for page in pages(&(offset..end)) {
            if let Some(medium) = self.lost.remove(&page) {
                self.dirty.insert(page, medium);
            } else if !self.dirty.contains_key(&page) {
                let medium = page * PAGE_BYTES..((page + 1) * PAGE_BYTES).min(self.durable_length);
                self.dirty.insert(page, self.bytes.get(medium).unwrap_or_default().to_vec());
            }
        }
        for kept in [Some(&mut self.bytes), self.undamaged.as_mut()].into_iter().flatten() {
            if kept.len() < end {
                kept.resize(end, 0);
            }
            kept[offset..end].copy_from_slice(bytes);
        }
        Ok(())
    }

    /// Everything written is durable, but for pages whose sync failed before.
    pub(super) fn sync(&mut self) {
        self.dirty.clear();
        self.durable_length = self.bytes.len();
    }

    /// A sync failed: the pages count as written although they were not.
    pub(super) fn fail_sync(&mut self) {
        self.lost.append(&mut self.dirty);
    }

    /// Power is lost: of what was not synced a random part of the pages stays; sometimes none, sometimes all.
    pub(super) fn power_loss(&mut self, random: &mut StdRng) {
        let survival = survival(random);
        let mut reached = self.durable_length;
        let mut undone = std::mem::take(&mut self.lost);
        for (page, medium) in std::mem::take(&mut self.dirty) {
            if random.random_bool(survival) {
                reached = reached.max(self.bytes.len().min((page + 1) * PAGE_BYTES));
            } else {
                undone.insert(page, medium);
            }
        }
        // The length may have reached the medium without the pages.
        let length = if random.random_bool(survival) { self.bytes.len() } else { reached };
        if !undone.is_empty() || length < self.bytes.len() {
            self.torn = true;
            // What it should hold is not known any more.
            self.undamaged = None;
        }
        for (page, medium) in undone {
            let start = page * PAGE_BYTES;
            let end = (start + PAGE_BYTES).min(self.bytes.len());
            let (old, grown) = self.bytes[start..end].split_at_mut(medium.len());
            old.copy_from_slice(&medium);
            grown.fill(0);
        }
        self.bytes.truncate(length);
        self.durable_length = length;
    }

    /// Changes bytes in this range, which must lie within the file, on the medium and in what a process reads.
    /// `change` gets the position of each byte.
    pub(super) fn damage(&mut self, range: Range<usize>, mut change: impl FnMut(usize, &mut u8)) {
        if self.undamaged.is_none() {
            self.undamaged = Some(self.bytes.clone());
        }
        for page in pages(&range) {
            let start = page * PAGE_BYTES;
            for medium in [self.dirty.get_mut(&page), self.lost.get_mut(&page)].into_iter().flatten() {
                for position in range.start.max(start)..range.end.min(start + medium.len()) {
                    change(position, &mut medium[position - start]);
                }
            }
        }
        for position in range {
            change(position, &mut self.bytes[position]);
        }
    }
}

/// The chance of everything that was not synced to be there after a power loss: none, certainty, or between.
pub(super) fn survival(random: &mut StdRng) -> f64 {
    match random.random_range(0..4) {
        0 => 0.0,
        1 => 1.0,
        _ => random.random_range(0.1..0.9),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const PAGES: usize = 6;

    fn page(content: &Content, page: usize) -> &[u8] {
        content.slice(page * PAGE_BYTES..((page + 1) * PAGE_BYTES).min(content.length()))
    }

    fn synced() -> Content {
        let mut content = Content::default();
        content.write(&vec![b'o'; PAGES * PAGE_BYTES], 0).unwrap();
        content.sync();
        content
    }

    #[test]
    fn after_a_power_loss_each_page_is_old_or_new_and_what_was_synced_stays() {
        let (mut old, mut new, mut mixed) = (0, 0, 0);
        for seed in 0..200 {
            let mut content = synced();
            content.write(&[b'n'; 2 * PAGE_BYTES + 100], PAGE_BYTES + 10).unwrap();
            content.power_loss(&mut StdRng::seed_from_u64(seed));
            assert_eq!(content.length(), PAGES * PAGE_BYTES);
            for untouched in [0, 4, 5] {
                assert!(page(&content, untouched).iter().all(|byte| *byte == b'o'));
            }
            let kept: Vec<bool> = (1..4).map(|number| page(&content, number).contains(&b'n')).collect();
            let mut expected = synced();
            expected.write(&[b'n'; 2 * PAGE_BYTES + 100], PAGE_BYTES + 10).unwrap();
            for (number, kept) in (1..4).zip(&kept) {
                let whole = if *kept { page(&expected, number) } else { &[b'o'; PAGE_BYTES] };
                assert!(page(&content, number) == whole, "page {number} is torn within");
            }
            match kept.iter().filter(|kept| **kept).count() {
                0 => old += 1,
                3 => new += 1,
                _ => mixed += 1,
            }
        }
        assert!(old > 20 && new > 20 && mixed > 20, "{old} {new} {mixed}");
    }

    #[test]
    fn growth_may_be_lost_kept_or_become_zeros() {
        let (mut short, mut holes, mut whole) = (0, 0, 0);
        for seed in 0..200 {
            let mut content = Content::default();
            content.write(b"synced", 0).unwrap();
            content.sync();
            content.write(&[b'n'; 3 * PAGE_BYTES], 6).unwrap();
            content.power_loss(&mut StdRng::seed_from_u64(seed));
            assert!(content.length() >= 6 && content.slice(0..6) == b"synced");
            let rest = content.slice(6..content.length());
            assert!(rest.iter().all(|byte| [0, b'n'].contains(byte)));
            short += u32::from(rest.is_empty());
            holes += u32::from(rest.contains(&0));
            whole += u32::from(rest.len() == 3 * PAGE_BYTES && !rest.contains(&0));
        }
        assert!(short > 20 && holes > 20 && whole > 20, "{short} {holes} {whole}");
    }

    #[test]
    fn what_a_failed_sync_did_not_write_goes_although_a_later_one_succeeds() {
        for seed in 0..20 {
            let mut content = synced();
            content.write(b"new", 0).unwrap();
            content.write(b"new", PAGE_BYTES).unwrap();
            content.fail_sync();
            content.write(b"again", PAGE_BYTES).unwrap();
            content.sync();
            assert_eq!(content.slice(0..3), b"new");
            content.power_loss(&mut StdRng::seed_from_u64(seed));
            assert_eq!(content.slice(0..3), b"ooo");
            assert_eq!(content.slice(PAGE_BYTES..PAGE_BYTES + 5), b"again");
        }
    }

    #[test]
    fn damage_outlives_a_power_loss() {
        for seed in 0..20 {
            let mut content = synced();
            content.write(b"new", 0).unwrap();
            content.damage(1..2, |position, byte| {
                assert_eq!(position, 1);
                *byte = b'!';
            });
            assert_eq!(content.slice(0..3), b"n!w");
            content.power_loss(&mut StdRng::seed_from_u64(seed));
            assert!([b"n!w", b"o!o"].contains(&content.slice(0..3).try_into().unwrap()));
        }
    }

    #[test]
    fn what_was_synced_is_durable_and_what_was_torn_is_not() {
        let mut content = synced();
        assert!(content.is_durable());
        content.write(b"new", 0).unwrap();
        assert!(!content.is_durable());
        content.fail_sync();
        assert!(!content.is_durable(), "the sync failed");
        content.sync();
        assert!(!content.is_durable(), "a later one does not help");
        content.write(b"new", 0).unwrap();
        content.sync();
        assert!(content.is_durable());
        let torn = (0..50).filter(|seed| {
            let mut content = synced();
            content.write(b"new", 0).unwrap();
            content.power_loss(&mut StdRng::seed_from_u64(*seed));
            assert_eq!(content.is_durable(), content.slice(0..3) == b"new");
            !content.is_durable()
        });
        assert!((10..40).contains(&torn.count()));
    }

    #[test]
    fn whoever_reads_what_is_damaged_is_known_and_nobody_else() {
        let moment = Duration::from_secs;
        let mut content = synced();
        let mut buffer = [0; 10];
        content.damage(100..101, |_, byte| *byte ^= 1);
        content.read(&mut buffer, 90, moment(1));
        content.read(&mut buffer, 101, moment(2));
        assert_eq!(content.damage_read_at(), None);
        content.read(&mut buffer, 91, moment(3));
        assert_eq!(content.damage_read_at(), Some(moment(3)));
        content.damage(100..101, |_, byte| *byte ^= 1);
        content.read(&mut buffer, 91, moment(4));
        assert_eq!(content.damage_read_at(), Some(moment(3)), "the same bit flipped back");
    }
}
