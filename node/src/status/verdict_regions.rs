//! What to make of regions: which of them cannot be had from here, and what that means.

use super::verdict::{Findings, count};
use crate::admin::{CopyStatus, DirectoryReading, GroupStatus, RegionState, RegionStatus, Verdict};

/// Judges each region but the own one, whose groups are judged. Of what has a copy here, only pushes are missed.
pub(super) fn judge_regions(regions: &[RegionStatus], copies: &[CopyStatus], findings: &mut Findings) {
    for region in regions.iter().filter(|region| !region.own) {
        let name = &region.name;
        let missed = if copies.iter().any(|copy| copy.from == *name) {
            format!("namespaces whose home is {name} cannot be pushed here, and those without a copy not be read")
        } else {
            format!("namespaces whose home is {name} cannot be read or pushed here")
        };
        match region.state {
            RegionState::Serves => {}
            RegionState::NoQuorum => findings.add(
                Verdict::NeedsAttention,
                format!(
                    "region {name} does not serve: {} of {} answer, and its catalog has no quorum; {missed}",
                    region.live,
                    count(region.nodes, "node")
                ),
            ),
            RegionState::Silent => {
                findings.add(Verdict::NeedsAttention, format!("region {name} does not answer; {missed}"));
            }
            RegionState::Empty => findings.add(
                Verdict::Healthy,
                format!("region {name} has no node yet: its first one founds it; regnode token --region {name}"),
            ),
        }
    }
}

/// Says that nothing is taken away from regions any more, and how to end that.
pub(super) fn judge_removals(held_seconds: Option<u64>, findings: &mut Findings) {
    if let Some(seconds) = held_seconds {
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "the directory was taken over {} ago, and no region gives up what rests elsewhere until you say so: look at \
                 what returned regions hold with regnode residency verify and regnode namespace aside, then regnode region \
                 release",
                age(seconds)
            ),
        );
    }
}

/// What it means that only the directory has no quorum.
pub(super) fn directory_without_quorum(group: &GroupStatus, reading: DirectoryReading) -> String {
    let why = if group.quorum {
        "nobody who leads it has confirmed what this node knows of it".to_owned()
    } else {
        format!(
            "{} of {} answer, {} must",
            group.live_voters.len(),
            count(group.voters.len() as u64, "voter"),
            group.voters.len() / 2 + 1
        )
    };
    format!(
        "the directory has no quorum ({why}): changes of policies and membership wait; what this region's namespaces hold \
         is served. What is shown of nodes and regions is {} old",
        age(reading.age_seconds)
    )
}

