//! What a region with a copy asks of the home, and the answers. JSON between nodes; every list has its limit, so that an
//! answer stays below three megabytes.

use raft::catalog::{DebtItem, Digest, PULLS_PER_COMMAND, RepositoryName, Tag};
use raft::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Most events in one answer: as many as a catalog takes in as debts by one command.
pub const FEED_EVENTS_MAX: usize = 1024;
/// Most tags, manifests and blobs, together with repositories, in one page of a survey.
pub const SURVEY_ITEMS_MAX: usize = 4096;
/// Most pulls that are told at once.
pub(crate) const PULLS_MAX: usize = PULLS_PER_COMMAND;

/// A question, with the path at which it is asked and the answer that belongs to it.
pub(crate) trait Question: Serialize + Send + Sync {
    /// The path.
    const PATH: &'static str;
    /// The answer.
    type Answer: DeserializeOwned + Send;
}

/// What has happened below a prefix?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedQuestion {
    /// The prefix, empty for the root.
    pub prefix: String,
    /// Longer prefixes below it that are not meant.
    pub except: Vec<String>,
    /// Version of the directory's policies by which the prefix is to be copied.
    pub policy_version: u64,
    /// Whether it is also asked for blobs that became visible, before any manifest uses them.
    pub blobs: bool,
    /// The first event that is not known yet.
    pub cursor: u64,
    /// Most events wanted; at most [`FEED_EVENTS_MAX`] come.
    pub limit: u32,
}

/// What has happened, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedAnswer {
    /// The first event that was not looked at.
    pub cursor_next: u64,
    /// The end of the feed, as of before it was read: what is acknowledged there stands before it.
    pub end: u64,
    /// The catalog's clock, as of before `end`: all that had happened by then stands before `end`.
    pub clock: Timestamp,
    /// Events behind the cursor are not kept any more, or never were: only a survey helps.
    pub lost: bool,
    /// Version of the policies in force in the catalog, as of before `end`.
    pub policy_version: u64,
    /// Events of tags and manifests below the prefix, and of blobs if they were asked for.
    pub events: Vec<FeedEvent>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEvent {
    /// Its number.
    pub sequence: u64,
    /// When it happened.
    pub time: Timestamp,
    /// Where.
    pub repository: RepositoryName,
    /// What.
    pub item: DebtItem,
    /// Length of a manifest that was stored, or of a blob; 0 for everything else.
    pub length_bytes: u64,
}

impl Question for FeedQuestion {
    const PATH: &'static str = "/replication/feed";
    type Answer = FeedAnswer;
}

/// What is there below a prefix?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyQuestion {
    /// The prefix, empty for the root.
    pub prefix: String,
    /// Longer prefixes below it that are not meant.
    pub except: Vec<String>,
    /// Version of the directory's policies by which the prefix is to be copied.
    pub policy_version: u64,
    /// Whether it is also asked for blobs that no manifest uses.
    pub blobs: bool,
    /// Where to go on; from the beginning if it is left out.
    pub after: Option<SurveyCursor>,
    /// Most tags, manifests, blobs and repositories wanted; at most [`SURVEY_ITEMS_MAX`] come.
    pub limit: u32,
}

/// Where a survey goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyCursor {
    /// The repository.
    pub repository: RepositoryName,
    /// What of it has been looked at.
    pub part: SurveyPart,
}

/// What of a repository has been looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SurveyPart {
    /// Tags up to this one.
    Tags(Option<Tag>),
    /// All tags, and manifests up to this one.
    Manifests(Option<Digest>),
    /// All tags and manifests, and blobs up to this one.
    Blobs(Option<Digest>),
    /// All of it.
    Whole,
}

/// A page of what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyAnswer {
    /// The end of the feed, as of before the page was read.
    pub end: u64,
    /// The catalog's clock, as of before `end`.
    pub clock: Timestamp,
    /// Version of the policies in force in the catalog, as of before `end`.
    pub policy_version: u64,
    /// Repositories in order. Between the question's cursor and `next` there are no others.
    pub repositories: Vec<SurveyedRepository>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<SurveyCursor>,
}

/// A repository, or the part of it that this page holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyedRepository {
    /// Its name.
    pub name: RepositoryName,
    /// Its tags; `None` if this page does not hold any part of them.
    pub tags: Option<Stretch<Tag, SurveyedTag>>,
    /// Its manifests; `None` if this page does not hold any part of them.
    pub manifests: Option<Stretch<Digest, SurveyedManifest>>,
    /// Its blobs that no manifest uses with their lengths; `None` if this page does not hold any part of them, or they
    /// were not asked for.
    pub blobs: Option<Stretch<Digest, u64>>,
}

/// A tag as it is at the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyedTag {
    /// Manifest that it points to.
    pub digest: Digest,
    /// When it was set.
    pub updated: Timestamp,
}

