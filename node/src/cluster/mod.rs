//! How a cluster comes to be and who belongs to it: founding, joining, leaving, tokens, voters, certificates that are
//! renewed.
//!
//! What a machine says of itself is a record of the directory; every decision about it is a command. Every step may be
//! repeated: a crash at any point leaves a data directory that goes on from there.

mod admission;
mod application;
mod clock;
mod departure;
mod found;
mod gate;
mod info;
mod init;
mod join;
mod leave;
mod loss;
mod membership;
mod own_disks;
mod plan;
mod removal;
mod renewal;
mod setup;
mod throttle;
mod token;

pub use admission::Admitter;
pub(crate) use clock::TICKS_AT_ONCE;
pub use clock::{AgreedTime, keep_clock};
pub(crate) use departure::find_node;
pub use departure::{Departing, DepartureError, Departures, DiskWish};
pub use found::{FoundError, found};
pub use info::{keep_info, node_info};
pub(crate) use init::FIRST_REGION;
pub use init::{InitOutcome, init};
pub use join::{JoinOutcome, join};
pub use leave::{Facts as LeaveFacts, Objection, Other, objections};
pub use loss::{Loss, loss};
pub use membership::Membership;
pub(crate) use membership::candidates;
pub use own_disks::keep_own_disks;
pub use plan::{CAUGHT_UP_ENTRIES, Candidate, Liveness, Step, is_wanted, plan, voters_of};
pub use removal::{Removal, Standing, next as next_removal};
pub use renewal::Renewal;
pub(crate) use setup::peer_address;
pub use setup::{Certificates, NoPeerAddress, SetupError};
pub use token::{TokenError, create_token};

/// Commands that this program understands, as one number. The directory's own level is raised to it by an operator
/// once every node's program is that new.
pub const FEATURE_LEVEL: u32 = 1;
