//! Sinks: order, at least once, over broken connections and restarts; and what goes over the wire.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft::time::Timestamp;
use storage::disk::RealFiles;
use storage::exec::Exec;
use storage::kv::RocksEngines;
use storage::seal::Keys;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::audit::http::HttpSink;
use crate::audit::log::Head;
use crate::audit::metrics::Metrics;
use crate::audit::retention::Retention;
use crate::audit::sink::{Courier, Line, Sink, Trouble};
use crate::audit::syslog::SyslogSink;
use crate::audit::testing::{NOW, Place, event};
use crate::config::AuditSettings;
use crate::environment::{BoxFuture, BoxStream, Environment, real};

/// A receiver that fails as it is told.
#[derive(Clone, Default)]
struct Fake {
    received: Arc<Mutex<Vec<u64>>>,
    /// Outcomes of the next sends; then all go well.
    script: Arc<Mutex<VecDeque<bool>>>,
    breaks: Arc<Notify>,
    settles_after: Duration,
}

impl Fake {
    fn received(&self) -> Vec<u64> {
        self.received.lock().unwrap().clone()
    }

    fn script(&self, outcomes: &[bool]) {
        self.script.lock().unwrap().extend(outcomes);
    }
}

impl Sink for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn settles_after(&self) -> Duration {
        self.settles_after
    }

    fn send<'a>(&'a mut self, lines: &'a [Line]) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let well = self.script.lock().unwrap().pop_front().unwrap_or(true);
            // Of what fails, half arrives.
            let arrives = if well { lines.len() } else { lines.len() / 2 };
            self.received.lock().unwrap().extend(lines[..arrives].iter().map(|(number, _)| *number));
            if well { Ok(()) } else { Err("broken".into()) }
        })
    }

    fn broken(&mut self) -> BoxFuture<'_, Trouble> {
        Box::pin(async move {
            self.breaks.notified().await;
            "closed".into()
        })
    }

    fn close(&mut self) {}
}

fn courier(place: &Place, durable: &watch::Receiver<Option<Head>>, metrics: &Metrics, sink: Box<dyn Sink>) -> Courier {
    Courier {
        files: Arc::clone(&place.files),
        exec: Exec::inline(),
        path: place.path.clone(),
        durable: durable.clone(),
        metrics: metrics.clone(),
        sink,
        failures: 0,
    }
}

fn upto(numbers: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    numbers.collect()
}

#[tokio::test(start_paused = true)]
async fn records_come_in_order_and_again_after_a_failure() {
    let place = Place::new();
    let mut log = place.fill(1200, 500);
    let (durable, follows) = watch::channel(log.newest);
    let (fake, metrics) = (Fake::default(), Metrics::default());
    // The first batch arrives half, the second whole, the third half.
    fake.script(&[false, true, false]);
    let task = tokio::spawn(courier(&place, &follows, &metrics, Box::new(fake.clone())).run());
    sleep(Duration::from_secs(30)).await;
    let expected = [upto(1..=250), upto(1..=500), upto(501..=750), upto(501..=1000), upto(1001..=1200)].concat();
    assert_eq!(fake.received(), expected);
    // What is not durable is not sent.
    log.note(Timestamp(NOW), &event(1201), None);
    log.write().unwrap();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(fake.received().len(), expected.len());
    log.sync().unwrap();
    durable.send_replace(log.newest);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(fake.received().last(), Some(&1201));
    let failures = metrics.sink_failures.get_or_create(&[("sink", "fake")]).get();
    let lag = metrics.sink_lag.get_or_create(&[("sink", "fake")]).get();
    assert_eq!((failures, lag), (2, 0));
    task.abort();
    // The next run goes on behind what was taken.
    let again = Fake::default();
    let _task = tokio::spawn(courier(&place, &follows, &metrics, Box::new(again.clone())).run());
    log.note(Timestamp(NOW), &event(1202), None);
    log.sync().unwrap();
    durable.send_replace(log.newest);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(again.received(), [1202]);
}

