//! The audit log of a node: who did what, from where, and what came of it. One JSON object a line, each chained to the one
//! before it by its hash.
//!
//! `event` is what the other rooms hand in through `handle`; `writer` numbers and chains it (`record`) and writes it into
//! files (`segment`, `log`), which `recover` opens again and of which `retention` removes the oldest. `reader` reads them:
//! for operators (`search`, `verify`, both through `look`) and for `sink`, which brings them elsewhere by `syslog` and
//! `http`. `tell` lets the cluster know how far the log is, so that its end cannot be cut off unnoticed; `start` puts all of it together.
//!
//! Architecture invariants: nobody waits for a disk or a receiver to record something while the queue has room; no record is
//! dropped without being counted; nothing is read that is not within bounds.

mod authority;
mod event;
mod handle;
mod http;
mod lines;
mod log;
mod look;
mod metrics;
mod moment;
mod position;
mod reader;
mod record;
mod recover;
mod repeats;
mod retention;
mod search;
mod segment;
mod sink;
mod start;
mod state;
mod syslog;
mod tell;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use event::{AuditEvent, Outcome, PULL};
pub use handle::Audit;
pub use look::{AuditLog, verify_directory};
pub use metrics::Metrics;
pub use reader::Cursor;
pub use record::{Record, Removed};
pub use retention::Retention;
pub use search::{Filter, PAGE_RECORDS_MAX, Page};
pub use start::DIRECTORY;
pub(crate) use start::{AuditParts, Keeping, start};
pub use state::AuditState;
pub use verify::{Checked, Fault, Step};
