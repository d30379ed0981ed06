//! A client of the registry's interface: thin over HTTP, so that tests see every status and header.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::content::Content;
use crate::digest;

/// How long any one request may take.
const DEADLINE: Duration = Duration::from_mins(2);

/// One answer, with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and URL, for messages.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: http::HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// Fails unless the status is this one.
    ///
    /// # Errors
    /// Then, with the body.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status == status,
            "{}: {status} expected, answer is {}: {}",
            self.request,
            self.status,
            self.text()
        );
        Ok(self)
    }

    /// Fails unless it is an error of this status and OCI code, in the form of the specification.
    ///
    /// # Errors
    /// Then, with the body.
    pub fn expect_error(self, status: u16, code: &str) -> Result<Self> {
        let answer = self.expect(status)?;
        let json = answer.json()?;
        let error = &json["errors"][0];
        ensure!(error["code"] == code, "{}: code {code} expected, body is {json}", answer.request);
        ensure!(error["message"].is_string(), "{}: an error without a message: {json}", answer.request);
        Ok(answer)
    }

    /// Fails unless another answer says the same: status, headers but the date, and body.
    ///
    /// # Errors
    /// Then, with what differs.
    pub fn expect_like(&self, other: &Self) -> Result<()> {
        let of = |answer: &Self| {
            let mut headers = answer.headers.clone();
            headers.remove("date");
            (answer.status, headers)
        };
        ensure!(of(self) == of(other), "{}: {:?}; {}: {:?}", self.request, of(self), other.request, of(other));
        ensure!(self.body == other.body, "{}: another body than {}: {}", self.request, other.request, self.text());
        Ok(())
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header's value that has to be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn need(&self, name: &str) -> Result<&str> {
        self.header(name).with_context(|| format!("{}: no {name} in the answer ({})", self.request, self.status))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{}: not JSON: {}", self.request, self.text()))
    }

    /// The `next` link's path and query.
    #[must_use]
    pub fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let (target, relation) = link.split_once(';')?;
        relation.contains("rel=\"next\"").then(|| path_of(target.trim().trim_matches(['<', '>'])))
    }
}

/// How a client says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credentials {
    /// A name and a password, or what stands in for one.
    Password(String, String),
    /// A token.
    Token(String),
}

/// A registry behind one or several URLs; each request goes to the next.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    urls: Arc<[String]>,
    next: Arc<AtomicUsize>,
    credentials: Option<Credentials>,
    /// Name by which it is asked for, if that is not the URL's.
    name: Option<String>,
}

impl Registry {
    /// A client for these URLs.
    ///
    /// # Panics
    /// Without a URL, and when the HTTP client cannot be built, which only a broken build can cause.
    #[must_use]
    pub fn new(urls: &[String]) -> Self {
        assert!(!urls.is_empty(), "a registry needs a URL");
        Self { client: client(None), urls: urls.into(), next: Arc::default(), credentials: None, name: None }
    }

    /// The same, and every request comes from this address of the machine, for instance `127.0.0.2`.
    #[must_use]
    pub fn from_address(&self, address: IpAddr) -> Self {
        Self { client: client(Some(address)), ..self.clone() }
    }

    /// The same, and every request carries this name and password.
    #[must_use]
    pub fn logged_in(&self, name: &str, password: &str) -> Self {
        Self { credentials: Some(Credentials::Password(name.to_owned(), password.to_owned())), ..self.clone() }
    }

