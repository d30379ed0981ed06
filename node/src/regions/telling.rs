//! What a region may tell another one of a namespace, for a copy there.

use raft::id::RegionId;
use raft::policy::Role;

use super::Regions;
use super::homes::Table;

/// Whether one region tells another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It does.
    Tells,
    /// It is not its to tell, but the home's, which this is.
    NotHome(RegionId),
    /// The other region is not to have it.
    NotTold,
    /// Nothing is known yet.
    Unknown,
}

impl Table {
    /// Whether `own` tells `asking` of what is at a prefix or a repository. The home tells regions with a copy, the one that
    /// is to become the home among them; a former one tells the home what it has kept.
    pub(crate) fn telling(&self, own: RegionId, asking: RegionId, at: &str) -> Telling {
        let Some(place) = self.place(at) else { return Telling::Unknown };
        let asks_as_home = place.home == asking;
        if place.home != own && !(asks_as_home && place.is_aside(own)) {
            return Telling::NotHome(place.home);
        }
        if asks_as_home || place.role(asking) == Role::Replica { Telling::Tells } else { Telling::NotTold }
    }
}

impl Regions {
    /// Whether the own region tells another one of what is at a prefix or a repository.
    pub(crate) fn telling(&self, asking: RegionId, at: &str) -> Telling {
        self.places().telling(self.own(), asking, at)
    }
}
