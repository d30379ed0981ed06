//! The keys of one issuer, as they are known now: fetched when needed, kept for a while, and kept longer when the issuer
//! does not answer.
//!
//! Architecture invariant: nobody can make this node ask an issuer more than once in [`PAUSE`], whatever tokens he sends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raft::directory::{IssuerKeys, IssuerRecord};
use tokio::time::Instant;
use tracing::{info, warn};

use super::chain::Roots;
use super::discovery::{FetchError, discover, fetch};
use super::jwks::KeySet;
use super::metrics::Metrics;
use crate::web::WebClient;

/// Keys are fetched again after so long.
const FRESH: Duration = Duration::from_mins(10);

/// Keys count for so long when the issuer does not answer.
const STALE: Duration = Duration::from_hours(24);

/// Least time between two fetches.
const PAUSE: Duration = Duration::from_secs(30);

/// Least time between two fetches while no keys are known at all.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(5);

/// Keys cannot be had now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoKeys(String);

/// What an issuer's tokens are verified with.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// Keys of a set.
    Keys(Arc<KeySet>),
    /// Certificates.
    Roots(Arc<Roots>),
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Ring {
    name: String,
    /// What it was made of: another record makes another ring.
    record: IssuerRecord,
    source: Source,
    standing: Mutex<Standing>,
    metrics: Metrics,
    /// Held by the task that is fetching.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
enum Source {
    Fixed(Result<Trust, NoKeys>),
    Discover(WebClient),
    Url(WebClient, String),
}

#[derive(Clone, Debug, Default)]
struct Standing {
    keys: Option<(Arc<KeySet>, Instant)>,
    tried: Option<Instant>,
    failure: Option<String>,
}

/// What is to be done for one token.
enum Step {
    Use(Arc<KeySet>),
    Fetch { waits: bool },
    Fail(NoKeys),
}

impl Ring {
    /// The ring of an issuer. Nothing is fetched yet.
    pub(super) fn new(name: &str, record: &IssuerRecord, web: &WebClient, metrics: Metrics) -> Self {
        let bad = |why: &dyn std::fmt::Display| NoKeys(format!("the keys of issuer {name:?} cannot be used: {why}"));
        let client = || match &record.authority {
            Some(pem) => web.with_authorities(pem).map_err(|error| bad(&error)),
            None => Ok(web.clone()),
        };
        let source = match &record.keys {
            IssuerKeys::Jwks(text) => Source::Fixed(
                KeySet::read(text.as_bytes()).map(|keys| Trust::Keys(Arc::new(keys))).map_err(|error| bad(&error)),
            ),
            IssuerKeys::Certificates(pem) => {
                Source::Fixed(Roots::read(pem).map(|roots| Trust::Roots(Arc::new(roots))).map_err(|error| bad(&error)))
            }
            IssuerKeys::Discover => client().map_or_else(|error| Source::Fixed(Err(error)), Source::Discover),
            IssuerKeys::JwksUrl(url) => {
                client().map_or_else(|error| Source::Fixed(Err(error)), |web| Source::Url(web, url.clone()))
            }
        };
        Self {
            name: name.to_owned(),
            record: record.clone(),
            source,
            standing: Mutex::default(),
            metrics,
            fetching: Arc::default(),
        }
    }

    /// Whether it is of this record.
    pub(super) fn is_of(&self, record: &IssuerRecord) -> bool {
        self.record == *record
    }

    /// What a token that names this key is verified with. The key may be missing all the same.
    pub(super) async fn trust(self: &Arc<Self>, key_id: Option<&str>) -> Result<Trust, NoKeys> {
        if let Source::Fixed(trust) = &self.source {
            return trust.clone();
        }
        loop {
            let waits = match self.step(key_id) {
                Step::Use(keys) => return Ok(Trust::Keys(keys)),
                Step::Fail(error) => return Err(error),
                Step::Fetch { waits } => waits,
            };
            let guard = match Arc::clone(&self.fetching).try_lock_owned() {
                Ok(guard) => guard,
                // Somebody fetches. Who can do without goes on with what is there, others look again afterwards.
                Err(_) if waits => {
                    drop(self.fetching.lock().await);
                    continue;
                }
                Err(_) => return self.present(),
            };
            // Between the look and the lock somebody may have fetched.
            if !matches!(self.step(key_id), Step::Fetch { .. }) {
                continue;
            }
            // A task of its own: whoever goes away while it runs keeps the keys from nobody.
            let ring = Arc::clone(self);
            let fetch = tokio::spawn(async move {
                ring.refresh().await;
                drop(guard);
            });
            if fetch.await.is_err() {
                return self.present();
            }
        }
    }

    fn step(&self, key_id: Option<&str>) -> Step {
        let standing = self.standing();
        let keys = standing.keys.filter(|(_, fetched)| fetched.elapsed() < STALE);
        let pause = if keys.is_some() { PAUSE } else { PAUSE_WITHOUT_KEYS };
        let may_try = standing.tried.is_none_or(|tried| tried.elapsed() >= pause);
        match keys {
            Some((keys, fetched)) if fetched.elapsed() < FRESH && keys.knows(key_id) => Step::Use(keys),
            Some((keys, _)) if !may_try => Step::Use(keys),
            Some((keys, _)) => Step::Fetch { waits: !keys.knows(key_id) },
            None if may_try => Step::Fetch { waits: true },
            None => Step::Fail(NoKeys(format!(
                "the keys of issuer {:?} are not known: {}",
                self.name,
                standing.failure.unwrap_or_default()
            ))),
        }
    }

    /// The keys that are there, for one who does not wait for newer ones.
    fn present(&self) -> Result<Trust, NoKeys> {
        let keys = self.standing().keys.filter(|(_, fetched)| fetched.elapsed() < STALE);
        let keys = keys.map(|(keys, _)| Trust::Keys(keys));
        keys.ok_or_else(|| NoKeys(format!("the keys of issuer {:?} are being fetched", self.name)))
    }

    /// Fetches the keys, to its end. Who asks meanwhile waits for it, so that it is noted only then as tried.
    async fn refresh(&self) {
        let fetched = match &self.source {
            Source::Discover(web) => discover(web, &self.record.issuer).await,
            Source::Url(web, url) => fetch(web, url).await,
            Source::Fixed(_) => return,
        };
        self.metrics.fetched(fetched.is_ok());
        let mut standing = self.lock();
        standing.tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                info!(issuer = self.name, keys = keys.keys.len(), "keys of an issuer fetched");
                standing.keys = Some((Arc::new(keys), Instant::now()));
                standing.failure = None;
            }
            Err(error) => {
                let reason = with_causes(&error);
                match &standing.keys {
                    Some((_, fetched)) => warn!(
                        issuer = self.name,
                        reason,
                        age_seconds = fetched.elapsed().as_secs(),
                        "an issuer's keys cannot be fetched again, those that are known count for a day"
                    ),
                    None => {
                        warn!(
                            issuer = self.name,
                            reason, "an issuer's keys cannot be fetched, its tokens do not count"
                        );
                    }
                }
                standing.failure = Some(reason);
            }
        }
    }

    fn standing(&self) -> Standing {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with_causes(error: &FetchError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let told = error.to_string();
        // A message that ends in its cause does not say it twice.
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}
