//! A registry in memory behind a network of pipes: what is asked of it is answered rightly, unless a test says
//! otherwise. It knows no failures of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use node::environment::{BoxFuture, BoxStream, Listener, Network};
use serde_json::{Value, json};

use super::content::digest;
use super::work::Workload;
use crate::configuration::Configuration;
use crate::history::History;
use crate::judge::Court;
use crate::seed::Seed;
use crate::surroundings::Surroundings;

/// What a test does to a request.
#[derive(Clone, Debug)]
pub(crate) enum Trick {
    /// Answered rightly.
    Right,
    /// Not done, and answered with a status and a second's `Retry-After`.
    Refuse(u16),
    /// Done, and the connection is cut without an answer.
    CutAfter,
    /// Done, and the body of an answer of success is another one of the same length.
    Garble,
    /// Done, and answered with another status and an empty body.
    Say(u16),
    /// Not done, and answered with 202 all the same.
    Pretend,
}

type Play = Box<dyn Fn(&Parts, u64) -> Trick + Send + Sync>;

#[derive(Default)]
struct State {
    blobs: BTreeMap<(String, String), Bytes>,
    manifests: BTreeMap<(String, String), (String, Bytes)>,
    tags: BTreeMap<(String, String), String>,
    uploads: BTreeMap<String, (String, Vec<u8>, Option<String>)>,
}

/// The registry and the way to it.
pub(crate) struct Registry {
    state: Mutex<State>,
    play: Play,
    requests: AtomicU64,
    silent: AtomicBool,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Registry")
    }
}

#[derive(Debug)]
struct Pipes(Arc<Registry>);

impl Network for Pipes {
    fn listen<'a>(&'a self, _address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn connect<'a>(&'a self, _address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(64 << 10);
            let registry = Arc::clone(&self.0);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let registry = Arc::clone(&registry);
                    async move { registry.serve(request).await }
                });
                let mut connection = hyper::server::conn::http1::Builder::new();
                // Cut connections end with an error.
                let _ = connection.auto_date_header(false).serve_connection(TokioIo::new(far), service).await;
            });
            Ok(Box::new(near) as BoxStream)
        })
    }

    fn listen_local<'a>(&'a self, _path: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// A workload against a registry that is played with.
pub(crate) fn workload(
    configuration: &Configuration,
    play: impl Fn(&Parts, u64) -> Trick + Send + Sync + 'static,
) -> (Workload, Arc<Registry>) {
    let registry = Arc::new(Registry {
        state: Mutex::default(),
        play: Box::new(play),
        requests: AtomicU64::default(),
        silent: AtomicBool::default(),
    });
    let started = tokio::time::Instant::now();
    let surroundings = Surroundings {
        network: Arc::new(Pipes(Arc::clone(&registry))),
        nodes: (1..=3).map(|number| format!("node-{number}:5000")).collect(),
        elapsed: Arc::new(move || started.elapsed()),
    };
    (Workload::new(surroundings, configuration, History::default(), Court::default()), registry)
}

/// A configuration with all kinds of operations and small layers.
pub(crate) fn configuration(seed: u64) -> Configuration {
    let mut configuration = Configuration::from_seed(Seed(seed));
    let workload = &mut configuration.workload;
    workload.layer_bytes_max = 100 << 10;
    workload.layers = 8;
    workload.repositories = 2;
    workload.tags = 3;
    workload.pause_milliseconds_max = 20;
    workload.operations = super::OperationKind::ALL.iter().map(|kind| (*kind, 1)).collect();
    configuration
}

type Served = Response<Full<Bytes>>;

fn answer(status: u16, headers: &[(&str, String)], body: impl Into<Bytes>) -> Served {
    let mut builder = Response::builder().status(status).header("docker-distribution-api-version", "registry/2.0");
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    builder.body(Full::new(body.into())).unwrap()
}

fn error(status: u16, code: &str, details: &[&str]) -> Served {
    let one = |digest: Option<&&str>| json!({ "code": code, "message": "", "detail": { "digest": digest } });
    let errors: Vec<Value> =
        if details.is_empty() { vec![one(None)] } else { details.iter().map(|digest| one(Some(digest))).collect() };
    answer(status, &[("retry-after", "1".to_owned())], json!({ "errors": errors }).to_string())
}

fn query(parts: &Parts, name: &str) -> Vec<String> {
    let text = parts.uri.query().unwrap_or_default();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value.replace("%2F", "/")).collect()
}

impl Registry {
    /// Loses every blob.
    pub(crate) fn forget_blobs(&self) {
        self.state.lock().unwrap().blobs.clear();
    }

