//! How requests and their answers enter the history.
//!
//! A request may be several operations over the same interval: a manifest that is pushed by a tag writes the tag and
//! the manifest, and finds each of its blobs. An answer is recorded for what it certainly says and for no more:
//!
//! | request | 2xx | 404 | other 4xx | 5xx or none |
//! |---|---|---|---|---|
//! | PUT manifest | tags and manifest written, blobs found | | nothing; named blobs were missing | open |
//! | GET, HEAD by tag; HEAD by digest | found | absent | dropped | dropped |
//! | GET by digest | dropped: a replica may be behind | absent | dropped | dropped |
//! | PUT upload, POST with a body or a mount | 201 written, 202 nothing | nothing | nothing | open |
//! | DELETE tag, blob | gone | was absent | nothing | open |
//! | DELETE manifest | gone, and no tag holds it | was absent, and no tag held it | nothing | open |
//! | GET tags/list | tags that are not in it are absent | all are absent | dropped | dropped |
//!
//! Sources: the contract in the design ("Tags are linearizable", answers about existence) and what
//! `raft::catalog::apply` does. Deleting a manifest leaves its blobs, its children and its referrers: nothing of them
//! is recorded. Upload sessions are no subjects; `uploads` follows them itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::ask::{Ask, Meaning};
use super::http::{Answer, Failure};
use crate::history::{Action, DigestText, Outcome, Subject};

/// What became of a request.
pub(super) type Reply = Result<Answer, Failure>;

/// The operations that a request is.
#[must_use]
pub(super) fn operations(ask: &Ask) -> Vec<(Subject, Action)> {
    let repository = &ask.repository;
    let tag = |tag: &Arc<str>| Subject::Tag { repository: Arc::clone(repository), tag: Arc::clone(tag) };
    let manifest =
        |digest: &DigestText| Subject::Manifest { repository: Arc::clone(repository), digest: Arc::clone(digest) };
    let blob = |digest: &DigestText| Subject::Blob { repository: Arc::clone(repository), digest: Arc::clone(digest) };
    match &ask.meaning {
        Meaning::PushManifest { manifest: pushed, tags } => {
            let write = || Action::Write(Arc::clone(&pushed.digest));
            let mut operations: Vec<_> = tags.iter().map(|name| (tag(name), write())).collect();
            operations.push((manifest(&pushed.digest), write()));
            operations.extend(pushed.blobs.iter().map(|used| (blob(&used.digest), Action::Read)));
            operations
        }
        Meaning::ReadTag { tag: name } => vec![(tag(name), Action::Read)],
        Meaning::HeadManifest { digest } => vec![(manifest(digest), Action::Read)],
        Meaning::GetManifest { manifest: read } => vec![(manifest(&read.digest), Action::Read)],
        Meaning::HeadBlob { blob: read } | Meaning::GetBlob { blob: read, .. } => {
            vec![(blob(&read.digest), Action::Read)]
        }
        Meaning::Publish { blob: pushed } | Meaning::Mount { blob: pushed } => {
            vec![(blob(&pushed.digest), Action::Write(Arc::clone(&pushed.digest)))]
        }
        Meaning::DeleteTag { tag: name } => vec![(tag(name), Action::Delete)],
        Meaning::DeleteManifest { digest, tags } => {
            let mut operations = vec![(manifest(digest), Action::Delete)];
            operations.extend(tags.iter().map(|name| (tag(name), Action::DeleteIf(Arc::clone(digest)))));
            operations
        }
        Meaning::DeleteBlob { digest } => vec![(blob(digest), Action::Delete)],
        Meaning::ListTags { tags, .. } => tags.iter().map(|name| (tag(name), Action::Read)).collect(),
        Meaning::BeginUpload
        | Meaning::Append { .. }
        | Meaning::UploadStatus
        | Meaning::CancelUpload
        | Meaning::ListRepositories { .. }
        | Meaning::ListReferrers => Vec::new(),
    }
}

/// What came of one of the request's operations.
#[must_use]
pub(super) fn outcome(ask: &Ask, subject: &Subject, action: &Action, reply: &Reply) -> Outcome {
    let is_read = *action == Action::Read;
    let answer = match reply {
        Ok(answer) => answer,
        // What cannot be judged: a read without an answer says nothing, another request may still have its effect.
        Err(_) if is_read => return Outcome::Refused,
        Err(failure) if failure.may_have_had_effect() => return Outcome::Unknown,
        Err(_) => return Outcome::Refused,
    };
    match answer.status {
        500.. if is_read => Outcome::Refused,
        500.. => Outcome::Unknown,
        _ if is_read => read(ask, subject, answer),
        status => change(&ask.meaning, status),
    }
}

