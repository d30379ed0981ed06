//! Deletion jobs and runs of retention.

use super::store::*;
use crate::catalog::*;
use crate::policy::OPERATOR;

const MINUTE: u64 = 60;

fn tags_job(scope: JobScope, pattern: &str, principal: Option<&str>) -> StartJob {
    let kind = JobKind::Tags { pattern: pattern.parse().unwrap(), older_than_seconds: None };
    StartJob { scope, kind, principal: principal.map(ToOwned::to_owned) }
}

fn below(prefix: &str) -> JobScope {
    JobScope::Namespace(prefix.to_owned())
}

fn retention_job(prefix: &str) -> StartJob {
    StartJob { scope: below(prefix), kind: JobKind::Retention, principal: None }
}

fn cursor(name: &str, tag_name: &str) -> JobCursor {
    (repository(name), tag(tag_name))
}

fn target(name: &str, tag_name: &str, number: u8) -> TagToDelete {
    TagToDelete { repository: repository(name), tag: tag(tag_name), digest: digest(number) }
}

impl Store {
    fn begin(&mut self, start: StartJob) -> JobId {
        match self.apply(Command::StartJob(start)) {
            Response::JobStarted { job } => job,
            other => panic!("{other:?}"),
        }
    }

    fn job(&self, job: JobId) -> JobRecord {
        self.view().job(job).unwrap().unwrap()
    }

    /// A tag or its absence.
    fn points(&self, name: &str, tag_name: &str) -> Option<Digest> {
        self.view().tag(&repository(name), &tag(tag_name)).unwrap().map(|record| record.digest)
    }
}

/// A step that deletes these tags and keeps so many others.
fn step(job: JobId, from: Option<JobCursor>, to: Option<JobCursor>, kept: u64, delete: Vec<TagToDelete>) -> JobStep {
    let examined = kept + delete.len() as u64;
    JobStep { job, expected_cursor: from, next_cursor: to, examined, kept, delete }
}

fn count(count: u64) -> Response {
    Response::Count { count }
}

#[test]
fn a_job_deletes_tags_step_by_step_and_the_manifests_that_nothing_else_holds() {
    let mut store = Store::new();
    store.put(manifest("acme/a", 10, &["x", "y"], &[]));
    store.put(manifest("acme/b", 11, &["x"], &[]));
    let job = store.begin(tags_job(below("acme"), "x", Some("eve")));
    let first = step(job, None, Some(cursor("acme/a", "y")), 1, vec![target("acme/a", "x", 10)]);
    assert_eq!(store.apply(Command::JobStep(first)), count(1));
    assert_eq!((store.points("acme/a", "x"), store.points("acme/a", "y")), (None, Some(digest(10))));
    assert_eq!(store.job(job).state, JobState::Running);
    assert_eq!(store.view().running_jobs().unwrap().len(), 1);
    let last = step(job, Some(cursor("acme/a", "y")), None, 0, vec![target("acme/b", "x", 11)]);
    assert_eq!(store.apply(Command::JobStep(last)), count(1));
    assert_eq!(store.view().manifest(&repository("acme/b"), &digest(11)).unwrap(), None);
    let record = store.job(job);
    assert_eq!((record.state, record.ended), (JobState::Done, Some(store.now)));
    assert_eq!((record.examined, record.deleted, record.kept, record.protected), (3, 2, 1, 0));
    let history = store.view().tag_history(&repository("acme/b"), &tag("x"), 9).unwrap();
    let newest = &history[0].1;
    assert_eq!((newest.cause, newest.principal.as_deref()), (ChangeCause::BulkDeletion, Some("eve")));
    let tombstones = store.view().tombstones(&repository("acme/b"), None, 9).unwrap();
    assert_eq!(tombstones.len(), 1, "the manifest can be restored");
}

#[test]
fn a_step_that_comes_twice_does_nothing() {
    let mut store = Store::new();
    store.put(manifest("acme/a", 10, &["x", "y"], &[]));
    let job = store.begin(tags_job(below(""), "*", None));
    let first = step(job, None, Some(cursor("acme/a", "x")), 0, vec![target("acme/a", "x", 10)]);
    assert_eq!(store.apply(Command::JobStep(first.clone())), count(1));
    store.put(manifest("acme/a", 10, &["x"], &[]));
    assert_eq!(store.apply(Command::JobStep(first)), Response::Stale);
    assert_eq!(store.points("acme/a", "x"), Some(digest(10)), "what was pushed since stays");
    assert_eq!((store.job(job).examined, store.job(job).deleted), (1, 1));
    let last = step(job, Some(cursor("acme/a", "x")), None, 1, Vec::new());
    assert_eq!(store.apply(Command::JobStep(last.clone())), count(0));
    assert_eq!(store.apply(Command::JobStep(last)), Response::Stale, "it is done");
    let unknown = step(JobId(9), None, None, 0, Vec::new());
    assert_eq!(store.apply(Command::JobStep(unknown)), Response::JobUnknown);
}

