//! Who may do what, as the directory keeps it: people, machines, groups, roles, bindings, issuers, signing keys.
//!
//! Only what is agreed on stands here, and what makes it valid. Who is asking (passwords, tokens) and whether he may
//! (the rules put together) is the node's business. No secret is kept: of passwords an argon2id hash, of keys and robots'
//! secrets a BLAKE3 hash, and private keys wrapped with the cluster key. All of it is frozen by golden files.

mod action;
mod audit_head;
mod binding;
mod first;
mod group;
mod issuer;
mod judged;
mod name;
mod refusal;
mod robot;
mod role;
mod secret;
mod signing_key;
mod state;
mod subject;
mod text;
mod user;
mod view;

pub use action::{Action, Actions, ActionsIter, InvalidAction};
pub use audit_head::AuditHead;
pub(crate) use binding::StoredBinding;
pub use binding::{BindingId, BindingRecord, Condition, Effect};
pub use first::{FirstAccess, NewSigningKey};
pub use group::GroupRecord;
pub use issuer::{IssuerKeys, IssuerRecord, IssuerUse, SIGNATURE_ALGORITHMS};
pub use judged::JudgedChange;
pub use name::{is_access_name, is_user_name};
pub use refusal::AccessRefusal;
pub use robot::{BY_CERTIFICATE, RobotRecord, TrustRule};
pub use role::{BUILT_IN_ROLES, RoleRecord, built_in_role};
pub use secret::SecretRecord;
pub use signing_key::SigningKeyRecord;
pub use state::AccessStateRecord;
pub use subject::{InvalidSubject, Subject};
pub(super) use text::{bounded_text, check_text};
pub(super) use user::check_password;
pub use user::{OUTSIDE_SOURCES, UserRecord};
