//! One running node.

pub mod environment;
