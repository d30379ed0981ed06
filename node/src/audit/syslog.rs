//! Syslog over TLS (RFC 5425) or plain TCP (RFC 6587): messages of RFC 5424, each with its length in front, the record as it
//! stands in the log as their text.
//!
//! Syslog has no answers. So a record counts as taken when the connection has lived on for a while behind it: a receiver that
//! dies or closes takes what it had not read with it, which shows as a broken connection, and all since then is sent again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storage::disk::Files;
use storage::exec::Exec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::event::Outcome;
use super::record;
use super::sink::{Line, Sink, Trouble};
use crate::config::AuditSettings;
use crate::environment::{BoxFuture, BoxStream, Environment, Network};
use crate::web::WebClient;

/// How long a connection has to live on.
const SETTLES_AFTER: Duration = Duration::from_secs(10);
/// Bound on a connection, TLS included.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Bound on handing over a batch.
const SEND_DEADLINE: Duration = Duration::from_mins(1);

/// Facility 13 (log audit) and the severities of RFC 5424.
const FACILITY: u8 = 13 * 8;
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Tls(String),
    Tcp(String),
}

/// A receiver of syslog.
pub(super) struct SyslogSink {
    files: Arc<dyn Files>,
    exec: Exec,
    network: Arc<dyn Network>,
    web: WebClient,
    destination: Destination,
    authority: Option<PathBuf>,
    host: String,
    connection: Option<BoxStream>,
}

impl SyslogSink {
    pub(super) fn new(environment: &Environment, settings: &AuditSettings, name: &str) -> Self {
        let destination = match settings.syslog.split_once("://") {
            Some(("tcp", address)) => Destination::Tcp(address.to_owned()),
            Some((_, address)) => Destination::Tls(address.to_owned()),
            None => Destination::Tls(settings.syslog.clone()),
        };
        Self {
            files: Arc::clone(&environment.files),
            exec: environment.exec,
            network: Arc::clone(&environment.network),
            web: WebClient::new(environment),
            destination,
            authority: settings.syslog_authority.clone(),
            // A name without spaces, at most 255 characters: names of nodes are shorter.
            host: if name.is_empty() { "-".to_owned() } else { name.to_owned() },
            connection: None,
        }
    }

    async fn connect(&mut self) -> Result<BoxStream, Trouble> {
        match &self.destination {
            Destination::Tcp(address) => Ok(self.network.connect(address).await?),
            Destination::Tls(address) => {
                let web = super::authority::client(&self.web, &self.files, self.exec, self.authority.as_ref()).await?;
                Ok(web.connect_tls(address).await?)
            }
        }
    }
}

impl Sink for SyslogSink {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn settles_after(&self) -> Duration {
        SETTLES_AFTER
    }

    fn send<'a>(&'a mut self, lines: &'a [Line]) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => timeout(CONNECT_DEADLINE, self.connect()).await??,
            };
            let mut frames = Vec::new();
            for (_, line) in lines {
                frame(&mut frames, &self.host, line);
            }
            let hand_over = async {
                connection.write_all(&frames).await?;
                connection.flush().await
            };
            timeout(SEND_DEADLINE, hand_over).await??;
            self.connection = Some(connection);
            Ok(())
        })
    }

    fn broken(&mut self) -> BoxFuture<'_, Trouble> {
        Box::pin(async move {
            let Some(connection) = &mut self.connection else { return std::future::pending().await };
            let mut said = [0; 256];
            loop {
                match connection.read(&mut said).await {
                    Ok(0) => return "the receiver has closed the connection".into(),
                    // Receivers have nothing to say; what they say all the same means nothing.
                    Ok(_) => {}
                    Err(error) => return error.into(),
                }
            }
        })
    }

    fn close(&mut self) {
        self.connection = None;
    }
}

/// Appends a record as a message with its length in front.
fn frame(frames: &mut Vec<u8>, host: &str, line: &[u8]) {
    let record = record::parse(line);
    let severity = match record.as_ref().map(|record| record.outcome) {
        Some(Outcome::Done) => INFORMATIONAL,
        _ => WARNING,
    };
    let (time, action) = record.as_ref().map_or(("-", "-"), |record| (record.time.as_ref(), record.action.as_ref()));
    let head = format!("<{}>1 {time} {host} regnode - {action} - ", FACILITY + severity);
    frames.extend_from_slice(format!("{} {head}", head.len() + line.len()).as_bytes());
    frames.extend_from_slice(line);
}
