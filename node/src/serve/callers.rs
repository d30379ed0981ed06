//! Who calls over connections whose clients show a certificate, for as long as a connection lasts: whoever was let in may
//! be no member any more, or the authority of his certificate may be trusted no more.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::peer::PeerIdentity;

/// Time for the requests of a connection that was made with a certificate which is not trusted any more. New ones are not
/// taken on it.
const OUTDATED_GRACE: Duration = Duration::from_secs(30);

/// How the certificate of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is a member's.
    Member,
    /// Its authority is not trusted any more. Whoever is a member has another one by now.
    Outdated,
    /// It is that of a node that was removed.
    Removed,
}

/// Knows callers by their certificates.
pub trait Callers: Send + Sync + 'static {
    /// Says which peer a verified certificate belongs to; `None` refuses it.
    fn identify(&self, certificate: &CertificateDer<'_>) -> Option<PeerIdentity>;

    /// How a certificate stands that was let in.
    fn standing(&self, peer: PeerIdentity, certificate: &CertificateDer<'_>) -> Standing;

    /// Tell when that may have changed.
    fn changes(&self) -> [watch::Receiver<u64>; 2];
}

/// Serves a member for as long as it is one. One that was removed is ended at once; whose certificate is outdated may
/// finish what it is at.
pub(super) async fn serve_member(
    callers: &Arc<dyn Callers>,
    (peer, certificate): (PeerIdentity, CertificateDer<'static>),
    serving: impl Future<Output = ()>,
    drain: CancellationToken,
) {
    tokio::pin!(serving);
    let standing = tokio::select! {
        biased;
        () = &mut serving => return,
        standing = lapsed(callers, peer, &certificate) => standing,
    };
    if standing == Standing::Outdated {
        drain.cancel();
        // Whoever is a member has made another connection by now; a few requests may still be under way on this one.
        let _ = timeout(OUTDATED_GRACE, &mut serving).await;
    }
    debug!(node = %peer.node, ?standing, "connection of a peer ended");
}

/// Waits until a certificate is a member's no more.
async fn lapsed(callers: &Arc<dyn Callers>, peer: PeerIdentity, certificate: &CertificateDer<'_>) -> Standing {
    let [mut members, mut authorities] = callers.changes();
    loop {
        let standing = callers.standing(peer, certificate);
        if standing != Standing::Member {
            return standing;
        }
        // They end with the node.
        let changed = tokio::select! {
            changed = members.changed() => changed,
            changed = authorities.changed() => changed,
        };
        if changed.is_err() {
            return std::future::pending().await;
        }
    }
}
