//! Keys that are fetched: when, how often, and what counts while the issuer does not answer.

use super::issuer::{Issuer, Signer};
use super::*;

async fn fixture() -> (Issuer, Federation) {
    let environment = environment();
    let issuer = Issuer::start(&environment).await;
    let mut record = record(&issuer.url, IssuerKeys::Discover);
    record.authority = Some(issuer.authority.clone());
    let federation = federation(&environment, vec![("ci", record)]);
    (issuer, federation)
}

fn is_unavailable(outcome: &Result<(), OutsideError>) -> bool {
    matches!(outcome, Err(OutsideError::Unavailable(_)))
}

#[tokio::test]
async fn keys_are_found_by_discovery_and_kept() {
    let (issuer, federation) = fixture().await;
    let signer = Signer::new("one", "RS256");
    issuer.publish(&[&signer]);
    for _ in 0..3 {
        assert_eq!(federation.robot("ci", &signer.token(&claims(&issuer.url))).await, Ok(()));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_but_not_for_every_unknown_id() {
    let (issuer, federation) = fixture().await;
    let (old, new) = (Signer::new("old", "ES256"), Signer::new("new", "ES256"));
    issuer.publish(&[&old]);
    assert_eq!(federation.robot("ci", &old.token(&claims(&issuer.url))).await, Ok(()));
    issuer.publish(&[&old, &new]);
    pass(Duration::from_secs(31)).await;
    assert_eq!(federation.robot("ci", &new.token(&claims(&issuer.url))).await, Ok(()));
    assert_eq!(issuer.asked(), 2);
    for id in 0..20 {
        let unknown = Signer::new(&id.to_string(), "ES256").token(&claims(&issuer.url));
        assert!(reason(federation.robot("ci", &unknown).await).contains("no key"));
    }
    assert_eq!(issuer.asked(), 2);
    // Many at the same time are one fetch as well.
    pass(Duration::from_secs(31)).await;
    let unknown = Signer::new("unknown", "ES256").token(&claims(&issuer.url));
    let all = (0..20).map(|_| federation.robot("ci", &unknown));
    for outcome in futures_util::future::join_all(all).await {
        assert!(reason(outcome).contains("no key"));
    }
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn who_goes_away_while_keys_are_fetched_keeps_them_from_nobody() {
    let (issuer, federation) = fixture().await;
    let signer = Signer::new("one", "ES256");
    issuer.publish(&[&signer]);
    let token = signer.token(&claims(&issuer.url));
    let mut gone = federation.robot("ci", &token);
    assert!(futures_util::poll!(&mut gone).is_pending());
    // The fetch has begun.
    tokio::task::yield_now().await;
    drop(gone);
    assert_eq!(federation.robot("ci", &token).await, Ok(()), "he waits for the fetch that goes on");
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_key_that_is_published_no_more_stops_counting() {
    let (issuer, federation) = fixture().await;
    let (old, new) = (Signer::new("old", "ES256"), Signer::new("new", "ES256"));
    issuer.publish(&[&old]);
    let token = old.token(&claims(&issuer.url));
    assert_eq!(federation.robot("ci", &token).await, Ok(()));
    issuer.publish(&[&new]);
    pass(Duration::from_mins(9)).await;
    assert_eq!(federation.robot("ci", &token).await, Ok(()));
    pass(Duration::from_mins(1)).await;
    assert!(reason(federation.robot("ci", &token).await).contains("no key"));
}

#[tokio::test]
async fn known_keys_count_for_a_day_while_the_issuer_does_not_answer() {
    let (issuer, federation) = fixture().await;
    let signer = Signer::new("one", "ES256");
    let token = signer.token(&claims(&issuer.url));
    issuer.publish(&[&signer]);
    assert_eq!(federation.robot("ci", &token).await, Ok(()));
    issuer.answers(503, "later".to_owned());
    pass(Duration::from_mins(11)).await;
    assert_eq!(federation.robot("ci", &token).await, Ok(()));
    assert_eq!(issuer.asked(), 2);
    assert_eq!(federation.robot("ci", &token).await, Ok(()));
    assert_eq!(issuer.asked(), 2, "not asked again at once");
    pass(Duration::from_hours(24)).await;
    assert!(is_unavailable(&federation.robot("ci", &token).await));
    issuer.publish(&[&signer]);
    pass(Duration::from_secs(5)).await;
    assert_eq!(federation.robot("ci", &token).await, Ok(()));
}

#[tokio::test]
async fn answers_that_are_no_keys_are_no_keys() {
    let signer = Signer::new("one", "ES256");
    let many = json!({"keys": vec![signer.jwk(); 65]}).to_string();
    let long = format!("{}{}", json!({"keys": [signer.jwk()]}), " ".repeat(1 << 20));
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let good = json!({"keys": [signer.jwk()]}).to_string();
    for (status, body) in
        [(200, many), (200, long), (200, deep), (200, "<html>".to_owned()), (302, good), (500, String::new())]
    {
        let (issuer, federation) = fixture().await;
        issuer.answers(status, body);
        assert!(is_unavailable(&federation.robot("ci", &signer.token(&claims(&issuer.url))).await), "{status}");
    }
}

#[tokio::test]
async fn a_document_of_another_issuer_is_not_believed() {
    let (issuer, federation) = fixture().await;
    let signer = Signer::new("one", "ES256");
    issuer.publish(&[&signer]);
    issuer.claims_to_be("https://other.test");
    assert!(is_unavailable(&federation.robot("ci", &signer.token(&claims(&issuer.url))).await));
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn an_issuer_whose_certificate_nobody_trusts_is_not_believed() {
    let environment = environment();
    let (issuer, other) = (Issuer::start(&environment).await, Issuer::start(&environment).await);
    let signer = Signer::new("one", "ES256");
    issuer.publish(&[&signer]);
    let mut record = record(&issuer.url, IssuerKeys::JwksUrl(format!("{}/keys", issuer.url)));
    record.authority = Some(other.authority.clone());
    let distrusting = federation(&environment, vec![("ci", record.clone())]);
    assert!(is_unavailable(&distrusting.robot("ci", &signer.token(&claims(&issuer.url))).await));
    record.authority = Some(issuer.authority.clone());
    let trusting = federation(&environment, vec![("ci", record)]);
    assert_eq!(trusting.robot("ci", &signer.token(&claims(&issuer.url))).await, Ok(()));
}
