//! What other regions' catalogs are asked on behalf of an operator.

use std::time::Duration;

use http::{Method, StatusCode};
use raft::id::RegionId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Deletion, DeletionError};
use crate::admin::ErrorAnswer;
use crate::peer::{AdminRequest, Asker};

impl Deletion {
    /// Asks a node of another region for a path of its catalog.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        region: RegionId,
        path: &str,
        question: &(impl Serialize + Sync),
        within: Duration,
    ) -> Result<A, DeletionError> {
        let unknown = || DeletionError::Unavailable(format!("region {region} is not known here yet: try again"));
        let region = self.regions.region(region).ok_or_else(unknown)?;
        let body = serde_json::to_vec(question).map_err(|error| DeletionError::Internal(error.to_string()))?;
        let request =
            AdminRequest { method: Method::POST, path: path.to_owned(), body: body.into(), asker: Asker::Machine };
        let answer = self.regions.administer(&region, request, within).await;
        let answer = answer.map_err(|error| DeletionError::Unavailable(error.to_string()))?;
        if answer.status != StatusCode::OK {
            let error = serde_json::from_slice::<ErrorAnswer>(&answer.body).map(|answer| answer.error);
            let error = error.unwrap_or_else(|_| format!("it answers {}", answer.status));
            return Err(DeletionError::Unavailable(format!("region {}: {error}", region.name)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            DeletionError::Internal(format!("region {}: the answer makes no sense: {error}", region.name))
        })
    }
}
