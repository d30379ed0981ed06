//! Machines that somebody else vouches for: a robot's rules about tokens of a workload, and about client certificates.

use raft::directory::{BY_CERTIFICATE, TrustRule};
use serde_json::{Map, Value};

use super::claims;

/// The one claim that there is about a client certificate: each of its names, as `dns:NAME`, `uri:URI`, `email:ADDRESS`,
/// `ip:ADDRESS`.
const NAMES: &str = "san";

/// Whether one of the rules is about this issuer and holds for these claims.
pub(super) fn trusts(rules: &[TrustRule], issuer: &str, claims: &Map<String, Value>) -> bool {
    let holds = |rule: &TrustRule| rule.claims.iter().all(|(path, pattern)| claims::matches(claims, path, pattern));
    // A rule without claims would let everybody in whom the issuer knows.
    rules.iter().any(|rule| rule.issuer == issuer && !rule.claims.is_empty() && holds(rule))
}

/// Whether one of the rules is about client certificates and holds for one with these names.
pub(super) fn trusts_certificate(rules: &[TrustRule], sans: &[String]) -> bool {
    let names = sans.iter().cloned().map(Value::String).collect();
    let claims = Map::from_iter([(NAMES.to_owned(), Value::Array(names))]);
    trusts(rules, BY_CERTIFICATE, &claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(issuer: &str, claims: &[(&str, &str)]) -> TrustRule {
        let claims = claims.iter().map(|(path, pattern)| ((*path).to_owned(), (*pattern).to_owned())).collect();
        TrustRule { issuer: issuer.to_owned(), claims }
    }

    #[test]
    fn all_claims_of_one_rule_must_match() {
        let claims = json!({"repository": "acme/app", "ref": "refs/heads/main"});
        let claims = claims.as_object().unwrap();
        let main = rule("github", &[("repository", "acme/app"), ("ref", "refs/heads/main")]);
        let release = rule("github", &[("repository", "acme/app"), ("ref", "refs/tags/v*")]);
        assert!(trusts(&[release.clone(), main.clone()], "github", claims));
        assert!(!trusts(&[release], "github", claims));
        assert!(!trusts(&[main], "gitlab", claims));
        assert!(!trusts(&[rule("github", &[])], "github", claims));
        assert!(!trusts(&[], "github", claims));
    }

    #[test]
    fn a_certificate_is_known_by_its_names() {
        let sans = ["dns:builder.example.com".to_owned(), "uri:spiffe://example.com/ci".to_owned()];
        let trusted = |pattern| trusts_certificate(&[rule(BY_CERTIFICATE, &[("san", pattern)])], &sans);
        assert!(trusted("dns:builder.example.com"));
        assert!(trusted("uri:spiffe://example.com/*"));
        assert!(!trusted("builder.example.com"));
        assert!(!trusted("dns:example.com"));
        let both = [("san", "dns:builder.*"), ("san", "uri:spiffe://other/*")];
        assert!(!trusts_certificate(&[rule(BY_CERTIFICATE, &both)], &sans));
        assert!(!trusts_certificate(&[rule("github", &[("san", "*")])], &sans));
        assert!(!trusts_certificate(&[rule(BY_CERTIFICATE, &[("san", "*")])], &[]));
        assert!(!trusts_certificate(&[rule(BY_CERTIFICATE, &[("sub", "*")])], &sans));
    }
}
