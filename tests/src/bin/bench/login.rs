//! How requests of the benchmark say who asks: nobody, a password with each of them, or a token that is fetched with it.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;

use crate::connection::{Connection, Endpoint};
use crate::payload::Upload;

/// Who asks, and how he says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// Whether the password goes with each request; otherwise a token does.
    each_time: bool,
    basic: String,
}

impl FromStr for Login {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = "basic:NAME:PASSWORD or token:NAME:PASSWORD is expected";
        let (way, credentials) = text.split_once(':').context(expected)?;
        ensure!(credentials.contains(':'), expected);
        let each_time = match way {
            "basic" => true,
            "token" => false,
            _ => bail!(expected),
        };
        Ok(Self { each_time, basic: format!("Basic {}", STANDARD.encode(credentials)) })
    }
}

impl Login {
    /// The header of all requests to a repository. A token is fetched at the registry itself, at `/token`.
    pub(crate) async fn header(&self, endpoint: &Endpoint, repository: &str) -> Result<HeaderValue> {
        let basic = HeaderValue::from_str(&self.basic)?;
        if self.each_time {
            return Ok(basic);
        }
        let mut connection = Connection::open(endpoint).await?.with_authorization(Some(basic));
        let path = format!("/token?scope=repository:{repository}:pull,push");
        let answer = connection.send(Method::GET, &path, &[], Upload::empty()).await?;
        ensure!(answer.status() == 200, "GET {path}: {}", answer.status());
        let body = answer.into_body().collect().await?.to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        let token = body["token"].as_str().context("the token service gives no token")?;
        Ok(HeaderValue::from_str(&format!("Bearer {token}"))?)
    }
}
