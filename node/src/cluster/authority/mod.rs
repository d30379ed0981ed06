//! The cluster's certificate authority while the cluster runs: each node's certificate is renewed long before it ends, and
//! the authority itself is changed without an interruption (`regnode ca rotate`).
//!
//! A change is a record of the directory ([`raft::directory::RotationRecord`]) with two phases, and what each node says of
//! itself there. *Introduced*: a second authority, its key wrapped with the cluster key, is in the directory. Each node
//! writes its certificate beside the present one (`identity/ca.crt`), takes certificates of both from then on, and says so.
//! Only when all nodes that were not removed have said it, those too that have yet to run, *signing* begins: the second
//! authority is the cluster's from then on, signs for whoever joins, and each node renews its own certificate with it, opens
//! fresh connections and says so. When all show such a certificate, the old authority is dropped: each node strikes it
//! from its file, and connections that were made with a certificate of it end once their requests have, after half a minute at
//! the latest. Until then it is trusted: a stolen key of it is worth something until the change is over.
//!
//! Why nothing stops working meanwhile: a node shows a certificate of the second authority only when every other one takes
//! it, and refuses those of the first only when nobody shows one. The state machine refuses a step that comes too early,
//! so whoever leads may try at any time ([`lead_step`]), and a crash at any point repeats a step that is done. A node that
//! does not answer holds the change up where it is, which `regnode status` and `regnode ca status` tell; it goes on when
//! the node is back or is removed. A machine that joins is given both authorities; its token names the one that signed when
//! it was made. It looks for that one in the chain that a node shows, so a token of the old authority is taken by nodes that
//! have not renewed their certificate yet, and by none once they all have: make tokens anew after a change.
//!
//! What a node does to its own files it decides by what a quorum of the directory confirms at that moment: a replica that
//! is behind, after a restart say, would take back an authority that was dropped, or drop one that was introduced. The one
//! exception is a certificate that is about to end while no quorum answers: it is renewed by the authority that has signed
//! it, so that a cluster that was switched off for a year finds together again.
//!
//! The cluster key is not changed: every node has it, and what it wraps is in the directory. A node that was removed keeps
//! it, with the keys that it had seen wrapped; what is made after its removal it never gets. So after the loss of a
//! machine: remove it, then change the authority and the token keys.

mod keeper;
mod plan;
mod standing;

pub use keeper::AuthorityKeeper;
pub use plan::{Agreed, Awaited, Held, Lag, OwnStep, awaited, lead_step, own_step};
pub(crate) use standing::{Rotation, rotation};
