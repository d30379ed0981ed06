//! What an answer must look like, whatever else happens in the cluster: the rules of the protocol that bear no fault.
//!
//! Sources: distribution-spec 1.1; what real clients rely on (an upload's `Location` and `Range`, the digest header on
//! every manifest and blob); the contract (wrong bytes are never served, an overloaded or broken node says 503 or 507
//! with `Retry-After`). A connection that breaks is no violation; bytes that came before it broke must be right.
//! What depends on what a session has seen is in `uploads`.

use std::ops::Range;
use std::sync::Arc;

use http::Method;

use super::ask::{Ask, Meaning};
use super::content::{Manifest, digest};
use super::http::Answer;
use super::record::{Reply, code, names};

/// The judge of bytes.
pub(super) const SERVED_BYTES: &str = "served_bytes";
/// The judge of everything else that an answer says.
pub(super) const PROTOCOL: &str = "protocol";

/// A rule that an answer breaks: the judge and what is wrong.
pub(super) type Breach = (&'static str, String);

/// The rules that what came of a request breaks. `known` finds manifests that somebody pushed.
#[must_use]
pub(super) fn breaches(ask: &Ask, reply: &Reply, known: &dyn Fn(&str) -> Option<Arc<Manifest>>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    match reply {
        Ok(answer) => {
            general(ask, answer, &mut breaches);
            specific(ask, answer, known, &mut breaches);
        }
        Err(failure) => {
            if let Some(partial) = &failure.partial
                && let Some((expected, _)) = expected_bytes(ask, partial)
            {
                let expected = &expected[..expected.len().min(partial.body.len())];
                compare(&partial.body, expected, "before it broke off", &mut breaches);
            }
        }
    }
    breaches
}

fn general(ask: &Ask, answer: &Answer, breaches: &mut Vec<Breach>) {
    let status = answer.status;
    let mut broken = |text: String| breaches.push((PROTOCOL, text));
    if status == 500 {
        broken(format!("500: {}", String::from_utf8_lossy(&answer.body)));
    } else if !is_transient(status) && !allowed(&ask.meaning).contains(&status) {
        broken(format!("{status} makes no sense here: {}", String::from_utf8_lossy(&answer.body)));
    }
    if answer.header("docker-distribution-api-version") != "registry/2.0" {
        broken(format!("{status} without Docker-Distribution-API-Version"));
    }
    if matches!(status, 429 | 503 | 507) && answer.header("retry-after").is_empty() {
        broken(format!("{status} without Retry-After"));
    }
    if status >= 400 && ask.request.method != Method::HEAD && code(answer).is_empty() {
        broken(format!("{status} without an error code: {}", String::from_utf8_lossy(&answer.body)));
    }
}

/// Statuses that say nothing about what was asked: too busy, too slow, no quorum, no space.
const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 503 | 504 | 507)
}

fn allowed(meaning: &Meaning) -> &'static [u16] {
    match meaning {
        Meaning::PushManifest { .. } => &[201, 400],
        Meaning::ReadTag { .. }
        | Meaning::HeadManifest { .. }
        | Meaning::GetManifest { .. }
        | Meaning::HeadBlob { .. }
        | Meaning::ListTags { .. } => &[200, 404],
        Meaning::GetBlob { .. } => &[200, 206, 404, 416],
        Meaning::Publish { .. } => &[201, 400, 404, 416],
        Meaning::Mount { .. } => &[201, 202],
        Meaning::DeleteTag { .. } | Meaning::DeleteManifest { .. } => &[202, 404],
        Meaning::DeleteBlob { .. } => &[202, 404, 405],
        Meaning::BeginUpload => &[202],
        Meaning::Append { .. } => &[202, 404, 416],
        Meaning::UploadStatus | Meaning::CancelUpload => &[204, 404],
        Meaning::ListRepositories { .. } | Meaning::ListReferrers => &[200],
    }
}

