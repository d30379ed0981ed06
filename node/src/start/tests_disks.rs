//! The disks of a running node: added, scrubbed, away at a restart, back again, removed.

use std::time::Duration;

use storage::disk::DiskError;
use storage::shard::DiskId;
use tokio::time::{sleep, timeout};

use super::Node;
use super::tests::{DEADLINE, content, digest, environment, pull_blob, push_blob, settings, start};
use crate::cluster::{Certificates, InitAccess, init};
use crate::shards::{DiskChangeError, DiskReport};

async fn wait_for_disks(node: &Node, what: &str, until: impl Fn(&[DiskReport]) -> bool) -> Vec<DiskReport> {
    let waiting = async {
        loop {
            let disks = node.local_disks().list().await;
            if until(&disks) {
                return disks;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    if let Ok(disks) = timeout(DEADLINE, waiting).await {
        return disks;
    }
    panic!("{what}: {:#?}", node.local_disks().list().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_come_and_go_while_a_node_serves() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let mut settings = settings(directory.path(), "n1");
    let path = |name: &str| directory.path().join(name);
    settings.storage.directories = vec![path("one"), path("two")];
    init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let node = start(&environment, &settings).await;
    let layer = content(3_000_000);
    push_blob(&node, &layer).await;

    let id = |report: &DiskReport| report.id.parse::<DiskId>().unwrap();
    let disks = node.local_disks();
    let relative = disks.add("three".into()).await;
    assert!(matches!(relative, Err(DiskChangeError::Path { .. })), "{relative:?}");
    let three = id(&disks.add(path("three")).await.unwrap());
    let again = disks.add(path("three")).await;
    assert!(matches!(again, Err(DiskChangeError::Disk(DiskError::Locked { .. }))), "{again:?}");
    let listed = disks.list().await;
    assert!(listed.len() == 3 && listed.iter().all(|disk| disk.health == "healthy" && disk.present), "{listed:#?}");
    let two = id(&listed[1]);
    let held = disks.remove(two, false).await.unwrap_err();
    assert!(matches!(held, DiskChangeError::Holds { .. }) && held.to_string().contains("regnode disk drain"), "{held}");

    let scrubbed = async {
        while node.scrub().start(&[]).is_ok_and(|begun| begun < 3) {
            sleep(Duration::from_millis(50)).await;
        }
        loop {
            let status = node.scrub().status();
            if status.len() == 3 && status.iter().all(|disk| disk.last.is_some_and(|last| last.forced)) {
                return status;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let scrubbed = timeout(DEADLINE, scrubbed).await.unwrap();
    assert!(scrubbed.iter().all(|disk| disk.last.unwrap().found.bad() == 0), "{scrubbed:#?}");
    timeout(DEADLINE, node.shutdown()).await.unwrap();

    // One of them is not mounted at the restart: the node does without, and takes it back.
    environment.files.rename(&path("two"), &path("aside")).unwrap();
    let node = start(&environment, &settings).await;
    let absent = node.local_disks().list().await;
    assert!(absent.len() == 3 && absent[2].health == "vanished" && !absent[2].present, "{absent:#?}");
    assert!(absent[2].advice.contains("mount it"), "{absent:#?}");
    assert_eq!(pull_blob(&node, &digest(&layer)).await, layer);
    environment.files.rename(&path("aside"), &path("two")).unwrap();
    wait_for_disks(&node, "the disk is back", |disks| disks.iter().all(|disk| disk.present)).await;

    // A disk that was removed stays so, whatever is in its directory.
    node.local_disks().remove(three, true).await.unwrap();
    let unknown = node.local_disks().remove(three, true).await;
    assert!(matches!(unknown, Err(DiskChangeError::Unknown { .. })), "{unknown:?}");
    assert_eq!(pull_blob(&node, &digest(&layer)).await, layer);
    timeout(DEADLINE, node.shutdown()).await.unwrap();
    let node = start(&environment, &settings).await;
    assert_eq!(node.local_disks().list().await.len(), 2);
    let retired = node.local_disks().add(path("three")).await;
    assert!(matches!(retired, Err(DiskChangeError::Disk(DiskError::Retired { .. }))), "{retired:?}");
    environment.files.remove_directory_all(&path("three")).unwrap();
    assert_ne!(id(&node.local_disks().add(path("three")).await.unwrap()), three);
    timeout(DEADLINE, node.shutdown()).await.unwrap();
}
