//! `regnode dev`: a local cluster of child processes, one folder each, so that any one of them can be killed.

mod child;
mod operator;
mod plan;
mod supervisor;

pub(crate) use child::follow_parent;
pub(crate) use supervisor::run;