fn specific(ask: &Ask, answer: &Answer, known: &dyn Fn(&str) -> Option<Arc<Manifest>>, breaches: &mut Vec<Breach>) {
    match (&ask.meaning, answer.status) {
        (Meaning::PushManifest { manifest, .. }, 201) => is_digest(answer, &manifest.digest, breaches),
        (Meaning::PushManifest { .. }, 400) if code(answer) != "MANIFEST_BLOB_UNKNOWN" => {
            breaches.push((PROTOCOL, format!("a valid manifest was refused: {}", code(answer))));
        }
        (Meaning::ReadTag { .. }, 200) => {
            let digest = answer.header("docker-content-digest").to_owned();
            match known(&digest) {
                Some(manifest) => {
                    is_type(answer, &manifest, breaches);
                    if ask.request.method == Method::GET {
                        compare(&answer.body, &manifest.content, "", breaches);
                    }
                }
                None => breaches.push((SERVED_BYTES, format!("the tag holds {digest:?}, which nobody ever pushed"))),
            }
            if ask.request.method == Method::GET && self::digest(&answer.body) != digest {
                breaches.push((PROTOCOL, format!("the digest is said to be {digest}, the bytes have another one")));
            }
        }
        (Meaning::HeadManifest { digest }, 200) => {
            is_digest(answer, digest, breaches);
            if let Some(manifest) = known(digest) {
                is_type(answer, &manifest, breaches);
            }
        }
        (Meaning::GetManifest { manifest }, 200) => {
            is_digest(answer, &manifest.digest, breaches);
            is_type(answer, manifest, breaches);
            compare(&answer.body, &manifest.content, "", breaches);
        }
        (Meaning::HeadBlob { blob }, 200) => {
            is_digest(answer, &blob.digest, breaches);
            let length = blob.content.len().to_string();
            is_header(answer, "content-length", &length, breaches);
        }
        (Meaning::GetBlob { .. }, 200 | 206 | 416) => is_content(ask, answer, breaches),
        (Meaning::Publish { blob } | Meaning::Mount { blob }, 201) => {
            is_digest(answer, &blob.digest, breaches);
            has_location(answer, breaches);
        }
        (Meaning::Publish { .. }, 400 | 404 | 416) if ask.request.method == Method::POST => {
            let text = format!("a blob pushed with one request was refused: {} {}", answer.status, code(answer));
            breaches.push((PROTOCOL, text));
        }
        (Meaning::BeginUpload | Meaning::Mount { .. }, 202) => stands(answer, Some(0), breaches),
        (Meaning::Append { at, length }, 202) => stands(answer, at.map(|at| at + length), breaches),
        (Meaning::UploadStatus, 204) => stands(answer, None, breaches),
        (Meaning::ListTags { tags, n, .. }, 200) => is_list(answer, "tags", tags, *n, breaches),
        (Meaning::ListRepositories { repositories }, 200) => {
            is_list(answer, "repositories", repositories, None, breaches);
        }
        _ => {}
    }
}

/// The bytes that an answer must have, and their place, if it is one with content of a known digest.
fn expected_bytes<'a>(ask: &'a Ask, answer: &Answer) -> Option<(&'a [u8], Range<usize>)> {
    match (&ask.meaning, answer.status) {
        (Meaning::GetBlob { blob, .. }, 200) => Some((&blob.content, 0..blob.content.len())),
        (Meaning::GetBlob { blob, range: Some(range) }, 206) => {
            let range = range.start..range.end.min(blob.content.len());
            Some((blob.content.get(range.clone())?, range))
        }
        (Meaning::GetManifest { manifest }, 200) => Some((&manifest.content, 0..manifest.content.len())),
        _ => None,
    }
}

fn is_content(ask: &Ask, answer: &Answer, breaches: &mut Vec<Breach>) {
    let Meaning::GetBlob { blob, range } = &ask.meaning else { return };
    let length = blob.content.len();
    let wanted = match range {
        Some(range) if length > 0 && range.start >= length => 416,
        Some(_) if length > 0 => 206,
        _ => 200,
    };
    if answer.status != wanted {
        breaches.push((PROTOCOL, format!("{} for {range:?} of {length} bytes", answer.status)));
        return;
    }
    if wanted == 416 {
        is_header(answer, "content-range", &format!("bytes */{length}"), breaches);
        return;
    }
    is_digest(answer, &blob.digest, breaches);
    let Some((expected, place)) = expected_bytes(ask, answer) else { return };
    if wanted == 206 {
        let text = format!("bytes {}-{}/{length}", place.start, place.end - 1);
        is_header(answer, "content-range", &text, breaches);
    }
    compare(&answer.body, expected, "", breaches);
}

