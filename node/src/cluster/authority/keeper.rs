//! The task of one node: keeps its own certificate and its trust as the directory says, and drives a change on while it
//! leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::directory::{
    AuthorityCommand, AuthorityId, AuthorityStanding, ClusterRecord, Command, Directory, Response, RotationRecord,
    StateError, View,
};
use raft::group::{Group, ProposeError};
use raft::id::RequestId;
use rustls_pki_types::CertificateDer;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::lead_step;
use super::plan::{Agreed, Held, OwnStep, own_step};
use super::standing::rotation;
use crate::environment::Environment;
use crate::identity::{
    Authority, AuthorityError, CertificateError, ClusterId, Credentials, Identity, IdentityError, NodeCertificate,
    PeerTls, PeerTlsError, Store, is_issued_by,
};
use crate::peer::Peers;

/// Time between two looks when nothing changes in the directory.
const INTERVAL: Duration = Duration::from_mins(1);
/// Least time between two looks, however much changes.
const SETTLED: Duration = Duration::from_millis(200);
/// Time before something is tried again that failed.
const RETRY: Duration = Duration::from_secs(2);
/// The same when this machine is the reason.
const LOCAL_RETRY: Duration = Duration::from_mins(1);
/// Time for the directory's quorum to confirm what is acted on.
const CONFIRMATION: Duration = Duration::from_secs(10);

/// Keeps the certificate of one node.
#[derive(Debug)]
pub struct AuthorityKeeper {
    /// Who it is.
    pub identity: Identity,
    /// Where its certificate is kept.
    pub store: Store,
    /// Where it is shown, and others' are judged.
    pub tls: PeerTls,
    /// Connections that are opened anew when another certificate is shown.
    pub peers: Peers,
    /// Where the authorities are, with their wrapped keys.
    pub directory: Arc<Group<Directory>>,
    /// Clock and files.
    pub environment: Environment,
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Tls(#[from] PeerTlsError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Propose(#[from] ProposeError),
    #[error("the node has no certificate")]
    NoCertificate,
    #[error("the key of authority {0} in the directory is not that of its certificate")]
    WrongKey(AuthorityId),
    #[error("the directory refuses what the node says of itself: {0}")]
    Refused(String),
}

/// What is known from one look to the next.
#[derive(Default)]
struct Known {
    /// The files. Nobody else writes them: they are read again when they were changed.
    credentials: Option<Credentials>,
    /// What TLS was given of them.
    taken: Option<Taken>,
}

/// What TLS shows and trusts.
#[derive(PartialEq, Eq)]
struct Taken {
    certificate: CertificateDer<'static>,
    shows: AuthorityId,
    trusts: BTreeSet<AuthorityId>,
}

impl Taken {
    fn of(credentials: &Credentials) -> Self {
        Self {
            certificate: credentials.certificate.clone(),
            shows: AuthorityId::of(&credentials.authority),
            trusts: credentials.authorities().map(|authority| AuthorityId::of(authority)).collect(),
        }
    }

    /// Whether connections that were made before are to be opened anew: the other side would not take the former
    /// certificate for ever, or its own was checked against what is trusted no more.
    fn outdates(&self, before: &Self) -> bool {
        self.shows != before.shows || !before.trusts.is_subset(&self.trusts)
    }
}

/// What a look has led to.
enum Look {
    /// Something was done: there may be more.
    Done,
    /// There is nothing to do.
    Idle,
    /// It cannot be done now.
    Later,
}

/// The records that this is about, of one moment.
#[derive(Clone)]
struct Records {
    cluster: ClusterRecord,
    rotation: Option<RotationRecord>,
    said: Option<AuthorityStanding>,
}

impl Records {
    fn agreed(&self) -> Agreed {
        Agreed::new(&self.cluster, self.rotation.as_ref())
    }

