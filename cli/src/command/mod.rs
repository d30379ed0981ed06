//! The commands, one file each.

mod completions;
mod config;
mod dev;
mod disk;
mod fsck;
mod init;
mod join;
mod node;
mod run;
mod scrub;
mod serve;
mod status;
mod status_text;
mod token;
mod work;

pub(crate) use completions::completions;
pub(crate) use config::config;
pub(crate) use dev::dev;
pub(crate) use disk::disk;
pub(crate) use fsck::fsck;
pub(crate) use init::init;
pub(crate) use join::join;
pub(crate) use node::{drain, leave, nodes};
pub(crate) use scrub::scrub;
pub(crate) use serve::serve;
pub(crate) use status::status;
pub(crate) use token::token;
pub(crate) use work::{rebalance, repair};
