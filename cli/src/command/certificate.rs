//! `regnode certificate`: the registry's certificates from an ACME authority.

use anyhow::Result;
use node::admin::{CertificateEntry, CertificatesAnswer, NameRequest};

use super::identity_text::{age, told};
use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Certificate, CertificateAction};
use crate::figures::moment;

/// Does what is asked.
pub(crate) async fn certificate(certificate: Certificate) -> Result<()> {
    match certificate.action {
        CertificateAction::List(list) => {
            let answer = admin_client::certificates(&data_dir(&list.ask).await?).await?;
            let text = format!("{}{}", page(&answer), age(answer.reading));
            told(&list.ask, &answer, text.trim_end())
        }
        CertificateAction::Renew(renew) => {
            let request = NameRequest { name: renew.name };
            let answer = admin_client::renew_certificate(&data_dir(&renew.ask).await?, &request).await?;
            let text = format!(
                "a new certificate of {} is asked for; regnode certificate list shows what comes of it",
                answer.name
            );
            told(&renew.ask, &answer, &text)
        }
    }
}

/// The certificates, and below them what went wrong.
fn page(answer: &CertificatesAnswer) -> String {
    if answer.authority.is_empty() && answer.certificates.is_empty() {
        return "no authority is asked for certificates; see acme.directory in the configuration\n".to_owned();
    }
    let mut rows = table(&["DOMAIN", "STATE", "HOLDS UNTIL", "RENEWED", "AUTHORITY"]);
    for certificate in &answer.certificates {
        let time = |time: Option<u64>| time.map(moment).unwrap_or_default();
        rows.add_row([
            certificate.name.clone(),
            certificate.state.word().to_owned(),
            time(certificate.not_after_milliseconds),
            renewal(certificate),
            certificate.issuer.clone().unwrap_or_default(),
        ]);
    }
    let failures = answer.certificates.iter().filter_map(failure);
    let failures: String = failures.collect();
    let gap = if failures.is_empty() { "" } else { "\n" };
    trimmed(&format!("{rows}\n{gap}{failures}"))
}

fn renewal(certificate: &CertificateEntry) -> String {
    match (certificate.renews_milliseconds, &certificate.order) {
        (_, Some(_)) if certificate.failure.is_none() => "under way".to_owned(),
        (Some(time), _) => moment(time),
        (None, _) if certificate.wanted => String::new(),
        (None, _) => "no more".to_owned(),
    }
}

fn failure(certificate: &CertificateEntry) -> Option<String> {
    let failure = certificate.failure.as_ref()?;
    let times = if failure.count == 1 { String::new() } else { format!(" ({} times)", failure.count) };
    Some(format!(
        "{}: {}{times}; tried again {}\n",
        certificate.name,
        failure.reason,
        moment(failure.retry_milliseconds)
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use node::admin::{CertificateFailureEntry, CertificateState, Confirmation};

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn entry(name: &str) -> CertificateEntry {
        CertificateEntry {
            name: name.to_owned(),
            wanted: true,
            state: CertificateState::Valid,
            not_before_milliseconds: Some(1_700_000_000_000),
            not_after_milliseconds: Some(1_707_776_000_000),
            renews_milliseconds: Some(1_705_184_000_000),
            issuer: Some("https://acme.example/directory".to_owned()),
            order: None,
            failure: None,
        }
    }

    #[test]
    fn certificates_read_well() {
        let failure = CertificateFailureEntry {
            time_milliseconds: 1_700_000_000_000,
            reason: "no such name (dns)".to_owned(),
            count: 3,
            retry_milliseconds: 1_700_000_960_000,
        };
        let missing = CertificateEntry {
            state: CertificateState::Missing,
            not_before_milliseconds: None,
            not_after_milliseconds: None,
            renews_milliseconds: None,
            issuer: None,
            failure: Some(failure),
            ..entry("b.example")
        };
        let ordered = CertificateEntry { order: Some("https://acme.example/order/1".to_owned()), ..entry("c.example") };
        let unwanted = CertificateEntry { wanted: false, renews_milliseconds: None, ..entry("d.example") };
        let mut answer = CertificatesAnswer {
            version: 1,
            reading: Confirmation { confirmed: true, as_of_milliseconds: 0 },
            authority: "https://acme.example/directory".to_owned(),
            challenge: "http-01".to_owned(),
            certificates: vec![entry("a.example"), missing, ordered, unwanted],
        };
        insta::assert_snapshot!(page(&answer));
        answer.certificates.truncate(1);
        assert_eq!(page(&answer).lines().count(), 2, "nothing went wrong");
        answer.certificates.clear();
        answer.authority.clear();
        assert!(page(&answer).starts_with("no authority is asked"));
    }

    #[test]
    fn a_renewal_names_its_domain() {
        let arguments = Arguments::try_parse_from(["regnode", "certificate", "renew", "a.example"]).unwrap();
        let Command::Certificate(Certificate { action: CertificateAction::Renew(renew) }) = arguments.command else {
            panic!("another command");
        };
        assert_eq!(renew.name, "a.example");
        assert!(Arguments::try_parse_from(["regnode", "certificate", "renew"]).is_err());
    }
}
