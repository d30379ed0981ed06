//! A registry client inside the simulation: raw HTTP/1.1 over the simulated network, one connection a request.
//!
//! It has no retry rules of its own, so that scenarios see what a node really answered.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use turmoil::net::TcpStream;

/// Longest time for one request, in virtual time.
const DEADLINE: Duration = Duration::from_secs(30);

/// Talks to the API of one node.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
}

/// The digest of some bytes as it stands in URLs.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Client {
    /// A client of the node at `host:port`.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails, breaks off or the deadline passes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Bytes>> {
        let exchange = self.exchange(method, path, headers, body);
        tokio::time::timeout(DEADLINE, exchange).await.with_context(|| format!("{}{path}: no answer", self.address))?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Bytes>> {
        let stream = TcpStream::connect(self.address.as_str()).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::builder().method(method).uri(path).header(http::header::HOST, &self.address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body))?;
        let answer = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            anyhow::Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
        };
        tokio::pin!(answer);
        tokio::pin!(connection);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => {
                ended?;
                answer.await
            }
        }
    }

    /// Pushes a blob: POST, PATCH, PUT.
    ///
    /// # Errors
    /// When any of the three is not answered as the specification says.
    pub async fn push_blob(&self, repository: &str, content: &Bytes) -> Result<String> {
        let digest = digest(content);
        let path = format!("/v2/{repository}/blobs/uploads/");
        let location = self.expect(Method::POST, &path, &[], Bytes::new(), 202).await?;
        let location = location_of(&location)?;
        let patched = self.expect(Method::PATCH, &location, &[], content.clone(), 202).await?;
        let location = location_of(&patched)?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{separator}digest={digest}");
        self.expect(Method::PUT, &path, &[], Bytes::new(), 201).await?;
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
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": 2 },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer_digest,
                "size": layer.len(),
            }],
        });
        let manifest = Bytes::from(manifest.to_string());
        let path = format!("/v2/{repository}/manifests/{tag}");
        let content_type = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
        self.expect(Method::PUT, &path, &content_type, manifest.clone(), 201).await?;
        Ok(manifest)
    }

    /// Pulls a blob.
    ///
    /// # Errors
    /// When the answer is not 200 or its bytes do not have the digest.
    pub async fn pull_blob(&self, repository: &str, wanted: &str) -> Result<Bytes> {
        let path = format!("/v2/{repository}/blobs/{wanted}");
        let body = self.expect(Method::GET, &path, &[], Bytes::new(), 200).await?.into_body();
        anyhow::ensure!(digest(&body) == wanted, "{path} through {}: served other bytes", self.address);
        Ok(body)
    }

    /// Pulls a manifest by tag or digest.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn pull_manifest(&self, repository: &str, reference: &str) -> Result<Bytes> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        Ok(self.expect(Method::GET, &path, &[], Bytes::new(), 200).await?.into_body())
    }

    /// Sends a request and demands a status.
    ///
    /// # Errors
    /// When the request fails or the status is another.
    pub async fn expect(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        status: u16,
    ) -> Result<Response<Bytes>> {
        let response = self.send(method.clone(), path, headers, body).await?;
        let got = response.status();
        anyhow::ensure!(
            got.as_u16() == status,
            "{method} {path} through {}: {got} instead of {status}: {}",
            self.address,
            String::from_utf8_lossy(response.body())
        );
        Ok(response)
    }
}

fn location_of(response: &Response<Bytes>) -> Result<String> {
    let location = response.headers().get(http::header::LOCATION).context("an upload without Location")?;
    Ok(location.to_str().context("a Location that is not text")?.to_owned())
}
