//! Moves of homes, and what is lost with one, as text for people.

use std::fmt::Write as _;

use node::admin::{AsideAnswer, CopyStanding, Difference, ForceLookAnswer, MissingChange, MoveProgress, MoveStage};

use super::status_text::{table, trimmed};
use crate::arguments::root_or;
use crate::figures::{count, moment, size};

/// What a move is about to do, once.
pub(super) fn beginning(progress: &MoveProgress, prefix: &str) -> String {
    let MoveProgress { from, to, .. } = progress;
    let at = root_or(prefix);
    format!(
        "{at} moves from {from} to {to}; clients push until nearly all is there, and cannot for some seconds then.\nThis can \
         be interrupted: the same command again goes on, regnode namespace set {at} --home {from} takes it back"
    )
}

/// How far a move is.
pub(super) fn progress(progress: &MoveProgress) -> String {
    let mut text = match progress.stage {
        MoveStage::Fenced => "nobody can push: the rest arrives".to_owned(),
        MoveStage::Copying if progress.lifted => "pushes go on again: the rest did not arrive in time".to_owned(),
        MoveStage::Copying => "copying".to_owned(),
    };
    if progress.scopes > 1 {
        write!(text, ", {} of {} prefixes complete", progress.complete, progress.scopes)
            .expect("a string takes any text");
    }
    if progress.debts > 0 {
        write!(text, ", {} missing", count(progress.debts, "item", "items")).expect("a string takes any text");
    }
    if let Some(behind) = progress.behind.filter(|behind| *behind > 0) {
        write!(text, ", {} behind", count(behind, "change", "changes")).expect("a string takes any text");
    }
    if progress.arrived_items > 0 {
        let items = count(progress.arrived_items, "item", "items");
        write!(text, ", {items} with {} arrived", size(progress.arrived_bytes)).expect("a string takes any text");
    }
    if let Some(waits_for) = &progress.waits_for {
        write!(text, "; {waits_for}").expect("a string takes any text");
    }
    text
}

/// What would be lost by force.
pub(super) fn losses(look: &ForceLookAnswer) -> String {
    let ForceLookAnswer { home, to, .. } = look;
    let at = root_or(&look.prefix);
    let answers = if look.home_answers { "answers" } else { "does not answer" };
    let mut page = format!("region {home}, the home of {at}, {answers}. If region {to} becomes it by force:\n\n");
    let mut rows = table(&["COPIED", "STATE", "COMPLETE UP TO", "HEARD OF UP TO", "TAGS", "MANIFESTS", "MISSING"]);
    let time = |time: Option<u64>| time.map_or_else(|| "never".to_owned(), moment);
    for copy in &look.copies {
        rows.add_row([
            root_or(&copy.prefix).to_owned(),
            state(copy).to_owned(),
            time(copy.synced_milliseconds),
            time(copy.heard_milliseconds),
            copy.held.tags.to_string(),
            copy.held.manifests.to_string(),
            copy.debts.to_string(),
        ]);
    }
    writeln!(page, "{rows}").expect("a string takes any text");
    if look.copies.iter().any(|copy| !(copy.exists && copy.everything && copy.surveyed)) {
        page.push_str(
            "\nthere is no copy of everything: what was never copied would be lost, and is not listed here\n",
        );
    }
    if look.copies.iter().any(|copy| copy.exists && !copy.surveyed) {
        page.push_str("\nnot all has been compared with the home: what is missing is not known in full\n");
    }
    if look.missing.is_empty() && look.copies.iter().all(|copy| copy.exists && copy.surveyed) {
        page.push_str("\nnothing is known of that would be lost\n");
    }
    if !look.missing.is_empty() {
        let known = count(look.missing.len() as u64, "acknowledged change is", "acknowledged changes are");
        writeln!(page, "\n{known} known and would be lost:\n\n{}", missing(&look.missing))
            .expect("a string takes any text");
    }
    let heard = look.copies.iter().map(|copy| copy.heard_milliseconds).min().flatten();
    let since = heard.map_or_else(String::new, |heard| format!(" after {}", moment(heard)));
    writeln!(
        page,
        "\nwhat {home} has acknowledged{since} is not known here, and would not be there either. Should {home} come back, it \
         keeps\nall that it has aside: regnode namespace aside {at} tells what of that {to} lacks"
    )
    .expect("a string takes any text");
    trimmed(&page)
}

