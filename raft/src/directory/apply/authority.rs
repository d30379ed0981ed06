//! The change of the certificate authority: each step waits for all nodes, may be repeated, and names what it is made from.

use storage::kv::Bytes;

use super::{Context, Outcome, node};
use crate::directory::authority::{
    AUTHORITIES_TRUSTED_MAX, AUTHORITY_BYTES_MAX, AuthorityCommand, AuthorityId, AuthorityRefusal, AuthorityStanding,
    RotationPhase, RotationRecord,
};
use crate::directory::command::Response;
use crate::directory::record::{ClusterRecord, NodeState};
use crate::directory::refusal::Refusal;
use crate::directory::table::{AuthorityStandings, Cluster, Nodes, Rotation};
use crate::id::NodeId;
use crate::machine::ApplyError;
use crate::table::Table;

/// Carries a step out.
pub(super) fn apply(context: &mut Context<'_, '_>, command: AuthorityCommand) -> Outcome {
    let Some(cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    let done = match command {
        AuthorityCommand::Introduce { certificate, wrapped_key, replaces } => {
            introduce(context, &cluster, (certificate, wrapped_key), replaces)?
        }
        AuthorityCommand::Promote { authority } => promote(context, cluster, authority)?,
        AuthorityCommand::Drop { authority } => drop_old(context, &cluster, authority)?,
        AuthorityCommand::Abort { authority } => abort(context, authority)?,
        AuthorityCommand::Note { node, standing } => return note(context, node, &standing),
    };
    Ok(match done {
        Ok(()) => Ok(Response::Done),
        Err(refusal) => Err(Refusal::Authority(refusal)),
    })
}

type Step = Result<Result<(), AuthorityRefusal>, ApplyError>;

fn introduce(
    context: &mut Context<'_, '_>,
    cluster: &ClusterRecord,
    (certificate, wrapped_key): (Bytes, Bytes),
    replaces: AuthorityId,
) -> Step {
    if cluster.ca_certificate.is_empty() {
        return Ok(Err(AuthorityRefusal::None));
    }
    for (what, bytes) in [("certificate", &certificate), ("wrapped key", &wrapped_key)] {
        if !(1..=AUTHORITY_BYTES_MAX).contains(&bytes.len()) {
            let length = bytes.len();
            let text = format!("a {what} of {length} bytes is no authority's: 1 to {AUTHORITY_BYTES_MAX} are expected");
            return Ok(Err(AuthorityRefusal::Invalid(text)));
        }
    }
    if let Some(running) = Rotation::get(context.state, ())? {
        let repeated = running.phase == RotationPhase::Introduced && running.certificate == certificate;
        return Ok(if repeated { Ok(()) } else { Err(AuthorityRefusal::Running) });
    }
    if signer(cluster) != replaces || cluster.ca_certificate == certificate {
        return Ok(Err(AuthorityRefusal::Changed));
    }
    let (phase, now) = (RotationPhase::Introduced, context.now);
    Rotation::put(context.state, (), &RotationRecord { phase, certificate, wrapped_key, begun: now, since: now });
    Ok(Ok(()))
}

/// The two authorities change places: the new one is the cluster's from now on.
fn promote(context: &mut Context<'_, '_>, mut cluster: ClusterRecord, authority: AuthorityId) -> Step {
    if signer(&cluster) == authority {
        return Ok(Ok(()));
    }
    let Some(mut rotation) = Rotation::get(context.state, ())? else { return Ok(Err(AuthorityRefusal::NotRunning)) };
    if rotation.phase != RotationPhase::Introduced || rotation.other() != authority {
        return Ok(Err(AuthorityRefusal::Changed));
    }
    if let Some(node) = first_awaited(context, |standing| standing.trusts.contains(&authority))? {
        return Ok(Err(AuthorityRefusal::Awaited(node)));
    }
    std::mem::swap(&mut cluster.ca_certificate, &mut rotation.certificate);
    std::mem::swap(&mut cluster.wrapped_ca_key, &mut rotation.wrapped_key);
    rotation.phase = RotationPhase::Signing;
    rotation.since = context.now;
    Cluster::put(context.state, (), &cluster);
    Rotation::put(context.state, (), &rotation);
    Ok(Ok(()))
}

fn drop_old(context: &mut Context<'_, '_>, cluster: &ClusterRecord, authority: AuthorityId) -> Step {
    let signer = signer(cluster);
    if signer == authority {
        return Ok(Err(AuthorityRefusal::Changed));
    }
    let Some(rotation) = Rotation::get(context.state, ())? else { return Ok(Ok(())) };
    if rotation.phase != RotationPhase::Signing || rotation.other() != authority {
        return Ok(Err(AuthorityRefusal::Changed));
    }
    let ready = |standing: &AuthorityStanding| standing.shows == signer && standing.trusts.contains(&signer);
    if let Some(node) = first_awaited(context, ready)? {
        return Ok(Err(AuthorityRefusal::Awaited(node)));
    }
    Rotation::delete(context.state, ());
    Ok(Ok(()))
}

fn abort(context: &mut Context<'_, '_>, authority: AuthorityId) -> Step {
    let Some(rotation) = Rotation::get(context.state, ())? else { return Ok(Ok(())) };
    if rotation.phase == RotationPhase::Signing {
        return Ok(Err(AuthorityRefusal::TooLate));
    }
    if rotation.other() != authority {
        return Ok(Err(AuthorityRefusal::Changed));
    }
    // Nobody would take its certificate any more.
    let standings = AuthorityStandings::scan::<()>(context.state, (), None, usize::MAX)?;
    if standings.iter().any(|(_, standing)| standing.shows == authority) {
        return Ok(Err(AuthorityRefusal::TooLate));
    }
    Rotation::delete(context.state, ());
    Ok(Ok(()))
}

fn note(context: &mut Context<'_, '_>, node: NodeId, standing: &AuthorityStanding) -> Outcome {
    if node::member(context, node)?.is_none() {
        return Ok(Err(Refusal::NodeUnknown(node)));
    }
    if standing.trusts.len() > AUTHORITIES_TRUSTED_MAX {
        let text = format!("node {node} says that it trusts {} authorities", standing.trusts.len());
        return Ok(Err(Refusal::Authority(AuthorityRefusal::Invalid(text))));
    }
    AuthorityStandings::put(context.state, &node, standing);
    Ok(Ok(Response::Done))
}

/// The first node that was not removed and is not ready. One that has said nothing is not, and one that has yet to run
/// neither: it may come up with what it was given when it was admitted.
fn first_awaited(
    context: &Context<'_, '_>,
    ready: impl Fn(&AuthorityStanding) -> bool,
) -> Result<Option<NodeId>, ApplyError> {
    for (node, record) in Nodes::scan::<()>(context.state, (), None, usize::MAX)? {
        let present = record.state != NodeState::Removed;
        if present && !AuthorityStandings::get(context.state, &node)?.is_some_and(|standing| ready(&standing)) {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// The authority that signs.
fn signer(cluster: &ClusterRecord) -> AuthorityId {
    AuthorityId::of(&cluster.ca_certificate)
}

impl RotationRecord {
    /// The authority that does not sign.
    fn other(&self) -> AuthorityId {
        AuthorityId::of(&self.certificate)
    }
}
