//! What one machine keeps: disks, shard files with block checksums, the erasure codec and the key-value engine.
//!
//! Architecture invariant: this crate knows nothing of networks, registries or consensus. Every file operation goes
//! through [`disk::Files`], every RocksDB call stands behind [`kv::RocksEngines`], and blocking or CPU-heavy work is
//! given by the callers to [`exec::Exec`].

pub mod codec;
pub mod disk;
pub mod exec;
pub mod kv;
pub mod shard;
pub mod switch;
