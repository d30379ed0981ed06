//! The writer and the queue before it, on a disk that fails.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use raft::time::Clock;
use storage::exec::Exec;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::audit::event::{AuditEvent, Outcome};
use crate::audit::handle::{Audit, PATIENCE, QUEUE_EVENTS};
use crate::audit::log::Head;
use crate::audit::metrics::Metrics;
use crate::audit::record::{self, Record};
use crate::audit::retention::Retention;
use crate::audit::state::State;
use crate::audit::testing::{Failing, Hand, NOW, Place, event};
use crate::audit::verify::Checked;
use crate::audit::writer::Writer;

struct Running {
    audit: Audit,
    durable: watch::Receiver<Option<Head>>,
    task: JoinHandle<()>,
}

fn start(place: &Place, (pulls, required): (bool, bool)) -> Running {
    let (sender, queue) = mpsc::channel(QUEUE_EVENTS);
    let (durable, follows) = watch::channel(None);
    let state = Arc::<State>::default();
    let clock: Arc<dyn Clock> = Arc::new(Hand(AtomicU64::new(NOW)));
    let writer = Writer {
        files: Arc::clone(&place.files),
        exec: Exec::inline(),
        clock: Arc::clone(&clock),
        directory: place.path.clone(),
        node: 1,
        told: None,
        retention: Retention { days: 90, bytes_max: 1 << 30 },
        segment_bytes: 1 << 20,
        state: Arc::clone(&state),
        metrics: Metrics::default(),
        queue,
        durable,
    };
    let audit = Audit::of_writer(sender, clock, state, Metrics::default(), (pulls, required));
    Running { audit, durable: follows, task: tokio::spawn(writer.run()) }
}

/// All records, as (action, actor, detail).
fn records(place: &Place) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for segment in crate::audit::segment::list(place.files.as_ref(), &place.path).unwrap() {
        let content = place.read(segment.first);
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        all.extend(lines.map(|line| {
            let (Record { action, actor, detail, .. }, _) = record::read(line).unwrap();
            (action.into_owned(), actor.into_owned(), detail.into_owned())
        }));
    }
    all
}

