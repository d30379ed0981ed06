//! Shard files: what is written reads back, and what is damaged is noticed.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use proptest::prelude::*;
use storage::codec::Profile;
use storage::disk::{Files, RealFiles};
use storage::shard::{
    Attempt, ExtentIndex, Geometry, ObjectId, ShardError, ShardIndex, ShardName, ShardReader, ShardWriter, checksum,
};
use support::{NAME, TestDisk, bytes, disk, golden, overwrite, shard_file, write_shard};

fn profile() -> Profile {
    Profile::new(2, 1).unwrap()
}

/// Geometry of an extent whose shards have `full` full blocks and, if `last > 0`, one of `last` bytes.
fn geometry(block_size_bytes: u32, full: u64, last: u32) -> Geometry {
    let length_bytes = 2 * (u64::from(block_size_bytes) * full + u64::from(last));
    Geometry { profile: profile(), block_size_bytes, length_bytes }
}

fn blocks(geometry: &Geometry) -> Vec<Vec<u8>> {
    (0..geometry.stripes()).map(|stripe| bytes(stripe, geometry.block_length_bytes(stripe) as usize)).collect()
}

/// A shard of three full blocks of 64 bytes and one of 10.
fn small() -> (TestDisk, Geometry, Vec<Vec<u8>>) {
    let disk = disk();
    let geometry = geometry(64, 3, 10);
    let blocks = blocks(&geometry);
    write_shard(&disk.disk, NAME, profile(), 64, &blocks);
    (disk, geometry, blocks)
}

fn read_all(disk: &TestDisk, geometry: &Geometry) -> Result<Vec<Vec<u8>>, ShardError> {
    let reader = ShardReader::open(&disk.disk, NAME, geometry.profile, geometry.block_size_bytes)?;
    Ok(reader.read(geometry, 0..geometry.stripes())?.into_iter().map(Vec::from).collect())
}

#[test]
fn a_shard_reads_back_whole_and_in_parts() {
    let (disk, geometry, blocks) = small();
    let reader = ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap();
    for start in 0..=4 {
        for end in start..=4 {
            let read = reader.read(&geometry, start..end).unwrap();
            assert_eq!(read, blocks[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()], "{start}..{end}");
        }
    }
    let found = reader.read_blocks(&geometry, 3..4).unwrap();
    assert_eq!(found[0].checksum, checksum(&NAME, 3, &blocks[3]));
    assert!(matches!(reader.read(&geometry, 3..5), Err(ShardError::Misuse { .. })));
    let listed = disk.disk.list_shards(0xab).unwrap();
    assert_eq!((listed.len(), listed[0].name, listed[0].length_bytes), (1, NAME, 64 + 3 * 96 + 42));
}

#[test]
fn the_file_format_is_frozen() {
    let (disk, ..) = small();
    golden("shard.v1", &RealFiles.read(&shard_file(&disk.disk, &NAME)).unwrap());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (disk, geometry, blocks) = small();
    let path = shard_file(&disk.disk, &NAME);
    let content = RealFiles.read(&path).unwrap();
    for byte in 0..content.len() {
        let mut damaged = content.clone();
        damaged[byte] ^= 1 << (byte % 8);
        overwrite(&path, &damaged);
        let error = read_all(&disk, &geometry).unwrap_err();
        assert!(error.is_corrupt(), "byte {byte}: {error}");
        if byte >= 64 {
            // The other blocks are still good.
            let bad = (byte as u64 - 64) / 96;
            let reader = ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap();
            for block in (0..4).filter(|block| *block != bad) {
                let read = reader.read(&geometry, block..block + 1).unwrap();
                assert_eq!(read[0], blocks[usize::try_from(block).unwrap()]);
            }
        }
    }
    assert_eq!(disk.disk.errors().corrupt, content.len() as u64);
    assert_eq!(disk.disk.errors().io, 0);
}

#[test]
fn every_truncation_is_noticed() {
    let (disk, geometry, blocks) = small();
    let path = shard_file(&disk.disk, &NAME);
    let content = RealFiles.read(&path).unwrap();
    for length in 0..content.len() {
        overwrite(&path, &content[..length]);
        let error = read_all(&disk, &geometry).unwrap_err();
        let cut = length.checked_sub(64).map(|rest| rest as u64 / 96);
        assert!(matches!(error, ShardError::Corrupt { block, .. } if block == cut), "{length}: {error}");
        if let Some(whole) = cut {
            let reader = ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap();
            let read = reader.read(&geometry, 0..whole).unwrap();
            assert_eq!(read, blocks[..usize::try_from(whole).unwrap()]);
        }
    }
}

#[test]
fn misplaced_blocks_are_bad_blocks() {
    let (disk, geometry, _) = small();
    let path = shard_file(&disk.disk, &NAME);
    let mut content = RealFiles.read(&path).unwrap();
    let (first, second) = content[64..64 + 192].split_at_mut(96);
    first.swap_with_slice(second);
    overwrite(&path, &content);
    let error = read_all(&disk, &geometry).unwrap_err();
    assert!(matches!(error, ShardError::Corrupt { block: Some(0), .. }), "{error}");
}

