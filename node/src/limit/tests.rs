//! Limits in the simulator's time.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep};

use super::{Metrics, Rates, RetryAfter, Throttle, ThrottleOptions};

const OFF: Rates = Rates { requests_per_second: 0, uploads: 0, bytes_per_second: 0 };

fn throttle(identity: Rates, address: Rates) -> (Throttle, Metrics) {
    let metrics = Metrics::default();
    (Throttle::new(ThrottleOptions { identity, address }, metrics.clone()), metrics)
}

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn taken(throttle: &Throttle, principal: &str, address: &str, tries: usize) -> usize {
    (0..tries).filter(|_| throttle.admit(principal, at(address), false).is_ok()).count()
}

#[tokio::test(start_paused = true)]
async fn requests_are_refused_above_the_rate_and_taken_again_when_it_was_said() {
    let (throttle, metrics) = throttle(Rates { requests_per_second: 2, ..OFF }, OFF);
    assert_eq!(taken(&throttle, "user:a", "10.0.0.1", 100), 10, "five seconds' worth at once");
    let refused = throttle.admit("user:a", at("10.0.0.1"), false).unwrap_err();
    assert_eq!(refused, RetryAfter { seconds: 1, limit: "requests", whose: "identity" });
    assert_eq!(taken(&throttle, "user:b", "10.0.0.1", 3), 3, "another identity has its own");
    sleep(Duration::from_secs(refused.seconds)).await;
    assert_eq!(taken(&throttle, "user:a", "10.0.0.2", 100), 2, "wherever it comes from");
    assert_eq!(metrics.count("requests", "identity"), 90 + 1 + 98);
}

#[tokio::test(start_paused = true)]
async fn addresses_are_counted_whoever_comes_from_there() {
    let (throttle, metrics) = throttle(OFF, Rates { requests_per_second: 1, ..OFF });
    for (index, name) in ["user:a", "user:b", "anonymous", "robot:c", "user:d"].iter().enumerate() {
        assert!(throttle.admit(name, at(&format!("2001:db8::{index}")), false).is_ok());
    }
    let refused = throttle.admit("user:e", at("2001:db8::ffff"), false).unwrap_err();
    assert_eq!((refused.limit, refused.whose), ("requests", "address"));
    assert!(throttle.admit("user:e", at("2001:db8:0:1::1"), false).is_ok(), "the next network is another");
    assert_eq!(taken(&throttle, "user:a", "::ffff:10.0.0.1", 9) + taken(&throttle, "user:a", "10.0.0.1", 9), 5);
    assert_eq!(metrics.count("requests", "address"), 1 + 13);
}

#[tokio::test(start_paused = true)]
async fn anonymous_callers_are_told_apart_by_address() {
    let (throttle, _) = throttle(Rates { requests_per_second: 1, ..OFF }, OFF);
    assert_eq!(taken(&throttle, "anonymous", "10.0.0.1", 9), 5);
    assert_eq!(taken(&throttle, "anonymous", "10.0.0.2", 9), 5);
}

#[tokio::test(start_paused = true)]
async fn uploads_have_places_until_they_end() {
    let (throttle, metrics) = throttle(Rates { uploads: 2, ..OFF }, Rates { uploads: 3, ..OFF });
    let upload = |name: &str| throttle.admit(name, at("10.0.0.1"), true);
    let (first, _second) = (upload("user:a").unwrap(), upload("user:a").unwrap());
    let refused = upload("user:a").unwrap_err();
    assert_eq!(refused, RetryAfter { seconds: 5, limit: "uploads", whose: "identity" });
    let _third = upload("user:b").unwrap();
    assert_eq!(upload("user:b").unwrap_err().whose, "address", "what was refused above holds no place");
    assert!(throttle.admit("user:a", at("10.0.0.1"), false).is_ok(), "what is no upload needs no place");
    drop(first);
    assert!(upload("user:a").is_ok());
    assert_eq!(metrics.count("uploads", "identity") + metrics.count("uploads", "address"), 2);
}

#[tokio::test(start_paused = true)]
async fn bytes_come_no_faster_than_they_may() {
    let (throttle, _) = throttle(Rates { bytes_per_second: 1 << 20, ..OFF }, OFF);
    let part = Bytes::from(vec![7; 100_000]);
    let read = async |permit: &super::Permit| {
        let parts: Vec<Result<Bytes, std::io::Error>> = (0..50).map(|_| Ok(part.clone())).collect();
        let body = permit.pace(Body::from_stream(futures_util::stream::iter(parts)));
        body.collect().await.unwrap().to_bytes().len()
    };
    let permit = throttle.admit("user:a", at("10.0.0.1"), false).unwrap();
    let begun = Instant::now();
    assert_eq!(read(&permit).await, 5_000_000);
    let seconds = begun.elapsed().as_secs_f64();
    assert!((3.6..4.5).contains(&seconds), "five million bytes, the first second's worth at once: {seconds}");

    // Two at one time share it, and a small body is paid for as well.
    let begun = Instant::now();
    let other = throttle.admit("user:a", at("10.0.0.9"), false).unwrap();
    assert_eq!(tokio::join!(read(&permit), read(&other)), (5_000_000, 5_000_000));
    let seconds = begun.elapsed().as_secs_f64();
    assert!((9.0..10.5).contains(&seconds), "{seconds}");
    let begun = Instant::now();
    for _ in 0..1000 {
        assert_eq!(permit.pace(Body::from("small")).collect().await.unwrap().to_bytes(), "small");
    }
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_paced_body_keeps_its_length_and_one_that_is_not_limited_is_left_alone() {
    let (paced, _) = throttle(Rates { bytes_per_second: 1 << 20, ..OFF }, OFF);
    let permit = paced.admit("user:a", at("10.0.0.1"), false).unwrap();
    let body = permit.pace(Body::from("hello"));
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream() && permit.pace(Body::empty()).is_end_stream());
    let (throttle, _) = throttle(Rates { requests_per_second: 9, ..OFF }, OFF);
    let free = throttle.admit("user:a", at("10.0.0.1"), false).unwrap();
    assert_eq!(free.pace(Body::from("hello")).collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(Throttle::unlimited().accounts(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_of_callers_is_bounded_and_forgotten() {
    let (throttle, _) = throttle(Rates { requests_per_second: 1, uploads: 1, ..OFF }, OFF);
    let held = throttle.admit("user:a", at("10.0.0.1"), true).unwrap();
    for number in 0..100_000u32 {
        let _ = throttle.admit("anonymous", IpAddr::V4(number.into()), false);
        let _ = throttle.admit(&format!("token:x/{number}"), at("10.0.0.1"), false);
    }
    assert!(throttle.accounts() <= 4 * 16_384 + 1, "{}", throttle.accounts());
    assert_eq!(throttle.admit("user:a", at("10.0.0.1"), true).unwrap_err().limit, "uploads", "still counted");
    drop(held);
    for _ in 0..3 {
        sleep(Duration::from_secs(61)).await;
        throttle.admit("user:z", at("10.0.0.1"), false).unwrap();
        throttle.admit("anonymous", at("10.0.0.1"), false).unwrap();
    }
    assert_eq!(throttle.accounts(), 2);
}
