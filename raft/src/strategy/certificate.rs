//! Generators of what there is of the registry's certificates.

use proptest::option;
use proptest::prelude::*;

use super::{any_bytes, node, text, timestamp};
use crate::directory::{
    AcmeAccountRecord, CertificateFailure, CertificateOrder, CertificateRecord, CertificateStateRecord,
    ChallengeRecord, IssuedCertificate,
};

pub(crate) fn any_acme_account() -> impl Strategy<Value = AcmeAccountRecord> {
    (any_bytes(), timestamp()).prop_map(|(credentials, created)| AcmeAccountRecord { credentials, created })
}

fn any_issued() -> impl Strategy<Value = IssuedCertificate> {
    let times = (timestamp(), timestamp(), timestamp());
    (any_bytes(), any_bytes(), times, text(), node(), any::<u16>()).prop_map(
        |(chain, wrapped_key, (not_before, not_after, issued), authority, node, spread_per_mille)| IssuedCertificate {
            chain,
            wrapped_key,
            not_before,
            not_after,
            issued,
            authority,
            node,
            spread_per_mille,
        },
    )
}

fn any_order() -> impl Strategy<Value = CertificateOrder> {
    (text(), text(), any_bytes(), timestamp(), node()).prop_map(|(url, authority, wrapped_key, begun, node)| {
        CertificateOrder { url, authority, wrapped_key, begun, node }
    })
}

pub(crate) fn any_certificate() -> impl Strategy<Value = CertificateRecord> {
    let failure = (timestamp(), text(), any::<u32>(), timestamp())
        .prop_map(|(time, reason, count, retry)| CertificateFailure { time, reason, count, retry });
    let parts = (option::of(any_issued()), option::of(any_order()), option::of(failure), option::of(timestamp()));
    parts.prop_map(|(issued, order, failure, asked)| CertificateRecord { issued, order, failure, asked })
}

pub(crate) fn any_challenge() -> impl Strategy<Value = ChallengeRecord> {
    (text(), text(), timestamp()).prop_map(|(domain, key_authorization, expires)| ChallengeRecord {
        domain,
        key_authorization,
        expires,
    })
}

pub(crate) fn any_certificate_state() -> impl Strategy<Value = CertificateStateRecord> {
    any::<[u64; 2]>().prop_map(|[version, domains]| CertificateStateRecord { version, domains })
}
