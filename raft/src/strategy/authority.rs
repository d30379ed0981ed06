//! Generators of certificate authorities' records.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{any_bytes, timestamp};
use crate::directory::{AuthorityId, AuthorityStanding, RotationPhase, RotationRecord};

fn authority() -> impl Strategy<Value = AuthorityId> {
    any::<[u8; 32]>().prop_map(AuthorityId)
}

pub(crate) fn any_rotation() -> impl Strategy<Value = RotationRecord> {
    let phase = prop_oneof![Just(RotationPhase::Introduced), Just(RotationPhase::Signing)];
    (phase, any_bytes(), any_bytes(), timestamp(), timestamp()).prop_map(
        |(phase, certificate, wrapped_key, begun, since)| RotationRecord {
            phase,
            certificate,
            wrapped_key,
            begun,
            since,
        },
    )
}

pub(crate) fn any_authority_standing() -> impl Strategy<Value = AuthorityStanding> {
    (vec(authority(), 0..4), authority()).prop_map(|(trusts, shows)| AuthorityStanding { trusts, shows })
}