fn change(meaning: &Meaning, status: u16) -> Outcome {
    let done = match meaning {
        Meaning::PushManifest { .. } | Meaning::Publish { .. } | Meaning::Mount { .. } => 201,
        _ => 202,
    };
    let is_delete = matches!(meaning, Meaning::DeleteTag { .. } | Meaning::DeleteManifest { .. })
        || matches!(meaning, Meaning::DeleteBlob { .. });
    match status {
        status if status == done => Outcome::Done,
        // Where there is no manifest, no tag points to it.
        404 if is_delete => Outcome::Absent,
        // The publish may have been done by an attempt whose answer was lost within the cluster, and have been deleted
        // again before the next one looked.
        404 | 416 if matches!(meaning, Meaning::Publish { .. }) => Outcome::Unknown,
        // 202 for a mount: there was nothing to mount. Everything else below 500 was refused.
        _ => Outcome::Refused,
    }
}

fn read(ask: &Ask, subject: &Subject, answer: &Answer) -> Outcome {
    match (&ask.meaning, answer.status) {
        (Meaning::PushManifest { manifest, .. }, status) => {
            let Subject::Blob { digest, .. } = subject else { return Outcome::Refused };
            match status {
                201 => Outcome::Present(Arc::clone(digest)),
                400 if missing_blobs(answer).contains(&**digest) => Outcome::Absent,
                _ => {
                    debug_assert!(manifest.blobs.iter().any(|blob| blob.digest == *digest));
                    Outcome::Refused
                }
            }
        }
        (Meaning::ListTags { last, n, .. }, 200) => listed(answer, subject, last.as_deref(), *n),
        (_, 404) => Outcome::Absent,
        (Meaning::ReadTag { .. }, 200) => match answer.header("docker-content-digest") {
            "" => Outcome::Refused,
            digest => Outcome::Present(digest.into()),
        },
        (Meaning::HeadManifest { digest }, 200) => Outcome::Present(Arc::clone(digest)),
        (Meaning::HeadBlob { blob }, 200) => Outcome::Present(Arc::clone(&blob.digest)),
        _ => Outcome::Refused,
    }
}

/// A tag that the page leaves out although it lies within it is absent; which digest one that is listed holds is not
/// said.
fn listed(answer: &Answer, subject: &Subject, last: Option<&str>, n: Option<usize>) -> Outcome {
    let (Subject::Tag { tag, .. }, Some(listed)) = (subject, names(answer, "tags")) else { return Outcome::Refused };
    let is_before = last.is_some_and(|last| **tag <= *last);
    let is_full = n.is_some_and(|n| listed.len() >= n);
    let is_behind = is_full && listed.last().is_none_or(|end| **tag > **end);
    if is_before || is_behind || listed.iter().any(|name| **name == **tag) { Outcome::Refused } else { Outcome::Absent }
}

/// The names that a list holds.
#[must_use]
pub(super) fn names(answer: &Answer, field: &str) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body.get(field)?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The first error code of an answer; empty when there is none.
#[must_use]
pub(super) fn code(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// The blobs that a refused manifest lacks.
fn missing_blobs(answer: &Answer) -> BTreeSet<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    let missing = errors.iter().filter(|error| error["code"] == "MANIFEST_BLOB_UNKNOWN");
    missing.filter_map(|error| error["detail"]["digest"].as_str().map(str::to_owned)).collect()
}