    /// Answers nothing but 503 from now on.
    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    async fn serve(&self, request: http::Request<hyper::body::Incoming>) -> Result<Served, io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        // A moment, so that clients meet.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if self.silent.load(Ordering::Relaxed) {
            return Ok(error(503, "UNAVAILABLE", &[]));
        }
        match (self.play)(&parts, number) {
            Trick::Right => Ok(self.answer(&parts, body)),
            Trick::Refuse(status) => Ok(error(status, "UNAVAILABLE", &[])),
            Trick::Pretend => Ok(answer(202, &[], "")),
            Trick::CutAfter => {
                self.answer(&parts, body);
                Err(io::Error::other("cut"))
            }
            Trick::Garble => {
                let answer = self.answer(&parts, body);
                if !answer.status().is_success() {
                    return Ok(answer);
                }
                let (head, body) = answer.into_parts();
                let Ok(body) = body.collect().await.map_err(|never: Infallible| match never {});
                let garbled: Vec<u8> = body.to_bytes().iter().map(|byte| byte ^ 1).collect();
                Ok(Response::from_parts(head, Full::new(garbled.into())))
            }
            Trick::Say(status) => {
                self.answer(&parts, body);
                Ok(error(status, "UNKNOWN", &[]))
            }
        }
    }

    fn answer(&self, parts: &Parts, body: Bytes) -> Served {
        let path = parts.uri.path().trim_start_matches("/v2/").to_owned();
        let state = &mut *self.state.lock().unwrap();
        if path == "_catalog" {
            let names = state.blobs.keys().chain(state.manifests.keys()).map(|(repository, _)| repository.clone());
            let names: BTreeSet<String> = names.collect();
            return answer(200, &[], json!({ "repositories": names }).to_string());
        }
        if let Some((repository, session)) = path.split_once("/blobs/uploads/") {
            return uploads(state, parts, repository, session, body);
        }
        if let Some((repository, digest)) = path.split_once("/blobs/") {
            return blobs(state, parts, repository, digest);
        }
        if let Some((repository, reference)) = path.split_once("/manifests/") {
            return manifests(state, parts, repository, reference, body);
        }
        if let Some((repository, subject)) = path.split_once("/referrers/") {
            let referring = state.manifests.iter().filter(|((own, _), (_, content))| {
                own == repository && serde_json::from_slice::<Value>(content).unwrap()["subject"]["digest"] == subject
            });
            let listed: Vec<Value> = referring.map(|((_, digest), _)| json!({ "digest": digest })).collect();
            return answer(200, &[], json!({ "manifests": listed }).to_string());
        }
        let repository = path.trim_end_matches("/tags/list");
        tags(state, parts, repository)
    }
}

fn tags(state: &State, parts: &Parts, repository: &str) -> Served {
    let exists = state.blobs.keys().chain(state.manifests.keys()).any(|(own, _)| own == repository);
    if !exists {
        return error(404, "NAME_UNKNOWN", &[]);
    }
    let last = query(parts, "last").pop();
    let n = query(parts, "n").pop().map_or(usize::MAX, |n| n.parse().unwrap());
    let all = state.tags.keys().filter(|(own, _)| own == repository).map(|(_, tag)| tag.clone());
    let rest: Vec<String> = all.filter(|tag| last.as_ref().is_none_or(|last| tag > last)).collect();
    let page = &rest[..rest.len().min(n)];
    let link = if page.len() < rest.len() { vec![("link", "<x>; rel=\"next\"".to_owned())] } else { Vec::new() };
    answer(200, &link, json!({ "name": repository, "tags": page }).to_string())
}

fn stands(status: u16, repository: &str, session: &str, length: usize) -> Served {
    let headers = [
        ("location", format!("/v2/{repository}/blobs/uploads/{session}")),
        ("docker-upload-uuid", session.to_owned()),
        ("range", format!("0-{}", length.saturating_sub(1))),
    ];
    if status == 416 {
        answer(status, &headers, json!({ "errors": [{ "code": "RANGE_INVALID" }] }).to_string())
    } else {
        answer(status, &headers, "")
    }
}

fn created(repository: &str, wanted: &str) -> Served {
    let headers =
        [("location", format!("/v2/{repository}/blobs/{wanted}")), ("docker-content-digest", wanted.to_owned())];
    answer(201, &headers, "")
}

fn is_digest(wanted: &str, bytes: &[u8]) -> bool {
    use sha2::{Digest as _, Sha512};
    wanted == digest(bytes) || wanted == format!("sha512:{}", hex::encode(Sha512::digest(bytes)))
}

