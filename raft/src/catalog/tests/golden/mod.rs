//! Frozen encodings of everything that the catalog stores or sends.

mod command;
mod record;
mod replication;

use command::commands;
use proptest::prelude::*;
use storage::codec::Profile;
use storage::shard::{Attempt, Geometry};

use super::store::location;
use crate::catalog::*;
use crate::golden::survives;
use crate::policy::{ImmutableRule, NamespacePolicy, Pattern, Quota, Retention, RetentionRule, Untagged};
use crate::time::Timestamp;

fn sha512(number: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha512, &[number; 64]).unwrap()
}

fn wide() -> CodedExtent {
    let profile = Profile::new(4, 2).unwrap();
    let geometry = Geometry { profile, block_size_bytes: 1 << 18, length_bytes: 5 << 30 };
    let mut coded = CodedExtent::written(geometry, Attempt(0x0123_4567_89ab_cdef), &[1, 2, 3, 4, 5, 6].map(location));
    coded.shards[4].attempt = Attempt(3);
    coded
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

/// A policy that sets everything.
fn policy() -> NamespacePolicy {
    NamespacePolicy {
        deletes: Some(false),
        untagged: Some(Untagged::Collect { after_seconds: 3600 }),
        grace_seconds: Some(60),
        restore_seconds: Some(0),
        immutable: Some(vec![ImmutableRule { tags: pattern("v*"), except: vec!["robot".to_owned()] }]),
        retention: Some(Retention {
            rules: vec![RetentionRule {
                tags: pattern("dev-*"),
                keep_last: Some(10),
                pushed_within_seconds: Some(3600),
                pulled_within_seconds: None,
            }],
            always_keep: vec![pattern("latest")],
            keep_signed: true,
            keep_referenced: false,
            every_seconds: 86400,
        }),
        quota: Quota { bytes: Some(1 << 40), tags: Some(3), repositories: None, manifests: Some(4) },
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives::<Command>(&bytes);
        survives::<Response>(&bytes);
        survives::<Event>(&bytes);
        survives::<ExtentRecord>(&bytes);
        survives::<PlacementRecord>(&bytes);
        survives::<PlacementTotals>(&bytes);
        survives::<ShortfallRecord>(&bytes);
        survives::<ObjectRecord>(&bytes);
        survives::<UploadRecord>(&bytes);
        survives::<BlobRecord>(&bytes);
        survives::<DiscardRecord>(&bytes);
        survives::<LinkRecord>(&bytes);
        survives::<UnheldRecord>(&bytes);
        survives::<TagChange>(&bytes);
        survives::<TombstoneRecord>(&bytes);
        survives::<NamespaceCopy>(&bytes);
        survives::<PolicyVersionRecord>(&bytes);
        survives::<PolicyWalkRecord>(&bytes);
        survives::<UsageRecord>(&bytes);
        survives::<UsageBlobRecord>(&bytes);
        survives::<JobId>(&bytes);
        survives::<JobRecord>(&bytes);
        survives::<JobTotals>(&bytes);
        survives::<RetentionRunRecord>(&bytes);
        survives::<ReplicationRecord>(&bytes);
        survives::<DebtRecord>(&bytes);
        survives::<ManifestRecord>(&bytes);
        survives::<TagRecord>(&bytes);
        survives::<ReferrerRecord>(&bytes);
        survives::<RepositoryRecord>(&bytes);
        survives::<GarbageItem>(&bytes);
        survives::<TotalsRecord>(&bytes);
        survives::<ClockRecord>(&bytes);
        survives::<Timestamp>(&bytes);
    }

    /// A flipped byte is another value or an error, never a panic.
    #[test]
    fn damaged_commands_are_decoded_without_a_panic(
        sample in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let mut bytes = crate::codec::encode(sample.get(&commands()));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        survives::<Command>(&bytes[1..]);
    }
}
