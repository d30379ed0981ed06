//! Uploads that go well, and those that are refused, broken off or raced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use raft::catalog::{Advance, Algorithm, Command, ExtentBody, NewExtent, UPLOAD_EXTENTS_MAX};

use super::world::*;
use crate::gateway::hash::RunningDigest;
use crate::gateway::{Options, UploadError};

#[tokio::test]
async fn every_length_comes_back_whatever_the_cluster() {
    for (disks, profile) in [
        (&[1][..], "1+0"),
        (&[3], "2+1"),
        (&[1, 1], "1+1"),
        (&[1, 1, 1], "2+1"),
        (&[1, 1, 1, 1, 1], "3+2"),
        (&[1, 1, 1, 1, 1, 1, 1], "4+2"),
    ] {
        let world = World::new(disks);
        let gateway = world.gateway(1, small());
        for length in (0..100).chain([127, 128, 129, 191, 192, 255, 256, 257, 300, 511, 512, 513, 1000, 2000]) {
            let bytes = content(length);
            let digest = push(&gateway, &bytes).await.unwrap();
            let object = world.object_of(&digest);
            let expected = if length == 0 { None } else { Some(if length <= 8 { "inline" } else { profile }) };
            assert_eq!(world.profiles(object).first().map(String::as_str), expected, "{length}");
            assert_eq!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap(), bytes, "{length} {profile}");
            settle(&gateway).await;
            for range in [0..1, 5..20, 15..17, 100..300, 250..260, 600..5000] {
                let (start, end) = (length.min(range.start), length.min(range.end));
                let read = pull(&gateway, &digest, range.start as u64..range.end as u64).await.unwrap();
                assert_eq!(read, bytes[start..end], "{length} {range:?}");
            }
        }
    }
}

#[tokio::test]
async fn extents_end_at_their_limit() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let digest = push(&gateway, &content(256 * 2 + 10)).await.unwrap();
    let extents = world.extents(world.object_of(&digest));
    let shape: Vec<_> = extents.iter().map(|(_, record)| (record.offset_bytes, record.body.length_bytes())).collect();
    assert_eq!(shape, [(0, 256), (256, 256), (512, 10)]);
}

#[tokio::test]
async fn an_upload_goes_on_through_any_node() {
    let world = World::new(&[1, 1, 1]);
    let gateways = [1, 2, 3].map(|node| world.gateway(node, small()));
    let bytes = content(1000);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let session = gateways[0].start_upload(&repository(), algorithm, None).await.unwrap().session;
        let mut offset = 0;
        for (turn, part) in [3, 4, 1, 90, 0, 500, 300].into_iter().enumerate() {
            let gateway = &gateways[turn % 3];
            let body = body(&bytes[offset..offset + part], 13);
            let after = gateway.append(&repository(), session, Some(offset as u64), body).await.unwrap();
            offset += part;
            assert_eq!(after.offset_bytes, offset as u64);
            assert_eq!(gateways[2].upload(&repository(), session).await.unwrap(), after);
        }
        let digest = digest(algorithm, &bytes);
        let rest = body(&bytes[offset..], 13);
        gateways[1].finish(&repository(), session, Some(offset as u64), digest, rest).await.unwrap();
        assert_eq!(pull(&gateways[2], &digest, 0..u64::MAX).await.unwrap(), bytes);
        assert_eq!(gateways[0].upload(&repository(), session).await, Err(UploadError::Unknown));
    }
}

#[tokio::test]
async fn a_digest_of_another_algorithm_is_verified_by_reading_back() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    for length in [5, 700] {
        let bytes = content(length);
        let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
        gateway.append(&repository(), session, None, body(&bytes[..3], 100)).await.unwrap();
        let wrong = digest(Algorithm::Sha512, b"other");
        let refused = gateway.finish(&repository(), session, None, wrong, body(&bytes[3..], 100)).await;
        let right = digest(Algorithm::Sha512, &bytes);
        assert_eq!(refused, Err(UploadError::DigestMismatch { expected: Box::new(wrong), actual: Box::new(right) }));
        gateway.finish(&repository(), session, None, right, body(&bytes[3..], 100)).await.unwrap();
        assert_eq!(pull(&gateway, &right, 0..u64::MAX).await.unwrap(), bytes);
    }
    // Announced with the digest, before the first byte: hashed in the stream.
    let bytes = content(300);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    world.reads();
    let right = digest(Algorithm::Sha512, &bytes);
    gateway.finish(&repository(), session, None, right, body(&bytes, 100)).await.unwrap();
    assert!(world.reads().is_empty());
}

