//! How a cluster comes to be and who belongs to it: founding, joining, leaving, tokens, voters, certificates that are
//! renewed.
//!
//! What a machine says of itself is a record of the directory; every decision about it is a command. Every step may be
//! repeated: a crash at any point leaves a data directory that goes on from there.

mod admission;
mod application;
mod authority;
mod clock;
mod departure;
mod found;
mod found_region;
mod gate;
mod info;
mod init;
mod join;
mod leave;
mod loss;
mod membership;
mod own_disks;
mod plan;
mod reading;
mod region_changes;
mod removal;
mod seats;
mod setup;
mod takeover;
mod throttle;
mod token;

pub use admission::Admitter;
pub use authority::{Agreed, AuthorityKeeper, Awaited, Held, Lag, OwnStep, awaited, lead_step, own_step};
pub(crate) use authority::{Rotation, rotation};
pub(crate) use clock::TICKS_AT_ONCE;
pub use clock::{AgreedTime, keep_clock};
pub(crate) use departure::find_node;
pub use departure::{Departing, DepartureError, Departures, DiskWish};
pub use found::{FoundError, found};
pub use found_region::found_region;
pub use info::{keep_info, node_info};
pub use init::{InitAccess, InitOutcome, init};
pub use join::{JoinOutcome, join};
pub use leave::{DirectoryVoters, Facts as LeaveFacts, Objection, Other, objections};
pub use loss::{Loss, loss};
pub use membership::Membership;
pub(crate) use membership::candidates;
pub use own_disks::keep_own_disks;
pub use plan::{CAUGHT_UP_ENTRIES, Candidate, Liveness, Step, is_wanted, plan};
pub use reading::Reading;
pub(crate) use reading::confirm_directory;
pub use region_changes::{RegionChanges, RegionError};
pub use removal::{Removal, Standing, next as next_removal};
pub use seats::{Seats, regions_borne, seats, voters_of};
pub(crate) use setup::peer_address;
pub use setup::{Certificates, NoPeerAddress, SetupError};
pub use takeover::{
    FOUND_PATH, FoundRequest, KnownMembers, KnownNode, KnownVoter, Outlook, ReplicaStanding, STANDING_PATH,
    StandingQuestion, Takeover, TakeoverRefused,
};
pub(crate) use token::region_to_join;
pub use token::{TokenError, create_token};

/// Commands that this program understands, as one number. The directory's own level is raised to it by an operator
/// once every node's program is that new.
pub const FEATURE_LEVEL: u32 = 1;
