//! Copies as text for people: a table, what fails and why, and which regions do not answer.

use std::fmt::Write as _;

use comfy_table::Table;
use node::admin::{CopyStatus, RegionCopies, ReplicationAnswer};

use super::status_text::{table, trimmed};
use crate::arguments::root_or;
use crate::figures::{count, duration, size};

/// The whole page. `namespace` is what was asked for.
pub(super) fn page(answer: &ReplicationAnswer, namespace: Option<&str>) -> String {
    let mut page = String::new();
    if answer.regions.iter().any(|region| !region.copies.is_empty()) {
        line(&mut page, format_args!("{}", rows(&answer.regions)));
    } else {
        line(&mut page, format_args!("{}", nothing(answer, namespace)));
    }
    for region in &answer.regions {
        for copy in region.copies.iter().filter(|copy| copy.items_failing > 0) {
            failing(&mut page, &region.region, copy);
        }
    }
    for region in &answer.regions {
        for copy in &region.copies {
            if let Some(reason) = &copy.waits_for {
                let namespace = root_or(&copy.namespace);
                line(&mut page, format_args!("\nthe copy of {namespace} in region {} waits: {reason}", region.region));
            }
        }
        if let Some(error) = &region.error {
            line(&mut page, format_args!("\nwhat is in region {} is not known: {error}", region.region));
        }
    }
    trimmed(&page)
}

fn nothing(answer: &ReplicationAnswer, namespace: Option<&str>) -> String {
    let who = if answer.regions.iter().any(|region| region.error.is_some()) {
        "no region that answers has a copy"
    } else {
        "no region has a copy"
    };
    match namespace {
        Some(namespace) => {
            let namespace = root_or(namespace);
            format!("{who} of {namespace}: regnode namespace show {namespace} says where it rests")
        }
        None => format!("{who}: regnode namespace set PREFIX --residency replicated --copies REGION,… has one made"),
    }
}

fn rows(regions: &[RegionCopies]) -> Table {
    let mut rows = table(&["NAMESPACE", "FROM", "TO", "STATE", "LAG", "WAITING", "FAILING", "ARRIVED", "RATE"]);
    for region in regions {
        for copy in &region.copies {
            rows.add_row([
                root_or(&copy.namespace).to_owned(),
                copy.from.clone(),
                region.region.clone(),
                format!("{}{}", copy.state.words(), if copy.moving { ", moving there" } else { "" }),
                copy.lag_seconds.map_or_else(|| "never complete".to_owned(), duration),
                waiting(copy),
                if copy.items_failing == 0 { String::new() } else { copy.items_failing.to_string() },
                format!("{} ({})", count(copy.items_arrived, "thing", "things"), size(copy.bytes_arrived)),
                if copy.bytes_per_second == 0 { String::new() } else { format!("{}/s", size(copy.bytes_per_second)) },
            ]);
        }
    }
    rows
}

/// What is still to come.
fn waiting(copy: &CopyStatus) -> String {
    let items = (copy.items_waiting > 0).then(|| count(copy.items_waiting, "thing", "things"));
    let events = copy.events_behind.filter(|events| *events > 0).map(|events| count(events, "change", "changes"));
    items.into_iter().chain(events).collect::<Vec<_>>().join(", ")
}

fn failing(page: &mut String, region: &str, copy: &CopyStatus) {
    line(
        page,
        format_args!(
            "\n{} of {} cannot be copied to region {region} so far; {} again by {}:",
            count(copy.items_failing, "thing", "things"),
            root_or(&copy.namespace),
            if copy.items_failing == 1 { "it is tried" } else { "they are tried" },
            if copy.items_failing == 1 { "itself" } else { "themselves" },
        ),
    );
    for failure in &copy.failures {
        let times = count(u64::from(failure.failures), "time", "times");
        line(page, format_args!("  {} ({times}): {}", failure.what, failure.error));
    }
    let more = copy.items_failing.saturating_sub(copy.failures.len() as u64);
    if more > 0 {
        line(page, format_args!("  … and {more} more"));
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes any text");
}

/// Copies to try texts with.
#[cfg(test)]
pub(super) mod testing {
    use node::admin::{CopyFailure, CopyState};

    use super::*;

    /// A copy in a state that has nothing else to tell.
    pub(crate) fn copy(namespace: &str, state: CopyState) -> CopyStatus {
        let in_sync = state == CopyState::InSync;
        CopyStatus {
            namespace: namespace.to_owned(),
            from: "eu".to_owned(),
            state,
            moving: false,
            synced_milliseconds: in_sync.then_some(1_700_000_000_000),
            lag_seconds: in_sync.then_some(0),
            events_behind: Some(0),
            items_waiting: 0,
            items_failing: 0,
            failures: Vec::new(),
            waits_for: None,
            items_arrived: 12_043,
            bytes_arrived: 1_300_000_000_000,
            bytes_per_second: 0,
        }
    }

    /// Copies in several states, and a region that does not answer.
    pub(crate) fn regions() -> ReplicationAnswer {
        let failure = CopyFailure {
            what: "tag v7 of acme/app".to_owned(),
            error: "blob sha256:4f1c… has other bytes than its digest says".to_owned(),
            failures: 3,
        };
        let behind = CopyStatus {
            lag_seconds: Some(185),
            events_behind: Some(12),
            items_waiting: 40,
            items_failing: 2,
            failures: vec![failure],
            bytes_per_second: 12 << 20,
            ..copy("acme", CopyState::Behind)
        };
        let moving = CopyStatus {
            moving: true,
            items_waiting: 1_024,
            items_arrived: 310,
            bytes_arrived: 7 << 30,
            bytes_per_second: 90 << 20,
            ..copy("acme/ml", CopyState::Comparing)
        };
        let silent_home = CopyStatus {
            from: "asia".to_owned(),
            synced_milliseconds: Some(1_700_000_000_000),
            lag_seconds: Some(90_000),
            events_behind: None,
            waits_for: Some("region asia does not answer".to_owned()),
            ..copy("tools", CopyState::Waiting)
        };
        let region =
            |region: &str, copies: Vec<CopyStatus>| RegionCopies { region: region.to_owned(), error: None, copies };
        let silent =
            RegionCopies { error: Some("region asia does not answer".to_owned()), ..region("asia", Vec::new()) };
        let regions = vec![region("us", vec![behind, copy("base", CopyState::InSync), moving, silent_home]), silent];
        ReplicationAnswer { version: 1, regions }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::regions;
    use super::*;

    #[test]
    fn the_status_reads_well() {
        insta::assert_snapshot!(page(&regions(), None));
    }

    #[test]
    fn where_nothing_is_copied_it_is_said_how() {
        let mut answer = regions();
        answer.regions.truncate(1);
        answer.regions[0].copies.clear();
        let text = page(&answer, None);
        assert!(
            text.starts_with("no region has a copy: regnode namespace set PREFIX --residency replicated"),
            "{text}"
        );
        assert!(page(&answer, Some("")).contains("a copy of /: regnode namespace show / says"));
    }
}
