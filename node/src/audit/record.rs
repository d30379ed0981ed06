//! A record as a line: how it is written, and how its hash and its place in the chain are checked.
//!
//! The last field is the hash: BLAKE3 of the line before `,"hash":`. The field before it is the hash of the record before. So
//! a changed byte breaks the record's own hash, and a replaced record the chain; the hash of the newest record, which the
//! cluster is told of, proves all before it.

use std::borrow::Cow;

use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{AuditEvent, Outcome};
use super::moment;

/// A hash of a record.
pub(super) type Hash = [u8; 32];

/// What the first record of a log names as the hash of the one before.
pub(super) const NOTHING_BEFORE: Hash = [0; 32];

/// Most bytes of a line without its end. Seven texts of 512 characters, each of which may take six bytes in JSON, and the rest.
pub(super) const LINE_BYTES_MAX: usize = 32 << 10;

/// Greatest number of a record: no node gets there, and whatever is counted from there on is still a number.
pub(super) const SEQUENCE_MAX: u64 = u64::MAX / 2;

const HASH_FIELD: &[u8] = b",\"hash\":\"";
const END: &[u8] = b"\"}";
const SUFFIX_BYTES: usize = HASH_FIELD.len() + 64 + END.len();

/// Records that the log's own retention has removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Hash of the last, hexadecimal: what the oldest record that is left names as the one before it.
    pub hash: String,
}

/// A record of the audit log, as it stands in its line. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// Number of the record in the log of its node, from 1 without gaps.
    pub sequence: u64,
    /// When it happened, RFC 3339 in UTC with milliseconds.
    pub time: Cow<'a, str>,
    /// Id of the node whose log it is.
    pub node: u64,
    /// What was done.
    pub action: Cow<'a, str>,
    /// Who did it.
    pub actor: Cow<'a, str>,
    /// How he showed who he is.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub way: Cow<'a, str>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Cow<'a, str>>,
    /// The domain of a tenant by which the client asked.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub domain: Cow<'a, str>,
    /// Repository or namespace.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub repository: Cow<'a, str>,
    /// What within it, or what else.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub target: Cow<'a, str>,
    /// What it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Cow<'a, str>>,
    /// What it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Cow<'a, str>>,
    /// What came of it.
    pub outcome: Outcome,
    /// Whatever else helps to understand it.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub detail: Cow<'a, str>,
    /// Records that retention has removed, in the record that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    /// Hash of the record before, hexadecimal.
    pub previous: Cow<'a, str>,
    /// Hash of this record, hexadecimal. Left out while it is not known yet.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub hash: Cow<'a, str>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u64,
    pub(super) node: u64,
    pub(super) previous: Hash,
}

/// Appends the line of an event, with its end, and returns its hash.
pub(super) fn write(
    line: &mut Vec<u8>,
    place: Place,
    time: Timestamp,
    event: &AuditEvent,
    removed: Option<&Removed>,
) -> Hash {
    let begin = line.len();
    let record = Record {
        sequence: place.sequence,
        time: Cow::Owned(moment::text(time)),
        node: place.node,
        action: Cow::Borrowed(event.action),
        actor: Cow::Borrowed(&event.actor),
        way: Cow::Borrowed(event.way),
        address: event.address.map(|address| Cow::Owned(address.to_string())),
        domain: Cow::Borrowed(&event.domain),
        repository: Cow::Borrowed(&event.repository),
        target: Cow::Borrowed(&event.target),
        before: event.before.as_deref().map(Cow::Borrowed),
        after: event.after.as_deref().map(Cow::Borrowed),
        outcome: event.outcome,
        detail: Cow::Borrowed(&event.detail),
        removed: removed.cloned(),
        previous: Cow::Owned(hex::encode(place.previous)),
        hash: Cow::Borrowed(""),
    };
    serde_json::to_writer(&mut *line, &record).expect("texts and numbers are JSON, and a vector takes any");
    line.pop();
    let hash = blake3::hash(&line[begin..]);
    line.extend_from_slice(HASH_FIELD);
    line.extend_from_slice(hash.to_hex().as_bytes());
    line.extend_from_slice(END);
    line.push(b'\n');
    *hash.as_bytes()
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    #[error("it does not end with a hash")]
    NoHash,
    #[error("its content does not have the hash that it names")]
    WrongHash,
    #[error("it is not a record")]
    NoRecord,
}

