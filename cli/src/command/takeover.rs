//! `regnode region takeover`: the directory goes on here when its majority is lost for good. `regnode region release`: what was
//! held back since then goes.

use anyhow::Result;
use node::admin::{RegionState, RegionsAnswer, TakeoverAnswer, TakeoverRequest};

use super::confirm::confirm;
use super::node::data_dir;
use crate::admin_client;
use crate::arguments::{RegionRelease, RegionTakeover};
use crate::figures::{duration, moment};

/// Takes over, once what is given up was told and confirmed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn takeover(takeover: RegionTakeover) -> Result<()> {
    let RegionTakeover { without, yes, ask } = takeover;
    let data_dir = data_dir(&ask).await?;
    let mut request = TakeoverRequest { without, give_up: None };
    let look = admin_client::takeover(&data_dir, &request).await?;
    if !ask.json {
        println!("{}", before(&look));
    }
    let what = format!("giving up the votes of {}", regions(&look.lost));
    confirm(yes, &what, &look.lost.join(",")).await?;
    request.give_up = Some(look.lost);
    let answer = admin_client::takeover(&data_dir, &request).await?;
    if ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("{}", after(&answer));
    }
    Ok(())
}

/// Lets what is foreign to regions go again, once it was told what that means and confirmed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn release(release: RegionRelease) -> Result<()> {
    let RegionRelease { yes, ask } = release;
    let data_dir = data_dir(&ask).await?;
    let regions = admin_client::regions(&data_dir).await?;
    if !ask.json {
        println!("{}", before_release(&regions));
    }
    if regions.removals_held_milliseconds.is_some() {
        confirm(yes, "letting all regions give up what rests elsewhere", "release").await?;
    }
    // Also where nothing seems to be held: what this node knows may be old.
    let answer = admin_client::release_removals(&data_dir).await?;
    if ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("\nwhat rests in a region that is neither its home nor a copy leaves it from now on");
    }
    Ok(())
}

/// What is about to happen.
fn before_release(answer: &RegionsAnswer) -> String {
    let Some(since) = answer.removals_held_milliseconds else {
        return "Nothing is held back: no takeover of the directory is known that was not released.".to_owned();
    };
    let silent = answer.regions.iter().filter(|region| region.state == RegionState::Silent);
    let silent: Vec<&str> = silent.map(|region| region.name.as_str()).collect();
    let silent = if silent.is_empty() {
        String::new()
    } else {
        format!("\n\nNot back yet, so that nobody can tell what they hold: {}.", silent.join(", "))
    };
    format!(
        "The directory was taken over at {}. Since then no region gives up what rests elsewhere. What the lost majority agreed \
         on last is not known: it may have made a region the home of a namespace, or a copy of it, and what that region has \
         may be the only one.\n\n\
         Look first at what the regions that returned hold:\n\n  \
         regnode residency verify              what is leaving a region, and what may not be there\n  \
         regnode namespace aside PREFIX        what former homes of a namespace have\n\n\
         Give what should stay there a home or a copy: regnode namespace set PREFIX --home REGION (with --force \
         where the home is lost), or --copies REGION. All else goes for good once this is confirmed.{silent}",
        moment(since)
    )
}

/// Regions in a sentence.
fn regions(names: &[String]) -> String {
    match names {
        [one] => format!("region {one}"),
        [first @ .., last] => format!("the regions {} and {last}", first.join(", ")),
        [] => "no region".to_owned(),
    }
}

