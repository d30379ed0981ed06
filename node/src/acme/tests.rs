//! Challenges and certificates over a directory in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use raft::directory::{CertificateCommand, CertificateOrder, Command, IssuedCertificate, Response, View};
use raft::group::{ProposeError, ReadError};
use raft::id::{NodeId, RequestId};
use raft::time::{Clock, Timestamp};
use storage::disk::RealFiles;
use storage::kv::{Engine, MemoryEngines};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tower::ServiceExt;

use super::answer::Answers;
use super::keys::Keys;
use super::options::AcmeOptions;
use super::{Acme, AcmeParts, Leads, Metrics};
use crate::audit::{Audit, Outcome};
use crate::config::Settings;
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::environment::{BoxFuture, Environment, real};
use crate::login::testing::{CLUSTER, Counting, cluster_key};
use crate::serve::tests::pem;

const DOMAIN: &str = "registry.example.org";
const DEADLINE: Duration = Duration::from_secs(20);

/// A directory that hears of something only behind a barrier, and counts those.
#[derive(Debug)]
struct Behind {
    directory: Arc<dyn DirectoryRecords>,
    unheard: std::sync::Mutex<Option<CertificateCommand>>,
    barriers: AtomicUsize,
}

impl Behind {
    fn new(unheard: Option<CertificateCommand>) -> Arc<Self> {
        Arc::new(Self { directory: directory(), unheard: unheard.into(), barriers: AtomicUsize::new(0) })
    }

    fn barriers(&self) -> usize {
        self.barriers.load(Ordering::Relaxed)
    }
}

impl DirectoryRecords for Behind {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, ProposeError>> {
        self.directory.propose(request, command)
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        self.barriers.fetch_add(1, Ordering::Relaxed);
        let unheard = self.unheard.lock().unwrap().take();
        Box::pin(async move {
            if let Some(command) = unheard {
                note(self.directory.as_ref(), command).await;
            }
            Ok(())
        })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        self.directory.view()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.directory.changes()
    }
}

async fn note(directory: &dyn DirectoryRecords, command: CertificateCommand) {
    let response = directory.propose(RequestId([9; 16]), Command::Certificate(command)).await.unwrap();
    assert_eq!(response, Response::Done);
}

fn challenge(token: &str) -> CertificateCommand {
    CertificateCommand::AddChallenge {
        token: token.to_owned(),
        domain: DOMAIN.to_owned(),
        key_authorization: format!("{token}.thumbprint"),
        lifetime_seconds: 60,
    }
}

fn environment() -> Environment {
    real(Arc::new(RealFiles), Arc::new(MemoryEngines::new(Arc::new(RealFiles))))
}

/// The directory's time in these tests, and what was added to it.
#[derive(Debug, Default)]
struct Later(AtomicU64);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

fn answers(directory: &Arc<Behind>) -> Answers {
    answers_at(directory, &Arc::default())
}

fn answers_at(directory: &Arc<Behind>, clock: &Arc<Later>) -> Answers {
    Answers::new(Arc::<Behind>::clone(directory), Metrics::default(), environment().exec, Arc::<Later>::clone(clock))
}

