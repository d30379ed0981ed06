//! Copies of namespaces in other regions: what a region with a copy asks of the home, and what it makes of the answers.
//!
//! A namespace may rest in more regions than its home. Such a region has a copy of it, which follows the home's change
//! feed: it looks through all that there is once (the survey), and takes in what happens from then on (the feed). Both
//! become debts of its catalog, which are worked off one after the other: content first, then the manifest or tag that
//! needs it, so that nothing is visible before all of it is here and verified by its digest.
//!
//! `question` has the questions and answers, `ask` asks them, `source` answers them at the home from the change feed
//! and from what there is.
//!
//! On the other side, `puller` sees to it that each `scope` is copied by the catalog's leader: `intake` makes debts of what
//! the source says, by `survey` and feed, and `debts` pays them as `window` plans it. `copy` brings a manifest with all that
//! it needs, `transfer` a blob, over a `link` that all scopes of one source share. `report`, `caught_up` and `metrics`
//! tell how far it has come.
//!
//! What holds:
//! - The home tells nothing of a namespace to a region that is to have neither a copy of it nor to become its home. It
//!   goes by its own directory, and by the region in the asking node's certificate.
//! - Who asks from a newer directory than the home's, or about what the home knows to have changed since, is told nothing
//!   at all, and asks again: no event of a copy is ever passed over.
//! - The end of the feed is told as of a moment before anything else is read, behind a barrier of the home's catalog: what
//!   changes while pages are read comes again with the feed.

mod ask;
mod caught_up;
mod copy;
mod debts;
mod error;
mod intake;
mod link;
mod metrics;
mod puller;
mod question;
mod report;
mod scope;
mod source;
mod state;
mod survey;
mod transfer;
mod trouble;
mod upstream;
mod window;

pub(crate) use ask::ask;
pub(crate) use caught_up::caught_up;
pub use error::QuestionError;
pub use metrics::ReplicationMetrics;
pub(crate) use puller::ReplicationParts;
pub use puller::{Puller, Replication};
pub(crate) use question::Question;
pub use question::{
    FEED_EVENTS_MAX, FeedAnswer, FeedEvent, FeedQuestion, PositionAnswer, PositionQuestion, PullsTaken, PullsTold,
    SURVEY_ITEMS_MAX, Stretch, SurveyAnswer, SurveyCursor, SurveyPart, SurveyQuestion, SurveyedManifest,
    SurveyedRepository, SurveyedTag,
};
pub use report::{CaughtUp, CaughtUpQuestion, DebtError, RegionReport, ScopeReport, Stage};
pub(crate) use scope::{Wanted, bounds};
pub use source::Source;

/// What tests of other rooms stand in for.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::caught_up::judge;
    pub(crate) use super::upstream::{FetchError, FetchedBlob, FetchedManifest, Upstream};
}