#[tokio::test(start_paused = true)]
async fn everything_is_written_in_order_and_durable_within_a_second() {
    let place = Place::new();
    let running = start(&place, (true, false));
    for number in 1..=3000 {
        running.audit.record(event(number)).await;
    }
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(running.durable.borrow().unwrap().sequence, 3001);
    assert_eq!(running.audit.state().sequence, 3001);
    let written = records(&place);
    assert_eq!(written[0].0, "start");
    for (number, (_, actor, _)) in (1..).zip(&written[1..]) {
        assert_eq!(*actor, format!("user:{number}"));
    }
    assert_eq!(place.verify_from(Checked::begin(*running.durable.borrow())).1, []);
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_the_disk_and_a_restart_says_so() {
    let place = Place::new();
    let running = start(&place, (true, false));
    running.audit.record(event(1)).await;
    running.audit.flush().await;
    assert_eq!(running.durable.borrow().unwrap().sequence, 2);
    // The last handle is gone: the writer ends.
    drop(running.audit);
    running.task.await.unwrap();
    let mut torn = place.read(1);
    torn.extend_from_slice(b"{\"sequence\":3,");
    place.write(1, &torn);
    let running = start(&place, (true, false));
    running.audit.flush().await;
    let written = records(&place);
    assert_eq!(written.iter().map(|record| record.0.as_str()).collect::<Vec<_>>(), ["start", "pull", "start"]);
    assert!(written[2].2.contains("; 14 bytes at the end of the log could not be read"), "{}", written[2].2);
}

/// A full disk: requests go on, all that fits into the queue is written later, and the rest is counted and told.
#[tokio::test(start_paused = true)]
async fn requests_go_on_without_a_disk_and_nothing_is_lost_silently() {
    let place = Place::new();
    let running = start(&place, (true, false));
    running.audit.flush().await;
    place.disk.fail(Failing::Writes);
    let begun = Instant::now();
    let events = 3 * QUEUE_EVENTS as u64;
    for number in 1..=events {
        running.audit.record(event(number)).await;
    }
    assert!(begun.elapsed() <= PATIENCE, "{:?}", begun.elapsed());
    let state = running.audit.state();
    assert!(state.stuck.is_some() && state.lost > 0, "{state:?}");
    assert!(!running.audit.holds_up());
    place.disk.fail(Failing::Not);
    running.audit.flush().await;
    let after = running.audit.state();
    assert_eq!((after.stuck, after.lost), (None, state.lost));
    let written = records(&place);
    let pulls = written.iter().filter(|record| record.0 == "pull").count() as u64;
    assert_eq!(pulls + state.lost, events);
    let lost: Vec<&str> = written.iter().filter(|record| record.0 == "lost").map(|record| record.2.as_str()).collect();
    assert!(lost.len() == 1 && lost[0].starts_with(&format!("{} events between ", state.lost)), "{lost:?}");
    assert_eq!(place.verify_from(Checked::begin(*running.durable.borrow())).1, []);
}

#[tokio::test(start_paused = true)]
async fn a_required_log_makes_requests_wait() {
    let place = Place::new();
    let running = start(&place, (true, true));
    running.audit.flush().await;
    place.disk.fail(Failing::Syncs);
    let audit = running.audit.clone();
    let events = 2 * QUEUE_EVENTS as u64;
    let requests = tokio::spawn(async move {
        for number in 1..=events {
            audit.record(event(number)).await;
        }
    });
    sleep(Duration::from_mins(10)).await;
    assert!(!requests.is_finished() && running.audit.holds_up());
    place.disk.fail(Failing::Not);
    requests.await.unwrap();
    running.audit.flush().await;
    assert!(!running.audit.holds_up());
    assert_eq!(running.audit.state().lost, 0);
    assert_eq!(records(&place).len() as u64, events + 1);
}

/// The writer says nothing: it hangs.
#[tokio::test(start_paused = true)]
async fn a_required_log_on_a_disk_that_hangs_is_noticed_and_waited_for() {
    let (sender, mut queue) = mpsc::channel(1);
    let (state, metrics) = (Arc::<State>::default(), Metrics::default());
    let clock: Arc<dyn Clock> = Arc::new(Hand(AtomicU64::new(NOW)));
    let audit = Audit::of_writer(sender, clock, state, metrics.clone(), (true, true));
    audit.record(event(1)).await;
    let waiting = audit.clone();
    let request = tokio::spawn(async move { waiting.record(event(2)).await });
    sleep(PATIENCE / 2).await;
    assert!(!audit.holds_up());
    sleep(PATIENCE).await;
    assert!(audit.holds_up() && metrics.stuck.get() == 1 && !request.is_finished());
    queue.recv().await.unwrap();
    request.await.unwrap();
    assert_eq!((audit.state().lost, audit.unwritten()), (0, 1));
    // Whoever goes away while he waits has lost his event.
    let late = tokio::time::timeout(PATIENCE / 2, audit.record(event(3))).await;
    assert!(late.is_err() && audit.state().lost == 1);
    assert_eq!(audit.unwritten(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_behind_the_end_of_a_required_log() {
    let place = Place::new();
    for required in [true, false] {
        let running = start(&place, (true, required));
        running.audit.flush().await;
        assert!(!running.audit.holds_up());
        running.task.abort();
        let _aborted = running.task.await;
        assert_eq!(running.audit.holds_up(), required);
        running.audit.record(event(1)).await;
        assert_eq!(running.audit.state().lost, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_opened_yet_is_opened_later() {
    let place = Place::new();
    place.disk.fail(Failing::Creates);
    let running = start(&place, (true, false));
    running.audit.record(event(1)).await;
    sleep(Duration::from_secs(30)).await;
    assert!(running.audit.state().stuck.is_some());
    place.disk.fail(Failing::Not);
    running.audit.flush().await;
    assert_eq!(records(&place).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pulls_are_left_out_if_that_is_wanted_but_not_refused_ones() {
    let place = Place::new();
    let running = start(&place, (false, false));
    running.audit.record(event(1)).await;
    running.audit.record(event(2).outcome(Outcome::Refused)).await;
    running.audit.record(AuditEvent::new("push", "user:3")).await;
    running.audit.flush().await;
    let actors: Vec<String> = records(&place).into_iter().map(|record| record.1).collect();
    assert_eq!(actors, ["regnode", "user:2", "user:3"]);
}

#[tokio::test]
async fn a_log_in_memory_shows_what_was_recorded() {
    let audit = Audit::memory();
    audit.record(event(1)).await;
    assert_eq!(audit.events(), [event(1)]);
    Audit::off().record(event(1)).await;
    assert!(Audit::off().events().is_empty());
}

/// How many events a second are taken and written. Run it by hand, with optimisation:
/// `cargo nextest run -p node --release --run-ignored only -E 'test(events_a_second)' --no-capture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[expect(clippy::cast_precision_loss, reason = "a measurement")]
async fn events_a_second() {
    let place = Place::new();
    let running = start(&place, (true, false));
    running.audit.flush().await;
    let burst = QUEUE_EVENTS as u64 / 2;
    let events: Vec<AuditEvent> = (1..=burst).map(event).collect();
    let begun = Instant::now();
    for event in events {
        running.audit.record(event).await;
    }
    let enqueued = begun.elapsed();
    running.audit.flush().await;
    let many = 1_000_000_u64;
    let begun = Instant::now();
    for number in 1..=many {
        running.audit.record(event(number)).await;
    }
    running.audit.flush().await;
    let all = begun.elapsed();
    eprintln!(
        "{:.0} records a second without end; {:.2} µs in record() while there is room",
        many as f64 / all.as_secs_f64(),
        enqueued.as_secs_f64() * 1e6 / burst as f64
    );
}