/// A manifest as it is at the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyedManifest {
    /// Length of its bytes.
    pub length_bytes: u64,
    /// When it was pushed.
    pub pushed: Timestamp,
}

/// A stretch of a sorted list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch<K, V> {
    /// It begins behind this one; at the beginning of the list if it is left out.
    pub after: Option<K>,
    /// All that there is, in order, up to the last one here, or to the end.
    pub items: Vec<(K, V)>,
    /// Whether it goes to the end of the list.
    pub to_end: bool,
}

impl Question for SurveyQuestion {
    const PATH: &'static str = "/replication/survey";
    type Answer = SurveyAnswer;
}

/// How far has the home come?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionQuestion {
    /// The prefix, empty for the root.
    pub prefix: String,
    /// Version of the directory's policies by which the prefix is to be copied.
    pub policy_version: u64,
}

/// How far it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionAnswer {
    /// The end of the feed: what is acknowledged there stands before it.
    pub end: u64,
    /// The catalog's clock, as of before `end`.
    pub clock: Timestamp,
    /// Version of the policies in force in the catalog, as of before `end`: who may not write by it has written nothing
    /// behind `end`.
    pub policy_version: u64,
}

impl Question for PositionQuestion {
    const PATH: &'static str = "/replication/position";
    type Answer = PositionAnswer;
}

/// Clients of the copy have pulled these manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullsTold {
    /// Which, where: at most `PULLS_MAX`.
    pub pulls: Vec<(RepositoryName, Digest)>,
}

/// How many of them the home has noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullsTaken {
    /// The others are not the asking region's to tell of.
    pub noted: u64,
}

impl Question for PullsTold {
    const PATH: &'static str = "/replication/pulls";
    type Answer = PullsTaken;
}

#[cfg(test)]
mod tests {
    use raft::catalog::Algorithm;

    use super::*;

    const ANSWER_BYTES_MAX: usize = 3 << 20;

    fn longest() -> (RepositoryName, Tag, Digest) {
        let digest = Digest::from_bytes(Algorithm::Sha512, &[0xff; 64]).unwrap();
        ("r".repeat(255).parse().unwrap(), "t".repeat(128).parse().unwrap(), digest)
    }

    #[test]
    fn an_answer_about_the_feed_stays_small() {
        let (repository, tag, digest) = longest();
        let (sequence, time, item) = (u64::MAX, Timestamp(u64::MAX), DebtItem::Tag { tag, digest });
        let event = FeedEvent { sequence, time, repository, item, length_bytes: u64::MAX };
        let answer = FeedAnswer {
            cursor_next: u64::MAX,
            end: u64::MAX,
            clock: time,
            lost: false,
            policy_version: u64::MAX,
            events: vec![event; FEED_EVENTS_MAX],
        };
        let json = serde_json::to_vec(&answer).unwrap();
        assert!(json.len() < ANSWER_BYTES_MAX, "{}", json.len());
        assert_eq!(serde_json::from_slice::<FeedAnswer>(&json).unwrap(), answer);
    }

    #[test]
    fn a_page_of_a_survey_stays_small() {
        let (name, tag, digest) = longest();
        let page = |repositories| SurveyAnswer {
            end: u64::MAX,
            clock: Timestamp(u64::MAX),
            policy_version: u64::MAX,
            repositories,
            next: Some(SurveyCursor { repository: name.clone(), part: SurveyPart::Manifests(Some(digest)) }),
        };
        let set = SurveyedTag { digest, updated: Timestamp(u64::MAX) };
        let tags = vec![(tag.clone(), set); SURVEY_ITEMS_MAX - 1];
        let tags = Stretch { after: Some(tag), items: tags, to_end: false };
        let one = vec![SurveyedRepository { name: name.clone(), tags: Some(tags), manifests: None, blobs: None }];
        let nothing = SurveyedRepository {
            name: name.clone(),
            tags: Some(Stretch { after: None, items: Vec::new(), to_end: true }),
            manifests: Some(Stretch { after: None, items: Vec::new(), to_end: true }),
            blobs: Some(Stretch { after: None, items: Vec::new(), to_end: true }),
        };
        for answer in [page(one), page(vec![nothing; SURVEY_ITEMS_MAX])] {
            let json = serde_json::to_vec(&answer).unwrap();
            assert!(json.len() < ANSWER_BYTES_MAX, "{}", json.len());
            assert_eq!(serde_json::from_slice::<SurveyAnswer>(&json).unwrap(), answer);
        }
    }

    #[test]
    fn a_list_of_pulls_stays_small() {
        let (repository, _, digest) = longest();
        let json = serde_json::to_vec(&PullsTold { pulls: vec![(repository, digest); PULLS_MAX] }).unwrap();
        // As much as is taken of the body of a request.
        assert!(json.len() < 2 << 20, "{}", json.len());
    }
}
