//! What `regnode status --json` answers, as far as tests look at it.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

/// One answer.
#[derive(Clone, Debug)]
pub struct Status(Value);

impl Status {
    /// Parses the command's output.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self(serde_json::from_str(text).context("status is not JSON")?))
    }

    /// Whether `count` nodes are live, each group has a leader and as many voters as so many nodes can have, and nothing
    /// is below its redundancy.
    #[must_use]
    pub fn is_whole(&self, count: usize) -> bool {
        let groups = list(&self.0, "groups");
        let voters = |group: &Value| list(group, "voters").len();
        let seats = if count == 4 { 3 } else { count.min(5) };
        self.live_nodes().len() == count
            && !groups.is_empty()
            && groups.iter().all(|group| !group["leader"].is_null() && voters(group) == seats)
            && self.under_replicated().is_ok_and(|extents| extents == 0)
    }

    /// Whether all regions serve, and each group that the node is in has a leader and all the voters that it is to have.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let groups = list(&self.0, "groups");
        let voters = |group: &Value| list(group, "voters").len() as u64;
        let regions = self.regions();
        groups.len() == 2
            && groups.iter().all(|group| !group["leader"].is_null() && group["seats"].as_u64() == Some(voters(group)))
            && !regions.is_empty()
            && regions.iter().all(|(_, state)| state == "serves")
            && self.is_directory_confirmed()
    }

    /// State of each region, by its name.
    #[must_use]
    pub fn regions(&self) -> Vec<(String, String)> {
        list(&self.0, "regions").iter().map(|region| (plain(&region["name"]), plain(&region["state"]))).collect()
    }

    /// Whether a quorum of the directory has confirmed what is said of nodes and regions.
    #[must_use]
    pub fn is_directory_confirmed(&self) -> bool {
        self.0["directory"]["confirmed"] == true
    }

    /// Names of the nodes that are live.
    #[must_use]
    pub fn live_nodes(&self) -> Vec<String> {
        self.nodes(true)
    }

    /// Names of the nodes that are not live.
    #[must_use]
    pub fn dead_nodes(&self) -> Vec<String> {
        self.nodes(false)
    }

    fn nodes(&self, live: bool) -> Vec<String> {
        let nodes = list(&self.0, "nodes").iter().filter(|node| node["live"].as_bool() == Some(live));
        nodes.map(|node| plain(&node["name"])).collect()
    }

    /// Leader of each group, by the group's name; `None` while there is none.
    #[must_use]
    pub fn leaders(&self) -> Vec<(String, Option<String>)> {
        let leader = |group: &Value| (!group["leader"].is_null()).then(|| plain(&group["leader"]));
        list(&self.0, "groups").iter().map(|group| (plain(&group["name"]), leader(group))).collect()
    }

    /// Extents below their redundancy.
    ///
    /// # Errors
    /// When the answer does not say.
    pub fn under_replicated(&self) -> Result<u64> {
        self.0["under_replicated"].as_u64().context("status does not say what is under-replicated")
    }

    /// What there is to know or to do, in sentences.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        list(&self.0, "findings").iter().map(plain).collect()
    }

    /// The verdict in one word.
    ///
    /// # Errors
    /// When the answer has none.
    pub fn verdict(&self) -> Result<String> {
        Ok(self.0["verdict"].as_str().context("status has no verdict")?.to_owned())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// A text without quotes; numbers as they are.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
