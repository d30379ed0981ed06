//! Policies that operators set: in force on return, and what they refuse.

use raft::catalog::Response;
use raft::policy::{ImmutableRule, NamespacePolicy, Quota, QuotaResource, Untagged};

use super::world::*;
use super::world_images::*;
use crate::deletion::testing::directory;
use crate::deletion::{DeletionError, Refusal};
use crate::gateway::{BlobError, UploadError};

fn bytes_quota(bytes: u64) -> NamespacePolicy {
    NamespacePolicy { quota: Quota { bytes: Some(bytes), ..Quota::default() }, ..NamespacePolicy::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_set_is_in_force_on_return_and_explained() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let office = Office::open(&gateway, &directory);
    let root = NamespacePolicy { grace_seconds: Some(60), ..NamespacePolicy::default() };
    assert!(office.deletion.set_namespace("", root.clone()).await.unwrap().in_force);
    let applied = office.deletion.set_namespace("acme", bytes_quota(1000)).await.unwrap();
    assert!(applied.in_force);
    let explanation = office.deletion.explain(&repository(), None).await.unwrap();
    assert_eq!(explanation.policy.grace_seconds, 60);
    assert_eq!(explanation.sources.grace_seconds.as_deref(), Some(""));
    assert_eq!(explanation.bounds.iter().map(|bound| bound.namespace.as_str()).collect::<Vec<_>>(), ["acme"]);
    let shown = office.deletion.namespace("acme").await.unwrap();
    assert_eq!((shown.own, shown.policy.grace_seconds, shown.in_force), (Some(bytes_quota(1000)), 60, true));
    let listing = office.deletion.namespaces().await.unwrap();
    let namespaces: Vec<_> = listing.namespaces.into_iter().map(|(prefix, record)| (prefix, record.policy)).collect();
    assert_eq!(namespaces, [(String::new(), root), ("acme".to_owned(), bytes_quota(1000))]);
    assert!(office.deletion.remove_namespace("acme").await.unwrap().version > applied.version);
    assert!(office.deletion.explain(&repository(), None).await.unwrap().bounds.is_empty());
    assert!(matches!(office.deletion.remove_namespace("acme").await, Err(DeletionError::Unknown(_))));
    assert!(matches!(office.deletion.set_namespace("acme/", root_policy()).await, Err(DeletionError::Invalid(_))));
    let absurd = NamespacePolicy { grace_seconds: Some(u64::MAX), ..NamespacePolicy::default() };
    let refused = office.deletion.set_namespace("acme", absurd).await.unwrap_err().to_string();
    assert!(refused.contains("grace_seconds"), "{refused}");
}

fn root_policy() -> NamespacePolicy {
    NamespacePolicy { deletes: Some(false), ..NamespacePolicy::default() }
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_ends_a_sync_that_another_one_began() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let office = Office::open(&gateway, &directory);
    office.background.stop().await;
    let set = async |prefix: &str| {
        let record = raft::directory::NamespaceRecord { policy: root_policy(), ..Default::default() };
        let made_from = directory.view().policy_version().unwrap();
        let command = raft::directory::Command::SetNamespace { prefix: prefix.to_owned(), record, made_from };
        let request = raft::id::RequestId(gateway.core.entropy.id());
        directory.propose(request, command).await.unwrap();
    };
    for number in 0..700 {
        set(&format!("n{number}")).await;
    }
    // The sync is cut off after its first page of changes.
    world.lose_answer(false);
    world.lose_answer(true);
    Office::open(&gateway, &directory).work(&gateway, 20).await;
    assert_eq!(world.view().policies(None, usize::MAX).unwrap().len(), 700);
    assert_eq!(world.view().policy_version().unwrap(), directory.view().policy_version().unwrap());
    world.commands();
    Office::open(&gateway, &directory).work(&gateway, 20).await;
    assert!(!world.commands().iter().any(|command| command == "SyncPolicies"), "nothing differs");
}

#[tokio::test(start_paused = true)]
async fn a_quota_refuses_and_says_how_much_is_used_and_allowed() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let office = Office::open(&gateway, &directory);
    office.deletion.set_namespace("acme", bytes_quota(500)).await.unwrap();
    world.commands();
    let refusal = |used, needed| {
        let (namespace, resource) = ("acme".to_owned(), QuotaResource::Bytes);
        UploadError::Refused(Box::new(Refusal::Quota { namespace, resource, used, limit: 500, needed }))
    };
    assert_eq!(gateway.check_room(&repository(), 501), Err(refusal(0, 501)));
    assert_eq!(gateway.check_room(&"other".parse().unwrap(), 501), Ok(()));
    let UploadError::Refused(refused) = push(&gateway, &content(700)).await.unwrap_err() else { panic!("not refused") };
    assert!(matches!(*refused, Refusal::Quota { used: 0, limit: 500, needed: 501..600, .. }), "{refused:?}");
    settle(&gateway).await;
    assert!(world.shards().is_empty(), "what was refused leaves nothing");
    let first = push(&gateway, &content(300)).await.unwrap();
    assert_eq!(push_to(&gateway, &repository(), &content(299)).await, Err(refusal(300, 299)));
    assert_eq!(
        gateway.mount_blob(&"acme/other".parse().unwrap(), &first, None, None).await,
        Ok(Some(300)),
        "it counts once"
    );
    let usage = office.deletion.usage("acme").await.unwrap();
    assert_eq!((usage.usage.bytes, usage.usage.repositories, usage.quota.bytes), (300, 2, Some(500)));
    let below = office.deletion.usages("acme", None, 10).await.unwrap();
    let names: Vec<&str> = below.iter().map(|bound| bound.namespace.as_str()).collect();
    assert_eq!(names, ["acme/app", "acme/other"]);
    office.work(&gateway, 1).await;
}

