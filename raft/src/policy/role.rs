//! What a region is for a namespace: who writes there.

use serde::{Deserialize, Serialize};

use super::limit::REPLICATION;

/// What a region is for a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Clients write here.
    #[default]
    Home,
    /// Replication alone writes here.
    Replica,
    /// Nobody writes here, and what is here goes.
    Foreign,
    /// It is, or was, the home, and nobody writes: what it holds stays.
    Fenced,
}

impl Role {
    /// Whether this principal writes here. At home replication does not: what comes late from a region that was the home
    /// before must not undo what clients do now.
    #[must_use]
    pub fn admits(self, principal: Option<&str>) -> bool {
        let replication = principal == Some(REPLICATION);
        match self {
            Self::Home => !replication,
            Self::Replica => replication,
            Self::Foreign | Self::Fenced => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::OPERATOR;

    #[test]
    fn each_role_has_its_writers() {
        let writers = |role: Role| [None, Some("alice"), Some(OPERATOR), Some(REPLICATION)].map(|who| role.admits(who));
        assert_eq!(writers(Role::Home), [true, true, true, false]);
        assert_eq!(writers(Role::Replica), [false, false, false, true]);
        assert_eq!([writers(Role::Foreign), writers(Role::Fenced)], [[false; 4]; 2]);
    }
}
