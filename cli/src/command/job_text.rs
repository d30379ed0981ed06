//! Deletion jobs and previews as text for people.

use std::fmt::Write as _;

use node::admin::{JobEntry, PreviewedTag};

use super::history::who;
use super::status_text::{table, trimmed};
use crate::arguments::root_or;
use crate::figures::{count, duration, exact, moment};

/// A list of jobs.
pub(super) fn list(jobs: &[JobEntry]) -> String {
    if jobs.is_empty() {
        return "there are no deletion jobs\n".to_owned();
    }
    let mut rows = table(&["JOB", "WHAT", "STATE", "DELETED", "KEPT", "LEFT", "WHO", "STARTED", "TOOK"]);
    for job in jobs {
        rows.add_row([
            job.id.to_string(),
            what(job),
            job.state.clone(),
            job.deleted.to_string(),
            (job.kept + job.protected).to_string(),
            job.left.map(|left| left.to_string()).unwrap_or_default(),
            by(job),
            moment(job.started_milliseconds),
            took(job),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

/// One job.
pub(super) fn text(job: &JobEntry) -> String {
    let mut text =
        format!("job {}: {}\nstarted {} by {}\n", job.id, what(job), moment(job.started_milliseconds), by(job));
    text.push_str(&outcome(job));
    if job.left.is_some() {
        write!(
            text,
            "\n\n  watch it: regnode job show {id} --wait\n  end it:   regnode job cancel {id}",
            id = named(job)
        )
        .expect("a string takes any text");
    }
    text
}

/// A job as it is named on the command line.
pub(super) fn named(job: &JobEntry) -> String {
    match &job.region {
        Some(region) => format!("{} --region {region}", job.id),
        None => job.id.to_string(),
    }
}

/// What a job was asked for.
fn what(job: &JobEntry) -> String {
    let scope = root_or(&job.scope);
    match (&job.tags, job.older_than_seconds) {
        (None, _) => format!("retention of {scope}"),
        (Some(tags), None) => format!("tags {tags} of {scope}"),
        (Some(tags), Some(seconds)) => format!("tags {tags} of {scope} older than {}", exact(seconds)),
    }
}

fn by(job: &JobEntry) -> String {
    match (&job.principal, job.kind.as_str()) {
        (None, "retention") => "the schedule".to_owned(),
        (principal, _) => who(principal.as_deref()),
    }
}

fn took(job: &JobEntry) -> String {
    let Some(ended) = job.ended_milliseconds else { return String::new() };
    duration(ended.saturating_sub(job.started_milliseconds).div_ceil(1000))
}

/// What a job has done.
pub(super) fn outcome(job: &JobEntry) -> String {
    let deleted = format!("{} deleted, {} kept", count(job.deleted, "tag", "tags"), job.kept);
    let protected = match job.protected {
        0 => String::new(),
        protected => format!(", {protected} not to be deleted (immutable)"),
    };
    match (job.state.as_str(), job.left) {
        ("running", left) => format!("it runs: {deleted}{protected}, about {} left", left.unwrap_or(0)),
        ("cancelled", _) => format!("job {} was cancelled: {deleted}{protected}; the rest was not looked at", job.id),
        _ => format!("job {} is done in {}: {deleted}{protected}", job.id, took(job)),
    }
}

/// What would go and, if asked for, what would stay.
pub(super) fn preview(tags: &[PreviewedTag], all: bool) -> String {
    let going = tags.iter().filter(|tag| tag.delete).count();
    let mut page = String::new();
    let shown: Vec<&PreviewedTag> = tags.iter().filter(|tag| all || tag.delete).collect();
    if !shown.is_empty() {
        let mut rows = table(&["TAG", "WOULD", "WHY", "SET", "LAST PULLED"]);
        for tag in shown {
            rows.add_row([
                format!("{}:{}", tag.repository, tag.tag),
                if tag.delete { "go" } else { "stay" }.to_owned(),
                tag.why.clone(),
                moment(tag.pushed_milliseconds),
                tag.pulled_milliseconds.map_or_else(|| "never".to_owned(), moment),
            ]);
        }
        write!(page, "{rows}\n\n").expect("a string takes any text");
    }
    writeln!(page, "{} of {} would go; nothing was changed", going, count(tags.len() as u64, "tag", "tags"))
        .expect("a string takes any text");
    trimmed(&page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str, left: Option<u64>) -> JobEntry {
        JobEntry {
            id: 7,
            kind: "tags".to_owned(),
            scope: "acme/app".to_owned(),
            tags: Some("pr-*".to_owned()),
            older_than_seconds: Some(30 * 86_400),
            state: state.to_owned(),
            examined: 120,
            deleted: 100,
            kept: 18,
            protected: 2,
            left,
            principal: Some("operator".to_owned()),
            started_milliseconds: 1_800_000_000_000,
            ended_milliseconds: left.is_none().then_some(1_800_000_075_000),
            region: None,
        }
    }

    #[test]
    fn jobs_read_well() {
        let retention = JobEntry {
            id: 8,
            kind: "retention".to_owned(),
            scope: String::new(),
            tags: None,
            principal: None,
            ..job("running", Some(5000))
        };
        insta::assert_snapshot!(format!(
            "{}\n{}\n\n{}\n",
            list(&[retention.clone(), job("done", None)]),
            text(&retention),
            text(&job("cancelled", None))
        ));
        assert_eq!(list(&[]), "there are no deletion jobs\n");
    }

    #[test]
    fn a_preview_counts_what_would_go() {
        let tag = |tag: &str, delete| PreviewedTag {
            repository: "acme/app".parse().unwrap(),
            tag: tag.parse().unwrap(),
            digest: format!("sha256:{}", "0".repeat(64)),
            pushed_milliseconds: 1_800_000_000_000,
            pulled_milliseconds: None,
            delete,
            why: "not kept by \"pr-*\"".to_owned(),
        };
        let tags = [tag("pr-1", true), tag("v1", false)];
        let text = preview(&tags, false);
        assert!(text.contains("acme/app:pr-1") && !text.contains("acme/app:v1"), "{text}");
        assert!(text.ends_with("\n1 of 2 tags would go; nothing was changed\n"), "{text}");
        assert!(preview(&tags, true).contains("acme/app:v1"));
        assert_eq!(preview(&[], false), "0 of 0 tags would go; nothing was changed\n");
    }
}