/// A line that has the hash it names. Without its end.
pub(super) fn read(line: &[u8]) -> Result<(Record<'_>, Hash), LineError> {
    let (content, suffix) = line.split_at_checked(line.len().wrapping_sub(SUFFIX_BYTES)).ok_or(LineError::NoHash)?;
    let named = suffix.strip_prefix(HASH_FIELD).and_then(|rest| rest.strip_suffix(END)).ok_or(LineError::NoHash)?;
    let hash = blake3::hash(content);
    if named != hash.to_hex().as_bytes() {
        return Err(LineError::WrongHash);
    }
    let record = parse(line).filter(|record| (1..=SEQUENCE_MAX).contains(&record.sequence));
    Ok((record.ok_or(LineError::NoRecord)?, *hash.as_bytes()))
}

/// A line as a record, whatever its hash.
pub(super) fn parse(line: &[u8]) -> Option<Record<'_>> {
    serde_json::from_slice(line).ok()
}

/// A hash of its text.
pub(super) fn hash_of(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::audit::event::TEXT_CHARACTERS_MAX;

    const PLACE: Place = Place { sequence: 7, node: 3, previous: [0xab; 32] };

    fn line(event: &AuditEvent) -> Vec<u8> {
        let mut line = Vec::new();
        write(&mut line, PLACE, Timestamp(1_800_000_000_042), event, None);
        assert_eq!(line.pop(), Some(b'\n'));
        line
    }

    /// The form of a line: programs read it, so it is only ever added to.
    #[test]
    fn a_line_is_json_that_people_can_read() {
        let event = AuditEvent::new("tag", "user:anna")
            .by("token")
            .from(IpAddr::from([10, 0, 0, 7]))
            .repository("acme/app")
            .target("v1")
            .change(Some("sha256:1a".to_owned()), Some("sha256:2b".to_owned()));
        let line = line(&event);
        let expected = concat!(
            r#"{"sequence":7,"time":"2027-01-15T08:00:00.042Z","node":3,"action":"tag","actor":"user:anna","#,
            r#""way":"token","address":"10.0.0.7","repository":"acme/app","target":"v1","before":"sha256:1a","#,
            r#""after":"sha256:2b","outcome":"done","previous":"#,
            r#""abababababababababababababababababababababababababababababababab""#,
        );
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.starts_with(expected), "{text}");
        let (record, hash) = read(&line).unwrap();
        assert_eq!(record.hash, hex::encode(hash));
        assert_eq!(hash, *blake3::hash(expected.as_bytes()).as_bytes());
        assert_eq!(hash_of(&record.previous), Some(PLACE.previous));
    }

    #[test]
    fn a_number_that_no_node_reaches_is_no_record() {
        let read = |sequence: u64| {
            let mut line = Vec::new();
            write(&mut line, Place { sequence, ..PLACE }, Timestamp(1), &AuditEvent::new("tag", "user:anna"), None);
            read(line.strip_suffix(b"\n").unwrap()).map(|(record, _)| record.sequence)
        };
        assert_eq!((read(1), read(SEQUENCE_MAX)), (Ok(1), Ok(SEQUENCE_MAX)));
        for sequence in [0, SEQUENCE_MAX + 1, u64::MAX] {
            assert_eq!(read(sequence), Err(LineError::NoRecord));
        }
    }

    #[test]
    fn the_longest_line_is_within_its_bound() {
        let long = "\u{1b}".repeat(TEXT_CHARACTERS_MAX * 2);
        let event = AuditEvent::new("login", long.clone())
            .repository(long.clone())
            .target(long.clone())
            .change(Some(long.clone()), Some(long.clone()))
            .detail(long)
            .bounded();
        assert!(line(&event).len() <= LINE_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn any_text_survives_and_stays_in_its_line(actor in any::<String>(), detail in any::<String>()) {
            let event = AuditEvent::new("login", actor).detail(detail).outcome(Outcome::Failed).bounded();
            let line = line(&event);
            prop_assert!(!line.contains(&b'\n') && !line.contains(&0x1b));
            let (record, _) = read(&line).unwrap();
            prop_assert_eq!((record.actor.as_ref(), record.detail.as_ref()), (event.actor.as_str(), event.detail.as_str()));
        }

        #[test]
        fn any_changed_byte_is_found(detail in "[a-z ]{0,20}", position in any::<prop::sample::Index>(), change in 1..=255_u8) {
            let mut line = line(&AuditEvent::new("login", "user:anna").detail(detail));
            let position = position.index(line.len());
            line[position] ^= change;
            prop_assert!(read(&line).is_err());
        }

        #[test]
        fn anything_can_be_read(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&line).is_err());
        }
    }
}
