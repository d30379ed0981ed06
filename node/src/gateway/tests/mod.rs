//! The gateway and the background work on a world in memory: the pure catalog, and nodes that die on command.

mod background;
mod blobs;
mod collection;
mod copies;
mod copies_leftover;
mod copies_rounds;
mod failures;
mod homes;
mod jobs;
mod moved;
mod nodes;
mod policies;
mod pulls;
mod reads;
mod rebalance;
mod repair;
mod source;
mod uploads;
mod world;
mod world_copy;
mod world_images;
mod world_nodes;
mod world_shards;
mod world_source;
