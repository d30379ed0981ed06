//! Scenarios: named stories that end well or name what went wrong.

pub mod smoke;
