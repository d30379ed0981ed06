//! The alarm: what the last audit of each region says, as every node reads it from its replica of the directory.

use std::collections::BTreeMap;

use raft::directory::ResidencyAudit;
use raft::id::RegionId;
use serde::{Deserialize, Serialize};

/// Audits that are looked through for the last one of each region.
pub(crate) const AUDITS_LOOKED_AT: usize = 256;

/// A region in which something rests that may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name.
    pub region: String,
    /// Things that may not be there.
    pub violations: u64,
    /// When that was found, milliseconds since the Unix epoch.
    pub time_milliseconds: u64,
    /// One of them.
    pub example: Option<String>,
}

/// The last audit of each region. One that could not look at everything clears no alarm: what it did not find may be where
/// it did not look.
pub(crate) fn last(audits: &[ResidencyAudit]) -> BTreeMap<RegionId, &ResidencyAudit> {
    let mut last: BTreeMap<RegionId, &ResidencyAudit> = BTreeMap::new();
    for audit in audits {
        let settles = audit.complete || audit.violations > 0;
        match last.get(&audit.region) {
            // Behind it, the newest that says something for certain.
            Some(present) if !present.complete && present.violations == 0 && settles => {}
            Some(_) => continue,
            None => {}
        }
        last.insert(audit.region, audit);
    }
    last
}

/// The alarms that follow from audits, the newest of which come first.
pub(crate) fn alarms(audits: &[ResidencyAudit], name: impl Fn(RegionId) -> Option<String>) -> Vec<Alarm> {
    let raised = last(audits).into_iter().filter(|(_, audit)| audit.violations > 0);
    // A region that was retired is none any more.
    let told = raised.filter_map(|(region, audit)| Some((name(region)?, audit)));
    let alarm = |(region, audit): (String, &ResidencyAudit)| Alarm {
        region,
        violations: audit.violations,
        time_milliseconds: audit.time.0,
        example: audit.examples.first().cloned(),
    };
    told.map(alarm).collect()
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;

    use super::*;

    fn audit(time: u64, region: u32, complete: bool, violations: u64) -> ResidencyAudit {
        ResidencyAudit {
            time: Timestamp(time),
            region: RegionId(region),
            complete,
            nodes: 1,
            disks: 1,
            objects: 0,
            bytes: 0,
            pinned_objects: 0,
            pinned_bytes: 0,
            violations,
            examples: vec![format!("at {time}")],
        }
    }

    fn raised(audits: &[ResidencyAudit]) -> Vec<(String, u64)> {
        let name = |region: RegionId| (region.0 < 9).then(|| format!("r{region}"));
        alarms(audits, name).into_iter().map(|alarm| (alarm.region, alarm.time_milliseconds)).collect()
    }

    #[test]
    fn an_alarm_stands_until_a_complete_audit_finds_nothing() {
        let found = audit(1, 1, true, 2);
        assert_eq!(raised(std::slice::from_ref(&found)), [("r1".to_owned(), 1)]);
        assert_eq!(raised(&[audit(2, 1, false, 0), found.clone()]), [("r1".to_owned(), 1)]);
        assert!(raised(&[audit(3, 1, true, 0), found.clone()]).is_empty());
        assert!(raised(&[audit(4, 1, false, 0), audit(3, 1, true, 0), found.clone()]).is_empty());
        assert_eq!(raised(&[audit(5, 1, false, 1), found]), [("r1".to_owned(), 5)]);
    }

    #[test]
    fn each_region_has_its_own_and_a_retired_one_has_none() {
        let audits = [audit(3, 2, true, 0), audit(2, 1, true, 1), audit(1, 9, true, 1)];
        assert_eq!(raised(&audits), [("r1".to_owned(), 2)]);
    }
}
