//! Challenges and certificates over a directory in memory.

mod answer;
mod lead;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::directory::{CertificateCommand, CertificateOrder, Command, IssuedCertificate, Response};
use raft::id::{NodeId, RequestId};
use raft::time::Timestamp;
use storage::disk::RealFiles;
use storage::kv::MemoryEngines;
use tokio::sync::watch;
use tokio::time::timeout;

use super::keys::Keys;
use super::options::AcmeOptions;
use super::{Acme, AcmeParts, Leads, Metrics};
use crate::audit::Audit;
use crate::config::Settings;
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::environment::{Environment, real};
use crate::limit::Throttle;
use crate::login::testing::{CLUSTER, Counting, cluster_key};
use crate::serve::tests::pem;

const DOMAIN: &str = "registry.example.org";
const DEADLINE: Duration = Duration::from_secs(20);

async fn note(directory: &dyn DirectoryRecords, command: CertificateCommand) {
    let response = directory.propose(RequestId([9; 16]), Command::Certificate(command)).await.unwrap();
    assert_eq!(response, Response::Done);
}

fn environment() -> Environment {
    real(Arc::new(RealFiles), Arc::new(MemoryEngines::new(Arc::new(RealFiles))))
}

fn acme(directory: &Arc<dyn DirectoryRecords>, url: &str, leads: bool) -> Acme {
    acme_led(directory, url, move || leads)
}

fn acme_led(
    directory: &Arc<dyn DirectoryRecords>,
    url: &str,
    leads: impl Fn() -> bool + Send + Sync + 'static,
) -> Acme {
    let domains = vec![DOMAIN.to_owned(), "b.example.org".to_owned(), "a.example.org".to_owned()];
    acme_for(directory, url, domains, leads)
}

fn acme_for(
    directory: &Arc<dyn DirectoryRecords>,
    url: &str,
    domains: Vec<String>,
    leads: impl Fn() -> bool + Send + Sync + 'static,
) -> Acme {
    let mut settings = Settings::default().acme;
    settings.directory = url.to_owned();
    settings.domains = domains;
    settings.terms_agreed = true;
    Acme::new(AcmeParts {
        options: AcmeOptions::new(&settings).unwrap().unwrap(),
        directory: Arc::clone(directory),
        leads: Leads(Arc::new(leads)),
        environment: environment(),
        cluster: CLUSTER,
        cluster_key: cluster_key(),
        node: NodeId(1),
        audit: Audit::memory(),
        metrics: Metrics::default(),
        throttle: Throttle::unlimited(),
    })
}

/// Lets a domain have a certificate, whose key is wrapped for another domain if one is named.
async fn issue(directory: &dyn DirectoryRecords, domain: &str, wrapped_for: &str) {
    let (certificate, key) = pem(&[domain]);
    let key = rcgen_der(&key);
    let keys = Keys { cluster: CLUSTER, cluster_key: cluster_key() };
    let wrapped_key = keys.wrap_domain(&Counting::default(), wrapped_for, &key);
    let (url, authority) = (format!("order/{domain}"), "https://acme.test/".to_owned());
    let begun = Timestamp(0);
    let order = CertificateOrder {
        url: url.clone(),
        authority: authority.clone(),
        wrapped_key: wrapped_key.clone(),
        begun,
        node: NodeId(1),
    };
    note(directory, CertificateCommand::Begin { domain: domain.to_owned(), order }).await;
    let certificate = IssuedCertificate {
        chain: Bytes::from(certificate),
        wrapped_key,
        not_before: begun,
        not_after: Timestamp(u64::MAX / 2),
        issued: begun,
        authority,
        node: NodeId(1),
        spread_per_mille: 0,
    };
    note(directory, CertificateCommand::Finish { domain: domain.to_owned(), order: url, certificate }).await;
}

/// The key's PKCS #8.
fn rcgen_der(pem: &str) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    rustls_pki_types::PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_pkcs8_der().to_vec()
}

#[tokio::test]
async fn every_node_shows_what_the_directory_has_with_that_of_the_first_domain_first() {
    let directory = directory();
    issue(directory.as_ref(), "a.example.org", "a.example.org").await;
    let issued = watch::channel(Arc::default()).0;
    let mut shown = issued.subscribe();
    let sharing = tokio::spawn(acme(&directory, "https://acme.test/", false).share(issued));
    let first = |shown: &watch::Ref<'_, Arc<Vec<crate::serve::CertificatePair>>>, domain: &str| {
        shown.first().is_some_and(|pair| pair.is_for(domain))
    };
    timeout(DEADLINE, async {
        while !first(&shown.borrow_and_update(), "a.example.org") {
            shown.changed().await.unwrap();
        }
        issue(directory.as_ref(), "b.example.org", "a.example.org").await;
        issue(directory.as_ref(), DOMAIN, DOMAIN).await;
        while !first(&shown.borrow_and_update(), DOMAIN) {
            shown.changed().await.unwrap();
        }
    })
    .await
    .unwrap();
    assert_eq!(shown.borrow().len(), 2, "the one whose key does not open is left out");
    sharing.abort();
}
