//! `GET /v2/`: the registry is there (distribution-spec 1.1, "Determining Support").

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

/// The answer.
pub(super) fn answer() -> Response<Body> {
    let mut response = Response::new(Body::from("{}"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
