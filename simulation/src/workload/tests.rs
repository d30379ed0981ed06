//! The workload against a registry that does everything right, and against ones that do not.

use std::time::Duration;

use http::Method;
use http::request::Parts;

use super::testing::{Registry, Trick, configuration, workload};
use super::{OperationKind, Workload, client_task, new_work, verify_all};
use crate::history::{Action, Outcome, Subject};
use crate::judge::linearizability;

/// Lets three clients work for a while, then ends them.
async fn work_for(work: &Workload, time: Duration) {
    let clients: Vec<_> = (1..=3).map(|number| tokio::spawn(client_task(number, work.clone()))).collect();
    tokio::time::sleep(time).await;
    work.stop();
    for client in clients {
        client.await.unwrap();
    }
}

async fn everything(
    seed: u64,
    carelessness: u8,
    play: impl Fn(&Parts, u64) -> Trick + Send + Sync + 'static,
) -> (Workload, std::sync::Arc<Registry>) {
    let mut configuration = configuration(seed);
    configuration.workload.disconnect_percent = carelessness;
    configuration.workload.repeat_percent = carelessness;
    let (work, registry) = workload(&configuration, play);
    work_for(&work, Duration::from_secs(15)).await;
    (work, registry)
}

fn accused(work: &Workload) -> Vec<&'static str> {
    work.court.all().into_iter().map(|violation| violation.judge).collect()
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_right_is_never_accused_and_every_kind_of_operation_succeeds() {
    for (seed, carelessness) in [(1, 0), (2, 15), (3, 30)] {
        let (work, _registry) = everything(seed, carelessness, |_, _| Trick::Right).await;
        assert_eq!(work.court.first(), None, "{seed}");
        let statistics = work.statistics();
        for kind in OperationKind::ALL {
            assert!(statistics.succeeded.contains_key(kind), "{seed}: {kind} never succeeded: {statistics:?}");
        }
        let report = linearizability::judge(&work.history, &work.court);
        assert!(work.court.first().is_none() && report.undecided.is_empty(), "{:?} {report:?}", work.court.first());

        let verified = verify_all(&work, Duration::from_secs(10)).await;
        new_work(&work, Duration::from_secs(10)).await;
        assert_eq!(work.court.first(), None, "{seed}");
        assert!(verified.contents > 0 && verified.tags > 0, "{verified:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_and_lost_answers_are_retried_and_stay_open_in_the_history() {
    let play = |_: &Parts, number: u64| match number % 10 {
        3 => Trick::Refuse(503),
        6 => Trick::CutAfter,
        8 => Trick::Refuse(429),
        _ => Trick::Right,
    };
    let (work, _registry) = everything(4, 10, play).await;
    assert_eq!(work.court.first(), None);
    linearizability::judge(&work.history, &work.court);
    assert_eq!(work.court.first(), None);
    let statistics = work.statistics();
    assert!(statistics.retries > 20 && statistics.lost > 20, "{statistics:?}");
    let operations = work.history.operations();
    let open = operations.iter().filter(|operation| operation.outcome == Outcome::Unknown);
    assert!(open.count() > 10);
    let wrongly_open = |action: &Action| *action == Action::Read;
    assert!(!operations.iter().any(|it| it.outcome == Outcome::Unknown && wrongly_open(&it.action)));
}

#[tokio::test(start_paused = true)]
async fn garbled_bytes_are_noticed() {
    let is_blob = |parts: &Parts| parts.method == Method::GET && parts.uri.path().contains("/blobs/sha");
    let play = move |parts: &Parts, _| if is_blob(parts) { Trick::Garble } else { Trick::Right };
    let (work, _registry) = everything(5, 0, play).await;
    assert_eq!(accused(&work)[0], "served_bytes");
}

#[tokio::test(start_paused = true)]
async fn a_defect_is_noticed() {
    let play = |_: &Parts, number: u64| if number == 50 { Trick::Say(500) } else { Trick::Right };
    let (work, _registry) = everything(6, 0, play).await;
    assert_eq!(accused(&work), ["protocol"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_only_pretended_is_noticed() {
    let play = |parts: &Parts, number: u64| {
        let is_tag = parts.method == Method::DELETE && parts.uri.path().contains("/manifests/v");
        if is_tag && number > 100 { Trick::Pretend } else { Trick::Right }
    };
    let (work, _registry) = everything(7, 0, play).await;
    linearizability::judge(&work.history, &work.court);
    assert!(accused(&work).contains(&"linearizability"), "{:?}", accused(&work));
}

#[tokio::test(start_paused = true)]
async fn content_that_is_lost_is_noticed_at_the_end() {
    let (work, registry) = everything(8, 0, |_, _| Trick::Right).await;
    registry.forget_blobs();
    verify_all(&work, Duration::from_secs(5)).await;
    assert_eq!(accused(&work), ["durability"]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_no_longer_answers_is_accused_after_the_deadline() {
    let (work, registry) = everything(9, 0, |_, _| Trick::Right).await;
    registry.fall_silent();
    verify_all(&work, Duration::from_secs(5)).await;
    assert_eq!(accused(&work), ["liveness"]);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_vanish_are_noticed() {
    let play = |parts: &Parts, number: u64| {
        let is_patch = parts.method == Method::PATCH && number > 60;
        if is_patch { Trick::Refuse(404) } else { Trick::Right }
    };
    let (work, _registry) = everything(10, 0, play).await;
    assert!(accused(&work).contains(&"protocol"));
}

#[tokio::test(start_paused = true)]
async fn pushed_manifests_enter_the_history_with_their_tags_and_blobs() {
    let (work, _registry) = everything(11, 0, |_, _| Trick::Right).await;
    let operations = work.history.operations();
    let is_done = |action: fn(&Action) -> bool, subject: fn(&Subject) -> bool| {
        operations.iter().any(|it| it.outcome == Outcome::Done && action(&it.action) && subject(&it.subject))
    };
    assert!(is_done(|it| matches!(it, Action::Write(_)), |it| matches!(it, Subject::Tag { .. })));
    assert!(is_done(|it| matches!(it, Action::Write(_)), |it| matches!(it, Subject::Blob { .. })));
    assert!(is_done(|it| *it == Action::Delete, |it| matches!(it, Subject::Manifest { .. })));
    assert!(is_done(|it| matches!(it, Action::DeleteIf(_)), |it| matches!(it, Subject::Tag { .. })));
    assert!(work.history.acknowledged().iter().any(|push| push.manifest));
}
