//! The commands, one file each.

mod completions;
mod config;
mod dev;
mod init;
mod join;
mod run;
mod serve;
mod status;
mod status_text;
mod token;

pub(crate) use completions::completions;
pub(crate) use config::config;
pub(crate) use dev::dev;
pub(crate) use init::init;
pub(crate) use join::join;
pub(crate) use serve::serve;
pub(crate) use status::status;
pub(crate) use token::token;