#[tokio::test(start_paused = true)]
async fn deletes_off_and_immutable_tags_are_refused() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let office = Office::open(&gateway, &directory);
    let digest = push(&gateway, &content(50)).await.unwrap();
    office.deletion.set_namespace("acme", root_policy()).await.unwrap();
    let refused = BlobError::Refused(Box::new(Refusal::DeletesOff { namespace: "acme".to_owned() }));
    assert_eq!(gateway.unlink_blob(&repository(), &digest, None).await, Err(refused));
    let rule = ImmutableRule { tags: "v*".parse().unwrap(), except: Vec::new() };
    let policy = NamespacePolicy { immutable: Some(vec![rule]), ..NamespacePolicy::default() };
    office.deletion.set_namespace("acme", policy).await.unwrap();
    put(&gateway, &repository(), "one", Vec::new(), &["v1"]).await;
    let moved = put(&gateway, &repository(), "two", Vec::new(), &["v1"]).await;
    let Some(Refusal::Immutable { tag, pattern, .. }) = Refusal::of(&moved) else { panic!("{moved:?}") };
    assert_eq!((tag.as_str(), pattern.as_str()), ("v1", "v*"));
    assert!(matches!(put(&gateway, &repository(), "one", Vec::new(), &["v1"]).await, Response::ManifestStored { .. }));
    office.work(&gateway, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_untagged_is_walked_through() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let office = Office::open(&gateway, &directory);
    for number in 0..600 {
        put(&gateway, &repository(), &format!("untagged {number}"), Vec::new(), &[]).await;
    }
    assert_eq!(world.view().totals().unwrap().garbage.manifests, 0);
    let untagged = Some(Untagged::Collect { after_seconds: 60 });
    let policy = NamespacePolicy { untagged, grace_seconds: Some(60), ..NamespacePolicy::default() };
    office.deletion.set_namespace("acme", policy).await.unwrap();
    office.work(&gateway, 10).await;
    assert!(!world.view().has_policy_walks().unwrap());
    assert_eq!(world.view().totals().unwrap().garbage.manifests, 600);
    world.wait(3600);
    Office::open(&gateway, &directory).work(&gateway, 30).await;
    assert_eq!(world.view().totals().unwrap().manifests, 0);
}