fn uploads(state: &mut State, parts: &Parts, repository: &str, session: &str, body: Bytes) -> Served {
    if parts.method == Method::POST {
        if let Some(mount) = query(parts, "mount").pop() {
            let from = query(parts, "from").pop();
            let found = state
                .blobs
                .iter()
                .find(|((own, digest), _)| *digest == mount && from.as_ref().is_none_or(|from| own == from));
            if let Some(bytes) = found.map(|(_, bytes)| bytes.clone()) {
                state.blobs.insert((repository.to_owned(), mount.clone()), bytes);
                return created(repository, &mount);
            }
        }
        if let Some(digest) = query(parts, "digest").pop() {
            state.blobs.insert((repository.to_owned(), digest.clone()), body);
            return created(repository, &digest);
        }
        let session = format!("session-{}", state.uploads.len());
        state.uploads.insert(session.clone(), (repository.to_owned(), Vec::new(), None));
        return stands(202, repository, &session, 0);
    }
    let unknown = || error(404, "BLOB_UPLOAD_UNKNOWN", &[]);
    let Some((_, bytes, finished)) = state.uploads.get_mut(session) else { return unknown() };
    let wanted = query(parts, "digest").pop();
    if finished.is_some() {
        let key = (repository.to_owned(), finished.clone().unwrap());
        let again = parts.method == Method::PUT && *finished == wanted && state.blobs.contains_key(&key);
        return if again { created(repository, &key.1) } else { unknown() };
    }
    match parts.method.as_str() {
        "GET" => stands(204, repository, session, bytes.len()),
        "DELETE" => {
            state.uploads.remove(session);
            // Numbers must stay fresh.
            state.uploads.insert(format!("gone-{session}"), Default::default());
            answer(204, &[], "")
        }
        method => {
            let range = parts.headers.get("content-range").map(|range| range.to_str().unwrap().to_owned());
            let start = range.and_then(|range| range.split('-').next().unwrap().parse().ok());
            if start.is_some_and(|start: usize| start != bytes.len()) {
                return stands(416, repository, session, bytes.len());
            }
            let mut whole = bytes.clone();
            whole.extend_from_slice(&body);
            let Some(wanted) = wanted.filter(|_| method == "PUT") else {
                *bytes = whole;
                return stands(202, repository, session, bytes.len());
            };
            if !is_digest(&wanted, &whole) {
                return error(400, "DIGEST_INVALID", &[]);
            }
            *finished = Some(wanted.clone());
            state.blobs.insert((repository.to_owned(), wanted.clone()), whole.into());
            created(repository, &wanted)
        }
    }
}

fn blobs(state: &mut State, parts: &Parts, repository: &str, digest: &str) -> Served {
    let key = (repository.to_owned(), digest.to_owned());
    let Some(bytes) = state.blobs.get(&key).cloned() else { return error(404, "BLOB_UNKNOWN", &[]) };
    let named = ("docker-content-digest", digest.to_owned());
    if parts.method == Method::DELETE {
        let is_used = state.manifests.iter().any(|((own, _), (_, content))| {
            own == repository && std::str::from_utf8(content).unwrap().contains(digest)
        });
        if is_used {
            return error(405, "UNSUPPORTED", &[]);
        }
        state.blobs.remove(&key);
        return answer(202, &[], "");
    }
    if parts.method == Method::HEAD {
        return answer(200, &[named, ("content-length", bytes.len().to_string())], "");
    }
    let length = bytes.len();
    let range = parts.headers.get("range").filter(|_| length > 0).map(|range| range.to_str().unwrap().to_owned());
    let Some(range) = range else { return answer(200, &[named], bytes) };
    let (start, end) = range.trim_start_matches("bytes=").split_once('-').unwrap();
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    if start >= length {
        let held = [("content-range", format!("bytes */{length}"))];
        return answer(416, &held, json!({ "errors": [{ "code": "RANGE_INVALID" }] }).to_string());
    }
    let end = (end + 1).min(length);
    let place = ("content-range", format!("bytes {start}-{}/{length}", end - 1));
    answer(206, &[named, place], bytes.slice(start..end))
}

fn manifests(state: &mut State, parts: &Parts, repository: &str, reference: &str, body: Bytes) -> Served {
    let own = |name: &str| (repository.to_owned(), name.to_owned());
    let is_digest = reference.starts_with("sha256:");
    if parts.method == Method::PUT {
        let digest = digest(&body);
        let content: Value = serde_json::from_slice(&body).unwrap();
        let layers = content["layers"].as_array().cloned().unwrap_or_default();
        let named = layers.iter().chain(content.get("config")).map(|blob| blob["digest"].as_str().unwrap());
        let missing: Vec<&str> = named.filter(|digest| !state.blobs.contains_key(&own(digest))).collect();
        if !missing.is_empty() {
            return error(400, "MANIFEST_BLOB_UNKNOWN", &missing);
        }
        let media_type = parts.headers["content-type"].to_str().unwrap().to_owned();
        state.manifests.insert(own(&digest), (media_type, body));
        let mut tags = query(parts, "tag");
        tags.extend((!is_digest).then(|| reference.to_owned()));
        for tag in tags {
            state.tags.insert(own(&tag), digest.clone());
        }
        return created(repository, &digest);
    }
    let unknown = || error(404, "MANIFEST_UNKNOWN", &[]);
    let digest = if is_digest { Some(reference.to_owned()) } else { state.tags.get(&own(reference)).cloned() };
    let Some(digest) = digest else { return unknown() };
    let Some((media_type, content)) = state.manifests.get(&own(&digest)).cloned() else { return unknown() };
    if parts.method == Method::DELETE {
        if is_digest {
            state.manifests.remove(&own(&digest));
            state.tags.retain(|(owner, _), held| owner != repository || *held != digest);
        } else {
            state.tags.remove(&own(reference));
        }
        return answer(202, &[], "");
    }
    let headers = [("docker-content-digest", digest), ("content-type", media_type)];
    if parts.method == Method::HEAD {
        let mut headers = headers.to_vec();
        headers.push(("content-length", content.len().to_string()));
        return answer(200, &headers, "");
    }
    answer(200, &headers, content)
}
