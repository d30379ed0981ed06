//! Roles: sets of actions under a name. Six are built in, an operator adds others.

use serde::{Deserialize, Serialize};

use super::action::{Action, Actions};

const WRITER: Actions = Actions::of(&[Action::Pull, Action::Push, Action::Tag]);
const MAINTAINER: Actions = WRITER.with(Action::Delete);

/// The roles that every cluster has. They cannot be set or removed.
pub const BUILT_IN_ROLES: [(&str, Actions); 6] = [
    ("reader", Actions::of(&[Action::Pull])),
    ("writer", WRITER),
    ("maintainer", MAINTAINER),
    ("owner", MAINTAINER.with(Action::Policy).with(Action::Access)),
    ("auditor", Actions::of(&[Action::Audit])),
    ("operator", Actions::ALL),
];

/// What a built-in role allows; `None` if none has the name.
#[must_use]
pub fn built_in_role(name: &str) -> Option<Actions> {
    BUILT_IN_ROLES.iter().find(|(known, _)| *known == name).map(|(_, actions)| *actions)
}

/// A role that an operator has made. Key: its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRecord {
    /// What it is for, in the operator's words.
    pub description: String,
    /// What it allows.
    pub actions: Actions,
}

crate::versioned! {
    RoleRecord = 1, "role record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_role_allows_what_its_name_says() {
        let listed = BUILT_IN_ROLES.map(|(name, actions)| format!("{name}: {actions}"));
        let expected = [
            "reader: pull",
            "writer: pull,push,tag",
            "maintainer: pull,push,tag,delete",
            "owner: pull,push,tag,delete,policy,access",
            "auditor: audit",
            "operator: pull,push,tag,delete,policy,access,audit,operate",
        ];
        assert_eq!(listed, expected);
        assert_eq!(built_in_role("reader"), Some(Actions::of(&[Action::Pull])));
        assert_eq!(built_in_role("Reader"), None);
    }
}
