//! A client of one node without rules of its own, so that a scenario sees what the node really answered. Nothing is
//! recorded.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use http::Method;
use node::environment::Network;

use super::content::{IMAGE, digest};
use super::http::{Answer, Manner, Request, once};
use crate::surroundings::Surroundings;

/// How every request goes.
const MANNER: Manner = Manner { deadline: Duration::from_secs(30), hang_up: None, linger: Duration::ZERO };

/// Talks to the API of one node.
#[derive(Clone, Debug)]
pub struct Direct {
    network: Arc<dyn Network>,
    address: String,
}

impl Direct {
    /// A client of a node, numbered from 1.
    #[must_use]
    pub fn new(surroundings: &Surroundings, number: usize) -> Self {
        let address = surroundings.nodes.get(number - 1).cloned().unwrap_or_default();
        Self { network: Arc::clone(&surroundings.network), address }
    }

    /// Sends one request over a connection of its own and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails, breaks off or thirty seconds pass.
    pub async fn send(&self, request: &Request) -> Result<Answer> {
        let answer = once(&*self.network, &self.address, request, MANNER).await;
        answer.map_err(|failure| anyhow!("{} {}: {:?}", request.method, request.path, failure.cause))
    }

    /// Sends a request and demands a status.
    ///
    /// # Errors
    /// When the request fails or the status is another.
    pub async fn expect(&self, request: &Request, status: u16) -> Result<Answer> {
        let answer = self.send(request).await?;
        ensure!(
            answer.status == status,
            "{} {} through {}: {} instead of {status}: {}",
            request.method,
            request.path,
            self.address,
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        Ok(answer)
    }

    /// Pushes a blob: POST, PATCH, PUT.
    ///
    /// # Errors
    /// When any of the three is not answered as the specification says.
    pub async fn push_blob(&self, repository: &str, content: &Bytes) -> Result<String> {
        let digest = digest(content);
        let begin = Request::new(Method::POST, format!("/v2/{repository}/blobs/uploads/"));
        let location = location_of(&self.expect(&begin, 202).await?)?;
        let patch = Request::new(Method::PATCH, location).with_body(content.clone());
        let location = location_of(&self.expect(&patch, 202).await?)?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let put = Request::new(Method::PUT, format!("{location}{separator}digest={digest}"));
        self.expect(&put, 201).await?;
        Ok(digest)
    }

    /// Pushes an image manifest with one layer and an empty config under a tag.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn push_image(&self, repository: &str, tag: &str, layer: &Bytes) -> Result<Bytes> {
        let layer_digest = self.push_blob(repository, layer).await?;
        let config = Bytes::from_static(b"{}");
        let config_digest = self.push_blob(repository, &config).await?;
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": 2 },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer_digest,
                "size": layer.len(),
            }],
        });
        let manifest = Bytes::from(manifest.to_string());
        let put = Request::new(Method::PUT, format!("/v2/{repository}/manifests/{tag}"))
            .with_header("content-type", IMAGE)
            .with_body(manifest.clone());
        self.expect(&put, 201).await?;
        Ok(manifest)
    }

    /// Pulls a blob.
    ///
    /// # Errors
    /// When the answer is not 200 or its bytes do not have the digest.
    pub async fn pull_blob(&self, repository: &str, wanted: &str) -> Result<Bytes> {
        let get = Request::new(Method::GET, format!("/v2/{repository}/blobs/{wanted}"));
        let body = self.expect(&get, 200).await?.body;
        ensure!(digest(&body) == wanted, "{} through {}: served other bytes", get.path, self.address);
        Ok(body)
    }

    /// Deletes a tag.
    ///
    /// # Errors
    /// When the answer is not 202.
    pub async fn delete_tag(&self, repository: &str, tag: &str) -> Result<()> {
        let delete = Request::new(Method::DELETE, format!("/v2/{repository}/manifests/{tag}"));
        self.expect(&delete, 202).await.map(drop)
    }

    /// Tags of a repository.
    ///
    /// # Errors
    /// When the answer is not 200, or no list.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>> {
        let get = Request::new(Method::GET, format!("/v2/{repository}/tags/list"));
        let list: serde_json::Value = serde_json::from_slice(&self.expect(&get, 200).await?.body)?;
        let tags = list["tags"].as_array().ok_or_else(|| anyhow!("a list without tags: {list}"))?;
        Ok(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
    }

    /// Pulls a manifest by tag or digest.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn pull_manifest(&self, repository: &str, reference: &str) -> Result<Bytes> {
        let get = Request::new(Method::GET, format!("/v2/{repository}/manifests/{reference}"));
        Ok(self.expect(&get, 200).await?.body)
    }
}

fn location_of(answer: &Answer) -> Result<String> {
    let location = answer.header("location");
    ensure!(!location.is_empty(), "an upload without Location");
    Ok(location.to_owned())
}