/// Whether the answer acknowledges that what was pushed is there.
#[must_use]
pub(super) const fn is_acknowledged(ask: &Ask, answer: &Answer) -> bool {
    answer.status == 201
        && matches!(ask.meaning, Meaning::PushManifest { .. } | Meaning::Publish { .. } | Meaning::Mount { .. })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::super::content::{Blob, IMAGE, Manifest};
    use super::super::http::Cause;
    use super::*;

    fn blob(text: &'static str) -> Arc<Blob> {
        Arc::new(Blob::new(Bytes::from_static(text.as_bytes())))
    }

    fn manifest() -> Arc<Manifest> {
        let blobs = vec![blob("configuration"), blob("layer")];
        Arc::new(Manifest {
            digest: "sha256:aa".into(),
            content: Bytes::from_static(b"{}"),
            media_type: IMAGE,
            blobs,
            children: Vec::new(),
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "a reply as the others are")]
    fn answer(status: u16, body: impl Into<Bytes>) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("docker-content-digest", "sha256:aa".parse().unwrap());
        Ok(Answer { status, headers, body: body.into() })
    }

    fn failed(cause: Cause) -> Reply {
        Err(Failure { cause, partial: None })
    }

    fn outcomes(ask: &Ask, reply: &Reply) -> Vec<Outcome> {
        operations(ask).iter().map(|(subject, action)| outcome(ask, subject, action, reply)).collect()
    }

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    use Outcome::{Absent, Done, Present, Refused, Unknown};

    #[test]
    fn a_pushed_manifest_writes_tag_and_manifest_and_finds_its_blobs() {
        let manifest = manifest();
        let ask = Ask::push_manifest(&name("a"), &manifest, &[name("v1")]);
        let found = |number: usize| Present(Arc::clone(&manifest.blobs[number].digest));
        assert_eq!(outcomes(&ask, &answer(201, "")), [Done, Done, found(0), found(1)]);
        assert_eq!(outcomes(&ask, &answer(503, "")), [Unknown, Unknown, Refused, Refused]);
        assert_eq!(outcomes(&ask, &answer(429, "")), [Refused, Refused, Refused, Refused]);
        assert_eq!(outcomes(&ask, &failed(Cause::Lost(String::new())))[..2], [Unknown, Unknown]);
        assert_eq!(outcomes(&ask, &failed(Cause::HungUp))[..2], [Unknown, Unknown]);
        assert_eq!(outcomes(&ask, &failed(Cause::HungUpSending))[..2], [Refused, Refused]);
        assert_eq!(outcomes(&ask, &failed(Cause::Unsent(String::new())))[..2], [Refused, Refused]);
        let missing = serde_json::json!({ "errors": [
            { "code": "MANIFEST_BLOB_UNKNOWN", "detail": { "digest": &*manifest.blobs[1].digest } }
        ] });
        assert_eq!(outcomes(&ask, &answer(400, missing.to_string())), [Refused, Refused, Refused, Absent]);
    }

    #[test]
    fn reads_by_tag_and_heads_are_judged_and_reads_by_digest_only_when_they_find_nothing() {
        let manifest = manifest();
        let tag = Ask::read_tag(&name("a"), &name("v1"), true);
        assert_eq!(outcomes(&tag, &answer(200, "")), [Present(name("sha256:aa"))]);
        let asks = [
            tag,
            Ask::head_manifest(&name("a"), &manifest.digest),
            Ask::head_blob(&name("a"), &manifest.blobs[0]),
            Ask::get_manifest(&name("a"), &manifest),
            Ask::get_blob(&name("a"), &manifest.blobs[0], None),
        ];
        for (number, ask) in asks.iter().enumerate() {
            assert_eq!(outcomes(ask, &answer(404, "")), [Absent]);
            assert_eq!(outcomes(ask, &answer(503, "")), [Refused]);
            assert_eq!(outcomes(ask, &failed(Cause::Lost(String::new()))), [Refused]);
            assert_eq!(outcomes(ask, &answer(200, ""))[0] == Refused, number > 2, "{ask:?}");
        }
    }

    #[test]
    fn a_mount_that_becomes_an_upload_wrote_nothing() {
        let ask = Ask::mount(&name("a"), &blob("x"), Some("b/c"));
        assert!(ask.request.path.ends_with("&from=b%2Fc"));
        assert_eq!(outcomes(&ask, &answer(201, "")), [Done]);
        assert_eq!(outcomes(&ask, &answer(202, "")), [Refused]);
        assert_eq!(outcomes(&ask, &answer(504, "")), [Unknown]);
    }

    #[test]
    fn a_deleted_manifest_takes_its_tags() {
        let ask = Ask::delete_manifest(&name("a"), &name("sha256:aa"), &[name("v1"), name("v2")]);
        assert_eq!(operations(&ask)[1].1, Action::DeleteIf(name("sha256:aa")));
        assert_eq!(outcomes(&ask, &answer(202, "")), [Done, Done, Done]);
        assert_eq!(outcomes(&ask, &answer(404, "")), [Absent, Absent, Absent]);
        assert_eq!(outcomes(&ask, &answer(503, "")), [Unknown, Unknown, Unknown]);
        let used = Ask::delete_blob(&name("a"), &name("sha256:aa"));
        assert_eq!(outcomes(&used, &answer(405, "")), [Refused]);
        assert_eq!(outcomes(&used, &answer(404, "")), [Absent]);
    }

    #[test]
    fn a_list_says_which_tags_are_absent() {
        let tags = ["v0", "v1", "v2", "v3"].map(name);
        let list = |last: Option<&str>, n| {
            let last = last.map(name);
            Ask::list_tags(&name("a"), &tags, last.as_ref(), n)
        };
        let body = r#"{"name":"a","tags":["v1","v2"]}"#;
        assert_eq!(outcomes(&list(None, None), &answer(200, body)), [Absent, Refused, Refused, Absent]);
        assert_eq!(outcomes(&list(Some("v0"), Some(2)), &answer(200, body)), vec![Refused; 4]);
        assert_eq!(outcomes(&list(Some("v0"), Some(3)), &answer(200, body))[3], Absent);
        assert_eq!(outcomes(&list(None, None), &answer(404, "")), [Absent, Absent, Absent, Absent]);
    }
}
