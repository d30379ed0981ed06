//! `regnode region`: regions added, listed, described, retired.

use anyhow::Result;
use node::admin::{RegionAnswer, RegionRequest, SetRegionRequest, Wanted};

use super::node::data_dir;
use super::region_text::{described, page};
use super::takeover::{release, takeover};
use crate::admin_client;
use crate::arguments::{Ask, NamedRegion, Region, RegionAction, RegionList, RegionSet};

/// Does what is asked of a region.
pub(crate) async fn region(region: Region) -> Result<()> {
    match region.action {
        RegionAction::Add(named) => {
            let answer = admin_client::add_region(&data_dir(&named.ask).await?, &request(&named)).await?;
            let name = &answer.name;
            let text = format!(
                "region {name} is added. It has no node yet: the first machine that joins it founds it\n\n  \
                 regnode token --region {name}    prints what to run there"
            );
            print(&named.ask, &answer, &text)
        }
        RegionAction::List(list) => look(list).await,
        RegionAction::Set(set) => describe(set).await,
        RegionAction::Primary(named) => {
            let answer = admin_client::set_primary(&data_dir(&named.ask).await?, &request(&named)).await?;
            let text = format!(
                "region {} is the primary: where there are two regions, it keeps the directory's majority. The voters \
                 change within a minute: regnode region list shows them",
                answer.name
            );
            print(&named.ask, &answer, &text)
        }
        RegionAction::Takeover(asked) => takeover(asked).await,
        RegionAction::Release(asked) => release(asked).await,
        RegionAction::Retire(named) => {
            let answer = admin_client::retire_region(&data_dir(&named.ask).await?, &request(&named)).await?;
            print(&named.ask, &answer, &format!("region {} is retired; its name is free again", answer.name))
        }
    }
}

fn request(named: &NamedRegion) -> RegionRequest {
    RegionRequest { name: named.name.clone() }
}

async fn describe(set: RegionSet) -> Result<()> {
    let no_url = set.no_public_url.then_some(Wanted::Unset);
    let request = SetRegionRequest {
        name: set.name,
        public_url: set.public_url.map(Wanted::Set).or(no_url),
        inbound_bytes_per_second: set.inbound,
    };
    let answer = admin_client::set_region(&data_dir(&set.ask).await?, &request).await?;
    print(&set.ask, &answer, &described(&request))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn look(list: RegionList) -> Result<()> {
    let answer = admin_client::regions(&data_dir(&list.ask).await?).await?;
    if list.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", page(&answer));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(ask: &Ask, answer: &RegionAnswer, text: &str) -> Result<()> {
    if ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
    } else {
        println!("{text}");
    }
    Ok(())
}
