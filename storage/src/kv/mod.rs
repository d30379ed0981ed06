//! The key-value engine: a seam with two implementations, proven equal by one property-test model.

mod engine;

pub use bytes::Bytes;
pub use engine::{
    Batch, Change, Column, Direction, Engine, EngineError, EngineOptions, Engines, Pair, Scan, successor,
};
