//! Issuers of tokens outside of the cluster: who they are, what their tokens are good for, how they are verified.

use serde::{Deserialize, Serialize};

use super::name::is_access_name;
use super::refusal::AccessRefusal;
use super::robot::BY_CERTIFICATE;
use super::user::OUTSIDE_SOURCES;
use crate::directory::limit::{ISSUER_KEYS_LENGTH_MAX, ISSUER_LIST_MAX, ISSUER_TEXT_LENGTH_MAX};
use crate::time::Timestamp;

/// Signatures that an issuer's tokens may have, by their names in JOSE (RFC 7518, RFC 8037). Symmetric ones are not among
/// them, nor is `none`: whoever can verify those can make them.
pub const SIGNATURE_ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// What an issuer's tokens are good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IssuerUse {
    /// They name machines, which become robots that trust the issuer.
    Workload,
    /// They name people, who log in there (OpenID Connect).
    People {
        /// Our id there.
        client_id: String,
        /// Claim that has the name of the user.
        user_claim: String,
        /// Claim that lists his groups; none: he gets none.
        groups_claim: Option<String>,
        /// Which of their groups is which of ours: theirs, ours. Others count for nothing.
        groups: Vec<(String, String)>,
    },
    /// They say themselves what may be done, in the `access` claim of distribution's token authentication.
    Tokens,
}

impl IssuerUse {
    /// Its name, as operators write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::People { .. } => "people",
            Self::Tokens => "tokens",
        }
    }
}

/// Where the keys are found that an issuer signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IssuerKeys {
    /// Where OpenID Connect discovery says (`/.well-known/openid-configuration` below the issuer).
    Discover,
    /// At this URL, as a JSON Web Key Set.
    JwksUrl(String),
    /// Here: the JSON Web Key Set itself.
    Jwks(String),
    /// In each token, as certificates (`x5c`) that lead to one of these roots, PEM.
    Certificates(String),
}

/// An issuer. Key: its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerRecord {
    /// What its tokens have as `iss`. No other issuer of the same use has it.
    pub issuer: String,
    /// What its tokens must have as `aud`: one of these. At least one.
    pub audiences: Vec<String>,
    /// What its tokens are good for.
    pub purpose: IssuerUse,
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// CA for HTTPS to it, PEM. None: those that the system trusts.
    pub authority: Option<String>,
    /// Signatures that its tokens may have, out of [`SIGNATURE_ALGORITHMS`]. At least one.
    pub algorithms: Vec<String>,
    /// When it was added. The directory sets it.
    pub created: Timestamp,
}

impl IssuerRecord {
    /// By what people are known there: the same person has the same of it. None if it is not for people.
    #[must_use]
    pub fn vouches_by(&self) -> Option<String> {
        match &self.purpose {
            IssuerUse::People { user_claim, .. } => Some(format!("{user_claim} of {}", self.issuer)),
            IssuerUse::Workload | IssuerUse::Tokens => None,
        }
    }

    /// Says why nothing could be verified with it, or too much.
    pub(in crate::directory) fn check(&self, name: &str) -> Result<(), AccessRefusal> {
        if !is_access_name(name) {
            return Err(AccessRefusal::NameInvalid { kind: "issuer".to_owned(), name: name.to_owned() });
        }
        if name == BY_CERTIFICATE || OUTSIDE_SOURCES.contains(&name) {
            return Err(AccessRefusal::IssuerReserved(name.to_owned()));
        }
        match self.problem() {
            Some(problem) => Err(AccessRefusal::IssuerInvalid { name: name.to_owned(), problem }),
            None => Ok(()),
        }
    }

    fn problem(&self) -> Option<String> {
        if !is_text(&self.issuer) {
            return Some(texts("its iss"));
        }
        if !(1..=ISSUER_LIST_MAX).contains(&self.audiences.len()) || !self.audiences.iter().all(|text| is_text(text)) {
            return Some(format!(
                "needs 1 to {ISSUER_LIST_MAX} audiences of 1 to {ISSUER_TEXT_LENGTH_MAX} bytes: without one, tokens for \
                 others would count here"
            ));
        }
        let known = |algorithm: &String| SIGNATURE_ALGORITHMS.contains(&algorithm.as_str());
        if self.algorithms.is_empty() || !self.algorithms.iter().all(known) {
            return Some(format!("needs one or more signature algorithms out of {}", SIGNATURE_ALGORITHMS.join(", ")));
        }
        if self.authority.as_ref().is_some_and(|bundle| !is_bundle(bundle)) {
            return Some(bundles("its authority"));
        }
        self.problem_of_use().or_else(|| self.problem_of_keys())
    }

    fn problem_of_use(&self) -> Option<String> {
        let IssuerUse::People { client_id, user_claim, groups_claim, groups } = &self.purpose else { return None };
        if !is_text(client_id) {
            return Some(texts("the client id"));
        }
        if !is_text(user_claim) || groups_claim.as_ref().is_some_and(|claim| !is_text(claim)) {
            return Some(texts("the claim of the user, and that of his groups,"));
        }
        if groups.len() > ISSUER_LIST_MAX || !groups.iter().all(|(theirs, _)| is_text(theirs)) {
            return Some(format!(
                "can give up to {ISSUER_LIST_MAX} groups, by names of 1 to {ISSUER_TEXT_LENGTH_MAX} bytes"
            ));
        }
        None
    }