/// An age in its largest unit.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => count(seconds, "second"),
        120..7_200 => count(seconds / 60, "minute"),
        7_200..172_800 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::{Facts, judge};
    use super::*;
    use crate::admin::{CopyState, NodeStatus};

    fn node(id: u64, region: &str, live: bool) -> NodeStatus {
        NodeStatus {
            id,
            name: format!("n{id}"),
            region: region.to_owned(),
            zone: "default".to_owned(),
            live,
            state: "active".to_owned(),
            version: "1".to_owned(),
            api_url: String::new(),
            peer_address: format!("10.0.0.{id}:7000"),
            disks: Vec::new(),
            shards: 0,
            bytes: 0,
            drain: None,
            replaced_by: None,
        }
    }

    fn region(name: &str, own: bool, state: RegionState) -> RegionStatus {
        RegionStatus {
            id: 1,
            name: name.to_owned(),
            own,
            primary: own,
            public_url: None,
            inbound_bytes_per_second: None,
            nodes: 3,
            live: 1,
            directory_voters: 1,
            state,
        }
    }

    fn group(name: &str, voters: &[&str], live: &[&str]) -> GroupStatus {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let quorum = live.len() > voters.len() / 2;
        GroupStatus {
            name: name.to_owned(),
            leader: live.first().filter(|_| quorum).map(|name| (*name).to_owned()),
            term: 1,
            applied: 7,
            voters: names(voters),
            seats: voters.len() as u64,
            live_voters: names(live),
            learners: Vec::new(),
            lag: Vec::new(),
            quorum,
            regions_borne: None,
        }
    }

    const CONFIRMED: DirectoryReading = DirectoryReading { confirmed: true, as_of_milliseconds: 1, age_seconds: 0 };
    const OLD: DirectoryReading = DirectoryReading { confirmed: false, as_of_milliseconds: 1, age_seconds: 300 };

    #[test]
    fn a_region_that_is_cut_off_is_one_finding() {
        let nodes =
            [node(1, "eu", true), node(2, "eu", true), node(3, "eu", true), node(4, "us", false), node(5, "us", false)];
        let regions = [region("eu", true, RegionState::Serves), region("us", false, RegionState::Silent)];
        let groups = [group("catalog-1", &["n1", "n2", "n3"], &["n1", "n2", "n3"])];
        let facts = Facts {
            confirmed: true,
            directory: CONFIRMED,
            regions: &regions,
            nodes: &nodes,
            stalled: &[],
            groups: &groups,
            under_replicated: 0,
            lost: 0,
            copies: &[],
            residency: &[],
            audit: None,
            resealing: None,
            removals_held: None,
            low_space_percent: 10,
            certificates: &[],
            rotating: None,
        };
        let judgement = judge(&facts);
        assert_eq!(judgement.verdict, Verdict::NeedsAttention);
        assert_eq!(
            judgement.findings,
            ["region us does not answer; namespaces whose home is us cannot be read or pushed here"]
        );
        assert_eq!(judgement.summary, "serves, but needs attention: 3 of 5 nodes live in 2 regions");
    }

    #[test]
    fn that_nothing_is_taken_away_since_a_takeover_needs_attention() {
        let mut findings = Findings::default();
        judge_removals(None, &mut findings);
        judge_removals(Some(7_300), &mut findings);
        assert_eq!(
            findings.sorted(),
            [
                "the directory was taken over 2 hours ago, and no region gives up what rests elsewhere until you say so: look \
              at what returned regions hold with regnode residency verify and regnode namespace aside, then regnode region \
              release"
            ]
        );
    }

    #[test]
    fn of_a_region_with_copies_here_only_pushes_are_missed() {
        let regions = [region("eu", true, RegionState::Serves), region("us", false, RegionState::Silent)];
        let copy = CopyStatus {
            namespace: "acme".to_owned(),
            from: "us".to_owned(),
            state: CopyState::Waiting,
            moving: false,
            synced_milliseconds: Some(1),
            lag_seconds: Some(1_000),
            events_behind: None,
            items_waiting: 0,
            items_failing: 0,
            failures: Vec::new(),
            waits_for: None,
            items_arrived: 0,
            bytes_arrived: 0,
            bytes_per_second: 0,
        };
        let mut findings = Findings::default();
        judge_regions(&regions, &[copy], &mut findings);
        assert_eq!(
            findings.sorted(),
            [
                "region us does not answer; namespaces whose home is us cannot be pushed here, and those without a copy not \
              be read"
            ]
        );
    }

    #[test]
    fn a_directory_without_quorum_does_not_stop_a_region() {
        let nodes = [node(1, "eu", false), node(2, "us", true)];
        let regions = [region("eu", false, RegionState::Silent), region("us", true, RegionState::Serves)];
        let groups = [group("directory", &["n1", "n2"], &["n2"]), group("catalog-2", &["n2"], &["n2"])];
        let facts = Facts {
            confirmed: true,
            directory: OLD,
            regions: &regions,
            nodes: &nodes,
            stalled: &[],
            groups: &groups,
            under_replicated: 0,
            lost: 0,
            copies: &[],
            residency: &[],
            audit: None,
            resealing: None,
            removals_held: None,
            low_space_percent: 10,
            certificates: &[],
            rotating: None,
        };
        let judgement = judge(&facts);
        assert_eq!(judgement.verdict, Verdict::NeedsAttention);
        assert_eq!(
            judgement.findings[0],
            "the directory has no quorum (1 of 2 voters answer, 2 must): changes of policies and membership wait; what \
             this region's namespaces hold is served. What is shown of nodes and regions is 5 minutes old"
        );
        let alone = Facts { confirmed: false, ..facts };
        let judgement = judge(&alone);
        assert_eq!(judgement.verdict, Verdict::NotServing, "the catalog has no quorum either");
        assert_eq!(judgement.summary, "region us does not serve: 1 of its 1 node live");
    }

    #[test]
    fn a_healthy_region_says_what_it_bears() {
        let nodes = [node(1, "eu", true), node(2, "us", true), node(3, "us", true), node(4, "us", true)];
        let regions = [region("eu", true, RegionState::Serves), region("us", false, RegionState::Serves)];
        let facts = Facts {
            confirmed: true,
            directory: CONFIRMED,
            regions: &regions,
            nodes: &nodes,
            stalled: &[],
            groups: &[],
            under_replicated: 0,
            lost: 0,
            copies: &[],
            residency: &[],
            audit: None,
            resealing: None,
            removals_held: None,
            low_space_percent: 10,
            certificates: &[],
            rotating: None,
        };
        assert_eq!(
            judge(&facts).summary,
            "healthy: 4 nodes live in 2 regions; region eu: one node has no redundancy: add two more with regnode join \
             --region eu"
        );
    }
}