/// How a copy is, in words.
fn state(copy: &CopyStanding) -> &'static str {
    match copy {
        CopyStanding { exists: false, .. } => "no copy",
        CopyStanding { everything: false, .. } => "some tags only",
        CopyStanding { surveyed: false, .. } => "not all compared",
        CopyStanding { debts: 0, .. } => "complete",
        _ => "behind",
    }
}

fn missing(missing: &[MissingChange]) -> String {
    let mut rows = table(&["WHEN", "REPOSITORY", "WHAT", "WHY"]);
    for change in missing {
        rows.add_row([
            moment(change.time_milliseconds),
            change.repository.as_str().to_owned(),
            what(change),
            change.error.clone().unwrap_or_default(),
        ]);
    }
    rows.to_string()
}

fn what(change: &MissingChange) -> String {
    let digest = change.digest.as_deref().unwrap_or_default();
    match (&change.tag, change.deleted) {
        (None, _) if change.blob => format!("blob {digest} pushed"),
        (Some(tag), false) => format!("tag {tag} set to {digest}"),
        (Some(tag), true) => format!("tag {tag} deleted"),
        (None, false) => format!("manifest {digest} pushed"),
        (None, true) => format!("manifest {digest} deleted"),
    }
}

/// What former homes have that the present one lacks.
pub(super) fn aside(answer: &AsideAnswer) -> String {
    let (at, home) = (root_or(&answer.prefix), &answer.home);
    if answer.regions.is_empty() && answer.compared.is_none() {
        return format!("nothing of {at} is aside anywhere\n");
    }
    let mut page = String::new();
    for region in &answer.regions {
        let name = &region.region;
        write!(page, "region {name} was the home of {at} until {}", moment(region.since_milliseconds))
            .expect("a string takes any text");
        match &region.problem {
            Some(problem) => writeln!(page, "; what it has cannot be told: {problem}"),
            None => writeln!(page),
        }
        .expect("a string takes any text");
    }
    let Some(compared) = &answer.compared else { return page };
    let is_aside = answer.regions.iter().any(|region| region.region == *compared);
    let settle = if is_aside { format!("regnode namespace aside {at} --settle {compared}") } else { String::new() };
    if answer.differences.is_empty() {
        let settle = if is_aside { format!("; settle it with {settle}") } else { settle };
        writeln!(page, "\n{home} has all that {compared} has{settle}").expect("a string takes any text");
        return page;
    }
    let differ = count(answer.differences.len() as u64, "thing", "things");
    let mut rows = table(&["PUSHED THERE", "REPOSITORY", "TAG", "MANIFEST", "IN THE HOME"]);
    for difference in &answer.differences {
        rows.add_row([
            moment(difference.pushed_milliseconds),
            difference.repository.as_str().to_owned(),
            difference.tag.as_ref().map_or_else(String::new, ToString::to_string),
            difference.digest.clone(),
            at_home(difference),
        ]);
    }
    writeln!(page, "\n{compared} has {differ} that {home} lacks or has otherwise:\n\n{rows}")
        .expect("a string takes any text");
    let then = if is_aside { format!(", then: {settle}") } else { settle };
    writeln!(page, "\npush again what is to be kept{then}").expect("a string takes any text");
    trimmed(&page)
}

