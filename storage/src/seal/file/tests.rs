//! Sealed files in memory: round trips, cuts, damage, keys, and the frozen format.

use std::io;

use proptest::prelude::*;

use super::super::{DataKey, Keyring, Keys};
use super::*;
use crate::disk::{Files, RealFiles};

impl Source for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap().min(self.len());
        let read = buffer.len().min(self.len() - start);
        buffer[..read].copy_from_slice(&self[start..start + read]);
        Ok(read)
    }
}

fn key(number: u8) -> DataKey {
    DataKey::new(KeyId([number; 16]), [number; 32])
}

fn keys() -> Keys {
    Keys::new(Keyring::new([key(1), key(2)], Some(KeyId([1; 16]))).unwrap(), |bytes| bytes.fill(9))
}

/// A file of these appends; `synced` counts, after each, as durable what was written so far.
fn file(kind: Kind, appends: &[Vec<u8>], synced: bool) -> Vec<u8> {
    let (mut writer, header) = Writer::create(kind, &keys()).unwrap();
    let mut file = header.to_vec();
    let mut durable = 0;
    for append in appends {
        file.extend_from_slice(writer.append(append, durable).unwrap());
        if synced {
            durable = file.len() as u64;
        }
    }
    file.extend_from_slice(writer.finish());
    file
}

fn content(file: &Vec<u8>) -> Result<Vec<u8>, Fault> {
    let Opened::Sealed(reader) = Reader::open(file, file.len() as u64, &keys().load())? else {
        panic!("the file is taken for one in the clear");
    };
    let mut content = vec![0; usize::try_from(reader.length_bytes()).unwrap()];
    assert_eq!(reader.read_at(file, &mut content, 0)?, content.len());
    Ok(content)
}

fn appends() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let short = prop::collection::vec(any::<u8>(), 0..40);
    let long = (any::<u8>(), 4000usize..9000).prop_map(|(byte, length)| vec![byte; length]);
    let exact = (any::<u8>(), 1usize..4).prop_map(|(byte, frames)| vec![byte; frames * TABLE_FRAME_BYTES as usize]);
    let longest = any::<u8>().prop_map(|byte| vec![byte; OTHER_FRAME_BYTES as usize * 2 + 1]);
    prop::collection::vec(prop_oneof![6 => short, 3 => long, 2 => exact, 1 => longest], 0..12)
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Table), Just(Kind::Journal), Just(Kind::Record)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_appended_is_read_at_every_position(
        kind in kinds(),
        appends in appends(),
        reads in prop::collection::vec((0u32..80_000, 0usize..20_000), 1..30),
    ) {
        let file = file(kind, &appends, true);
        let whole = appends.concat();
        prop_assert_eq!(&content(&file).unwrap(), &whole);
        let Opened::Sealed(reader) = Reader::open(&file, file.len() as u64, &keys().load()).unwrap() else { panic!() };
        for (offset, length) in reads {
            let mut buffer = vec![0; length];
            let read = reader.read_at(&file, &mut buffer, u64::from(offset)).unwrap();
            let from = whole.len().min(offset as usize);
            let to = whole.len().min(offset as usize + length);
            prop_assert_eq!(&buffer[..read], &whole[from..to]);
        }
    }

    #[test]
    fn no_part_of_the_content_is_in_the_file(kind in kinds(), word in "[a-z]{24}") {
        let file = file(kind, &[word.repeat(300).into_bytes()], false);
        prop_assert!(!file.windows(8).any(|window| window == &word.as_bytes()[..8]));
    }

    #[test]
    fn a_table_that_is_cut_off_or_damaged_is_never_read(
        length in 1usize..20_000, cut in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
    ) {
        let whole = file(Kind::Table, &[vec![7; length]], false);
        let cut = whole[..cut.index(whole.len())].to_vec();
        // What is too short for a header is in the clear or empty; RocksDB knows how long its tables are.
        if cut.len() >= HEADER_BYTES {
            let short = content(&cut);
            prop_assert!(short.is_err() || short.unwrap().is_empty());
        }
        let mut damaged = whole.clone();
        let bit = bit.index(whole.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        match Reader::open(&damaged, damaged.len() as u64, &keys().load()) {
            // Its magic: it is in the clear, then, and RocksDB finds no table in it.
            Ok(Opened::Clear) => prop_assert!(bit / 8 < 8),
            _ => prop_assert!(content(&damaged).is_err()),
        }
    }
}

fn words(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("append {number}").into_bytes()).collect()
}

#[test]
fn a_journal_that_is_cut_off_ends_before_the_cut() {
    for (kind, synced) in [(Kind::Journal, false), (Kind::Journal, true), (Kind::Record, true)] {
        let whole = file(kind, &words(6), synced);
        let mut lengths = std::collections::BTreeSet::new();
        for cut in HEADER_BYTES..=whole.len() {
            let read = content(&whole[..cut].to_vec()).unwrap();
            assert!(words(6).concat().starts_with(&read), "{cut}");
            lengths.insert(read.len());
        }
        // Each append is there as a whole or not at all.
        assert_eq!(lengths, (0..=6).map(|count| words(count).concat().len()).collect());
        for cut in 1..HEADER_BYTES {
            assert_eq!(content(&whole[..cut].to_vec()).unwrap(), b"", "{cut}");
        }
    }
}

