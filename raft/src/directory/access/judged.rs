//! Changes of roles and rules that hang on who may do what: whether somebody may make them was judged by one version of it.

use serde::{Deserialize, Serialize};

use super::action::Actions;
use super::binding::{BindingId, Condition, Effect};
use super::subject::Subject;

/// A change of roles or rules. Append-only; golden files freeze it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JudgedChange {
    /// As `Command::SetRole`.
    SetRole {
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
        /// What it allows.
        actions: Actions,
    },
    /// As `Command::RemoveRole`.
    RemoveRole {
        /// Its name.
        name: String,
    },
    /// As `Command::AddBinding`.
    AddBinding {
        /// Whom it is about. A user, robot or group must exist.
        subject: Subject,
        /// What it does.
        effect: Effect,
        /// Prefix that it holds for, empty for the root.
        namespace: String,
        /// When it holds.
        condition: Condition,
        /// What it is for.
        note: String,
        /// Who makes it, as he stands in the audit log.
        by: String,
    },
    /// As `Command::RemoveBinding`.
    RemoveBinding {
        /// Its id.
        id: BindingId,
    },
}
