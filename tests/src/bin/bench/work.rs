//! The work of each row against one registry.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::json;
use tests::{digest, image};
use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::connection::{Connection, Endpoint, drain};
use crate::options::Target;
use crate::payload::{Payload, Upload};
use crate::row::{MIB, Row, Work};
use crate::skopeo::Skopeo;

/// Connections of the rates.
const CONNECTIONS: usize = 16;
/// Bytes of a small blob.
const SMALL: u64 = 1024;
const REPOSITORY: &str = "bench/data";
const TAG: &str = "bench";

/// A row's work, prepared for one registry: what is read lies there, and was compared once.
#[derive(Debug)]
pub(crate) struct Prepared {
    target: Target,
    row: Row,
    seconds: f64,
    payload: Payload,
    /// Digest of the blob that is read.
    digest: String,
    manifest: Bytes,
    skopeo: Option<Skopeo>,
}

impl Prepared {
    /// Prepares.
    pub(crate) async fn new(target: &Target, row: &Row, seconds: f64, skopeo: Option<Skopeo>) -> Result<Self> {
        let bytes = match row.work {
            Work::BlobPut { bytes, .. } | Work::BlobGet { bytes, .. } => bytes,
            _ => SMALL,
        };
        let payload = Payload::new(bytes);
        let (body, blob) = payload.unique();
        ensure!(target.login.is_none() || !row.name.starts_with("skopeo"), "the rows of skopeo have no login");
        let mut connection = connect(target, &target.endpoints[0]).await?;
        if !row.writes_blobs() {
            put_blob(&mut connection, body, &blob).await?;
            check_blob(target, &blob).await?;
        }
        let config = Bytes::from_static(b"{}");
        let config_digest = digest::sha256(&config);
        put_blob(&mut connection, Upload::small(config), &config_digest).await?;
        let manifest = manifest(&config_digest, "first");
        put_manifest(&mut connection, TAG, manifest.clone()).await?;
        Ok(Self { target: target.clone(), row: *row, seconds, payload, digest: blob, manifest, skopeo })
    }

    /// Does the work once; the result in the row's unit.
    pub(crate) async fn measure(&self) -> Result<f64> {
        match self.row.work {
            Work::BlobPut { bytes, clients } => self.put_blobs(bytes, clients).await,
            Work::BlobGet { bytes, clients } => self.get_blobs(bytes, clients).await,
            Work::SmallBlobGet => self.rate(CONNECTIONS, Shot::Get { path: self.blob_path(), length: SMALL }).await,
            Work::ManifestGet => {
                let path = format!("/v2/{REPOSITORY}/manifests/{TAG}");
                self.rate(CONNECTIONS, Shot::Get { path, length: self.manifest.len() as u64 }).await
            }
            Work::SmallBlobPut { connections } => {
                let (_, unique) = self.payload.unique();
                self.rate(connections, Shot::PutBlob { unique }).await
            }
            Work::BlobHead => self.rate(CONNECTIONS, Shot::Head { path: self.blob_path() }).await,
            Work::ManifestPut { connections } => {
                // Other digests in each measurement: a registry may answer for what it knows already.
                let (_, unique) = self.payload.unique();
                self.rate(connections, Shot::PutManifest { config: digest::sha256(b"{}"), unique }).await
            }
            Work::SkopeoPush => self.skopeo()?.push(&self.target).await,
            Work::SkopeoPull => self.skopeo()?.pull(&self.target).await,
        }
    }

    fn blob_path(&self) -> String {
        format!("/v2/{REPOSITORY}/blobs/{}", self.digest)
    }

    fn skopeo(&self) -> Result<&Skopeo> {
        self.skopeo.as_ref().context("skopeo was not prepared")
    }

    async fn connections(&self, count: usize) -> Result<Vec<Connection>> {
        let authorization = authorization(&self.target).await?;
        let endpoints = self.target.endpoints.iter().cycle().take(count);
        let opened = try_join_all(endpoints.map(Connection::open)).await?;
        Ok(opened.into_iter().map(|connection| connection.with_authorization(authorization.clone())).collect())
    }

    async fn put_blobs(&self, bytes: u64, clients: usize) -> Result<f64> {
        let blobs: Vec<_> =
            self.connections(clients).await?.into_iter().map(|it| (it, self.payload.unique())).collect();
        let begin = Instant::now();
        let pushes = blobs.into_iter().map(|(mut connection, (body, digest))| async move {
            spawned(async move { put_blob(&mut connection, body, &digest).await }).await
        });
        try_join_all(pushes).await?;
        Ok(mebibytes(bytes * clients as u64) / begin.elapsed().as_secs_f64())
    }

    async fn get_blobs(&self, bytes: u64, clients: usize) -> Result<f64> {
        let connections = self.connections(clients).await?;
        let begin = Instant::now();
        let pulls = connections.into_iter().map(|mut connection| {
            let path = self.blob_path();
            spawned(async move { get(&mut connection, &path, bytes).await })
        });
        try_join_all(pulls).await?;
        Ok(mebibytes(bytes * clients as u64) / begin.elapsed().as_secs_f64())
    }