#[test]
fn damage_of_what_was_durable_is_found_and_of_the_tail_it_ends_a_journal() {
    let whole = file(Kind::Journal, &words(4), true);
    let second = HEADER_BYTES + OTHER_PREFIX_BYTES + words(1).concat().len() + cipher_tag();
    let last = file(Kind::Journal, &words(3), true).len();
    for position in HEADER_BYTES..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x10;
        let read = content(&damaged);
        if position < last {
            assert!(matches!(read, Err(Fault::Damaged(_))), "{position}");
        } else {
            // Nothing says that the last append was synced.
            assert_eq!(read.unwrap(), words(3).concat(), "{position}");
        }
    }
    // Nothing was synced: a power cut may leave any of it.
    let loose = file(Kind::Journal, &words(4), false);
    for position in second..loose.len() {
        let mut damaged = loose.clone();
        damaged[position] = !damaged[position];
        assert!(words(4).concat().starts_with(&content(&damaged).unwrap()), "{position}");
    }
    let mut zeros = loose;
    zeros[second..].fill(0);
    assert_eq!(content(&zeros).unwrap(), words(1).concat());
}

#[test]
fn a_record_may_be_cut_off_but_not_damaged() {
    let whole = file(Kind::Record, &words(3), false);
    let last = file(Kind::Record, &words(2), false).len();
    for position in last + OTHER_PREFIX_BYTES..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        assert!(content(&damaged).is_err(), "{position}");
    }
}

#[test]
fn frames_are_good_only_where_they_were_written() {
    let frame = sealed_bytes(TABLE_FRAME_BYTES as usize);
    let mut swapped = file(Kind::Table, &[vec![1; TABLE_FRAME_BYTES as usize * 3]], false);
    let (first, second) = swapped[HEADER_BYTES..].split_at_mut(frame);
    first.swap_with_slice(&mut second[..frame]);
    assert!(content(&swapped).is_err());

    let append = vec![vec![5; 10], vec![5; 10], vec![5; 10]];
    let mut repeated = file(Kind::Journal, &append, false);
    let length = OTHER_PREFIX_BYTES + 10 + cipher_tag();
    let (first, rest) = repeated[HEADER_BYTES..].split_at_mut(length);
    rest[..length].copy_from_slice(first);
    assert_eq!(content(&repeated).unwrap(), vec![5; 10]);
}

#[test]
fn a_table_that_lost_whole_frames_at_its_end_is_damaged() {
    let whole = file(Kind::Table, &[vec![1; TABLE_FRAME_BYTES as usize * 3]], false);
    let cut = whole[..whole.len() - sealed_bytes(TABLE_FRAME_BYTES as usize)].to_vec();
    let Opened::Sealed(reader) = Reader::open(&cut, cut.len() as u64, &keys().load()).unwrap() else { panic!() };
    let mut first = [0; 16];
    assert_eq!(reader.read_at(&cut, &mut first, 0).unwrap(), 16, "what is far from the end is as it was");
    let end = reader.length_bytes() - 16;
    assert!(matches!(reader.read_at(&cut, &mut first, end), Err(Fault::Damaged("it ends too early"))));
}

#[test]
fn a_table_takes_nothing_after_its_end() {
    let (mut writer, _) = Writer::create(Kind::Table, &keys()).unwrap();
    writer.append(b"content", 0).unwrap();
    assert!(!writer.finish().is_empty());
    assert!(writer.finish().is_empty(), "its last frame is written once");
    assert!(writer.append(b"", 0).unwrap().is_empty());
    assert!(writer.append(b"more", 0).is_err());
}

#[test]
fn without_its_key_a_file_is_not_opened_and_is_said_to_need_it() {
    let file = file(Kind::Journal, &words(1), false);
    let other = Keyring::new([key(2)], None).unwrap();
    let fault = Reader::open(&file, file.len() as u64, &other).unwrap_err();
    assert!(matches!(fault, Fault::Unknown(UnknownKey(id)) if id == KeyId([1; 16])));
    assert!(fault.to_string().contains(&KeyId([1; 16]).to_string()));
    // The right id, another secret.
    let false_key = Keyring::new([DataKey::new(KeyId([1; 16]), [8; 32])], None).unwrap();
    let fault = Reader::open(&file, file.len() as u64, &false_key).unwrap_err();
    assert!(matches!(fault, Fault::Damaged(_)), "{fault}");
}

#[test]
fn what_has_no_header_is_in_the_clear() {
    for clear in [&b""[..], b"RGNSHARD", b"\0\0\0\0\0\0\0\0", b"any other file", b"MANIFEST-000001\n"] {
        let clear = clear.to_vec();
        assert!(matches!(Reader::open(&clear, clear.len() as u64, &keys().load()), Ok(Opened::Clear)));
    }
}

#[test]
fn without_a_current_key_nothing_is_sealed() {
    let old = Keys::new(Keyring::new([key(1)], None).unwrap(), |bytes| bytes.fill(9));
    assert!(Writer::create(Kind::Table, &old).is_none());
    assert!(Writer::create(Kind::Table, &Keys::clear()).is_none());
}

#[test]
fn the_format_is_frozen() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, kind) in [("sealed-table.v1", Kind::Table), ("sealed-journal.v1", Kind::Journal)] {
        let file = file(kind, &[vec![3; 5000], b"end".to_vec()], true);
        let path = golden.join(name);
        #[expect(clippy::disallowed_methods, reason = "a tool of the test's author")]
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            RealFiles.replace(&path, &file).unwrap();
        }
        let frozen = RealFiles.read(&path).unwrap();
        assert_eq!(file, frozen, "{name}");
        assert_eq!(content(&frozen).unwrap(), [vec![3; 5000], b"end".to_vec()].concat());
    }
}

fn cipher_tag() -> usize {
    super::super::cipher::TAG_BYTES
}

fn sealed_bytes(content: usize) -> usize {
    TABLE_PREFIX_BYTES + content + cipher_tag()
}
