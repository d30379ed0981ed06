//! How much one caller may ask for: requests and bytes in each second, and uploads at one time.
//!
//! Counted on each node for itself, by identity and by address. An anonymous caller's identity is his address. What is
//! kept is bounded: whoever has not been seen for a while is forgotten, which forgives nothing, since his buckets are full
//! again by then. Time is tokio's. How many connections there may be is `serve`'s.

mod account;
mod clock;
mod metrics;
mod paced;
mod table;
#[cfg(test)]
mod tests;
mod throttle;

pub use metrics::Metrics;
pub(crate) use throttle::network_of;
pub use throttle::{Permit, Rates, RetryAfter, Throttle, ThrottleOptions};
