//! Federation against issuers with real signatures, published by a server on loopback.

mod attacks;
mod chains;
mod fuzz;
mod issuer;
mod keys;
mod uses;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use raft::directory::{IssuerKeys, IssuerRecord, IssuerUse, RobotRecord, SIGNATURE_ALGORITHMS, TrustRule};
use raft::time::{Clock, Timestamp};
use serde_json::{Value, json};
use storage::disk::RealFiles;
use storage::kv::RocksEngines;
use storage::seal::Keys;

use super::Federation;
use crate::access::{Access, Records, Rights};
use crate::environment::{Environment, real};
use crate::login::{OutsideError, OutsideTokens as _};

/// The present moment, for everybody.
const NOW_SECONDS: u64 = 1_800_000_000;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(NOW_SECONDS * 1000)
    }
}

fn environment() -> Environment {
    Environment { clock: Arc::new(Stopped), ..real(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear()))) }
}

/// An issuer of machines' tokens for the audience `registry`.
fn record(issuer: &str, keys: IssuerKeys) -> IssuerRecord {
    IssuerRecord {
        issuer: issuer.to_owned(),
        audiences: vec!["registry".to_owned()],
        purpose: IssuerUse::Workload,
        keys,
        authority: None,
        algorithms: SIGNATURE_ALGORITHMS.map(str::to_owned).to_vec(),
        created: Timestamp(0),
    }
}

fn rule(issuer: &str, path: &str, pattern: &str) -> TrustRule {
    TrustRule { issuer: issuer.to_owned(), claims: vec![(path.to_owned(), pattern.to_owned())] }
}

fn robot(trusts: Vec<TrustRule>) -> RobotRecord {
    RobotRecord {
        description: String::new(),
        groups: Vec::new(),
        disabled: false,
        created: Timestamp(0),
        expires: None,
        sessions_from: Timestamp(0),
        secrets: Vec::new(),
        trusts,
    }
}

/// Federation with these issuers and the robot `ci`, which trusts the issuer `ci` about jobs of `acme/app`.
fn federation(environment: &Environment, issuers: Vec<(&str, IssuerRecord)>) -> Federation {
    let robots = BTreeMap::from([("ci".to_owned(), robot(vec![rule("ci", "sub", "repo:acme/app:*")]))]);
    with_robots(environment, issuers, robots)
}

fn with_robots(
    environment: &Environment,
    issuers: Vec<(&str, IssuerRecord)>,
    robots: BTreeMap<String, RobotRecord>,
) -> Federation {
    let issuers = issuers.into_iter().map(|(name, record)| (name.to_owned(), record)).collect();
    let rights = Rights::new(Records { robots, issuers, ..Records::default() });
    Federation::new(
        Access::fixed(rights, Arc::clone(&environment.clock)),
        environment,
        crate::federation::Metrics::default(),
    )
}

/// Good claims of a job.
fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": "registry", "sub": "repo:acme/app:ref:refs/heads/main",
        "exp": NOW_SECONDS + 300, "iat": NOW_SECONDS, "nbf": NOW_SECONDS,
    })
}

/// The same claims with one that is another.
fn but(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn reason(outcome: Result<(), OutsideError>) -> String {
    match outcome.unwrap_err() {
        OutsideError::Refused(reason) => reason,
        OutsideError::Unavailable(reason) => panic!("unavailable: {reason}"),
    }
}

/// Lets tokio's time pass at once; sockets go on with real time.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
