//! Frozen encodings of domains.

use crate::directory::*;
use crate::golden::Samples;
use crate::time::Timestamp;

const DOMAIN: &str = "registry.acme.example";

fn text(text: &str) -> String {
    text.to_owned()
}

pub(super) fn commands() -> Vec<Command> {
    vec![
        Command::SetDomain { domain: text(DOMAIN), namespace: text("acme") },
        Command::RemoveDomain { domain: text(DOMAIN) },
    ]
}

pub(super) fn refusals() -> Vec<DomainRefusal> {
    let (domain, namespace) = (text(DOMAIN), text("acme"));
    vec![
        DomainRefusal::Invalid(text("registry")),
        DomainRefusal::Taken { domain: domain.clone(), namespace: namespace.clone() },
        DomainRefusal::Own { domain: domain.clone(), namespace: namespace.clone(), whom: text("node one") },
        DomainRefusal::TooMany(1000),
        DomainRefusal::Named { namespace, domain },
    ]
}

/// A new variant does not compile until it has a sample: give it a name here and a value above.
pub(super) const fn refusal_name(refusal: &DomainRefusal) -> &'static str {
    match refusal {
        DomainRefusal::Invalid(_) => "domain-invalid",
        DomainRefusal::Taken { .. } => "domain-taken",
        DomainRefusal::Own { .. } => "domain-own",
        DomainRefusal::TooMany(_) => "domain-too-many",
        DomainRefusal::Named { .. } => "domain-named",
    }
}

#[test]
fn records_of_domains_are_frozen() {
    let mut samples = Samples::new();
    let created = Timestamp(1_700_000_000_000);
    samples.add("tenant", &DomainRecord { namespace: text("acme"), created });
    samples.add("whole", &DomainRecord { namespace: String::new(), created });
    samples.compare("directory/domain.txt");
}