    /// Certificates of the authorities, with their wrapped keys.
    fn authorities(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let other = self.rotation.as_ref().map(|other| (other.certificate.as_ref(), other.wrapped_key.as_ref()));
        std::iter::once((self.cluster.ca_certificate.as_ref(), self.cluster.wrapped_ca_key.as_ref())).chain(other)
    }
}

impl AuthorityKeeper {
    /// Looks whenever the directory changes, and now and then. Never ends.
    pub async fn keep(self) {
        let this = Arc::new(self);
        let mut applied = this.directory.applied();
        let mut known = Known::default();
        loop {
            applied.borrow_and_update();
            let pause = match this.look(&mut known).await {
                Ok(Look::Done) => continue,
                Ok(Look::Idle) => INTERVAL,
                Ok(Look::Later) => RETRY,
                Err(KeepError::Propose(error)) => {
                    debug!(%error, "the directory does not answer yet");
                    RETRY
                }
                Err(error) => {
                    warn!(%error, "the node's certificate and its trust are not as they should be");
                    LOCAL_RETRY
                }
            };
            sleep(SETTLED).await;
            tokio::select! {
                () = sleep(pause.saturating_sub(SETTLED)) => {}
                changed = applied.changed(), if pause == INTERVAL => {
                    // The group ends with the node.
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn records(&self) -> Result<Option<Records>, StateError> {
        let view = View::new(self.directory.state());
        let Some(cluster) = view.cluster()? else { return Ok(None) };
        Ok(Some(Records { cluster, rotation: view.rotation()?, said: view.authority_standing(self.identity.node)? }))
    }

    /// What the files hold, once TLS shows and trusts it: nothing else may be said to the directory.
    async fn read(self: &Arc<Self>, taken: &mut Option<Taken>) -> Result<Credentials, KeepError> {
        let this = Arc::clone(self);
        let read = self.environment.exec.run(move || this.store.credentials()).await?;
        let credentials = read.ok_or(KeepError::NoCertificate)?;
        let now = Taken::of(&credentials);
        if taken.as_ref() != Some(&now) {
            self.tls.replace(&credentials)?;
            if taken.as_ref().is_some_and(|before| now.outdates(before)) {
                self.peers.reconnect_all();
            }
            *taken = Some(now);
        }
        Ok(credentials)
    }

    async fn look(self: &Arc<Self>, known: &mut Known) -> Result<Look, KeepError> {
        let credentials = match known.credentials.take() {
            Some(credentials) => credentials,
            None => self.read(&mut known.taken).await?,
        };
        let Some(records) = self.records()? else {
            known.credentials = Some(credentials);
            return Ok(Look::Idle);
        };
        let held = Held {
            trusts: credentials.authorities().map(|authority| AuthorityId::of(authority)).collect(),
            shows: AuthorityId::of(&credentials.authority),
            is_due: NodeCertificate::read(&credentials.certificate)?.is_due(self.environment.clock.now()),
        };
        let step = own_step(&records.agreed(), &held, records.said.as_ref());
        if let Some(OwnStep::Trust(_) | OwnStep::Renew) = step {
            return self.change(credentials, &held).await;
        }
        known.credentials = Some(credentials);
        match step {
            Some(OwnStep::Say(standing)) => self.say(standing).await,
            _ => self.lead().await,
        }
    }

    /// Does to the own files what a quorum confirms.
    async fn change(self: &Arc<Self>, credentials: Credentials, held: &Held) -> Result<Look, KeepError> {
        if !matches!(timeout(CONFIRMATION, self.directory.read_barrier()).await, Ok(Ok(()))) {
            debug!("the certificate authorities are not confirmed by the directory yet");
            return if held.is_due { self.renew_alone(credentials).await } else { Ok(Look::Later) };
        }
        let Some(records) = self.records()? else { return Ok(Look::Later) };
        match own_step(&records.agreed(), held, records.said.as_ref()) {
            Some(OwnStep::Trust(wanted)) => self.trust(wanted, &records, credentials, held).await,
            Some(OwnStep::Renew) => self.renew(records.agreed().signer, records, credentials).await,
            Some(OwnStep::Say(_)) | None => Ok(Look::Done),
        }
    }

    /// Renews a certificate that ends soon, though nobody confirms which authority signs: by the one that has signed it.
    async fn renew_alone(self: &Arc<Self>, credentials: Credentials) -> Result<Look, KeepError> {
        let Some(records) = self.records()? else { return Ok(Look::Later) };
        let by = AuthorityId::of(&credentials.authority);
        if records.authorities().all(|(certificate, _)| AuthorityId::of(certificate) != by) {
            return Ok(Look::Later);
        }
        self.renew(by, records, credentials).await
    }

    /// Writes that certificates of these authorities are taken, and of no others; the next look does so.
    async fn trust(
        self: &Arc<Self>,
        wanted: BTreeSet<AuthorityId>,
        records: &Records,
        credentials: Credentials,
        held: &Held,
    ) -> Result<Look, KeepError> {
        let own = credentials.authorities().cloned();
        let others = records.authorities().map(|(certificate, _)| CertificateDer::from(certificate.to_vec()));
        let mut certificates: BTreeMap<AuthorityId, CertificateDer<'static>> =
            own.chain(others).map(|certificate| (AuthorityId::of(&certificate), certificate)).collect();
        certificates.retain(|id, _| wanted.contains(id));
        let (dropped, number) = (!held.trusts.is_subset(&wanted), certificates.len());
        let this = Arc::clone(self);
        let written = move || {
            let certificates: Vec<CertificateDer<'static>> = certificates.into_values().collect();
            this.store.write_authorities(&certificates)
        };
        self.environment.exec.run(written).await?;
        info!(node = %self.identity.node, authorities = number, dropped, "certificate authorities of the cluster taken over");
        Ok(Look::Done)
    }

    /// Has the own certificate renewed by this authority, which is trusted. The next look shows it.
    async fn renew(
        self: &Arc<Self>,
        by: AuthorityId,
        records: Records,
        credentials: Credentials,
    ) -> Result<Look, KeepError> {
        let is_other = by != AuthorityId::of(&credentials.authority);
        let (this, now) = (Arc::clone(self), self.environment.clock.now());
        let renewed = move || {
            let mut known = records.authorities().filter(|(certificate, _)| AuthorityId::of(certificate) == by);
            let (certificate, wrapped) = known.next().ok_or(KeepError::WrongKey(by))?;
            let cluster = ClusterId(records.cluster.id);
            let authority = Authority::unwrap(cluster, &credentials.cluster_key, certificate, wrapped)?;
            let (node, region) = (this.identity.node, this.identity.region);
            let own = authority.renew((node, region), &credentials.key, now)?;
            // Nobody would take one that was signed with another key.
            if !is_issued_by(&own, &CertificateDer::from(certificate)) {
                return Err(KeepError::WrongKey(by));
            }
            let until = NodeCertificate::read(&own)?.not_after;
            this.store.write_certificate(&own)?;
            Ok(until)
        };
        let until = self.environment.exec.run(renewed).await?;
        info!(node = %self.identity.node, until_milliseconds = until.0, is_other, "certificate renewed");
        Ok(Look::Done)
    }

    /// Says what this node trusts and shows.
    async fn say(&self, standing: AuthorityStanding) -> Result<Look, KeepError> {
        let note = AuthorityCommand::Note { node: self.identity.node, standing };
        match self.propose(note).await? {
            Response::Refused(refusal) => Err(KeepError::Refused(refusal.to_string())),
            // It may have yet to come back from the leader. Until then it would be said again and again.
            _ => Ok(match timeout(CONFIRMATION, self.directory.read_barrier()).await {
                Ok(Ok(())) => Look::Done,
                _ => Look::Later,
            }),
        }
    }

    /// The next step of a change, if this node leads.
    async fn lead(&self) -> Result<Look, KeepError> {
        if !self.directory.is_leader() {
            return Ok(Look::Idle);
        }
        let known = {
            let view = View::new(self.directory.state());
            // All the nodes are read only while there is something to do.
            if view.rotation()?.is_none() {
                return Ok(Look::Idle);
            }
            rotation(&view)?
        };
        let Some(known) = known else { return Ok(Look::Idle) };
        let Some(step) = lead_step(&known.agreed(), &known.nodes, &known.standings) else { return Ok(Look::Idle) };
        let text = format!("{step:?}");
        if let Response::Refused(refusal) = self.propose(step).await? {
            debug!(%refusal, "a change of the certificate authority waits");
            return Ok(Look::Later);
        }
        info!(step = text, "the change of the certificate authority goes on");
        Ok(Look::Done)
    }

    async fn propose(&self, command: AuthorityCommand) -> Result<Response, ProposeError> {
        let request = RequestId(self.environment.entropy.id());
        self.directory.propose(request, Command::Authority(command)).await
    }
}
