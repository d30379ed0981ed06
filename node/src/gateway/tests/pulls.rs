//! Pull times: one write for many pulls of a minute, and one an hour for each manifest.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use raft::catalog::Command;
use storage::exec::Exec;

use super::world::*;
use super::world_images::*;
use crate::deletion::testing::directory;
use crate::gateway::catalog::Records;
use crate::regions::testing::alone;
use crate::registry::Pulls;

fn pulls_of(world: &Arc<World>, node: u64) -> Pulls {
    let records: Arc<dyn Records> = Arc::<World>::clone(world);
    Pulls::new(records, Arc::new(Counting(AtomicU64::new(node << 40))), Exec::inline())
}

/// Sizes of the batches that were written since the last call.
fn batches(world: &World) -> Vec<usize> {
    let commands = std::mem::take(&mut world.state().commands);
    let batch = |command: &Command| match command {
        Command::RecordPulls { pulls } => Some(pulls.len()),
        _ => None,
    };
    commands.iter().filter_map(batch).collect()
}

#[tokio::test(start_paused = true)]
async fn many_pulls_are_one_write_an_hour() {
    let world = World::new(&[1]);
    let gateway = world.gateway(1, small());
    let digest = push_image(&gateway, &repository(), &content(50), "v1").await;
    let (first, second) = (pulls_of(&world, 1), pulls_of(&world, 2));
    for _ in 0..1000 {
        first.note(&repository(), &digest);
        first.note(&repository(), &sha256(b"gone"));
    }
    assert!(batches(&world).is_empty());
    world.lose_answer(false);
    assert!(first.flush().await.is_err());
    first.flush().await.unwrap();
    assert_eq!(batches(&world), [2], "what could not be written stays noted");
    let pulled = world.view().pulled(&repository(), &digest).unwrap().unwrap();
    first.note(&repository(), &digest);
    second.note(&repository(), &digest);
    first.flush().await.unwrap();
    second.flush().await.unwrap();
    assert!(batches(&world).is_empty(), "another node has written it within the hour");
    world.wait(3601);
    tokio::time::advance(Duration::from_secs(3601)).await;
    batches(&world);
    first.note(&repository(), &digest);
    first.flush().await.unwrap();
    assert_eq!(batches(&world), [1]);
    assert!(world.view().pulled(&repository(), &digest).unwrap().unwrap() > pulled);
}

#[tokio::test(start_paused = true)]
async fn what_is_noted_is_bounded_and_written_every_minute() {
    let world = World::new(&[1]);
    let pulls = pulls_of(&world, 1);
    for number in 0..20_000_u32 {
        pulls.note(&repository(), &sha256(&number.to_le_bytes()));
    }
    let keeper = tokio::spawn(pulls.clone().keep(alone(&directory(), Exec::inline())));
    tokio::time::sleep(Duration::from_secs(61)).await;
    keeper.abort();
    let batches = batches(&world);
    assert_eq!((batches.len(), batches.iter().sum::<usize>()), (16, 16 << 10));
}