/// What a receiver without answers had not read when its connection broke is sent again.
#[tokio::test(start_paused = true)]
async fn what_has_not_settled_is_sent_again_when_the_connection_breaks() {
    let place = Place::new();
    let mut log = place.fill(3, 10);
    let (durable, follows) = watch::channel(log.newest);
    let fake = Fake { settles_after: Duration::from_secs(10), ..Fake::default() };
    let _task = tokio::spawn(courier(&place, &follows, &Metrics::default(), Box::new(fake.clone())).run());
    sleep(Duration::from_secs(11)).await;
    log.note(Timestamp(NOW), &event(4), None);
    log.sync().unwrap();
    durable.send_replace(log.newest);
    sleep(Duration::from_secs(5)).await;
    fake.breaks.notify_one();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(fake.received(), [1, 2, 3, 4, 4]);
    fake.breaks.notify_one();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(fake.received(), [1, 2, 3, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_receiver_is_asked_ever_more_rarely_and_retention_does_not_wait_for_it() {
    let place = Place::new();
    let mut log = place.fill(9, 3);
    let (durable, follows) = watch::channel(log.newest);
    let (fake, metrics) = (Fake::default(), Metrics::default());
    fake.script(&[false; 40]);
    let _task = tokio::spawn(courier(&place, &follows, &metrics, Box::new(fake.clone())).run());
    sleep(Duration::from_mins(10)).await;
    let failures = metrics.sink_failures.get_or_create(&[("sink", "fake")]).get();
    assert!((12..=20).contains(&failures), "{failures}");
    log.retain(Retention { days: 90, bytes_max: 0 }, Timestamp(NOW)).unwrap();
    durable.send_replace(log.newest);
    fake.script.lock().unwrap().clear();
    fake.received.lock().unwrap().clear();
    sleep(Duration::from_mins(2)).await;
    assert_eq!(fake.received(), [7, 8, 9, 10]);
    assert_eq!(metrics.sink_skipped.get_or_create(&[("sink", "fake")]).get(), 6);
}

fn environment() -> Environment {
    real(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear())))
}

/// Reads one message with its length in front.
async fn message(stream: &mut BoxStream) -> String {
    let mut length = String::new();
    loop {
        match stream.read_u8().await.unwrap() {
            b' ' => break,
            digit => length.push(char::from(digit)),
        }
    }
    let mut text = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn syslog_messages_go_over_tls_and_again_over_a_new_connection() {
    let environment = environment();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = environment.network.listen("127.0.0.1:0").await.unwrap();
    let port = listener.local_address().unwrap().port();
    let place = Place::new();
    let log = place.fill(3, 10);
    let authority = place.path.join("authority.pem");
    place.files.replace(&authority, own.cert.pem().as_bytes()).unwrap();
    let settings = AuditSettings {
        syslog: format!("tls://localhost:{port}"),
        syslog_authority: Some(authority),
        ..AuditSettings::default()
    };
    let (_durable, follows) = watch::channel(log.newest);
    let sink = SyslogSink::new(&environment, &settings, "n1");
    let _task = tokio::spawn(courier(&place, &follows, &Metrics::default(), Box::new(sink)).run());
    for _ in 0..2 {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream: BoxStream = Box::new(acceptor.accept(stream).await.unwrap());
        for number in 1..=3 {
            let text = message(&mut stream).await;
            let begin = format!("<110>1 2027-01-15T08:00:00.00{number}Z n1 regnode - pull - {{\"sequence\":{number},");
            assert!(text.starts_with(&begin), "{text}");
            assert!(text.ends_with("\"}"), "{text}");
        }
        // The receiver goes away before it can be sure.
        let _gone = stream.shutdown().await;
    }
}

#[tokio::test]
async fn a_receiver_with_another_authority_gets_nothing() {
    let environment = environment();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let listener = environment.network.listen("127.0.0.1:0").await.unwrap();
    let port = listener.local_address().unwrap().port();
    let place = Place::new();
    place.fill(1, 10);
    let authority = place.path.join("authority.pem");
    place.files.replace(&authority, other.cert.pem().as_bytes()).unwrap();
    let settings = AuditSettings {
        syslog: format!("tls://localhost:{port}"),
        syslog_authority: Some(authority),
        ..AuditSettings::default()
    };
    let mut sink = SyslogSink::new(&environment, &settings, "n1");
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    };
    let lines = [(1, b"{}".to_vec())];
    let (accepted, sent) = tokio::join!(server, sink.send(&lines));
    assert!(accepted.is_err() && sent.is_err());
}

/// Reads a request, and answers it.
async fn answer(mut stream: BoxStream, status: &str) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0);
        request.extend_from_slice(&buffer[..read]);
    }
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    let _gone = stream.shutdown().await;
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn batches_go_by_http_with_a_secret_header_until_they_are_taken() {
    let environment = environment();
    let listener = environment.network.listen("127.0.0.1:0").await.unwrap();
    let place = Place::new();
    let log = place.fill(3, 10);
    let header = place.path.join("header");
    place.files.replace(&header, b"Authorization: Bearer secret\n").unwrap();
    let settings = AuditSettings {
        http: format!("http://{}/audit?x=1", listener.local_address().unwrap()),
        http_header_file: Some(header),
        ..AuditSettings::default()
    };
    let (_durable, follows) = watch::channel(log.newest);
    let sink = HttpSink::new(&environment, &settings);
    let task = tokio::spawn(courier(&place, &follows, &Metrics::default(), Box::new(sink)).run());
    for status in ["503 Service Unavailable", "204 No Content"] {
        let (stream, _) = listener.accept().await.unwrap();
        let request = answer(stream, status).await;
        assert!(request.starts_with("POST /audit?x=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer secret\r\n"), "{request}");
        assert!(request.contains("content-type: application/x-ndjson\r\n"), "{request}");
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.as_bytes(), place.read(1));
    }
    // Taken is taken.
    let more = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(more.is_err());
    task.abort();
}