/// Says where the bytes differ from those that were pushed under their digest.
fn compare(served: &[u8], expected: &[u8], when: &str, breaches: &mut Vec<Breach>) {
    if let Some(offset) = difference(served, expected) {
        let text = format!(
            "{} bytes served {when}, {} expected, the first difference is at byte {offset}",
            served.len(),
            expected.len()
        );
        breaches.push((SERVED_BYTES, text));
    }
}

/// Offset of the first byte that differs; the shorter length when one is the beginning of the other.
#[must_use]
pub(super) fn difference(left: &[u8], right: &[u8]) -> Option<usize> {
    let first = left.iter().zip(right).position(|(left, right)| left != right);
    first.or_else(|| (left.len() != right.len()).then(|| left.len().min(right.len())))
}

fn is_header(answer: &Answer, name: &str, wanted: &str, breaches: &mut Vec<Breach>) {
    let value = answer.header(name);
    if value != wanted {
        breaches.push((PROTOCOL, format!("{} with {name}: {value:?} instead of {wanted:?}", answer.status)));
    }
}

fn is_digest(answer: &Answer, digest: &str, breaches: &mut Vec<Breach>) {
    is_header(answer, "docker-content-digest", digest, breaches);
}

fn is_type(answer: &Answer, manifest: &Manifest, breaches: &mut Vec<Breach>) {
    is_header(answer, "content-type", manifest.media_type, breaches);
    is_header(answer, "content-length", &manifest.content.len().to_string(), breaches);
}

fn has_location(answer: &Answer, breaches: &mut Vec<Breach>) {
    if answer.header("location").is_empty() {
        breaches.push((PROTOCOL, format!("{} without Location", answer.status)));
    }
}

/// Whether an answer says where the upload stands, at `offset` if that is certain.
fn stands(answer: &Answer, offset: Option<usize>, breaches: &mut Vec<Breach>) {
    has_location(answer, breaches);
    if answer.header("docker-upload-uuid").is_empty() {
        breaches.push((PROTOCOL, format!("{} without Docker-Upload-UUID", answer.status)));
    }
    if let Some(offset) = offset {
        is_header(answer, "range", &format!("0-{}", offset.saturating_sub(1)), breaches);
    } else if last_byte(answer).is_none() {
        breaches.push((PROTOCOL, format!("{} with Range: {:?}", answer.status, answer.header("range"))));
    }
}

/// The last byte that an upload's `Range` speaks of: 0 when there is one byte or none.
#[must_use]
pub(super) fn last_byte(answer: &Answer) -> Option<usize> {
    answer.header("range").strip_prefix("0-")?.parse().ok()
}

