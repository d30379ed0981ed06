//! The way to those who are asked: this node answers itself, others over the peers' port.
//!
//! A trait, so that a run is tested without peers.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use raft::id::{NodeId, RegionId};

use super::answer::Answerer;
use super::question::{
    HoldingsAnswer, HoldingsQuestion, InventoryAnswer, InventoryQuestion, Question, TraceAnswer, TraceQuestion,
};
use crate::admin::ErrorAnswer;
use crate::environment::BoxFuture;
use crate::peer::{AdminAnswer, AdminRequest, Asker};

/// Time for an answer. Listing a page and reading some hundred headers may take some seconds on a busy disk.
const DEADLINE: Duration = Duration::from_mins(1);

/// Puts questions. An error is a sentence for people.
pub(super) trait Reach: Debug + Send + Sync + 'static {
    /// Asks a node about its disks.
    fn inventory(&self, node: NodeId, question: InventoryQuestion) -> BoxFuture<'_, Result<InventoryAnswer, String>>;

    /// Asks a region about its catalog.
    fn holdings(&self, region: RegionId, question: HoldingsQuestion) -> BoxFuture<'_, Result<HoldingsAnswer, String>>;

    /// Asks a region whether it knows objects.
    fn trace(&self, region: RegionId, question: TraceQuestion) -> BoxFuture<'_, Result<TraceAnswer, String>>;
}

/// This node answers itself, the others over the peers' port.
#[derive(Debug)]
pub(super) struct OverPeers(pub(super) Arc<Answerer>);

impl Reach for OverPeers {
    fn inventory(&self, node: NodeId, question: InventoryQuestion) -> BoxFuture<'_, Result<InventoryAnswer, String>> {
        Box::pin(async move {
            if node == self.0.parts.node {
                return self.0.inventory(question).await.map_err(|error| error.to_string());
            }
            let answer = self.0.parts.peers.administer(node, request(&question)?, DEADLINE).await;
            read::<InventoryQuestion>(&answer.map_err(|error| error.to_string())?)
        })
    }

    fn holdings(&self, region: RegionId, question: HoldingsQuestion) -> BoxFuture<'_, Result<HoldingsAnswer, String>> {
        Box::pin(async move {
            if region == self.0.parts.region {
                return self.0.holdings(question).await.map_err(|error| error.to_string());
            }
            ask(&self.0, region, &question).await
        })
    }

    fn trace(&self, region: RegionId, question: TraceQuestion) -> BoxFuture<'_, Result<TraceAnswer, String>> {
        Box::pin(async move {
            if region == self.0.parts.region {
                return self.0.trace(question).await.map_err(|error| error.to_string());
            }
            ask(&self.0, region, &question).await
        })
    }
}

/// Asks any node of another region.
async fn ask<Q: Question>(answerer: &Answerer, region: RegionId, question: &Q) -> Result<Q::Answer, String> {
    let regions = &answerer.parts.regions;
    let known = regions.region(region).ok_or_else(|| format!("region {region} is not known"))?;
    let answer = regions.administer(&known, request(question)?, DEADLINE).await;
    read::<Q>(&answer.map_err(|error| error.to_string())?)
}

fn request<Q: Question>(question: &Q) -> Result<AdminRequest, String> {
    let body = serde_json::to_vec(question).map_err(|error| error.to_string())?;
    Ok(AdminRequest { method: Method::POST, path: Q::PATH.to_owned(), body: Bytes::from(body), asker: Asker::Machine })
}

fn read<Q: Question>(answer: &AdminAnswer) -> Result<Q::Answer, String> {
    if answer.status == StatusCode::OK {
        return serde_json::from_slice(&answer.body).map_err(|error| format!("its answer makes no sense: {error}"));
    }
    let refused = serde_json::from_slice::<ErrorAnswer>(&answer.body).map(|answer| answer.error);
    Err(refused.unwrap_or_else(|_| format!("it answers {}", answer.status)))
}
