//! What the leader does, with authorities that nobody reaches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use raft::directory::{CertificateCommand, CertificateOrder};
use raft::id::NodeId;
use raft::time::{Clock, Timestamp};
use tokio::net::TcpListener;

use super::{DOMAIN, acme, acme_for, acme_led, note};
use crate::acme::plan::Step;
use crate::audit::Outcome;
use crate::deletion::testing::directory;

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

/// An authority that ends each connection before it says anything, and how often it was asked.
#[expect(clippy::disallowed_methods, reason = "it listens as an authority, outside of any node")]
async fn mute_authority() -> (String, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/directory", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let authority = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counting.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, asked, authority)
}

#[tokio::test]
async fn an_account_that_cannot_be_had_is_asked_for_once_for_many_domains() {
    let (url, asked, authority) = mute_authority().await;
    let directory = directory();
    let domains = (0..20).map(|number| format!("d{number}.example.org")).collect();
    let acme = acme_for(&directory, &url, domains, || true);
    for _ in 0..3 {
        acme.round().await;
    }
    assert_eq!(directory.view().certificates().unwrap().len(), 20, "noted for each domain");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // An operator does not wait.
    note(directory.as_ref(), CertificateCommand::Ask { domain: "d3.example.org".to_owned() }).await;
    acme.round().await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    authority.abort();
}

#[tokio::test]
async fn an_order_that_is_too_old_is_given_up_and_a_young_one_is_kept() {
    let directory = directory();
    let begin = async |domain: &str, authority: &str| {
        let (url, authority) = (format!("order/{domain}"), authority.to_owned());
        let wrapped_key = Bytes::from_static(b"key");
        let order = CertificateOrder { url, authority, wrapped_key, begun: Timestamp(0), node: NodeId(1) };
        note(directory.as_ref(), CertificateCommand::Begin { domain: domain.to_owned(), order }).await;
    };
    let url = "https://127.0.0.1:1/directory";
    begin(DOMAIN, url).await;
    note(directory.as_ref(), CertificateCommand::Ask { domain: DOMAIN.to_owned() }).await;
    let record =
        || directory.view().certificates().unwrap().into_iter().find(|(domain, _)| domain == DOMAIN).unwrap().1;
    let begun = record().order.unwrap().begun;
    let at = |seconds: u64| {
        let mut acme = acme_for(&directory, url, vec![DOMAIN.to_owned()], || true);
        acme.environment.clock = Arc::new(At(begun.plus_seconds(seconds)));
        acme
    };
    // Its key cannot be opened, which an attempt would find out: nothing is tried.
    let tasks = at(86_399).tasks().await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.step).collect::<Vec<_>>(), [Step::Continue]);
    let tasks = at(86_400).tasks().await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.step).collect::<Vec<_>>(), [Step::GiveUp]);
    at(86_400).round().await;
    let left = record();
    assert_eq!(left.order, None, "the old one is gone, and there is no authority for another one");
    let failure = left.failure.unwrap();
    assert_eq!(failure.count, 2, "{}", failure.reason);
    assert!(failure.reason.starts_with("no connection to 127.0.0.1:1"), "{}", failure.reason);
}

/// A clock that stands.
#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
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