#[tokio::test]
async fn a_wrong_digest_leaves_the_session_where_it_was() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(500);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    gateway.append(&repository(), session, None, body(&bytes[..200], 50)).await.unwrap();
    let object = world.session_object(session);
    let refused = gateway.finish(&repository(), session, None, sha256(&bytes), body(&bytes[201..], 50)).await;
    assert!(matches!(refused, Err(UploadError::DigestMismatch { .. })));
    assert_eq!(gateway.upload(&repository(), session).await.unwrap().offset_bytes, 200);
    settle(&gateway).await;
    assert_eq!(world.strays(&[object]), 0);
    gateway.finish(&repository(), session, None, sha256(&bytes), body(&bytes[200..], 50)).await.unwrap();
    assert_eq!(pull(&gateway, &sha256(&bytes), 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_body_that_breaks_off_commits_nothing_and_leaves_nothing() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    for length in [0, 5, 63, 64, 500, 1500] {
        let refused = gateway.append(&repository(), session, None, broken(&content(length), 50)).await;
        assert!(matches!(refused, Err(UploadError::Body(_))), "{length}");
        assert_eq!(gateway.upload(&repository(), session).await.unwrap().offset_bytes, 0);
        settle(&gateway).await;
        assert!(world.shards().is_empty(), "{length}");
    }
}

#[tokio::test]
async fn a_request_dropped_in_the_middle_commits_nothing_and_leaves_nothing() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    let endless = body(&content(700), 50).chain(stream::pending());
    let name = repository();
    let append = gateway.append(&name, session, None, Box::pin(endless));
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(200), append).await;
    assert!(gave_up.is_err());
    settle(&gateway).await;
    assert!(world.shards().is_empty());
    assert_eq!(gateway.upload(&repository(), session).await.unwrap().offset_bytes, 0);
}

