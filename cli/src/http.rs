//! A minimal HTTP client for the node's local socket and its health page: one request per connection.

use std::time::Duration;

use anyhow::{Context, Result};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use node::environment::Stream;

/// Most bytes of an answer.
const ANSWER_MAX_BYTES: usize = 16 << 20;

/// Sends one request over a fresh connection and reads the whole answer.
pub(crate) async fn request(
    stream: impl Stream,
    method: Method,
    path: &str,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<(StatusCode, Bytes)> {
    let exchange = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "localhost")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let limited = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
            let body = limited.collect().await.map_err(|error| anyhow::anyhow!("reading the answer: {error}"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        tokio::pin!(answer);
        tokio::pin!(connection);
        // The connection has to be driven while the answer is read; it may end before the answer is handed over.
        tokio::select! {
            answer = &mut answer => answer,
            ended = &mut connection => {
                ended?;
                answer.await
            }
        }
    };
    tokio::time::timeout(deadline, exchange).await.with_context(|| format!("no answer within {deadline:?}"))?
}
