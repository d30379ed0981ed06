//! The tests of access: each rule of the decision in an example, and all together against a naive reading of the same words.

mod bounds;
mod decide;
mod explain;
mod keep;
mod listing;
mod oracle;
mod world;
