//! Deletion jobs and retention: previewed, carried out in steps, gone on with by whoever leads.

use std::time::Duration;

use raft::catalog::{JobCursor, JobScope, JobState, RepositoryName};
use raft::policy::{NamespacePolicy, Retention, RetentionRule};
use tokio::time::sleep;

use super::world::*;
use super::world_images::*;
use crate::deletion::testing::directory;
use crate::deletion::{BulkDeletion, Deletion, DeletionError, Preview};
use crate::gateway::Gateway;

/// Tags `old-000` and so on, each on a manifest of its own, and `new`.
async fn push_tags(gateway: &Gateway, repository: &RepositoryName, count: usize) {
    for number in 0..count {
        let content = format!("{repository} {number}");
        put(gateway, repository, &content, Vec::new(), &[&format!("old-{number:03}")]).await;
    }
    put(gateway, repository, &format!("{repository} new"), Vec::new(), &["new"]).await;
}

fn bulk(prefix: &str) -> BulkDeletion {
    let scope = JobScope::Namespace(prefix.to_owned());
    BulkDeletion { scope, tags: "old-*".parse().unwrap(), older_than_seconds: None }
}

fn keep_last(keep_last: u32) -> NamespacePolicy {
    let rule = RetentionRule {
        tags: "old-*".parse().unwrap(),
        keep_last: Some(keep_last),
        pushed_within_seconds: None,
        pulled_within_seconds: None,
    };
    let retention = Retention {
        rules: vec![rule],
        always_keep: Vec::new(),
        keep_signed: true,
        keep_referenced: true,
        every_seconds: 86_400,
    };
    NamespacePolicy { retention: Some(retention), ..NamespacePolicy::default() }
}

/// All pages of a preview.
async fn whole(
    mut page: impl AsyncFnMut(Option<JobCursor>) -> Result<Preview, DeletionError>,
) -> Vec<(String, String, bool)> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let preview = page(after).await.unwrap();
        let named = preview.entries.into_iter();
        entries.extend(named.map(|at| (at.repository.to_string(), at.tag.to_string(), at.verdict.delete)));
        after = preview.next;
        if after.is_none() {
            return entries;
        }
    }
}

fn doomed(entries: &[(String, String, bool)]) -> usize {
    entries.iter().filter(|(.., delete)| *delete).count()
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_on_where_the_leader_before_stopped() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let names: Vec<RepositoryName> = ["acme", "acme-x", "acme/a", "acme/b"].map(|name| name.parse().unwrap()).into();
    for name in &names {
        push_tags(&gateway, name, 150).await;
    }
    let office = Office::paced(&gateway, &directory, 50);
    let preview = whole(async |after| office.deletion.preview_bulk(&bulk("acme"), after, 100).await).await;
    assert_eq!((preview.len(), doomed(&preview)), (450, 450));
    let job = office.deletion.start_bulk(bulk("acme"), Some("ops".to_owned())).await.unwrap();
    let again = office.deletion.start_bulk(bulk("acme"), Some("ops".to_owned())).await;
    assert!(matches!(again, Err(DeletionError::Conflict(_))), "{again:?}");
    office.work(&gateway, 4).await;
    let half = world.view().job(job).unwrap().unwrap();
    assert!(half.state == JobState::Running && (32..450).contains(&half.deleted), "{half:?}");

    let other = world.gateway(2, small());
    world.lose_answer(true);
    let office = Office::open(&other, &directory);
    let deletion = office.deletion.clone();
    office.work(&other, 60).await;
    let done = deletion.job(job).await.unwrap();
    assert_eq!((done.state, done.deleted, done.kept, done.examined), (JobState::Done, 450, 3, 453));
    assert_eq!(tags(&world, &names[0]), ["new"]);
    assert_eq!(tags(&world, &names[1]).len(), 151, "it only begins alike");
    assert_eq!(tags(&world, &names[3]), ["new"]);
    assert!(matches!(deletion.cancel_job(job).await, Err(DeletionError::Conflict(_))));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_deletes_no_more() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    push_tags(&gateway, &repository(), 200).await;
    let office = Office::paced(&gateway, &directory, 20);
    let job = office.deletion.start_bulk(bulk("acme/app"), None).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    let cancelled = office.deletion.cancel_job(job).await.unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    let left = tags(&world, &repository()).len();
    assert!((10..200).contains(&left), "{left}");
    let deletion: Deletion = office.deletion.clone();
    office.work(&gateway, 60).await;
    assert_eq!(tags(&world, &repository()).len(), left);
    assert_eq!(deletion.jobs().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retention_runs_when_it_is_due_and_does_what_its_preview_said() {
    let world = World::new(&[1]);
    let (gateway, directory) = (world.gateway(1, small()), directory());
    let (app, own): (RepositoryName, RepositoryName) = ("acme/app".parse().unwrap(), "acme/own".parse().unwrap());
    push_tags(&gateway, &app, 40).await;
    push_tags(&gateway, &own, 40).await;
    let office = Office::open(&gateway, &directory);
    office.deletion.set_namespace("acme", keep_last(3)).await.unwrap();
    office.deletion.set_namespace("acme/own", keep_last(30)).await.unwrap();
    assert!(matches!(office.deletion.run_retention("other", None).await, Err(DeletionError::Invalid(_))));
    let preview = whole(async |after| office.deletion.preview_retention("acme", after, 7).await).await;
    assert_eq!((preview.len(), doomed(&preview)), (41, 37), "a namespace with own rules has runs of its own");
    let explained = office.deletion.explain(&app, Some(&tag("old-000"))).await.unwrap();
    assert!(explained.tag.unwrap().retention.unwrap().delete);
    office.work(&gateway, 30).await;
    assert_eq!(tags(&world, &app).len(), 41, "it is not due");
    world.wait(3600 + 60);
    Office::open(&gateway, &directory).work(&gateway, 30).await;
    assert_eq!(tags(&world, &app), ["new", "old-037", "old-038", "old-039"]);
    assert_eq!(tags(&world, &own).len(), 31);
    let office = Office::open(&gateway, &directory);
    assert_eq!(office.deletion.jobs().await.unwrap().len(), 2);
    office.deletion.set_namespace("acme", keep_last(1)).await.unwrap();
    office.deletion.run_retention("acme/app", Some("ops".to_owned())).await.unwrap();
    office.work(&gateway, 30).await;
    assert_eq!(tags(&world, &app), ["new", "old-039"]);
}
