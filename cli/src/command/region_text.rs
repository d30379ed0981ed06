//! Regions as text for people: a table, what the directory can lose, and how old it is what is shown.

use std::collections::BTreeMap;

use comfy_table::Table;
use node::admin::{DirectoryReading, RegionStatus, RegionsAnswer, SetRegionRequest, Wanted};
use node::cluster::regions_borne;
use raft::id::RegionId;

use super::status_text::{table, trimmed};
use crate::figures::{count, duration, moment, size};

/// The whole page.
pub(crate) fn page(answer: &RegionsAnswer) -> String {
    let mut text = format!("{}\n", rows(&answer.regions));
    for sentence in bears(&answer.regions).into_iter().chain(unconfirmed(&answer.directory)) {
        text.push('\n');
        text.push_str(&sentence);
        text.push('\n');
    }
    trimmed(&text)
}

/// The regions.
pub(super) fn rows(regions: &[RegionStatus]) -> Table {
    let limited = regions.iter().any(|region| region.inbound_bytes_per_second.is_some());
    let mut columns = vec!["REGION", "STATE", "NODES LIVE", "DIRECTORY VOTERS", "PUBLIC URL"];
    if limited {
        columns.push("INBOUND");
    }
    let mut rows = table(&columns);
    for region in regions {
        let mut state = region.state.words().to_owned();
        if region.primary {
            state.push_str(", primary");
        }
        if region.own {
            state.push_str(", this node's");
        }
        let mut row = vec![
            region.name.clone(),
            state,
            format!("{} of {}", region.live, region.nodes),
            region.directory_voters.to_string(),
            region.public_url.clone().unwrap_or_default(),
        ];
        if limited {
            row.push(inbound(region.inbound_bytes_per_second));
        }
        rows.add_row(row);
    }
    rows
}

/// How fast copying may fill a region.
fn inbound(bytes_per_second: Option<u64>) -> String {
    bytes_per_second.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{}/s", size(bytes)))
}

/// What was changed of a region, in sentences.
pub(super) fn described(request: &SetRegionRequest) -> String {
    let name = &request.name;
    let url = request.public_url.as_ref().map(|wanted| match wanted {
        Wanted::Set(url) => format!("clients reach region {name} at {url}"),
        Wanted::Unset => format!("clients are not sent to region {name} any more"),
    });
    let inbound = request.inbound_bytes_per_second.map(|wanted| match wanted {
        Wanted::Set(bytes) => {
            format!("copying brings at most {} into region {name} from each other region", inbound(Some(bytes)))
        }
        Wanted::Unset => format!("copying brings into region {name} as much as the lines give"),
    });
    url.into_iter().chain(inbound).collect::<Vec<_>>().join("\n")
}

/// Without which regions the directory goes on. Nothing where only one has nodes.
pub(super) fn bears(regions: &[RegionStatus]) -> Option<String> {
    let regions: Vec<&RegionStatus> = regions.iter().filter(|region| region.nodes > 0).collect();
    if regions.len() < 2 {
        return None;
    }
    let votes = |region: &RegionStatus| usize::try_from(region.directory_voters).unwrap_or(usize::MAX);
    let voters: BTreeMap<RegionId, usize> = regions.iter().map(|region| (RegionId(region.id), votes(region))).collect();
    let borne = regions_borne(&voters);
    if borne > 0 {
        return Some(format!(
            "the directory bears the loss of any {}",
            if borne == 1 { "one region".to_owned() } else { count(borne as u64, "region", "regions") }
        ));
    }
    let total: usize = voters.values().sum();
    let needed: Vec<&str> =
        regions.iter().filter(|region| total - votes(region) <= total / 2).map(|region| region.name.as_str()).collect();
    Some(format!(
        "the directory needs {}: without {} policies and membership do not change; what the namespaces of the other \
         regions hold is served all the same",
        needed.join(" and "),
        if needed.len() == 1 { "it" } else { "either" }
    ))
}

/// How old it is what is shown, if nobody has confirmed it.
pub(super) fn unconfirmed(reading: &DirectoryReading) -> Option<String> {
    (!reading.confirmed).then(|| {
        format!(
            "not confirmed by a quorum of the directory: this is what this node knew at {}, {} ago",
            moment(reading.as_of_milliseconds),
            duration(reading.age_seconds)
        )
    })
}

#[cfg(test)]
mod tests {
    use node::admin::RegionState;

    use super::*;

    fn region(id: u32, name: &str, votes: u64, state: RegionState) -> RegionStatus {
        RegionStatus {
            id,
            name: name.to_owned(),
            own: id == 2,
            primary: id == 1,
            public_url: (id == 1).then(|| "https://eu.example.com".to_owned()),
            inbound_bytes_per_second: None,
            nodes: 3,
            live: if state == RegionState::Silent { 0 } else { 3 },
            directory_voters: votes,
            state,
        }
    }

    #[test]
    fn the_list_reads_well() {
        let regions = vec![region(1, "eu", 3, RegionState::Silent), region(2, "us", 2, RegionState::Serves)];
        let directory = DirectoryReading { confirmed: false, as_of_milliseconds: 1_700_000_000_000, age_seconds: 75 };
        insta::assert_snapshot!(page(&RegionsAnswer {
            version: 1,
            directory,
            regions,
            removals_held_milliseconds: None
        }));
    }

    #[test]
    fn a_limit_of_copying_is_shown_where_one_is_set() {
        let mut regions = vec![region(1, "eu", 2, RegionState::Serves), region(2, "us", 1, RegionState::Serves)];
        assert!(!rows(&regions).to_string().contains("INBOUND"));
        regions[1].inbound_bytes_per_second = Some(50_000_000);
        insta::assert_snapshot!(trimmed(&rows(&regions).to_string()));
        let request = SetRegionRequest {
            name: "us".to_owned(),
            public_url: Some(Wanted::Unset),
            inbound_bytes_per_second: Some(Wanted::Set(50_000_000)),
        };
        assert_eq!(
            described(&request),
            "clients are not sent to region us any more\ncopying brings at most 47.6 MiB/s into region us from each other \
             region"
        );
    }

    #[test]
    fn what_the_directory_bears_is_said() {
        let serves = RegionState::Serves;
        let three = [region(1, "eu", 2, serves), region(2, "us", 2, serves), region(3, "ap", 1, serves)];
        assert_eq!(bears(&three).as_deref(), Some("the directory bears the loss of any one region"));
        assert_eq!(bears(&three[..1]), None);
        let even = [region(1, "eu", 1, serves), region(2, "us", 1, serves)];
        assert!(bears(&even).unwrap().starts_with("the directory needs eu and us: without either"));
    }
}