#[test]
fn tags_that_have_moved_or_gone_meanwhile_are_let_be() {
    let mut store = Store::new();
    store.put(manifest("acme/a", 10, &["moved", "gone"], &[]));
    let job = store.begin(tags_job(below("acme/a"), "*", None));
    store.put(manifest("acme/a", 11, &["moved"], &[]));
    store.apply(delete_tag("acme/a", "gone"));
    let delete = vec![target("acme/a", "gone", 10), target("acme/a", "moved", 10)];
    assert_eq!(store.apply(Command::JobStep(step(job, None, None, 0, delete))), count(0));
    assert_eq!(store.points("acme/a", "moved"), Some(digest(11)));
    assert_eq!((store.job(job).kept, store.job(job).deleted), (2, 0));
}

#[test]
fn immutable_tags_are_passed_over_and_counted() {
    let mut store = Store::new();
    store.configure("acme", "immutable = [{ tags = \"v*\", except = [\"robot:ci\"] }]");
    store.put(manifest("acme/a", 10, &["v1", "v2", "x"], &[]));
    let delete = vec![target("acme/a", "v1", 10), target("acme/a", "x", 10)];
    let job = store.begin(tags_job(below("acme"), "*", Some(OPERATOR)));
    assert_eq!(store.apply(Command::JobStep(step(job, None, None, 0, delete.clone()))), count(1));
    assert_eq!((store.job(job).protected, store.job(job).deleted), (1, 1));
    assert_eq!(store.points("acme/a", "v1"), Some(digest(10)));
    let job = store.begin(tags_job(below("acme"), "*", Some("robot:ci")));
    assert_eq!(store.apply(Command::JobStep(step(job, None, None, 0, delete))), count(1));
    assert_eq!(store.points("acme/a", "v1"), None, "the policy names him");
}

#[test]
fn where_deletes_are_off_a_job_of_a_client_deletes_nothing_and_retention_does() {
    let mut store = Store::new();
    store.configure("acme/a", "deletes = false");
    store.put(manifest("acme/a", 10, &["x", "y"], &[]));
    store.put(manifest("acme/b", 10, &["x"], &[]));
    let off = Response::DeletesOff { namespace: "acme/a".to_owned() };
    assert_eq!(store.apply(Command::StartJob(tags_job(below("acme/a"), "*", None))), off);
    let only = JobScope::Repository(repository("acme/a"));
    assert_eq!(store.apply(Command::StartJob(tags_job(only, "*", Some("eve")))), off);
    let delete = vec![target("acme/a", "x", 10), target("acme/b", "x", 10)];
    let job = store.begin(tags_job(below("acme"), "*", Some("eve")));
    assert_eq!(store.apply(Command::JobStep(step(job, None, None, 0, delete))), count(1));
    assert_eq!((store.job(job).protected, store.points("acme/b", "x")), (1, None));
    let job = store.begin(retention_job("acme"));
    let delete = vec![target("acme/a", "x", 10)];
    assert_eq!(store.apply(Command::JobStep(step(job, None, None, 0, delete))), count(1));
    store.configure("", "deletes = false");
    let off = Response::DeletesOff { namespace: String::new() };
    assert_eq!(store.apply(Command::StartJob(tags_job(below(""), "*", None))), off);
    store.begin(tags_job(below(""), "*", Some(OPERATOR)));
}

#[test]
fn a_step_that_contradicts_itself_or_leaves_its_scope_is_refused() {
    let mut store = Store::new();
    store.put(manifest("acme-x", 10, &["x"], &[]));
    let job = store.begin(tags_job(below("acme"), "*", None));
    let outside = step(job, None, None, 0, vec![target("acme-x", "x", 10)]);
    let many = (0..=TAGS_PER_STEP).map(|number| target("acme/a", &format!("t{number}"), 1)).collect();
    let mut miscounted = step(job, None, None, 1, Vec::new());
    miscounted.examined = 2;
    for wrong in [outside, step(job, None, None, 0, many), miscounted] {
        let response = store.apply(Command::JobStep(wrong));
        assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
    }
    store.apply(Command::JobStep(step(job, None, Some(cursor("acme/b", "m")), 1, Vec::new())));
    let back = step(job, Some(cursor("acme/b", "m")), Some(cursor("acme/b", "m")), 1, Vec::new());
    assert!(matches!(store.apply(Command::JobStep(back)), Response::Malformed { .. }), "it goes nowhere");
    assert_eq!((store.job(job).examined, store.points("acme-x", "x")), (1, Some(digest(10))));
}

