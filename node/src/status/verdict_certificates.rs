//! What to make of the registry's certificates. A pure function.

use super::verdict::{Findings, count};
use crate::acme::CertificateTrouble;
use crate::admin::Verdict;

/// Domains that are named. The others are counted.
const NAMED_MAX: usize = 3;

/// Judges the certificates of the authority.
pub(super) fn judge_certificates(troubles: &[CertificateTrouble], findings: &mut Findings) {
    for trouble in troubles.iter().take(NAMED_MAX) {
        findings.add(Verdict::NeedsAttention, finding(trouble));
    }
    let more = troubles.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        let text =
            format!("{} more without a usable certificate; see regnode certificate list", count(more as u64, "domain"));
        findings.add(Verdict::NeedsAttention, text);
    }
}

fn finding(CertificateTrouble { domain, left_seconds, reason }: &CertificateTrouble) -> String {
    let state = match left_seconds {
        None => "has no certificate yet, clients cannot connect by this name".to_owned(),
        Some(0) => "has a certificate that is over".to_owned(),
        Some(seconds) if *seconds < 2 * 86_400 => format!("has a certificate that ends in {} h", seconds / 3600),
        Some(seconds) => format!("has a certificate that ends in {} days", seconds / 86_400),
    };
    let why = match reason {
        Some(reason) => {
            format!("the last attempt failed: {reason}; regnode certificate renew {domain} tries it again at once")
        }
        None => "it is being asked for".to_owned(),
    };
    format!("domain {domain} {state}; {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(troubles: &[CertificateTrouble]) -> Vec<String> {
        let mut findings = Findings::default();
        judge_certificates(troubles, &mut findings);
        findings.sorted()
    }

    fn trouble(left_seconds: Option<u64>, reason: Option<&str>) -> CertificateTrouble {
        let reason = reason.map(str::to_owned);
        CertificateTrouble { domain: "a.example".to_owned(), left_seconds, reason }
    }

    #[test]
    fn domains_are_told_with_the_reason_and_what_to_do() {
        assert!(found(&[]).is_empty());
        let text = |trouble| found(&[trouble]).remove(0);
        assert_eq!(
            text(trouble(None, None)),
            "domain a.example has no certificate yet, clients cannot connect by this name; it is being asked for"
        );
        assert_eq!(
            text(trouble(Some(5 * 86_400), Some("too many"))),
            "domain a.example has a certificate that ends in 5 days; the last attempt failed: too many; regnode \
             certificate renew a.example tries it again at once"
        );
        assert!(text(trouble(Some(7200), None)).contains("ends in 2 h"));
        assert!(text(trouble(Some(0), None)).contains("is over"));
        let many = found(&vec![trouble(None, None); 5]);
        assert_eq!(many.len(), 4);
        assert!(many.iter().any(|text| text.starts_with("2 domains more")), "{many:?}");
    }
}
