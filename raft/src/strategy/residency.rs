//! Generators of namespaces and of audits of residency.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{any_policy, region, text, timestamp};
use crate::directory::{Aside, Elsewhere, Moving, NamespaceRecord, Replication, Residency, ResidencyAudit};

pub(crate) fn any_namespace() -> impl Strategy<Value = NamespaceRecord> {
    let residency = prop_oneof![
        Just(Residency::Home),
        Just(Residency::Pinned),
        vec(region(), 0..3).prop_map(Residency::Replicated)
    ];
    let elsewhere = prop_oneof![Just(Elsewhere::Proxy), Just(Elsewhere::Redirect), Just(Elsewhere::Refuse)];
    let tags = vec(select(vec!["*", "v*", "release-?"]).prop_map(|tag| tag.parse().unwrap()), 0..3);
    let replication =
        (tags, any::<bool>(), 0..10_u8).prop_map(|(tags, deletes, priority)| Replication { tags, deletes, priority });
    let moving = (region(), any::<bool>()).prop_map(|(to, fenced)| Moving { to, fenced });
    let aside = (region(), timestamp()).prop_map(|(region, since)| Aside { region, since });
    let place = (option::of(region()), option::of(residency), option::of(elsewhere));
    let copying = (option::of(replication), option::of(moving), vec(aside, 0..3));
    (place, copying, any_policy()).prop_map(|((home, residency, elsewhere), (replication, moving, aside), policy)| {
        NamespaceRecord { home, residency, elsewhere, replication, moving, aside, policy }
    })
}

pub(crate) fn any_residency_audit() -> impl Strategy<Value = ResidencyAudit> {
    let looked_at = (timestamp(), region(), any::<bool>(), any::<[u32; 2]>());
    (looked_at, any::<[u64; 5]>(), vec(text(), 0..3)).prop_map(
        |(
            (time, region, complete, [nodes, disks]),
            [objects, bytes, pinned_objects, pinned_bytes, violations],
            examples,
        )| ResidencyAudit {
            time,
            region,
            complete,
            nodes,
            disks,
            objects,
            bytes,
            pinned_objects,
            pinned_bytes,
            violations,
            examples,
        },
    )
}