fn at_home(difference: &Difference) -> String {
    match (&difference.at_home, difference.at_home_milliseconds, difference.manifest_at_home) {
        (Some(digest), Some(since), _) => format!("{digest} since {}", moment(since)),
        (Some(digest), None, _) => digest.clone(),
        (None, _, true) => "only the manifest".to_owned(),
        (None, _, false) => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use node::admin::{AsideRegion, Counts};

    use super::*;

    const TIME: u64 = 1_800_000_000_000;

    fn digest(byte: &str) -> String {
        format!("sha256:{}", byte.repeat(32))
    }

    fn copy(prefix: &str) -> CopyStanding {
        CopyStanding {
            prefix: prefix.to_owned(),
            exists: true,
            everything: true,
            surveyed: true,
            synced_milliseconds: Some(TIME),
            heard_milliseconds: Some(TIME + 60_000),
            debts: 2,
            held: Counts { tags: 12, manifests: 40 },
        }
    }

    fn look() -> ForceLookAnswer {
        let change = |tag: Option<&str>, digest: Option<String>, deleted, error: Option<&str>| MissingChange {
            repository: "acme/app".parse().unwrap(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest,
            blob: false,
            deleted,
            time_milliseconds: TIME + 30_000,
            error: error.map(ToOwned::to_owned),
        };
        ForceLookAnswer {
            version: 1,
            prefix: "acme".to_owned(),
            home: "eu".to_owned(),
            to: "us".to_owned(),
            policy_version: 7,
            home_answers: false,
            copies: vec![copy("acme"), CopyStanding { debts: 0, ..copy("acme/tools") }],
            missing: vec![
                change(None, Some(digest("1a")), false, Some("region eu does not answer")),
                change(Some("v3"), Some(digest("1a")), false, None),
                change(Some("v1"), None, true, None),
            ],
            next: None,
        }
    }

    #[test]
    fn what_would_be_lost_reads_well() {
        insta::assert_snapshot!(losses(&look()));
    }

    #[test]
    fn where_nothing_is_known_to_be_lost_that_is_said_too() {
        let never = CopyStanding {
            exists: false,
            synced_milliseconds: None,
            heard_milliseconds: None,
            debts: 0,
            ..copy("acme")
        };
        let none = ForceLookAnswer { copies: vec![never], missing: Vec::new(), home_answers: true, ..look() };
        insta::assert_snapshot!(losses(&none));
    }

    #[test]
    fn what_is_aside_reads_well() {
        let difference = |tag: Option<&str>, at_home: Option<String>, manifest_at_home| Difference {
            repository: "acme/app".parse().unwrap(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest: digest("2b"),
            pushed_milliseconds: TIME,
            at_home_milliseconds: at_home.as_ref().map(|_| TIME + 90_000),
            at_home,
            manifest_at_home,
        };
        let region = |name: &str, problem: Option<&str>| AsideRegion {
            region: name.to_owned(),
            since_milliseconds: TIME,
            problem: problem.map(ToOwned::to_owned),
        };
        let answer = AsideAnswer {
            version: 1,
            prefix: "acme".to_owned(),
            home: "us".to_owned(),
            policy_version: 8,
            regions: vec![region("eu", None), region("asia", Some("region asia does not answer; try again later"))],
            compared: Some("eu".to_owned()),
            differences: vec![
                difference(Some("v4"), None, false),
                difference(Some("v3"), Some(digest("1a")), true),
                difference(None, None, false),
            ],
            next: None,
        };
        insta::assert_snapshot!(aside(&answer));
        let same = AsideAnswer { differences: Vec::new(), regions: vec![region("eu", None)], ..answer.clone() };
        assert!(
            aside(&same).contains("us has all that eu has; settle it with regnode namespace aside acme --settle eu")
        );
        let none = AsideAnswer { regions: Vec::new(), compared: None, differences: Vec::new(), ..answer };
        assert_eq!(aside(&none), "nothing of acme is aside anywhere\n");
    }

    #[test]
    fn a_move_says_how_far_it_is() {
        let moving = MoveProgress {
            from: "eu".to_owned(),
            to: "us".to_owned(),
            scopes: 3,
            complete: 1,
            behind: Some(4),
            debts: 9,
            arrived_items: 120,
            arrived_bytes: 5 << 30,
            waits_for: Some("acme/app: region eu does not answer".to_owned()),
            ..MoveProgress::default()
        };
        assert_eq!(
            progress(&moving),
            "copying, 1 of 3 prefixes complete, 9 items missing, 4 changes behind, 120 items with 5.0 GiB arrived; acme/app: \
             region eu does not answer"
        );
        let fenced = MoveProgress { stage: MoveStage::Fenced, ..MoveProgress::default() };
        assert_eq!(progress(&fenced), "nobody can push: the rest arrives");
        let lifted = MoveProgress { lifted: true, ..MoveProgress::default() };
        assert!(progress(&lifted).starts_with("pushes go on again"));
        assert!(beginning(&moving, "acme").ends_with("regnode namespace set acme --home eu takes it back"));
    }
}
