//! The gateway and the background work on a world in memory: the pure catalog, and nodes that die on command.

mod background;
mod blobs;
mod failures;
mod moved;
mod nodes;
mod reads;
mod rebalance;
mod repair;
mod uploads;
mod world;
mod world_nodes;
mod world_shards;
