//! Batches of records by HTTP: `POST` with one JSON object a line (`application/x-ndjson`). An answer of 2xx takes the batch;
//! after anything else it is sent again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use storage::disk::Files;
use storage::exec::Exec;

use super::authority;
use super::sink::{Line, Sink, Trouble};
use crate::config::AuditSettings;
use crate::environment::{BoxFuture, Environment};
use crate::web::{Plaintext, WebClient, WebLimits, WebRequest};

/// Bounds of one batch. What the receiver says is not read beyond its status.
const LIMITS: WebLimits =
    WebLimits { deadline: Duration::from_secs(30), body_bytes_max: 64 << 10, plaintext: Plaintext::Allowed };

/// A receiver of batches.
pub(super) struct HttpSink {
    files: Arc<dyn Files>,
    exec: Exec,
    web: WebClient,
    url: String,
    authority: Option<PathBuf>,
    header_file: Option<PathBuf>,
}

impl HttpSink {
    pub(super) fn new(environment: &Environment, settings: &AuditSettings) -> Self {
        Self {
            files: Arc::clone(&environment.files),
            exec: environment.exec,
            web: WebClient::new(environment),
            url: settings.http.clone(),
            authority: settings.http_authority.clone(),
            header_file: settings.http_header_file.clone(),
        }
    }

    async fn post(&self, lines: &[Line]) -> Result<(), Trouble> {
        let mut body = Vec::with_capacity(lines.iter().map(|(_, line)| line.len() + 1).sum());
        for (_, line) in lines {
            body.extend_from_slice(line);
            body.push(b'\n');
        }
        let mut request = WebRequest::post(&self.url, "application/x-ndjson", body);
        if let Some(path) = &self.header_file {
            // Read each time: such secrets are changed now and then.
            for (name, value) in headers(&authority::text(&self.files, self.exec, path).await?)? {
                request.headers.insert(name, value);
            }
        }
        let web = authority::client(&self.web, &self.files, self.exec, self.authority.as_ref()).await?;
        let status = web.send(request, LIMITS).await?.status;
        if status.is_success() { Ok(()) } else { Err(format!("{} answered {status}", self.url).into()) }
    }
}

impl Sink for HttpSink {
    fn name(&self) -> &'static str {
        "http"
    }

    fn settles_after(&self) -> Duration {
        Duration::ZERO
    }

    fn send<'a>(&'a mut self, lines: &'a [Line]) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(self.post(lines))
    }

    fn broken(&mut self) -> BoxFuture<'_, Trouble> {
        Box::pin(std::future::pending())
    }

    fn close(&mut self) {}
}

/// Header fields of a file: `Name: value`, one a line. Errors never show a value.
fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Trouble> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    lines
        .map(field)
        .collect::<Option<_>>()
        .ok_or_else(|| "audit.http_header_file: `Name: value` is expected in each line".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_files_hold_fields() {
        let fields = headers("Authorization: Bearer a:b\n\nX-Team:  one \n").unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(fields, [("authorization", "Bearer a:b"), ("x-team", "one")]);
        for wrong in ["secret", "na me: x", "a: \u{7f}"] {
            let error = headers(wrong).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
