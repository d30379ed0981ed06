//! RocksDB's files, sealed: a file system of its own stands below it, so that tables, journals, manifests and all the
//! rest reach the operating system encrypted. The format is that of [`seal::file`](crate::seal).
//!
//! `file_system.cc` is what RocksDB calls, and frames calls only; `bridge.rs` is the border of the languages, the one
//! module of this room with `unsafe` in it.

#[expect(unsafe_code, reason = "RocksDB takes a file system as a C++ object only")]
mod bridge;

pub(super) use bridge::environment;