    fn problem_of_keys(&self) -> Option<String> {
        match &self.keys {
            IssuerKeys::Discover if !is_https(&self.issuer) => {
                Some("cannot be asked for its keys: its iss must be a URL that begins with https://".to_owned())
            }
            IssuerKeys::JwksUrl(url) if !is_https(url) => {
                Some("cannot be asked for its keys: their URL must begin with https://".to_owned())
            }
            IssuerKeys::Jwks(set) if !set.trim_start().starts_with('{') || set.len() > ISSUER_KEYS_LENGTH_MAX => {
                Some(format!("has no key set: one JSON object of at most {ISSUER_KEYS_LENGTH_MAX} bytes is expected"))
            }
            IssuerKeys::Certificates(roots) if !is_bundle(roots) => Some(bundles("its roots")),
            _ => None,
        }
    }
}

fn is_text(text: &str) -> bool {
    (1..=ISSUER_TEXT_LENGTH_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn texts(what: &str) -> String {
    format!("is incomplete: {what} must be a text of 1 to {ISSUER_TEXT_LENGTH_MAX} bytes")
}

fn is_bundle(text: &str) -> bool {
    text.len() <= ISSUER_KEYS_LENGTH_MAX && text.contains("-----BEGIN CERTIFICATE-----")
}

fn bundles(what: &str) -> String {
    format!("cannot be verified: {what} must be certificates in PEM, at most {ISSUER_KEYS_LENGTH_MAX} bytes")
}

/// Whether a text is a URL whose answer only its owner can have given.
fn is_https(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let named = |rest: &str| rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
    is_text(text) && rest.is_some_and(named) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

crate::versioned! {
    IssuerRecord = 1, "issuer record";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> IssuerRecord {
        IssuerRecord {
            issuer: "https://token.example.com".to_owned(),
            audiences: vec!["regnode".to_owned()],
            purpose: IssuerUse::Workload,
            keys: IssuerKeys::Discover,
            authority: None,
            algorithms: vec!["RS256".to_owned(), "EdDSA".to_owned()],
            created: Timestamp(0),
        }
    }

    fn people(user_claim: &str, theirs: &str) -> IssuerRecord {
        let purpose = IssuerUse::People {
            client_id: "regnode".to_owned(),
            user_claim: user_claim.to_owned(),
            groups_claim: None,
            groups: vec![(theirs.to_owned(), "core".to_owned())],
        };
        IssuerRecord { purpose, ..workload() }
    }

    #[test]
    fn an_issuer_that_can_be_verified_is_taken() {
        let pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        let keys = [
            IssuerKeys::JwksUrl("https://[::1]:8443/keys?v=1".to_owned()),
            IssuerKeys::Jwks(" {\"keys\":[]}".to_owned()),
            IssuerKeys::Certificates(pem.clone()),
        ];
        for keys in keys {
            assert_eq!(IssuerRecord { keys, ..workload() }.check("github"), Ok(()));
        }
        assert_eq!(workload().check("github"), Ok(()));
        assert_eq!(IssuerRecord { authority: Some(pem), ..people("email", "dev") }.check("corp"), Ok(()));
        let names = [IssuerUse::Workload, people("a", "b").purpose, IssuerUse::Tokens].map(|purpose| purpose.name());
        assert_eq!(names, ["workload", "people", "tokens"]);
    }

    #[test]
    fn an_issuer_that_cannot_be_verified_is_refused() {
        let keys = |keys| IssuerRecord { keys, ..workload() };
        let algorithms = |name: &str| IssuerRecord { algorithms: vec![name.to_owned()], ..workload() };
        let bad = [
            (IssuerRecord { issuer: String::new(), ..workload() }, "its iss must be a text"),
            (IssuerRecord { issuer: "http://token.example.com".to_owned(), ..workload() }, "begins with https://"),
            (IssuerRecord { issuer: "https:///x".to_owned(), ..workload() }, "begins with https://"),
            (IssuerRecord { audiences: Vec::new(), ..workload() }, "tokens for others would count here"),
            (IssuerRecord { audiences: vec![String::new()], ..workload() }, "needs 1 to 256 audiences"),
            (IssuerRecord { algorithms: Vec::new(), ..workload() }, "out of RS256, RS384"),
            (algorithms("HS256"), "out of RS256"),
            (algorithms("none"), "out of RS256"),
            (IssuerRecord { authority: Some("x".to_owned()), ..workload() }, "its authority must be certificates"),
            (people("", "dev"), "the claim of the user"),
            (people("email", ""), "up to 256 groups"),
            (keys(IssuerKeys::JwksUrl("http://keys.example.com".to_owned())), "must begin with https://"),
            (keys(IssuerKeys::JwksUrl("https://keys.example.com/ x".to_owned())), "must begin with https://"),
            (keys(IssuerKeys::Jwks("[]".to_owned())), "one JSON object"),
            (keys(IssuerKeys::Certificates(String::new())), "its roots must be certificates"),
        ];
        for (record, problem) in bad {
            let error = record.check("github").unwrap_err().to_string();
            assert!(error.starts_with("issuer \"github\" ") && error.contains(problem), "{error}");
        }
        for name in ["certificate", "ldap", "htpasswd"] {
            assert_eq!(workload().check(name), Err(AccessRefusal::IssuerReserved(name.to_owned())));
        }
        let name = AccessRefusal::NameInvalid { kind: "issuer".to_owned(), name: "Git Hub".to_owned() };
        assert_eq!(workload().check("Git Hub"), Err(name));
    }
}
