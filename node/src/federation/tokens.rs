//! Tokens of other token services, as distribution's token authentication has them: they say themselves what may be done.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::access::{Caller, Grant, Principal, Way};

/// Most lines of an `access` claim.
const GRANTS_MAX: usize = 256;

/// Most characters of a subject.
const SUBJECT_LENGTH_MAX: usize = 255;

/// How somebody is called whom the issuer gives no name: distribution's anonymous tokens have an empty subject.
const NAMELESS: &str = "anonymous";

/// Why a verified token makes no caller.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCaller {
    #[error("its `access` is no list of at most 256 grants")]
    Access,
    #[error("its `sub` is no text of at most 255 characters")]
    Subject,
}

/// The caller that a verified token of this issuer makes.
pub(super) fn caller(claims: &Map<String, Value>, issuer: &str, address: IpAddr) -> Result<Caller, NoCaller> {
    let subject = match claims.get("sub") {
        None => NAMELESS,
        Some(Value::String(subject)) if subject.is_empty() => NAMELESS,
        Some(Value::String(subject)) if is_subject(subject) => subject,
        Some(_) => return Err(NoCaller::Subject),
    };
    let grants: Vec<Grant> = match claims.get("access") {
        None | Some(Value::Null) => Vec::new(),
        Some(access) => serde_json::from_value(access.clone()).map_err(|_| NoCaller::Access)?,
    };
    if grants.len() > GRANTS_MAX {
        return Err(NoCaller::Access);
    }
    Ok(Caller {
        principal: Principal::External { issuer: issuer.to_owned(), subject: subject.to_owned() },
        groups: BTreeSet::new(),
        address,
        way: Way::Token,
        grants: Some(grants.into()),
        shown: None,
    })
}

fn is_subject(text: &str) -> bool {
    text.chars().count() <= SUBJECT_LENGTH_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;

    use super::*;

    fn read(claims: &Value) -> Result<Caller, NoCaller> {
        caller(claims.as_object().unwrap(), "harbor", IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    #[test]
    fn a_token_makes_a_caller_with_its_grants() {
        let access = json!([{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}]);
        let ann = read(&json!({"sub": "ann", "access": access})).unwrap();
        assert_eq!(ann.principal.to_string(), "token:harbor/ann");
        assert_eq!(ann.way, Way::Token);
        let grants = ann.grants.unwrap();
        assert!(grants.len() == 1 && grants[0].allows("push") && !grants[0].allows("delete"));
    }

    #[test]
    fn without_a_name_and_without_grants_it_is_somebody_who_may_nothing() {
        for claims in [json!({}), json!({"sub": "", "access": []}), json!({"sub": "", "access": null})] {
            let nameless = read(&claims).unwrap();
            assert_eq!(nameless.principal.to_string(), "token:harbor/anonymous");
            assert_eq!(nameless.grants.as_deref(), Some(&[][..]));
        }
    }

    #[test]
    fn odd_claims_make_no_caller() {
        let line = json!({"type": "repository", "name": "a", "actions": []});
        for (claims, why) in [
            (json!({"sub": 7}), NoCaller::Subject),
            (json!({"sub": "a\nb"}), NoCaller::Subject),
            (json!({"sub": "a".repeat(256)}), NoCaller::Subject),
            (json!({"access": "a:b:pull"}), NoCaller::Access),
            (json!({"access": [{"type": "repository", "name": ["a"], "actions": []}]}), NoCaller::Access),
            (json!({"access": [{"type": "repository", "actions": ["pull"]}]}), NoCaller::Access),
            (json!({"access": vec![line; GRANTS_MAX + 1]}), NoCaller::Access),
        ] {
            assert_eq!(read(&claims).unwrap_err(), why, "{claims}");
        }
    }
}
