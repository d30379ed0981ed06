//! Audits of residency.

use super::store::*;
use crate::directory::*;
use crate::id::RegionId;
use crate::time::Timestamp;

fn audit(time: Timestamp, region: u32) -> ResidencyAudit {
    ResidencyAudit {
        time,
        region: RegionId(region),
        complete: true,
        nodes: 3,
        disks: 6,
        objects: 10,
        bytes: 1 << 20,
        pinned_objects: 4,
        pinned_bytes: 1 << 10,
        violations: 0,
        examples: Vec::new(),
    }
}

fn record(store: &mut Store, audit: ResidencyAudit) -> Response {
    store.apply(Command::RecordResidency { audit })
}

#[test]
fn audits_are_told_with_the_newest_first() {
    let mut store = Store::founded();
    let us = store.add_region("us");
    let at = |store: &Store, before: u64| Timestamp(store.now.0 - before);
    for (before, region) in [(30, 1), (10, us.0), (20, 1), (10, 1)] {
        let audit = audit(at(&store, before), region);
        assert_eq!(record(&mut store, audit.clone()), Response::Done);
        assert_eq!(record(&mut store, audit), Response::Done, "a repetition adds nothing");
    }
    let told: Vec<_> = store.view().residency_audits(9).unwrap();
    let told: Vec<_> = told.iter().map(|audit| (store.now.0 - audit.time.0, audit.region.0)).collect();
    assert_eq!(told, [(10, us.0), (10, 1), (20, 1), (30, 1)]);
    assert_eq!(store.view().residency_audits(1).unwrap().len(), 1);
    let unknown = record(&mut store, audit(Timestamp(1), 9));
    assert!(matches!(unknown, Response::Refused(Refusal::RegionUnknown { .. })));
}

#[test]
fn an_audit_is_kept_within_bounds() {
    let mut store = Store::founded();
    let long = ResidencyAudit {
        examples: vec!["\u{e9}".repeat(AUDIT_EXAMPLE_BYTES_MAX); AUDIT_EXAMPLES_MAX + 1],
        ..audit(Timestamp(u64::MAX), 1)
    };
    assert_eq!(record(&mut store, long), Response::Done);
    let kept = store.view().residency_audits(9).unwrap().remove(0);
    assert_eq!(kept.time, store.now, "nothing is found in the future");
    assert_eq!(kept.examples, vec!["\u{e9}".repeat(AUDIT_EXAMPLE_BYTES_MAX / 2); AUDIT_EXAMPLES_MAX]);
}

#[test]
fn the_oldest_audits_go() {
    let mut store = Store::founded();
    for time in 1..=AUDITS_MAX as u64 + 3 {
        record(&mut store, audit(Timestamp(time), 1));
    }
    let kept = store.view().residency_audits(usize::MAX).unwrap();
    assert_eq!((kept.len(), kept.last().unwrap().time), (AUDITS_MAX, Timestamp(4)));
}
