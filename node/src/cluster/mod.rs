//! How a cluster comes to be and who belongs to it: founding, joining, tokens, voters, certificates that are renewed.
//!
//! What a machine says of itself is a record of the directory; every decision about it is a command. Every step may be
//! repeated: a crash at any point leaves a data directory that goes on from there.

mod admission;
mod application;
mod found;
mod info;
mod init;
mod join;
mod membership;
mod plan;
mod renewal;
mod setup;
mod token;

pub use admission::Admitter;
pub use found::{FoundError, found};
pub use info::{keep_info, node_info};
pub use init::{InitOutcome, init};
pub use join::{JoinOutcome, join};
pub use membership::Membership;
pub use plan::{CAUGHT_UP_ENTRIES, Candidate, Liveness, Step, plan};
pub use renewal::Renewal;
pub(crate) use setup::peer_address;
pub use setup::{Certificates, NoPeerAddress, SetupError};
pub use token::{TokenError, create_token};

/// Commands that this program understands, as one number. The directory's own level is raised to it by an operator
/// once every node's program is that new.
pub const FEATURE_LEVEL: u32 = 1;