    /// How often each second, on so many connections, for the row's time.
    async fn rate(&self, connections: usize, shot: Shot) -> Result<f64> {
        let all = self.connections(connections).await?;
        let (shot, start) = (Arc::new(shot), Arc::new(Barrier::new(connections)));
        let span = Duration::from_secs_f64(self.seconds);
        let clients = all.into_iter().enumerate().map(|(client, mut connection)| {
            let (shot, start) = (Arc::clone(&shot), Arc::clone(&start));
            spawned(async move {
                // The first request warms the connection up.
                shot.fire(&mut connection, client, u32::MAX).await?;
                start.wait().await;
                let (begin, mut number) = (Instant::now(), 0);
                while begin.elapsed() < span {
                    shot.fire(&mut connection, client, number).await?;
                    number += 1;
                }
                Ok(f64::from(number) / begin.elapsed().as_secs_f64())
            })
        });
        Ok(try_join_all(clients).await?.into_iter().sum())
    }
}

/// What requests say of who asks.
async fn authorization(target: &Target) -> Result<Option<HeaderValue>> {
    match &target.login {
        Some(login) => login.header(&target.endpoints[0], REPOSITORY).await.map(Some),
        None => Ok(None),
    }
}

/// A connection whose requests say who asks.
async fn connect(target: &Target, endpoint: &Endpoint) -> Result<Connection> {
    Ok(Connection::open(endpoint).await?.with_authorization(authorization(target).await?))
}

/// One small request of a rate.
#[derive(Debug)]
enum Shot {
    Get { path: String, length: u64 },
    Head { path: String },
    PutManifest { config: String, unique: String },
    PutBlob { unique: String },
}

impl Shot {
    async fn fire(&self, connection: &mut Connection, client: usize, number: u32) -> Result<()> {
        match self {
            Self::Get { path, length } => get(connection, path, *length).await,
            Self::Head { path } => {
                let answer = connection.send(Method::HEAD, path, &[], Upload::empty()).await?;
                ensure!(answer.status() == 200, "HEAD {path}: {}", answer.status());
                drain(answer).await?;
                Ok(())
            }
            Self::PutManifest { config, unique } => {
                let bytes = manifest(config, &format!("{unique}-{client}-{number}"));
                put_manifest(connection, &format!("tag-{client}"), bytes).await
            }
            Self::PutBlob { unique } => {
                let text = format!("{unique}-{client}-{number}").repeat(16);
                let bytes = Bytes::from(text).slice(..usize::try_from(SMALL)?);
                let digest = digest::sha256(&bytes);
                put_blob(connection, Upload::small(bytes), &digest).await
            }
        }
    }
}

/// On a task of its own, so that both processors are used.
async fn spawned<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await?
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// POST, then PUT with the body.
async fn put_blob(connection: &mut Connection, body: Upload, digest: &str) -> Result<()> {
    let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
    let answer = connection.send(Method::POST, &path, &[], Upload::empty()).await?;
    ensure!(answer.status() == 202, "POST {path}: {}", answer.status());
    let location = answer.headers().get(header::LOCATION).context("no Location")?.to_str()?.to_owned();
    drain(answer).await?;
    let target = tests::registry::with_query(&tests::registry::path_of(&location), &format!("digest={digest}"));
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    let answer = connection.send(Method::PUT, &target, &headers, body).await?;
    ensure!(answer.status() == 201, "PUT {target}: {}", answer.status());
    drain(answer).await?;
    Ok(())
}

async fn get(connection: &mut Connection, path: &str, length: u64) -> Result<()> {
    // distribution answers with another manifest unless the type is accepted by name.
    let headers = [(header::ACCEPT, image::MANIFEST)];
    let answer = connection.send(Method::GET, path, &headers, Upload::empty()).await?;
    ensure!(answer.status() == 200, "GET {path}: {}", answer.status());
    let read = drain(answer).await?;
    ensure!(read == length, "GET {path}: {read} bytes instead of {length}");
    Ok(())
}

async fn put_manifest(connection: &mut Connection, reference: &str, bytes: Bytes) -> Result<()> {
    let path = format!("/v2/{REPOSITORY}/manifests/{reference}");
    let headers = [(header::CONTENT_TYPE, image::MANIFEST)];
    let answer = connection.send(Method::PUT, &path, &headers, Upload::small(bytes)).await?;
    ensure!(answer.status() == 201, "PUT {path}: {}", answer.status());
    drain(answer).await?;
    Ok(())
}

/// A small manifest that names one configuration, with a text that makes it unique.
fn manifest(config_digest: &str, text: &str) -> Bytes {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": image::MANIFEST,
        "config": { "mediaType": image::CONFIG, "digest": config_digest, "size": 2 },
        "layers": [],
        "annotations": { "org.example.number": text },
    });
    manifest.to_string().into()
}

/// Pulls the blob through every endpoint and compares its digest.
async fn check_blob(target: &Target, expected: &str) -> Result<()> {
    for endpoint in &target.endpoints {
        let mut connection = connect(target, endpoint).await?;
        let path = format!("/v2/{REPOSITORY}/blobs/{expected}");
        let answer = connection.send(Method::GET, &path, &[], Upload::empty()).await?;
        ensure!(answer.status() == 200, "GET {path}: {}", answer.status());
        let (mut body, mut running) = (answer.into_body(), digest::Running::default());
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                running.update(&data);
            }
        }
        ensure!(running.finish() == expected, "{}: other bytes than were pushed", endpoint.authority);
    }
    Ok(())
}
