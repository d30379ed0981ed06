//! The paths of the local socket for the registry's certificates: `GET /certificates`, `POST /certificate/renew`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use raft::directory::{CertificateCommand, CertificateRecord, Command};
use raft::time::Timestamp;

use super::access_changes::AccessError;
use super::access_refusal::answered;
use super::audited::{Recorded, recorded};
use super::certificate_types::{CertificateEntry, CertificateFailureEntry, CertificateState, CertificatesAnswer};
use super::identities::changed;
use super::identity_types::NameRequest;
use super::router::Admin;
use super::types::VERSION;
use crate::acme::{AcmeOptions, due, wanted};

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/certificates", get(certificates)).route("/certificate/renew", post(renew))
}

async fn certificates(State(admin): State<Admin>) -> Response {
    let (view, reading) = admin.access_changes.confirmed_view().await;
    let (options, now) = (options(&admin), Timestamp(reading.as_of_milliseconds));
    let settings = &admin.settings.acme;
    let (authority, challenge) = (settings.directory.clone(), settings.challenge.word().to_owned());
    let read = move || {
        let mut records: BTreeMap<String, Option<CertificateRecord>> =
            view.certificates()?.into_iter().map(|(domain, record)| (domain, Some(record))).collect();
        let wanted = options.as_ref().map(|options| wanted(options, &view)).transpose()?.unwrap_or_default();
        for domain in &wanted {
            records.entry(domain.clone()).or_default();
        }
        let entries = records.into_iter().map(|(domain, record)| {
            let is_wanted = wanted.contains(&domain);
            entry(domain, is_wanted, record.unwrap_or_default(), options.as_ref(), now)
        });
        let certificates = entries.collect();
        Ok::<_, AccessError>(CertificatesAnswer { version: VERSION, reading, authority, challenge, certificates })
    };
    answered(admin.access_changes.exec.run(read).await)
}

/// What the settings say, which have passed their check.
fn options(admin: &Admin) -> Option<AcmeOptions> {
    AcmeOptions::new(&admin.settings.acme).ok().flatten()
}

fn entry(
    name: String,
    wanted: bool,
    record: CertificateRecord,
    options: Option<&AcmeOptions>,
    now: Timestamp,
) -> CertificateEntry {
    let CertificateRecord { issued, order, failure, .. } = record;
    let issued = issued.as_ref();
    CertificateEntry {
        name,
        wanted,
        state: match issued {
            None => CertificateState::Missing,
            Some(issued) if issued.not_after <= now => CertificateState::Expired,
            Some(_) => CertificateState::Valid,
        },
        not_before_milliseconds: issued.map(|issued| issued.not_before.0),
        not_after_milliseconds: issued.map(|issued| issued.not_after.0),
        renews_milliseconds: issued
            .zip(options.filter(|_| wanted))
            .map(|(issued, options)| due(issued, options.renew_before_seconds()).0),
        issuer: issued.map(|issued| issued.authority.clone()),
        order: order.map(|order| order.url),
        failure: failure.map(|failure| CertificateFailureEntry {
            time_milliseconds: failure.time.0,
            reason: failure.reason,
            count: failure.count,
            retry_milliseconds: failure.retry.0,
        }),
    }
}

async fn renew(State(admin): State<Admin>, Json(NameRequest { name }): Json<NameRequest>) -> Response {
    let outcome = async {
        let changes = &admin.access_changes;
        let view = changes.current().await?;
        let options = options(&admin);
        let wanted = options.map(|options| wanted(&options, &view)).transpose()?.unwrap_or_default();
        if !wanted.contains(&name) {
            return Err(AccessError::Unknown(format!(
                "no authority is asked for a certificate of {name:?}: regnode certificate list shows for which ones"
            )));
        }
        if view.certificate(&name)?.is_some() {
            changes.propose(Command::Certificate(CertificateCommand::Ask { domain: name.clone() })).await?;
        }
        // One of which nothing is known is asked for anyway.
        Ok(changed(name.clone()))
    };
    let outcome = outcome.await;
    recorded(answered(outcome), Recorded::new("certificate", format!("domain {name}")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::directory::{CertificateFailure, IssuedCertificate};
    use raft::id::NodeId;

    use super::*;

    #[test]
    fn an_entry_says_how_it_stands() {
        let day = 86_400_000;
        let issued = IssuedCertificate {
            chain: Bytes::new(),
            wrapped_key: Bytes::from_static(b"secret"),
            not_before: Timestamp(0),
            not_after: Timestamp(90 * day),
            issued: Timestamp(0),
            authority: "https://acme.example/".to_owned(),
            node: NodeId(1),
            spread_per_mille: 0,
        };
        let failure = CertificateFailure { time: Timestamp(5), reason: "no".to_owned(), count: 2, retry: Timestamp(9) };
        let record = CertificateRecord { issued: Some(issued), failure: Some(failure), ..CertificateRecord::default() };
        let at = |now: u64| entry("a.example".to_owned(), true, record.clone(), None, Timestamp(now));
        assert_eq!((at(0).state, at(90 * day).state), (CertificateState::Valid, CertificateState::Expired));
        assert_eq!(at(0).failure.unwrap().retry_milliseconds, 9);
        assert!(!format!("{:?}", at(0)).contains("secret"));
        let none = entry("a.example".to_owned(), true, CertificateRecord::default(), None, Timestamp(0));
        assert_eq!((none.state, none.not_after_milliseconds), (CertificateState::Missing, None));
    }
}
