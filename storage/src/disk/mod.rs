//! Disks: the file seam, and the data directories of one node.

mod files;

pub use files::{Entry, File, Files, Space};