#[tokio::test]
async fn of_two_writers_one_moves_the_session_and_nothing_is_mixed() {
    for length in [6, 600] {
        let world = World::new(&[1, 1, 1]);
        let gateways = [1, 2].map(|node| world.gateway(node, small()));
        let bytes = content(length);
        let session = gateways[0].start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
        let name = repository();
        let attempts = gateways.each_ref().map(|gateway| gateway.append(&name, session, Some(0), body(&bytes, 50)));
        let outcomes = join_all(attempts).await;
        let moved = UploadError::Moved { offset_bytes: length as u64 };
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.into_iter().find_map(Result::err), Some(moved));
        for gateway in &gateways {
            settle(gateway).await;
        }
        assert_eq!(world.strays(&[world.session_object(session)]), 0);
        let late = gateways[0].append(&repository(), session, Some(0), body(&bytes, 50)).await;
        assert_eq!(late, Err(UploadError::RangeMismatch { offset_bytes: length as u64 }));
        gateways[0].finish(&repository(), session, None, sha256(&bytes), body(b"", 1)).await.unwrap();
        assert_eq!(pull(&gateways[1], &sha256(&bytes), 0..u64::MAX).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn two_puts_of_one_session_both_succeed_and_leave_one_set_of_shards() {
    let world = World::new(&[1, 1, 1]);
    let gateways = [1, 2].map(|node| world.gateway(node, small()));
    let bytes = content(600);
    let session = gateways[0].start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    let (name, digest) = (repository(), sha256(&bytes));
    let attempts = gateways.each_ref().map(|gateway| gateway.finish(&name, session, None, digest, body(&bytes, 50)));
    for outcome in join_all(attempts).await {
        assert_eq!(outcome.unwrap().length_bytes, 600);
    }
    for gateway in &gateways {
        settle(gateway).await;
    }
    assert_eq!(world.strays(&[world.object_of(&digest)]), 0);
    assert_eq!(pull(&gateways[0], &digest, 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_put_repeated_after_a_lost_answer_is_answered_alike() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    for applied in [true, false] {
        let bytes = content(if applied { 500 } else { 600 });
        let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
        world.lose_answer(applied);
        let first = gateway.finish(&repository(), session, None, sha256(&bytes), body(&bytes, 50)).await;
        assert!(matches!(first, Err(UploadError::Unavailable { .. })));
        settle(&gateway).await;
        let again = gateway.finish(&repository(), session, None, sha256(&bytes), body(&bytes, 50)).await.unwrap();
        assert_eq!(again.length_bytes, bytes.len() as u64);
        assert_eq!(pull(&gateway, &sha256(&bytes), 0..u64::MAX).await.unwrap(), bytes);
        let other = gateway.finish(&repository(), session, None, sha256(b"x"), body(b"x", 1)).await;
        assert_eq!(other, Err(UploadError::Unknown));
    }
}

#[tokio::test]
async fn a_refusal_of_a_late_repetition_does_not_remove_what_its_first_copy_committed() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = content(500);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    world.repeat_late();
    let refused = gateway.append(&repository(), session, None, body(&bytes, 50)).await;
    assert_eq!(refused, Err(UploadError::Moved { offset_bytes: 500 }));
    settle(&gateway).await;
    gateway.finish(&repository(), session, None, sha256(&bytes), body(b"", 1)).await.unwrap();
    assert_eq!(pull(&gateway, &sha256(&bytes), 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_does_not_exist_or_does_not_fit_is_refused() {
    let world = World::new(&[1]);
    let options = Options { object_size_bytes_max: 100, ..small() };
    let gateway = world.gateway(1, options);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    let other = "acme/other".parse().unwrap();
    assert_eq!(gateway.upload(&other, session).await, Err(UploadError::Unknown));
    assert_eq!(gateway.append(&other, session, None, body(b"x", 1)).await, Err(UploadError::Unknown));
    assert_eq!(gateway.cancel_upload(&other, session).await, Err(UploadError::Unknown));
    let wrong = gateway.append(&repository(), session, Some(7), body(b"x", 1)).await;
    assert_eq!(wrong, Err(UploadError::RangeMismatch { offset_bytes: 0 }));
    let large = gateway.append(&repository(), session, None, body(&content(101), 10)).await;
    assert_eq!(large, Err(UploadError::TooLarge { limit_bytes: 100 }));
    gateway.append(&repository(), session, None, body(&content(100), 10)).await.unwrap();
    gateway.cancel_upload(&repository(), session).await.unwrap();
    assert_eq!(gateway.upload(&repository(), session).await, Err(UploadError::Unknown));
}

#[tokio::test]
async fn a_node_that_shuts_down_takes_no_more_and_waits_for_what_runs() {
    let world = World::new(&[1]);
    let gateway = world.gateway(1, small());
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    let name = repository();
    let (frames, queue) = tokio::sync::mpsc::channel::<Bytes>(1);
    let bytes = stream::unfold(queue, |mut queue| async { queue.recv().await.map(|bytes| (Ok(bytes), queue)) });
    let running = gateway.append(&name, session, None, Box::pin(bytes));
    tokio::pin!(running);
    assert!(futures_util::poll!(&mut running).is_pending());
    let drained = gateway.drain();
    tokio::pin!(drained);
    assert!(futures_util::poll!(&mut drained).is_pending());
    let refused = gateway.start_upload(&repository(), Algorithm::Sha256, None).await;
    assert!(matches!(refused, Err(UploadError::Unavailable { .. })));
    drop(frames);
    running.await.unwrap();
    drained.await;
}

#[tokio::test]
async fn a_hundred_uploads_stay_within_the_budget_and_finish() {
    let world = World::new(&[1, 1, 1]);
    let options = Options { write_budget_bytes: 4 << 10, batch_size_bytes: 512, extent_size_bytes: 4096, ..small() };
    let gateway = world.gateway(1, options);
    let peak = Arc::new(AtomicUsize::new(0));
    let uploads = (0..100).map(|number| {
        let (gateway, peak) = (gateway.clone(), Arc::clone(&peak));
        tokio::spawn(async move {
            let mut bytes = content(5000);
            bytes[0] = number;
            let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
            let core = gateway.core.clone();
            let watched = body(&bytes, 100).inspect(move |_| {
                let used = usize::try_from(core.metrics.budget_used.get()).unwrap();
                peak.fetch_max(used, Ordering::Relaxed);
            });
            let watched = watched.then(|frame| async {
                tokio::task::yield_now().await;
                frame
            });
            let digest = sha256(&bytes);
            gateway.finish(&repository(), session, None, digest, Box::pin(watched)).await.unwrap();
        })
    });
    for upload in join_all(uploads).await {
        upload.unwrap();
    }
    settle(&gateway).await;
    let peak = peak.load(Ordering::Relaxed);
    assert!(peak > 0 && peak <= 4 << 10, "{peak}");
    assert_eq!(gateway.core.metrics.budget_used.get(), 0);
    assert_eq!(gateway.core.metrics.uploads_active.get(), 0);
}

#[tokio::test]
async fn batches_become_smaller_when_other_uploads_begin() {
    let world = World::new(&[1, 1, 1]);
    let options =
        Options { write_budget_bytes: 64 << 10, batch_size_bytes: 4 << 10, extent_size_bytes: 1 << 20, ..small() };
    let gateway = world.gateway(1, options);
    let begin = |body| {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
            gateway.append(&repository(), session, None, body).await
        })
    };
    let (sender, frames) = tokio::sync::mpsc::channel::<Bytes>(100);
    let frames = stream::unfold(frames, |mut frames| async { frames.recv().await.map(|bytes| (Ok(bytes), frames)) });
    let first = begin(Box::pin(frames));
    let others: Vec<_> = (0..31).map(|_| begin(Box::pin(stream::pending()))).collect();
    while gateway.core.metrics.uploads_active.get() < 32 {
        tokio::task::yield_now().await;
    }
    for frame in content(512).chunks(64) {
        sender.send(Bytes::copy_from_slice(frame)).await.unwrap();
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!world.shards().is_empty(), "a 32nd of a quarter of the budget is a batch");
    drop(sender);
    assert_eq!(first.await.unwrap().unwrap().offset_bytes, 512);
    for other in others {
        other.abort();
    }
}

#[tokio::test]
async fn an_upload_in_too_many_chunks_is_refused_with_a_way_out() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let bytes = vec![b'x'; UPLOAD_EXTENTS_MAX as usize];
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    let mut hash = RunningDigest::new(Algorithm::Sha256);
    hash.update(&bytes);
    let extent = NewExtent { body: ExtentBody::Inline(Bytes::from_static(b"x")), shortfall: None };
    let advance = Advance {
        expected: world.view().upload(session).unwrap().unwrap().position,
        hash_state: hash.state().into(),
        extents: vec![extent; bytes.len()],
        replaced: Vec::new(),
        parity: 1,
        lifetime_seconds: 3600,
    };
    gateway.core.propose(Command::AdvanceUpload { session, advance }).await.unwrap();
    let refused = UploadError::TooManyChunks { limit: UPLOAD_EXTENTS_MAX };
    let appended = gateway.append(&repository(), session, None, body(&content(20), 20)).await;
    assert_eq!(appended.unwrap_err(), refused);
    let more = [bytes.clone(), content(20)].concat();
    let finished = gateway.finish(&repository(), session, None, sha256(&more), body(&content(20), 20)).await;
    assert_eq!(finished.unwrap_err(), refused);
    settle(&gateway).await;
    assert!(world.shards().is_empty());
    gateway.finish(&repository(), session, None, sha256(&bytes), body(b"", 1)).await.unwrap();
    assert_eq!(pull(&gateway, &sha256(&bytes), 0..u64::MAX).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_client_that_sends_slowly_holds_nothing_that_others_need() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, Options { write_budget_bytes: 1 << 10, ..small() });
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    let name = repository();
    let stuck = body(&content(20), 20).chain(stream::pending());
    let stuck = gateway.append(&name, session, None, Box::pin(stuck));
    tokio::pin!(stuck);
    assert!(futures_util::poll!(&mut stuck).is_pending());
    assert_eq!(gateway.core.metrics.budget_used.get(), 0);
    push(&gateway, &content(3000)).await.unwrap();
}

#[tokio::test]
async fn a_slow_disk_holds_the_client_back() {
    let world = World::new(&[1, 1, 1]);
    let gateway = world.gateway(1, small());
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    world.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let bytes = content(20_000);
    let counted = body(&bytes, 50).inspect(move |frame| {
        counter.fetch_add(frame.as_ref().unwrap().len(), Ordering::Relaxed);
    });
    let name = repository();
    let append = gateway.append(&name, session, None, Box::pin(counted));
    tokio::pin!(append);
    for _ in 0..1000 {
        assert!(futures_util::poll!(&mut append).is_pending());
        tokio::task::yield_now().await;
    }
    let taken = sent.load(Ordering::Relaxed);
    assert!(taken <= 6 * 64, "{taken} bytes were taken in although nothing was written");
    world.gate.add_permits(1 << 20);
    assert_eq!(append.await.unwrap().offset_bytes, 20_000);
}
