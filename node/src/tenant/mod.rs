//! Tenants: a domain of the registry stands for a namespace. Who asks for the registry by it means what is below the
//! namespace, and says and hears names without it; `app` is the repository `acme/app` of the cluster then, at every node.
//!
//! `names` turns names of the one kind into the other, `domains` knows the domains, `entry` finds out by which one a
//! request came. A request is looked at once, where it enters the node that its client has reached (`api`, `login`); from
//! there on everything is said in full names, another region's part of it and the audit log too, and turned back where the
//! answer is written. Rights are about full names.
//!
//! What holds: nothing but what is below its namespace can be named at a domain. The names of a tenant are never taken for
//! those of the whole registry because this node has not heard of the domain since it was started.

mod domains;
mod entry;
mod names;
#[cfg(test)]
mod tests;

pub use domains::Domains;
pub use entry::{Strayed, Tenants};
pub use names::Tenant;
