//! The key-value engine: a seam with two implementations, proven equal by one property-test model.

mod checkpoint;
mod engine;
mod image;
mod memory;
mod rocks;
mod sealed;

pub use bytes::Bytes;
pub use engine::{
    Batch, Change, Column, Direction, Engine, EngineError, EngineOptions, Engines, Pair, Scan, successor,
};
pub use memory::MemoryEngines;
pub use rocks::RocksEngines;
