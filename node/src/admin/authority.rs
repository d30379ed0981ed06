//! The paths for the cluster's certificate authority: `GET /authority`, `POST /authority/rotate`, `/authority/abort`.
//!
//! A rotation is begun here and goes on by itself (`cluster::authority`).

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use raft::directory::{
    AuthorityCommand, AuthorityId, AuthorityRefusal, AuthorityStanding, Command, Refusal, RotationPhase, View,
};
use raft::id::NodeId;
use raft::machine::State as Records;
use sha2::{Digest as _, Sha256};
use tracing::info;

use super::access_changes::AccessError;
use super::access_refusal::answered;
use super::access_types::Confirmation;
use super::audited::{Recorded, recorded};
use super::authority_types::{AuthorityAnswer, AuthorityEntry, AuthorityPhase, AuthorityRole, NodeAuthority};
use super::router::Admin;
use super::types::VERSION;
use crate::cluster::{Rotation, rotation};
use crate::identity::{Authority, validity};

/// What stands for an authority that is none any more.
const FORMER: &str = "former";

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/authority", get(show))
        .route("/authority/rotate", post(rotate))
        .route("/authority/abort", post(abort))
}

async fn show(State(admin): State<Admin>) -> Response {
    let (view, reading) = admin.access_changes.confirmed_view().await;
    answered(answer(&admin, &view, reading))
}

async fn rotate(State(admin): State<Admin>) -> Response {
    let outcome = begin(&admin).await;
    let (before, after) = match &outcome {
        Ok((before, after)) => (Some(before.clone()), Some(after.clone())),
        Err(_) => (None, None),
    };
    changed(&admin, outcome.map(|_| ()), (before, after)).await
}

async fn abort(State(admin): State<Admin>) -> Response {
    let outcome = take_back(&admin).await;
    let before = outcome.as_ref().ok().cloned();
    changed(&admin, outcome.map(|_| ()), (before, None)).await
}

/// Answers how it is after a change, and records that.
async fn changed(
    admin: &Admin,
    outcome: Result<(), AccessError>,
    (before, after): (Option<String>, Option<String>),
) -> Response {
    let (view, reading) = admin.access_changes.confirmed_view().await;
    let record = Recorded::new("authority", "certificate authority").change(before, after);
    recorded(answered(outcome.and_then(|()| answer(admin, &view, reading))), record)
}

/// Makes a new authority and lets the nodes learn it; the fingerprints of the present one and of the new one.
async fn begin(admin: &Admin) -> Result<(String, String), AccessError> {
    let changes = &admin.access_changes;
    let cluster = changes.current().await?.cluster()?.ok_or(AccessError::Refused(Refusal::NotFounded))?;
    let Some(cluster_key) = changes.cluster_key.clone() else {
        return Err(AccessError::Refused(Refusal::Authority(AuthorityRefusal::None)));
    };
    let (id, entropy, now) = (changes.cluster, admin.entropy.clone(), admin.time.clock.now());
    let made = move || {
        let authority = Authority::generate(id, now)?;
        let wrapped_key = authority.wrap(entropy.as_ref(), &cluster_key);
        Ok((Bytes::copy_from_slice(authority.certificate()), Bytes::from(wrapped_key)))
    };
    let made: Result<(Bytes, Bytes), crate::identity::AuthorityError> = changes.exec.run(made).await;
    let (certificate, wrapped_key) = made.map_err(|error| AccessError::Key(error.to_string()))?;
    let (before, after) = (fingerprint(&cluster.ca_certificate), fingerprint(&certificate));
    let replaces = AuthorityId::of(&cluster.ca_certificate);
    let introduce = AuthorityCommand::Introduce { certificate, wrapped_key, replaces };
    changes.propose(Command::Authority(introduce)).await?;
    info!(before, after, "change of the certificate authority begun");
    Ok((before, after))
}

/// Takes a change back that signs nothing yet; the fingerprint of what was to sign.
async fn take_back(admin: &Admin) -> Result<String, AccessError> {
    let refused = |refusal| AccessError::Refused(Refusal::Authority(refusal));
    let running = admin.access_changes.current().await?.rotation()?;
    let running = running.ok_or_else(|| refused(AuthorityRefusal::NotRunning))?;
    let (authority, new) = (AuthorityId::of(&running.certificate), fingerprint(&running.certificate));
    admin.access_changes.propose(Command::Authority(AuthorityCommand::Abort { authority })).await?;
    info!(authority = new, "change of the certificate authority taken back");
    Ok(new)
}

fn answer<S: Records>(admin: &Admin, view: &View<S>, reading: Confirmation) -> Result<AuthorityAnswer, AccessError> {
    let known = rotation(view)?.ok_or(AccessError::Refused(Refusal::NotFounded))?;
    Ok(told(&known, reading, |node| admin.members.is_live(node)))
}

/// How it is, in words for operators.
fn told(known: &Rotation, reading: Confirmation, is_live: impl Fn(NodeId) -> bool) -> AuthorityAnswer {
    let entry = |certificate: &[u8], role| AuthorityEntry {
        fingerprint: fingerprint(certificate),
        role,
        not_after_milliseconds: validity(certificate).map(|(_, until)| until.0),
    };
    let signer = &known.cluster.ca_certificate;
    let mut authorities = vec![entry(signer, AuthorityRole::Signs)];
    let phase = match known.running.as_ref().map(|running| (running.phase, &running.certificate)) {
        None => AuthorityPhase::Stable,
        Some((RotationPhase::Introduced, certificate)) => {
            authorities.push(entry(certificate, AuthorityRole::Next));
            AuthorityPhase::Introduced
        }
        Some((RotationPhase::Signing, certificate)) => {
            authorities.push(entry(certificate, AuthorityRole::Former));
            AuthorityPhase::Signing
        }
    };
    let certificates = std::iter::once(signer).chain(known.running.as_ref().map(|running| &running.certificate));
    let names: Vec<(AuthorityId, String)> =
        certificates.map(|certificate| (AuthorityId::of(certificate), fingerprint(certificate))).collect();
    let name = |id: AuthorityId| {
        let known = names.iter().find(|(known, _)| *known == id);
        known.map_or_else(|| FORMER.to_owned(), |(_, name)| name.clone())
    };
    let node = |node: NodeId, its_name: &str, standing: Option<&AuthorityStanding>| NodeAuthority {
        node: node.0,
        name: its_name.to_owned(),
        live: is_live(node),
        trusts: standing.iter().flat_map(|standing| &standing.trusts).map(|id| name(*id)).collect(),
        shows: standing.map(|standing| name(standing.shows)),
        awaited: known.awaited.iter().find(|awaited| awaited.node == node).map(|awaited| awaited.lag.to_string()),
    };
    AuthorityAnswer {
        version: VERSION,
        reading,
        phase,
        begun_milliseconds: known.running.as_ref().map(|running| running.begun.0),
        since_milliseconds: known.running.as_ref().map(|running| running.since.0),
        authorities,
        nodes: known.nodes.iter().map(|(id, record)| node(*id, &record.info.name, known.standings.get(id))).collect(),
    }
}

/// An authority as people compare it.
fn fingerprint(certificate: &[u8]) -> String {
    hex::encode(Sha256::digest(certificate))
}
