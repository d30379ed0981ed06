//! The generic Raft group. All of openraft stands in this module.