async fn get(answers: &Answers, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = answers.clone().router().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_node_that_is_behind_asks_once_and_answers() {
    let directory = Behind::new(Some(challenge("abc_-1")));
    let answers = answers(&directory);
    let answer = (StatusCode::OK, "abc_-1.thumbprint".to_owned());
    assert_eq!(get(&answers, "/.well-known/acme-challenge/abc_-1").await, answer);
    assert_eq!(get(&answers, "/.well-known/acme-challenge/abc_-1").await, answer);
    assert_eq!(directory.barriers(), 1, "what is known is answered at once");
    assert_eq!(answers.by_domain("Registry.Example.org.").await.unwrap(), "abc_-1.thumbprint");
    assert_eq!(answers.by_domain("other.example.org").await, None);
}

#[tokio::test]
async fn a_challenge_that_is_over_is_answered_no_more() {
    let (directory, clock) = (Behind::new(None), Arc::<Later>::default());
    note(&*directory, challenge("abc")).await;
    let answers = answers_at(&directory, &clock);
    assert_eq!(answers.by_token("abc").await.unwrap(), "abc.thumbprint");
    clock.0.store(120_000, Ordering::Relaxed);
    assert_eq!((answers.by_token("abc").await, answers.by_domain(DOMAIN).await), (None, None));
}

#[tokio::test(start_paused = true)]
async fn strangers_ask_for_nothing_and_cost_next_to_nothing() {
    let directory = Behind::new(None);
    let answers = answers(&directory);
    for path in ["no%20token", "a.b", "%2e%2e", &"x".repeat(2049)] {
        let path = format!("/.well-known/acme-challenge/{path}");
        assert_eq!(get(&answers, &path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(directory.barriers(), 0, "what can be no token is not looked for");
    for round in 0..3 {
        let strangers = (0..100).map(|number| {
            let answers = answers.clone();
            tokio::spawn(async move { get(&answers, &format!("/.well-known/acme-challenge/t{number}")).await.0 })
        });
        for stranger in strangers.collect::<Vec<_>>() {
            assert_eq!(stranger.await.unwrap(), StatusCode::NOT_FOUND);
        }
        assert!(directory.barriers() <= round + 1, "{} barriers after {round} rounds", directory.barriers());
        tokio::time::advance(Duration::from_millis(600)).await;
    }
}

fn acme(directory: &Arc<dyn DirectoryRecords>, url: &str, leads: bool) -> Acme {
    acme_led(directory, url, move || leads)
}

fn acme_led(
    directory: &Arc<dyn DirectoryRecords>,
    url: &str,
    leads: impl Fn() -> bool + Send + Sync + 'static,
) -> Acme {
    let mut settings = Settings::default().acme;
    settings.directory = url.to_owned();
    settings.domains = vec![DOMAIN.to_owned(), "b.example.org".to_owned(), "a.example.org".to_owned()];
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

#[tokio::test]
async fn an_authority_that_does_not_answer_is_noted_once_for_each_domain_and_not_asked_again_at_once() {
    let directory = directory();
    let acme = acme(&directory, "https://127.0.0.1:1/directory", true);
    acme.round().await;
    let noted = || directory.view().certificates().unwrap();
    let failures: Vec<_> = noted().into_iter().map(|(domain, record)| (domain, record.failure.unwrap())).collect();
    assert_eq!(failures.len(), 3);
    for (domain, failure) in &failures {
        assert!(failure.reason.starts_with("no connection to 127.0.0.1:1"), "{domain}: {}", failure.reason);
        assert_eq!(failure.count, 1);
        assert!(failure.retry >= failure.time.plus_seconds(60));
    }
    assert_eq!(acme.audit.events().len(), 3);
    assert!(acme.audit.events().iter().all(|event| event.outcome == Outcome::Failed && event.action == "certificate"));
}

#[tokio::test]
async fn who_leads_no_more_notes_no_failure() {
    let directory = directory();
    let looks = AtomicUsize::new(0);
    // The three domains are begun with; then another node leads.
    let former =
        acme_led(&directory, "https://127.0.0.1:1/directory", move || looks.fetch_add(1, Ordering::Relaxed) < 3);
    former.round().await;
    assert!(directory.view().certificates().unwrap().is_empty());
    assert!(former.audit.events().is_empty());
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "it listens as an authority, outside of any node")]
async fn an_account_that_cannot_be_had_is_asked_for_once_in_a_round() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/directory", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let authority = tokio::spawn(async move {
        // Each connection ends before it says anything.
        while listener.accept().await.is_ok() {
            counting.fetch_add(1, Ordering::Relaxed);
        }
    });
    let directory = directory();
    let acme = acme(&directory, &url, true);
    acme.round().await;
    assert_eq!(directory.view().certificates().unwrap().len(), 3, "noted for each domain");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    authority.abort();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_does_nothing() {
    let directory = directory();
    let looks = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&looks);
    let idle = acme_led(&directory, "https://127.0.0.1:1/directory", move || {
        counting.fetch_add(1, Ordering::Relaxed);
        false
    });
    let led = tokio::spawn(idle.lead());
    while looks.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(directory.view().certificates().unwrap().is_empty());
    led.abort();
}