#[test]
fn a_job_is_cancelled_once_and_for_all() {
    let mut store = Store::new();
    store.put(manifest("acme/a", 10, &["x", "y"], &[]));
    let job = store.begin(tags_job(below("acme"), "*", None));
    let first = step(job, None, Some(cursor("acme/a", "x")), 0, vec![target("acme/a", "x", 10)]);
    store.apply(Command::JobStep(first));
    assert_eq!(store.apply(Command::CancelJob { job }), Response::Done);
    assert_eq!(store.apply(Command::CancelJob { job }), Response::Done);
    let next = step(job, Some(cursor("acme/a", "x")), None, 0, vec![target("acme/a", "y", 10)]);
    assert_eq!(store.apply(Command::JobStep(next)), Response::Stale);
    assert_eq!((store.job(job).state, store.job(job).deleted), (JobState::Cancelled, 1));
    assert_eq!(store.view().running_jobs().unwrap(), []);
    let done = store.begin(tags_job(below("acme"), "*", None));
    store.apply(Command::JobStep(step(done, None, None, 0, Vec::new())));
    assert_eq!(store.apply(Command::CancelJob { job: done }), Response::Stale);
    assert_eq!(store.apply(Command::CancelJob { job: JobId(99) }), Response::JobUnknown);
}

#[test]
fn one_job_of_a_kind_runs_in_a_scope_and_so_many_at_all() {
    let mut store = Store::new();
    let job = store.begin(tags_job(below("acme"), "x*", None));
    assert_eq!(job, JobId(1));
    let again = Command::StartJob(tags_job(below("acme"), "x*", Some("eve")));
    assert_eq!(store.repeat(Command::StartJob(tags_job(below("acme"), "x*", None))), Response::JobStarted { job });
    assert_eq!(store.apply(again.clone()), Response::JobRunning { job });
    for number in 1..JOBS_RUNNING_MAX {
        store.begin(tags_job(below("acme"), &format!("y{number}"), None));
    }
    let more = || Command::StartJob(tags_job(below("other"), "x*", None));
    assert_eq!(store.apply(more()), Response::TooManyJobs { limit: JOBS_RUNNING_MAX });
    assert_eq!(store.apply(again), Response::JobRunning { job });
    store.apply(Command::CancelJob { job });
    assert_eq!(store.apply(more()), Response::JobStarted { job: JobId(JOBS_RUNNING_MAX + 1) });
    let wrong = store.apply(Command::StartJob(tags_job(below("Acme"), "*", None)));
    assert!(matches!(wrong, Response::Malformed { .. }), "{wrong:?}");
}

#[test]
fn the_last_ended_jobs_are_kept_and_one_that_runs_is_never_forgotten() {
    let mut store = Store::new();
    let running = store.begin(tags_job(below("acme"), "*", None));
    for _ in 0..JOBS_ENDED_KEPT + 5 {
        let job = store.begin(tags_job(below("other"), "*", None));
        store.apply(Command::JobStep(step(job, None, None, 0, Vec::new())));
    }
    let jobs: Vec<u64> = store.view().jobs(None, usize::MAX).unwrap().into_iter().map(|(job, _)| job.0).collect();
    let kept = (JOBS_ENDED_KEPT + 6) - JOBS_ENDED_KEPT + 1;
    assert_eq!((jobs[0], jobs[1], jobs.len() as u64), (running.0, kept, JOBS_ENDED_KEPT + 1));
    assert_eq!(store.view().job(JobId(kept - 1)).unwrap(), None);
}

