//! Clusters over several regions: founded region by region, with a door in front of each peer port.
//!
//! A node is called by its region and its number there: `eu-1`. The first region is the root's home.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use crate::cluster::{COMMAND_DEADLINE, Cluster, OPERATOR_PASSWORD};
use crate::command::FirstAccess;
use crate::links::{Links, region_of};
use crate::node::{Node, START_DEADLINE};
use crate::operator::{query, run};
use crate::registry::{Registry, manifest_path};
use crate::wait::eventually;
use crate::{command, process};

/// How long it may take until every region knows a change, or that another one is back.
pub const NOTICE: Duration = Duration::from_secs(40);

/// A cluster over several regions, and the lines between them.
#[derive(Debug)]
pub struct Regions {
    cluster: Cluster,
    links: Links,
}

impl Regions {
    /// A cluster of so many nodes in each region, all of which serve.
    ///
    /// # Errors
    /// When it does not come up; the logs have been printed then.
    pub async fn start(plan: &[(&str, usize)]) -> Result<Self> {
        Self::start_for(plan, false).await
    }

    /// The same in which nobody may anything but the operator, [`OPERATOR`](crate::cluster::OPERATOR).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_closed(plan: &[(&str, usize)]) -> Result<Self> {
        Self::start_for(plan, true).await
    }

    async fn start_for(plan: &[(&str, usize)], closed: bool) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("regnode-test-").tempdir()?;
        let (mut nodes, mut links) = (Vec::new(), Links::default());
        for (region, count) in plan {
            for number in 1..=*count {
                let name = format!("{region}-{number}");
                let mut node = Node::new(folder.path(), nodes.len(), name.clone(), None, Vec::new())?;
                let door = links.open(&name, node.options.peer_listen).await?;
                node.options.settings.push(("peer.advertise".to_owned(), door.to_string()));
                node.options.region = Some((*region).to_owned());
                nodes.push(node);
            }
        }
        if let (true, Some(first)) = (closed, nodes.first_mut()) {
            let file = folder.path().join("operator-password");
            std::fs::write(&file, format!("{OPERATOR_PASSWORD}\n"))?;
            first.options.access = FirstAccess::closed(file);
        }
        let mut regions = Self { cluster: Cluster::of(nodes, folder), links };
        let up = async {
            regions.found().await?;
            regions.wait_settled(START_DEADLINE).await
        };
        if let Err(error) = up.await {
            regions.cluster.print_logs();
            return Err(error);
        }
        Ok(regions)
    }

    async fn found(&mut self) -> Result<()> {
        let first = self.cluster.node_mut(0);
        first.launch(command::init(&first.options)?)?;
        first.wait_ready().await?;
        let (data, mut known) = (first.data().to_owned(), vec![first.region().to_owned()]);
        for number in 1..self.cluster.nodes().len() {
            let node = self.cluster.node_mut(number);
            let region = node.region().to_owned();
            if !known.contains(&region) {
                run(&data, &["region", "add", &region]).await?;
                known.push(region.clone());
            }
            let invitation = process::output(command::token(&data, Some(&region))?, COMMAND_DEADLINE).await?;
            node.launch(command::join(&node.options, &command::parse_invitation(&invitation)?, None)?)?;
            node.wait_ready().await?;
        }
        Ok(())
    }

    /// Waits until all nodes say that all regions serve, and that every node votes that is to.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn wait_settled(&self, deadline: Duration) -> Result<()> {
        eventually("all regions serve", deadline, async || {
            for node in self.cluster.nodes() {
                let status = node.status().await?;
                ensure!(status.is_settled(), "{} says: {status}", node.name());
            }
            Ok(Some(()))
        })
        .await
    }

    /// Waits until every node knows the home of a namespace and its region's catalog has taken it up.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn wait_home(&self, prefix: &str, home: &str) -> Result<()> {
        self.wait_home_at(self.nodes(), prefix, home).await
    }

    /// The same of some nodes.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn wait_home_at(
        &self,
        nodes: impl IntoIterator<Item = &Node> + Clone,
        prefix: &str,
        home: &str,
    ) -> Result<()> {
        eventually("the home is known everywhere", NOTICE, async || {
            for node in nodes.clone() {
                let shown = query(node.data(), &["namespace", "show", prefix]).await?;
                let known = shown["place"]["home"] == home && shown["place"]["moving"].is_null();
                ensure!(known && shown["in_force"] == true, "{}: {shown}", node.name());
            }
            Ok(Some(()))
        })
        .await
    }

    /// Waits until `status` and `region list` at a node both say this of each region, in the order of the plan, and
    /// whether the directory has a quorum.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn wait_told(&self, node: &str, states: [&str; 3], confirmed: bool) -> Result<()> {
        let node = self.node(node);
        let expected = (states.map(str::to_owned).to_vec(), confirmed);
        eventually("the state of the regions is told", NOTICE, async || {
            let status = node.status().await?;
            let states = status.regions().into_iter().map(|(_, state)| state).collect();
            let told: (Vec<String>, bool) = (states, status.is_directory_confirmed());
            ensure!(told == expected, "{}: {status}", node.name());
            let answer = query(node.data(), &["region", "list"]).await?;
            let list = answer["regions"].as_array().context("no regions")?;
            let states = list.iter().map(|region| region["state"].as_str().unwrap_or_default().to_owned()).collect();
            let listed: (Vec<String>, bool) = (states, answer["directory"]["confirmed"] == true);
            ensure!(listed == told, "{}: region list says {answer}, status {status}", node.name());
            Ok(Some(()))
        })
        .await
    }

    /// Fails unless a node answers requests for the namespace of a region that it cannot reach with 503, the region's name
    /// and `Retry-After`, within a time.
    ///
    /// # Errors
    /// Then.
    pub async fn check_unreachable(&self, node: &str, region: &str, within: Duration) -> Result<()> {
        let begin = Instant::now();
        let path = manifest_path(&format!("{region}/own"), "before");
        let answer = self.node(node).registry().get(&path).await?.expect_error(503, "UNAVAILABLE")?;
        ensure!(begin.elapsed() < within, "{} took {:?}", answer.request, begin.elapsed());
        let seconds: u64 = answer.need("retry-after")?.parse()?;
        ensure!((1..=60).contains(&seconds), "Retry-After: {seconds}");
        ensure!(answer.text().contains(&format!("region {region} ")), "{}", answer.text());
        Ok(())
    }

    /// The lines between the regions.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        self.cluster.nodes()
    }

    /// A node by its name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        self.nodes().iter().find(|node| node.name() == name).expect("a node of the plan")
    }

    /// A node by its name.
    ///
    /// # Panics
    /// When there is none.
    pub fn node_mut(&mut self, name: &str) -> &mut Node {
        let number = self.node(name).number();
        self.cluster.node_mut(number)
    }

    /// A client that sends each request to the next node of a region.
    #[must_use]
    pub fn registry(&self, region: &str) -> Registry {
        Registry::new(&self.of(region).map(Node::url).collect::<Vec<_>>())
    }

    /// Nodes of a region.
    pub fn of(&self, region: &str) -> impl Iterator<Item = &Node> {
        self.nodes().iter().filter(move |node| node.region() == region)
    }

    /// Kills all nodes of a region at once.
    ///
    /// # Errors
    /// When one does not run.
    pub fn kill(&mut self, region: &str) -> Result<()> {
        let numbers: Vec<usize> = self.of(region).map(Node::number).collect();
        ensure!(!numbers.is_empty(), "there is no region {region}");
        self.cluster.kill_together(&numbers)
    }

    /// Starts all nodes that do not run and waits until they serve.
    ///
    /// # Errors
    /// When one does not get ready.
    pub async fn restart_all(&mut self) -> Result<()> {
        self.cluster.restart_all().await
    }

    /// Sets fields of a namespace, asked at the first node of a region.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn set(&self, region: &str, prefix: &str, fields: &[&str]) -> Result<()> {
        let node = self.of(region).next().context("a region without nodes")?;
        run(node.data(), &[&["namespace", "set", prefix], fields].concat()).await.map(drop)
    }

    /// Fails when a node has ended by itself or panicked.
    ///
    /// # Errors
    /// Then.
    pub fn check_sound(&mut self) -> Result<()> {
        self.cluster.check_sound()
    }
}

impl Node {
    /// The region that it is called by.
    #[must_use]
    pub fn region(&self) -> &str {
        region_of(self.name())
    }
}
