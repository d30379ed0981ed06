//! Bindings: what a subject may do below a namespace, or may not.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::action::Actions;
use super::refusal::AccessRefusal;
use super::subject::Subject;
use crate::directory::limit::{CONDITION_ADDRESSES_MAX, MINUTES_OF_DAY};
use crate::id::RequestId;
use crate::time::Timestamp;

/// A binding's id. Given out by the directory, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BindingId(pub u64);

impl fmt::Display for BindingId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a binding does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The subject may do what the role allows.
    Allow {
        /// Name of the role. It exists, built in or not.
        role: String,
    },
    /// The subject may not do this, whatever else allows it.
    Deny {
        /// What it may not do. At least one action.
        actions: Actions,
    },
}

/// When a binding holds: all that is said must be so. The default holds always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Networks from one of which the request must come, in CIDR form (`10.0.0.0/8`, `2001:db8::/32`). None: any.
    pub addresses: Vec<String>,
    /// It holds from this time on.
    pub not_before: Option<Timestamp>,
    /// It holds no more from this time on.
    pub not_after: Option<Timestamp>,
    /// Minutes of the UTC day between which it holds, `from ≤ t < to`. With `to` below `from` the time goes over midnight.
    pub daily: Option<(u16, u16)>,
}

impl Condition {
    /// Says why its values make no sense.
    pub fn check(&self) -> Result<(), AccessRefusal> {
        let invalid = |problem: String| Err(AccessRefusal::ConditionInvalid(problem));
        if self.addresses.len() > CONDITION_ADDRESSES_MAX {
            let named = self.addresses.len();
            return invalid(format!("names {named} networks, {CONDITION_ADDRESSES_MAX} at most may be: join some"));
        }
        if let Some(wrong) = self.addresses.iter().find(|network| network.parse::<IpNet>().is_err()) {
            let shown: String = wrong.chars().take(64).collect();
            return invalid(format!("names {shown:?}: a network like 10.0.0.0/8 or 192.0.2.7/32 is expected"));
        }
        if let (Some(from), Some(to)) = (self.not_before, self.not_after)
            && to <= from
        {
            return invalid("ends before it begins: let it end later".to_owned());
        }
        if let Some((from, to)) = self.daily
            && (from >= MINUTES_OF_DAY || to > MINUTES_OF_DAY || from == to)
        {
            return invalid(format!(
                "has the minutes {from} to {to} of the day: two different ones from 0 to {MINUTES_OF_DAY} are expected"
            ));
        }
        Ok(())
    }
}

/// A binding. Key: its id. It holds for its namespace and all below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRecord {
    /// Whom it is about. A user, robot or group that it names exists.
    pub subject: Subject,
    /// What it does.
    pub effect: Effect,
    /// Prefix that it holds for, empty for the root.
    pub namespace: String,
    /// When it holds.
    pub condition: Condition,
    /// What it is for, in the operator's words.
    pub note: String,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it, as he stands in the audit log.
    pub created_by: String,
}

/// A binding as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredBinding {
    /// The binding.
    pub(crate) binding: BindingRecord,
    /// Request that made it, so that a repetition gets the same answer. None for those of the founding.
    pub(crate) added_by: Option<RequestId>,
}

crate::versioned! {
    BindingId = 1, "binding id";
    StoredBinding = 1, "binding record";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(condition: &Condition) -> String {
        condition.check().unwrap_err().to_string()
    }

    #[test]
    fn a_condition_can_be_met() {
        let addresses = |networks: &[&str]| Condition {
            addresses: networks.iter().map(ToString::to_string).collect(),
            ..Condition::default()
        };
        let daily = |from, to| Condition { daily: Some((from, to)), ..Condition::default() };
        let between = |from, to| Condition {
            not_before: Some(Timestamp(from)),
            not_after: Some(Timestamp(to)),
            ..Condition::default()
        };
        for good in [
            Condition::default(),
            addresses(&["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]),
            daily(480, 1080),
            daily(1320, 360),
            daily(0, 1440),
            between(1, 2),
            Condition { not_after: Some(Timestamp(0)), ..Condition::default() },
        ] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
        for bad in ["10.0.0.1", "10.0.0.0/33", "example.com", "", "10.0.0.0/8 "] {
            let expected = format!("a condition of the binding names {bad:?}: a network like 10.0.0.0/8");
            assert!(problem(&addresses(&[bad])).starts_with(&expected));
        }
        assert!(problem(&addresses(&["10.0.0.0/8"; 65])).contains("names 65 networks, 64 at most"));
        for bad in [daily(1440, 3), daily(0, 1441), daily(7, 7)] {
            assert!(problem(&bad).contains("minutes"), "{bad:?}");
        }
        assert!(problem(&between(2, 2)).contains("ends before it begins"));
    }
}
