//! Asking the home.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Question, QuestionError};
use crate::admin::ErrorAnswer;
use crate::peer::{AdminRequest, Asker};
use crate::regions::{Region, Regions};

/// Longest time for an answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// Asks a node of a region.
pub(crate) async fn ask<Q: Question>(
    regions: &Regions,
    region: &Region,
    question: &Q,
) -> Result<Q::Answer, QuestionError> {
    let body = serde_json::to_vec(question).map_err(|error| QuestionError::Internal(error.to_string()))?;
    let request =
        AdminRequest { method: Method::POST, path: Q::PATH.to_owned(), body: body.into(), asker: Asker::Machine };
    let answer = regions.administer(region, request, DEADLINE).await;
    let answer = answer.map_err(|error| QuestionError::Unavailable(error.to_string()))?;
    if answer.status != StatusCode::OK {
        return Err(refused(region, answer.status, &answer.body));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| QuestionError::Internal(format!("region {}: the answer makes no sense: {error}", region.name)))
}

/// The error that an answer is. The table is that of `admin::replication`, read backwards.
fn refused(region: &Region, status: StatusCode, body: &Bytes) -> QuestionError {
    let error = serde_json::from_slice::<ErrorAnswer>(body).map(|answer| answer.error);
    let error = error.unwrap_or_else(|_| format!("it answers {status}"));
    let error = format!("region {}: {error}", region.name);
    match status {
        StatusCode::BAD_REQUEST => QuestionError::Invalid(error),
        StatusCode::FORBIDDEN => QuestionError::Refused(error),
        StatusCode::CONFLICT => QuestionError::Behind(error),
        StatusCode::SERVICE_UNAVAILABLE => QuestionError::Unavailable(error),
        _ => QuestionError::Internal(error),
    }
}