#[test]
fn a_shard_under_the_wrong_name_is_refused() {
    let (disk, ..) = small();
    let others = [
        ShardName { object: ObjectId([0xac; 16]), ..NAME },
        ShardName { extent: ExtentIndex(4), ..NAME },
        ShardName { attempt: Attempt(5), ..NAME },
        ShardName { shard: ShardIndex(2), ..NAME },
    ];
    for other in others {
        let error = ShardReader::open(&disk.disk, other, profile(), 64).unwrap_err();
        assert!(error.is_missing());
        RealFiles.rename(&shard_file(&disk.disk, &NAME), &shard_file(&disk.disk, &other)).unwrap();
        let error = ShardReader::open(&disk.disk, other, profile(), 64).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("belongs to another shard"), "{error}");
        RealFiles.rename(&shard_file(&disk.disk, &other), &shard_file(&disk.disk, &NAME)).unwrap();
    }
    assert!(ShardReader::open(&disk.disk, NAME, Profile::new(3, 1).unwrap(), 64).unwrap_err().is_corrupt());
    assert!(ShardReader::open(&disk.disk, NAME, profile(), 66).unwrap_err().is_corrupt());
}

#[test]
fn only_finished_shards_stay() {
    let disk = disk();
    let block = bytes(1, 64);
    let mut writer = ShardWriter::create(&disk.disk, NAME, profile(), 64).unwrap();
    writer.append(checksum(&NAME, 0, &block), &block).unwrap();
    let mut pages = 0;
    for page in 0..=255 {
        pages += disk.disk.list_shards(page).unwrap().len();
    }
    assert_eq!(pages, 1, "nothing but the named file");
    assert!(ShardWriter::create(&disk.disk, NAME, profile(), 64).is_err(), "one writer a name");
    drop(writer);
    assert!(ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap_err().is_missing());
}

#[test]
fn a_second_writer_does_not_remove_the_first_ones_file() {
    let (disk, geometry, blocks) = small();
    assert!(ShardWriter::create(&disk.disk, NAME, profile(), 64).is_err());
    assert_eq!(read_all(&disk, &geometry).unwrap(), blocks);
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let disk = disk();
    let sum = checksum(&NAME, 0, &[0; 8]);
    let mut writer = ShardWriter::create(&disk.disk, NAME, profile(), 8).unwrap();
    assert!(matches!(writer.append(sum, &[0; 10]), Err(ShardError::Misuse { .. })), "above the block size");
    assert!(matches!(writer.append(sum, &[0; 3]), Err(ShardError::Misuse { .. })), "odd");
    assert!(matches!(writer.append(sum, &[]), Err(ShardError::Misuse { .. })), "empty");
    writer.append(sum, &[0; 6]).unwrap();
    assert!(matches!(writer.append(sum, &[0; 8]), Err(ShardError::Misuse { .. })), "behind the last");
    for (shard, block_size) in [(3, 8), (1, 0), (1, 7)] {
        let name = ShardName { shard: ShardIndex(shard), attempt: Attempt(9), ..NAME };
        let result = ShardWriter::create(&disk.disk, name, profile(), block_size);
        assert!(matches!(result, Err(ShardError::Misuse { .. })), "shard {shard} of 2+1, blocks of {block_size}");
    }
}

#[test]
fn removing_is_repeatable() {
    let (disk, ..) = small();
    disk.disk.remove_shard(&NAME).unwrap();
    disk.disk.remove_shard(&NAME).unwrap();
    assert!(disk.disk.list_shards(0xab).unwrap().is_empty());
}

#[test]
fn an_empty_shard_has_only_a_header() {
    let disk = disk();
    assert_eq!(ShardWriter::create(&disk.disk, NAME, profile(), 8).unwrap().finish().unwrap(), 64);
    assert!(read_all(&disk, &geometry(8, 0, 0)).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_shape_reads_back(half in 1u32..200_000, full in 0u64..40, last_half in 0u32..200_000, cuts in prop::collection::vec(1usize..9, 40)) {
        let last = (last_half % half) * 2;
        let geometry = geometry(half * 2, full, last);
        let blocks = blocks(&geometry);
        let disk = disk();
        let mut writer = ShardWriter::create(&disk.disk, NAME, profile(), half * 2).unwrap();
        let mut start = 0;
        for cut in cuts.iter().cycle() {
            if start == blocks.len() {
                break;
            }
            let end = blocks.len().min(start + cut);
            let batch: Vec<_> =
                (start..end).map(|index| (checksum(&NAME, index as u64, &blocks[index]), blocks[index].as_slice())).collect();
            writer.append_all(&batch).unwrap();
            start = end;
        }
        let length = writer.finish().unwrap();
        prop_assert_eq!(length, 64 + blocks.iter().map(|block| 32 + block.len() as u64).sum::<u64>());
        prop_assert_eq!(read_all(&disk, &geometry).unwrap(), blocks);
    }
}