fn is_list(answer: &Answer, field: &str, possible: &[Arc<str>], n: Option<usize>, breaches: &mut Vec<Breach>) {
    let Some(listed) = names(answer, field) else {
        breaches.push((PROTOCOL, format!("not a list of {field}: {}", String::from_utf8_lossy(&answer.body))));
        return;
    };
    if !listed.windows(2).all(|pair| pair[0] < pair[1]) {
        breaches.push((PROTOCOL, format!("{field} out of order or twice: {listed:?}")));
    }
    if let Some(stranger) = listed.iter().find(|name| !possible.iter().any(|possible| **possible == ***name)) {
        breaches.push((PROTOCOL, format!("{stranger:?} among the {field}, which nobody ever made")));
    }
    if n.is_some_and(|n| listed.len() > n) {
        breaches.push((PROTOCOL, format!("{} {field} for n={}", listed.len(), n.unwrap_or_default())));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::super::content::Blob;
    use super::super::http::{Cause, Failure};
    use super::*;

    fn blob() -> Arc<Blob> {
        Arc::new(Blob::new(Bytes::from_static(b"0123456789")))
    }

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Answer {
        let mut map = HeaderMap::new();
        map.insert("docker-distribution-api-version", "registry/2.0".parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Answer { status, headers: map, body: Bytes::from_static(body.as_bytes()) }
    }

    fn found(ask: &Ask, reply: &Reply) -> Vec<&'static str> {
        breaches(ask, reply, &|_| None).into_iter().map(|(judge, _)| judge).collect()
    }

    #[test]
    fn blobs_must_have_their_bytes_even_when_the_connection_breaks() {
        let blob = blob();
        let ask = Ask::get_blob(&"a".into(), &blob, None);
        let headers = [("docker-content-digest", &*blob.digest)];
        assert!(found(&ask, &Ok(answer(200, &headers, "0123456789"))).is_empty());
        for body in ["0123456780", "012345678", "01234567890", ""] {
            assert_eq!(found(&ask, &Ok(answer(200, &headers, body))), [SERVED_BYTES], "{body}");
        }
        let broken = |body| Err(Failure { cause: Cause::HungUp, partial: Some(Box::new(answer(200, &headers, body))) });
        assert!(found(&ask, &broken("01234")).is_empty());
        assert_eq!(found(&ask, &broken("01x")), [SERVED_BYTES]);
    }

    #[test]
    fn ranges_must_be_exact() {
        let blob = blob();
        let ask = Ask::get_blob(&"a".into(), &blob, Some(2..5));
        let digest = ("docker-content-digest", &*blob.digest);
        assert!(found(&ask, &Ok(answer(206, &[digest, ("content-range", "bytes 2-4/10")], "234"))).is_empty());
        assert_eq!(found(&ask, &Ok(answer(206, &[digest, ("content-range", "bytes 2-4/9")], "234"))), [PROTOCOL]);
        assert_eq!(found(&ask, &Ok(answer(200, &[digest], "0123456789"))), [PROTOCOL]);
        let beyond = Ask::get_blob(&"a".into(), &blob, Some(10..12));
        let error = r#"{"errors":[{"code":"RANGE_INVALID"}]}"#;
        assert!(found(&beyond, &Ok(answer(416, &[("content-range", "bytes */10")], error))).is_empty());
    }

    #[test]
    fn a_defect_and_a_busy_node_must_say_so_properly() {
        let ask = Ask::delete_tag(&"a".into(), &"v1".into());
        let error = r#"{"errors":[{"code":"UNKNOWN"}]}"#;
        assert_eq!(found(&ask, &Ok(answer(500, &[], error))), [PROTOCOL]);
        assert_eq!(found(&ask, &Ok(answer(503, &[], error))), [PROTOCOL]);
        assert!(found(&ask, &Ok(answer(503, &[("retry-after", "2")], error))).is_empty());
        assert_eq!(found(&ask, &Ok(answer(405, &[], error))), [PROTOCOL]);
        assert_eq!(found(&ask, &Ok(answer(404, &[], ""))), [PROTOCOL]);
    }

    #[test]
    fn an_upload_says_where_it_stands() {
        let meaning = Meaning::Append { at: Some(5), length: 5 };
        let ask = Ask::upload(&"a".into(), meaning, Method::PATCH, "/v2/a/blobs/uploads/1");
        let headers = |range| [("location", "/x"), ("docker-upload-uuid", "1"), ("range", range)];
        assert!(found(&ask, &Ok(answer(202, &headers("0-9"), ""))).is_empty());
        assert_eq!(found(&ask, &Ok(answer(202, &headers("0-8"), ""))), [PROTOCOL]);
        assert_eq!(found(&ask, &Ok(answer(202, &[("range", "0-9")], ""))).len(), 2);
    }

    #[test]
    fn lists_are_sorted_and_hold_what_was_made() {
        let ask = Ask::list_tags(&"a".into(), &["v0".into(), "v1".into()], None, Some(2));
        let list = |body| found(&ask, &Ok(answer(200, &[], body)));
        assert!(list(r#"{"tags":["v0","v1"]}"#).is_empty());
        assert!(list(r#"{"tags":[]}"#).is_empty());
        assert_eq!(list(r#"{"tags":["v1","v0"]}"#), [PROTOCOL]);
        assert_eq!(list(r#"{"tags":["other"]}"#), [PROTOCOL]);
        assert_eq!(list("{}"), [PROTOCOL]);
    }
}