#[test]
fn retention_is_due_where_rules_are_set_and_its_next_run_follows_from_the_last() {
    let mut store = Store::new();
    let rules =
        |every: u64| format!("retention = {{ rules = [{{ tags = \"*\", keep_last = 1 }}], every_seconds = {every} }}");
    assert_eq!(store.view().retention_next().unwrap(), None);
    store.configure("acme", &rules(MINUTE));
    store.configure("slow", &rules(86_400));
    let begin = store.now;
    assert_eq!(store.view().retention_next().unwrap(), Some(begin.plus_seconds(60)));
    assert_eq!(
        store.view().retention_run("slow").unwrap().unwrap().due,
        begin.plus_seconds(3600),
        "time to think again"
    );
    assert_eq!(store.view().retention_due(begin.plus_seconds(59), 9).unwrap(), Vec::<String>::new());
    assert_eq!(store.view().retention_due(begin.plus_seconds(3600), 9).unwrap(), ["acme", "slow"]);
    store.wait(60);
    let job = store.begin(retention_job("acme"));
    let run = store.view().retention_run("acme").unwrap().unwrap();
    assert_eq!((run.last, run.due), (Some(store.now), store.now.plus_seconds(60)));
    assert_eq!(store.apply(Command::StartJob(retention_job("acme"))), Response::JobRunning { job });
    store.configure("acme", &format!("grace_seconds = 1\n{}", rules(MINUTE)));
    assert_eq!(store.view().retention_run("acme").unwrap(), Some(run), "the rules are the same");
    store.configure("acme", &rules(7200));
    let changed = store.view().retention_run("acme").unwrap().unwrap();
    assert_eq!((changed.last, changed.due), (run.last, store.now.plus_seconds(7200)));
    store.configure("acme", "retention = { rules = [] }");
    assert_eq!(store.view().retention_run("acme").unwrap(), None);
    assert_eq!(store.view().retention_due(begin.plus_seconds(99_999), 9).unwrap(), ["slow"]);
}

#[test]
fn tags_and_repositories_below_a_prefix_come_by_pages_in_order() {
    let mut store = Store::new();
    for name in ["acme-x", "acme", "acme/b", "acme/a/c", "acmex", "b"] {
        store.put(manifest(name, 10, &["t1", "t0"], &[]));
    }
    let mut names = Vec::new();
    while let page @ [_, ..] = store.view().repositories_below("acme", names.last(), 2).unwrap().as_slice() {
        names.extend_from_slice(page);
    }
    assert_eq!(names, ["acme", "acme/a/c", "acme/b"].map(repository));
    let mut tags: Vec<JobCursor> = Vec::new();
    while let page @ [_, ..] = store.view().tags_below("acme", tags.last(), 2).unwrap().as_slice() {
        tags.extend(page.iter().map(|(key, _)| key.clone()));
    }
    let expected: Vec<JobCursor> =
        names.iter().flat_map(|name| ["t0", "t1"].map(|tag_name| (name.clone(), tag(tag_name)))).collect();
    assert_eq!(tags, expected);
    assert_eq!(store.view().repositories_below("", None, 99).unwrap().len(), 6);
}

#[test]
fn what_retention_has_to_know_of_a_tag_is_read_with_it() {
    let mut store = Store::new();
    store.configure("acme", "immutable = [{ tags = \"v*\" }]");
    store.put(manifest("acme/a", 10, &["plain", "v1"], &[]));
    store.put(manifest("acme/a", 11, &["listed"], &[]));
    store.put(index("acme/a", 12, &["all"], &[11]));
    store.put(referrer("acme/a", 13, 12));
    let signature = "application/vnd.cncf.notary.signature".to_owned();
    store.put(PutManifest { artifact_type: Some(signature), ..referrer("acme/a", 14, 11) });
    let attached = crate::policy::Attachment::signature_tag(&digest(10)).unwrap();
    store.put(manifest("acme/a", 15, &[attached.as_str()], &[]));
    let name = repository("acme/a");
    store.apply(Command::RecordPulls { pulls: vec![(name.clone(), digest(11))] });
    let (policy, _) = store.view().policy(&name).unwrap();
    let facts = store.view().tag_facts(&name, &policy, None, None, 9).unwrap();
    let told: Vec<(&str, bool, bool, bool, bool)> = facts
        .iter()
        .map(|facts| {
            let (pulled, immutable) = (facts.pulled.is_some(), facts.immutable.is_some());
            (facts.tag.as_str(), facts.signed, facts.referenced, pulled, immutable)
        })
        .collect();
    let expected = [
        ("all", false, false, false, false),
        ("listed", true, true, true, false),
        ("plain", true, false, false, false),
        (attached.as_str(), false, false, false, false),
        ("v1", true, false, false, true),
    ];
    assert_eq!(told, expected, "a bill of materials is no signature");
    let page = store.view().tag_facts(&name, &policy, None, Some(&tag("all")), 1).unwrap();
    assert_eq!(page, facts[1..2]);
}