    /// The same, and every request carries this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { credentials: Some(Credentials::Token(token.to_owned())), ..self.clone() }
    }

    /// The same, and no request says who asks.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    /// What the token service answers to a query, as Docker asks it.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn token_answer(&self, query: &str) -> Result<Value> {
        self.get(&format!("/token?{query}")).await?.expect(200)?.json()
    }

    /// A token for these scopes.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn token(&self, scopes: &[&str]) -> Result<String> {
        let query: Vec<String> = scopes.iter().map(|scope| format!("scope={scope}")).collect();
        let answer = self.token_answer(&query.join("&")).await?;
        Ok(answer["token"].as_str().with_context(|| format!("no token in {answer}"))?.to_owned())
    }

    /// The same, and every request asks for it by this name.
    #[must_use]
    pub fn called(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.clone() }
    }

    /// The URLs.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// A client of the URL with this number alone.
    #[must_use]
    pub fn only(&self, number: usize) -> Self {
        let (credentials, name) = (self.credentials.clone(), self.name.clone());
        Self { credentials, name, ..Self::new(std::slice::from_ref(&self.urls[number % self.urls.len()])) }
    }

    /// `host:port` of the next URL, for tools.
    #[must_use]
    pub fn host(&self) -> String {
        let url = self.base();
        url.split_once("://").map_or(url, |(_, host)| host).to_owned()
    }

    /// A request to the next URL. `path` begins with a slash and may hold a query.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.base()));
        if let Some(name) = &self.name {
            request = request.header(reqwest::header::HOST, name);
        }
        match &self.credentials {
            None => request,
            Some(Credentials::Password(name, password)) => request.basic_auth(name, Some(password)),
            Some(Credentials::Token(token)) => request.bearer_auth(token),
        }
    }

    fn base(&self) -> &str {
        &self.urls[self.next.fetch_add(1, Ordering::Relaxed) % self.urls.len()]
    }

    /// GET.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    /// HEAD.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn head(&self, path: &str) -> Result<Answer> {
        send(self.request(Method::HEAD, path)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        send(self.request(Method::DELETE, path)).await
    }

    /// POST, PUT or PATCH with a body.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn upload(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
        send(self.request(method, path).body(body)).await
    }

    /// Begins an upload; the answer is its location's path.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn start_upload(&self, repository: &str) -> Result<String> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let answer = self.upload(Method::POST, &path, Bytes::new()).await?.expect(202)?;
        Ok(path_of(answer.need("location")?))
    }

    /// Appends a chunk; the answer is the next location's path.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn patch(&self, location: &str, chunk: impl Into<reqwest::Body>) -> Result<String> {
        let answer = self.upload(Method::PATCH, location, chunk).await?.expect(202)?;
        Ok(path_of(answer.need("location")?))
    }

    /// Ends an upload.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn finish(&self, location: &str, digest: &str, last: impl Into<reqwest::Body>) -> Result<Answer> {
        self.upload(Method::PUT, &with_query(location, &format!("digest={digest}")), last).await
    }

    /// Pushes a blob with POST and PUT; the answer is its digest.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn push_blob(&self, repository: &str, bytes: &Bytes) -> Result<String> {
        let digest = digest::sha256(bytes);
        let location = self.start_upload(repository).await?;
        self.finish(&location, &digest, bytes.clone()).await?.expect(201)?;
        Ok(digest)
    }

    /// Pushes large content with POST, one PATCH as a stream without a length, and PUT, as Docker does.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn push_content(&self, repository: &str, content: &Content, digest: &str) -> Result<()> {
        let location = self.start_upload(repository).await?;
        let body = reqwest::Body::wrap_stream(content.stream());
        let request = self.request(Method::PATCH, &location).timeout(Duration::from_hours(1)).body(body);
        let answer = send(request).await?.expect(202)?;
        self.finish(&path_of(answer.need("location")?), digest, Bytes::new()).await?.expect(201)?;
        Ok(())
    }

    /// Pulls a blob as a stream and checks its length and digest.
    ///
    /// # Errors
    /// When a byte differs, is missing or is too much.
    pub async fn check_content(&self, repository: &str, content: &Content, digest: &str) -> Result<()> {
        let path = blob_path(repository, digest);
        let answer = self.request(Method::GET, &path).timeout(Duration::from_hours(1)).send().await?;
        ensure!(answer.status() == 200, "{path}: {}", answer.status());
        let (mut running, mut length) = (digest::Running::default(), 0);
        let mut body = answer.bytes_stream();
        while let Some(frame) = body.next().await {
            let frame = frame?;
            length += frame.len() as u64;
            running.update(&frame);
        }
        ensure!(length == content.length_bytes, "{path}: {length} bytes instead of {}", content.length_bytes);
        ensure!(running.finish() == digest, "{path}: other bytes than were pushed");
        Ok(())
    }

    /// Pulls a blob and checks its digest.
    ///
    /// # Errors
    /// When it is not there or differs.
    pub async fn blob(&self, repository: &str, digest: &str) -> Result<Bytes> {
        let answer = self.get(&blob_path(repository, digest)).await?.expect(200)?;
        let actual = match digest.split_once(':') {
            Some(("sha512", _)) => digest::sha512(&answer.body),
            _ => digest::sha256(&answer.body),
        };
        ensure!(actual == digest, "blob {digest}: the bytes have digest {actual}");
        Ok(answer.body)
    }

    /// Pushes a manifest under a tag or digest.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn put_manifest(&self, repository: &str, reference: &str, media: &str, bytes: &Bytes) -> Result<Answer> {
        let request = self.request(Method::PUT, &manifest_path(repository, reference));
        send(request.header("Content-Type", media).body(bytes.clone())).await
    }

    /// Gets a manifest.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<Answer> {
        self.get(&manifest_path(repository, reference)).await
    }

    /// All tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// When it is not known.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>> {
        let answer = self.get(&format!("/v2/{repository}/tags/list")).await?.expect(200)?;
        texts(&answer.json()?["tags"])
    }
}

fn client(from: Option<IpAddr>) -> Client {
    // Fails only when it was installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(DEADLINE);
    client.local_address(from).build().expect("a client without certificates builds")
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// When no whole answer comes.
pub async fn send(request: RequestBuilder) -> Result<Answer> {
    let (client, request) = request.build_split();
    let request = request?;
    let text = format!("{} {}", request.method(), request.url());
    let answer = client.execute(request).await.with_context(|| text.clone())?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.bytes().await.with_context(|| format!("{text}: body of the {status}"))?;
    Ok(Answer { request: text, status, headers, body })
}

/// Path of a blob.
#[must_use]
pub fn blob_path(repository: &str, digest: &str) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// Path of a manifest.
#[must_use]
pub fn manifest_path(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

/// Adds to a location's query, as clients do.
#[must_use]
pub fn with_query(location: &str, query: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}{query}")
}

/// Path and query of a location, relative or absolute.
#[must_use]
pub fn path_of(location: &str) -> String {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or_else(|| "/".to_owned(), |start| rest[start..].to_owned()),
        None => location.to_owned(),
    }
}

/// A JSON list of texts.
///
/// # Errors
/// When it is something else.
pub fn texts(list: &Value) -> Result<Vec<String>> {
    let list = list.as_array().with_context(|| format!("a list is expected, not {list}"))?;
    list.iter().map(|text| Ok(text.as_str().context("a text is expected")?.to_owned())).collect()
}