/// What is about to happen, and what it costs.
fn before(look: &TakeoverAnswer) -> String {
    let TakeoverAnswer { region, founder, as_of_milliseconds, age_seconds, passed_over, .. } = look;
    let lost = regions(&look.lost);
    let passed_over = if passed_over.is_empty() {
        String::new()
    } else {
        format!("\n\nPassed over, with what only they know: {}.", passed_over.join(", "))
    };
    if look.lost == [region.as_str()] {
        return format!(
            "The directory has no quorum: too many of its voters, all of them in region {region}, do not answer.\n\n\
             The directory would go on with what node {founder} knows of it: as it was at {}, {} ago. Lost for good is what \
             the voters that do not answer agreed on and {founder} never heard of.{passed_over}",
            moment(*as_of_milliseconds),
            duration(*age_seconds)
        );
    }
    format!(
        "The directory has no quorum, and no node of region {region} hears of a voter of {lost}.\n\n\
         The directory would go on in region {region} with what node {founder} knows of it: as it was at {}, {} ago.\n\n\
         Lost for good is what {lost} agreed on and region {region} never heard of: homes and policies that were set, nodes \
         that joined or left, tokens. Nothing is deleted by the takeover itself: images that only {lost} had are still only there, and no region gives up what \
         rests elsewhere until regnode region release.\n\n\
         All machines of {lost} have to be switched off, or destroyed. Those that run on behind a cut agree on changes among \
         themselves; these are lost as soon as they reach region {region} again, and until then two homes may take pushes for \
         one namespace. When they return they follow region {region} by themselves.{passed_over}",
        moment(*as_of_milliseconds),
        duration(*age_seconds)
    )
}

/// What has happened, and what comes next.
fn after(answer: &TakeoverAnswer) -> String {
    let TakeoverAnswer { region, founder, .. } = answer;
    if answer.lost == [region.as_str()] {
        return format!(
            "the directory goes on from node {founder} of region {region}. The other nodes join within a minute: regnode region \
             list shows them\n\n  \
             regnode region release    once you know what all regions hold; until then none gives up what rests elsewhere"
        );
    }
    format!(
        "region {region} has taken the directory over from {}: it goes on from node {founder}, and region {region} is the \
         primary. The other nodes join within a minute: regnode region list shows them\n\n  \
         regnode namespace set PREFIX --home {region} --force    for each namespace whose home is lost\n  \
         regnode region release    once regions have returned and you know what they hold; until then none gives up what \
         rests elsewhere",
        regions(&answer.lost)
    )
}

#[cfg(test)]
mod tests {
    use node::admin::{DirectoryReading, RegionStatus};

    use super::*;

    fn answer(lost: &[&str], passed_over: &[&str]) -> TakeoverAnswer {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        TakeoverAnswer {
            version: 1,
            done: false,
            region: "us".to_owned(),
            lost: texts(lost),
            founder: "us-2".to_owned(),
            as_of_milliseconds: 1_700_000_000_000,
            age_seconds: 754,
            passed_over: texts(passed_over),
        }
    }

    #[test]
    fn a_takeover_reads_well() {
        let look = answer(&["eu"], &[]);
        insta::assert_snapshot!(format!("{}\n\n{}", before(&look), after(&look)));
    }

    #[test]
    fn a_takeover_from_voters_of_the_own_region_says_so() {
        let look = answer(&["us"], &["us-3"]);
        insta::assert_snapshot!(format!("{}\n\n{}", before(&look), after(&look)));
    }

    #[test]
    fn a_release_reads_well() {
        let region = |name: &str, state| RegionStatus {
            id: 1,
            name: name.to_owned(),
            own: false,
            primary: false,
            public_url: None,
            inbound_bytes_per_second: None,
            nodes: 3,
            live: 0,
            directory_voters: 0,
            state,
        };
        let mut regions = RegionsAnswer {
            version: 1,
            directory: DirectoryReading { confirmed: true, as_of_milliseconds: 1, age_seconds: 0 },
            regions: vec![region("us", RegionState::Serves), region("eu", RegionState::Silent)],
            removals_held_milliseconds: Some(1_700_000_000_000),
        };
        insta::assert_snapshot!(before_release(&regions));
        regions.removals_held_milliseconds = None;
        assert!(before_release(&regions).starts_with("Nothing is held back"));
    }

    #[test]
    fn a_takeover_of_two_regions_names_who_is_passed_over() {
        let text = before(&answer(&["ap", "eu"], &["us-3"]));
        assert!(
            text.contains("a voter of the regions ap and eu.") && text.ends_with("only they know: us-3."),
            "{text}"
        );
    }
}
