//! What one machine keeps: disks, shard files with block checksums, the erasure codec, the key-value engine, and the
//! keys under which all of it is sealed.
//!
//! Architecture invariant: this crate knows nothing of networks, registries or consensus. Every file operation goes
//! through [`disk::Files`], every RocksDB call stands behind [`kv::RocksEngines`], and blocking or CPU-heavy work is
//! given by the callers to [`exec::Exec`].

pub mod codec;
pub mod disk;
pub mod exec;
pub mod kv;
pub mod seal;
pub mod shard;
pub mod switch;
