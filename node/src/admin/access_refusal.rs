//! The one table from errors of users, robots, rules and the like to statuses of the local socket.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use raft::directory::{AccessRefusal, Refusal};
use serde::Serialize;

use super::access_changes::AccessError;
use super::router::refuse;
use crate::access::NotPresent;

/// An answer, or why there is none.
pub(super) fn answered<A: Serialize>(outcome: Result<A, AccessError>) -> Response {
    match outcome {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

/// The answer to a request that was not carried out.
pub(super) fn refused(error: &AccessError) -> Response {
    match error {
        AccessError::Denied(denied) => denied.refused(),
        error => refuse(status(error), error.to_string()),
    }
}

fn status(error: &AccessError) -> StatusCode {
    match error {
        AccessError::Invalid(_) | AccessError::Password(_) | AccessError::Refused(Refusal::NamespaceInvalid(_)) => {
            StatusCode::BAD_REQUEST
        }
        AccessError::Unknown(_) => StatusCode::NOT_FOUND,
        AccessError::Denied(_) => StatusCode::FORBIDDEN,
        AccessError::Refused(Refusal::Access(refusal)) => of_refusal(refusal),
        AccessError::Refused(_) => StatusCode::CONFLICT,
        AccessError::Propose(_) | AccessError::NoQuorum(_) | AccessError::NotPresent(NotPresent::Restless) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        AccessError::State(_) | AccessError::NotPresent(NotPresent::State(_)) | AccessError::Key(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

fn of_refusal(refusal: &AccessRefusal) -> StatusCode {
    use AccessRefusal as Refusal;
    match refusal {
        Refusal::UserNameInvalid(_)
        | Refusal::NameInvalid { .. }
        | Refusal::TextInvalid { .. }
        | Refusal::TrustInvalid { .. }
        | Refusal::NoActions(_)
        | Refusal::NoAccount(_)
        | Refusal::ConditionInvalid(_)
        | Refusal::IssuerReserved(_)
        | Refusal::IssuerInvalid { .. }
        | Refusal::NoMember(_)
        | Refusal::TooManyRegrouped { .. }
        | Refusal::RegroupedTwice(_)
        | Refusal::SigningGap { .. } => StatusCode::BAD_REQUEST,
        Refusal::UserUnknown(_)
        | Refusal::RobotUnknown(_)
        | Refusal::GroupUnknown(_)
        | Refusal::RoleUnknown { .. }
        | Refusal::BindingUnknown(_)
        | Refusal::SourceUnknown(_)
        | Refusal::IssuerUnknown(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_makes_no_sense() {
        let of = |refusal: AccessRefusal| status(&refusal.into());
        assert_eq!(of(AccessRefusal::UserUnknown("alice".to_owned())), StatusCode::NOT_FOUND);
        assert_eq!(of(AccessRefusal::UserNameInvalid("A".to_owned())), StatusCode::BAD_REQUEST);
        assert_eq!(of(AccessRefusal::RobotExists("ci".to_owned())), StatusCode::CONFLICT);
        assert_eq!(status(&AccessError::Refused(Refusal::NotFounded)), StatusCode::CONFLICT);
    }
}
