//! Samples of everything about the registry's certificates.

use storage::kv::Bytes;

use crate::directory::*;
use crate::golden::Samples;
use crate::id::NodeId;
use crate::time::Timestamp;

const TIME: Timestamp = Timestamp(1_700_000_000_000);

fn url(path: &str) -> String {
    format!("https://acme.example/{path}")
}

fn order() -> CertificateOrder {
    let (authority, wrapped_key) = (url("directory"), Bytes::from_static(b"key"));
    CertificateOrder { url: url("order/1"), authority, wrapped_key, begun: TIME, node: NodeId(2) }
}

fn issued() -> IssuedCertificate {
    IssuedCertificate {
        chain: Bytes::from_static(b"-----BEGIN CERTIFICATE-----"),
        wrapped_key: Bytes::from_static(b"key"),
        not_before: TIME,
        not_after: TIME.plus_seconds(90 * 86_400),
        issued: TIME,
        authority: url("directory"),
        node: NodeId(300),
        spread_per_mille: 77,
    }
}

fn failure() -> CertificateFailure {
    CertificateFailure { time: TIME, reason: "no such domain".to_owned(), count: 3, retry: TIME.plus_seconds(60) }
}

/// A command of each kind.
pub(super) fn commands() -> Vec<CertificateCommand> {
    let domain = || "registry.example.org".to_owned();
    vec![
        CertificateCommand::SetAccount {
            authority: url("directory"),
            credentials: Bytes::from_static(b"account"),
            replaces: Some(Bytes::from_static(b"old")),
        },
        CertificateCommand::Begin { domain: domain(), order: order() },
        CertificateCommand::Finish { domain: domain(), order: url("order/1"), certificate: issued() },
        CertificateCommand::Fail {
            domain: domain(),
            reason: "no such domain".to_owned(),
            retry_after_seconds: 300,
            order: Some(url("order/1")),
            asked: Some(TIME),
        },
        CertificateCommand::Ask { domain: domain() },
        CertificateCommand::Remove { domain: domain() },
        CertificateCommand::AddChallenge {
            token: "token".to_owned(),
            domain: domain(),
            key_authorization: "token.thumbprint".to_owned(),
            lifetime_seconds: 300,
        },
        CertificateCommand::RemoveChallenge { token: "token".to_owned() },
    ]
}

/// A new variant does not compile until it has a name here; it needs a sample above.
pub(super) const fn command_name(command: &CertificateCommand) -> &'static str {
    match command {
        CertificateCommand::SetAccount { .. } => "certificate-set-account",
        CertificateCommand::Begin { .. } => "certificate-begin",
        CertificateCommand::Finish { .. } => "certificate-finish",
        CertificateCommand::Fail { .. } => "certificate-fail",
        CertificateCommand::Ask { .. } => "certificate-ask",
        CertificateCommand::Remove { .. } => "certificate-remove",
        CertificateCommand::AddChallenge { .. } => "certificate-add-challenge",
        CertificateCommand::RemoveChallenge { .. } => "certificate-remove-challenge",
    }
}

/// Every refusal.
pub(super) fn refusals() -> Vec<CertificateRefusal> {
    vec![
        CertificateRefusal::DomainInvalid("A".to_owned()),
        CertificateRefusal::Unknown("a.example".to_owned()),
        CertificateRefusal::OtherOrder("a.example".to_owned()),
        CertificateRefusal::Length { part: "chain".to_owned(), bytes: 0, most: 300 },
        CertificateRefusal::TooMany(4096),
        CertificateRefusal::TooManyChallenges(256),
    ]
}

/// A new variant does not compile until it has a name here; it needs a sample above.
pub(super) const fn refusal_name(refusal: &CertificateRefusal) -> &'static str {
    match refusal {
        CertificateRefusal::DomainInvalid(_) => "certificate-domain-invalid",
        CertificateRefusal::Unknown(_) => "certificate-unknown",
        CertificateRefusal::OtherOrder(_) => "certificate-other-order",
        CertificateRefusal::Length { .. } => "certificate-length",
        CertificateRefusal::TooMany(_) => "certificate-too-many",
        CertificateRefusal::TooManyChallenges(_) => "certificate-too-many-challenges",
    }
}

#[test]
fn records_of_certificates_are_frozen() {
    let mut samples = Samples::new();
    samples.add("account", &AcmeAccountRecord { credentials: Bytes::from_static(b"account"), created: TIME });
    let none = CertificateRecord::default();
    samples.add("none", &none);
    samples.add("issued", &CertificateRecord { issued: Some(issued()), ..none.clone() });
    samples.add("ordered", &CertificateRecord { order: Some(order()), ..none.clone() });
    samples.add("failed", &CertificateRecord { failure: Some(failure()), asked: Some(TIME), ..none });
    let (domain, key_authorization) = ("a.example".to_owned(), "token.thumbprint".to_owned());
    samples.add("challenge", &ChallengeRecord { domain, key_authorization, expires: TIME });
    samples.add("state", &CertificateStateRecord { version: 300, domains: 2 });
    samples.compare("directory/certificate.txt");
}
