//! Machines: robot accounts, which log in by secrets, or by what somebody else says of them.

use serde::{Deserialize, Serialize};

use super::refusal::AccessRefusal;
use super::secret::SecretRecord;
use crate::directory::limit::{CLAIM_LENGTH_MAX, TRUST_CLAIMS_MAX};
use crate::time::Timestamp;

/// What stands for an issuer in a [`TrustRule`] about client certificates. No issuer can have the name.
pub const BY_CERTIFICATE: &str = "certificate";

/// Lets whom an issuer vouches for be the robot, without a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRule {
    /// Name of the issuer, or [`BY_CERTIFICATE`].
    pub issuer: String,
    /// What the issuer must say: path of a claim, and a pattern with `*` and `?` that its whole value must match. All must
    /// match; there is at least one.
    pub claims: Vec<(String, String)>,
}

impl TrustRule {
    /// Says why it makes no sense for a robot. Without a claim, everybody whom the issuer knows would be the robot.
    pub(in crate::directory) fn check(&self, robot: &str) -> Result<(), AccessRefusal> {
        let invalid = |problem: String| Err(AccessRefusal::TrustInvalid { robot: robot.to_owned(), problem });
        if !(1..=TRUST_CLAIMS_MAX).contains(&self.claims.len()) {
            return invalid(format!("names {} claims: 1 to {TRUST_CLAIMS_MAX} are expected", self.claims.len()));
        }
        let plain = |text: &str| (1..=CLAIM_LENGTH_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if !self.claims.iter().all(|(path, pattern)| plain(path) && plain(pattern)) {
            return invalid(format!(
                "has a claim without a path or without a pattern, or a longer one than {CLAIM_LENGTH_MAX} bytes: write \
                 PATH=PATTERN"
            ));
        }
        Ok(())
    }
}

/// A machine. Key: its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotRecord {
    /// What it is for, in the operator's words.
    pub description: String,
    /// Groups that it is in, sorted, each once. All of them exist.
    pub groups: Vec<String>,
    /// Whether it may not log in.
    pub disabled: bool,
    /// When it was added.
    pub created: Timestamp,
    /// It may not log in from this time on.
    pub expires: Option<Timestamp>,
    /// Tokens that were given to it before do not count.
    pub sessions_from: Timestamp,
    /// Its secrets.
    pub secrets: Vec<SecretRecord>,
    /// Who else is it.
    pub trusts: Vec<TrustRule>,
}

crate::versioned! {
    RobotRecord = 1, "robot record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_claims_with_patterns() {
        let rule = |claims: &[(&str, &str)]| TrustRule {
            issuer: "github".to_owned(),
            claims: claims.iter().map(|(path, pattern)| ((*path).to_owned(), (*pattern).to_owned())).collect(),
        };
        assert_eq!(rule(&[("repository", "acme/*"), ("ref", "refs/heads/main")]).check("ci"), Ok(()));
        let long = "a".repeat(CLAIM_LENGTH_MAX + 1);
        let bad: [(&[(&str, &str)], &str); 6] = [
            (&[], "names 0 claims"),
            (&[("a", "b"); 17], "names 17 claims"),
            (&[("", "b")], "without a path"),
            (&[("a", "")], "without a pattern"),
            (&[("a", &long)], "longer one than 512"),
            (&[("a\n", "b")], "write PATH=PATTERN"),
        ];
        for (claims, problem) in bad {
            let error = rule(claims).check("ci").unwrap_err().to_string();
            assert!(error.starts_with("a rule of whom robot \"ci\" trusts ") && error.contains(problem), "{error}");
        }
    }
}
