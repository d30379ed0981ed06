//! The gateway and the background work on a world in memory: the pure catalog, and nodes that die on command.

mod background;
mod blobs;
mod failures;
mod reads;
mod uploads;
mod world;
