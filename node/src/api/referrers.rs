//! `GET /v2/<name>/referrers/<digest>`: what refers to a manifest, as an index (distribution-spec 1.1, "Listing
//! Referrers"). Never 404: nothing refers to what does not exist.

use std::collections::BTreeMap;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use raft::catalog::{Digest, RepositoryName};
use serde::Serialize;
use storage::switch;

use super::error::{ApiError, Code};
use super::paging::{next, size};
use super::query::encode_value;
use super::{Answer, Api, Head, headers};
use crate::registry::{Referrer, media_type};

/// Largest page, and its size when none is asked for: many clients do not follow links here.
const PAGE_MAX: usize = 1000;

/// An image index.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl From<Referrer> for Descriptor {
    fn from(referrer: Referrer) -> Self {
        Self {
            media_type: referrer.media_type,
            digest: referrer.digest.to_string(),
            size: referrer.length_bytes,
            artifact_type: referrer.artifact_type,
            annotations: referrer.annotations.into_iter().collect(),
        }
    }
}

impl Api {
    pub(super) async fn list_referrers(&self, repository: &RepositoryName, digest: &Digest, head: &Head) -> Answer {
        assert!(!switch::broken("api.referrers.panic"), "a planted panic");
        let query = head.query();
        let n = size(&query)?;
        let filter = query.get("artifactType").map(std::borrow::Cow::into_owned);
        let after = query.get("last").map(|last| last.parse::<Digest>()).transpose();
        let after = after.map_err(|error| ApiError::new(Code::DigestInvalid, error.to_string()))?;
        let limit = n.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let mut page = self.registry.referrers(repository, *digest, filter.clone(), after, limit).await?;
        if limit == 0 {
            page.next = None;
        }
        let index = Index {
            schema_version: 2,
            media_type: media_type::INDEX,
            manifests: page.referrers.into_iter().map(Descriptor::from).collect(),
        };
        let mut response = Response::new(Body::from(serde_json::to_vec(&index).unwrap_or_default()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type::INDEX));
        if filter.is_some() {
            headers.insert(headers::OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
        if let Some(last) = page.next {
            let mut link = next(&format!("/v2/{repository}/referrers/{digest}"), &last.to_string(), n.map(|_| limit));
            if let Some(filter) = filter {
                link = format!("{link}&artifactType={}", encode_value(&filter));
            }
            headers::set_next(headers, &link);
        }
        Ok(response)
    }
}
