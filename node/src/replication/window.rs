//! What to do about some debts: a pure plan, in their order.
//!
//! A debt names what the source had when it was taken in. Work that was done and not struck off yet, since the node that
//! did it was lost, is done again; a tag must not go back by that. So what a later debt says of the same tag, and what is
//! here already, is looked at first.

use raft::catalog::{DebtItem, DebtRecord, Digest, RepositoryName, Tag};
use raft::time::Timestamp;

use super::scope::Wanted;

/// A debt with its number.
pub(super) type Debt = (u64, DebtRecord);

/// What to do about one debt, or several that are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// The debts.
    pub(super) numbers: Vec<u64>,
    /// How often they could not be paid.
    pub(super) failures: u32,
    /// When it came to be, in the source's time.
    pub(super) made: Timestamp,
    /// Where.
    pub(super) repository: RepositoryName,
    /// What.
    pub(super) work: Work,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing: it does not belong to the scope any more, or a later debt says otherwise.
    Nothing,
    /// A manifest is brought and becomes visible with these tags. `asks` if the source has to be asked first where the
    /// tag points to by now.
    Put {
        /// The manifest.
        digest: Digest,
        /// Its tags.
        tags: Vec<Tag>,
        /// Whether time has passed since the source was heard.
        asks: bool,
    },
    /// A blob that no manifest uses yet is brought.
    Blob {
        /// The blob.
        digest: Digest,
    },
    /// A tag goes. `asks` as above.
    RemoveTag {
        /// The tag.
        tag: Tag,
        /// Whether time has passed since the source was heard.
        asks: bool,
    },
    /// A manifest goes, with the tags that still point to it.
    RemoveManifest {
        /// The manifest.
        digest: Digest,
    },
}

/// Plans what to do about debts, which come in their order. `here` says where a tag points to in this region.
pub(super) fn plan<E>(
    wanted: &Wanted,
    debts: &[Debt],
    mut here: impl FnMut(&RepositoryName, &Tag) -> Result<Option<Digest>, E>,
) -> Result<Vec<Job>, E> {
    let mut jobs: Vec<Job> = Vec::new();
    for (position, (number, debt)) in debts.iter().enumerate() {
        let rest = &debts[position + 1..];
        let work = if !wanted.holds(&debt.repository) || !wanted.owes(&debt.item) {
            Work::Nothing
        } else {
            work(debt, rest, &mut here)?
        };
        let (numbers, repository) = (vec![*number], debt.repository.clone());
        let job = Job { numbers, failures: debt.failures, made: debt.time, repository, work };
        match jobs.last_mut() {
            Some(last) if joins(last, &job) => join(last, job),
            _ => jobs.push(job),
        }
    }
    Ok(jobs)
}

fn work<E>(
    debt: &DebtRecord,
    rest: &[Debt],
    here: &mut impl FnMut(&RepositoryName, &Tag) -> Result<Option<Digest>, E>,
) -> Result<Work, E> {
    let asks = debt.failures > 0;
    let repository = &debt.repository;
    Ok(match &debt.item {
        DebtItem::Manifest { digest } => Work::Put { digest: *digest, tags: Vec::new(), asks: false },
        DebtItem::Blob { digest } => Work::Blob { digest: *digest },
        DebtItem::Tag { tag, digest } => match later(rest, repository, tag) {
            Some(said) if asks || here(repository, tag)? == said.target() => Work::Nothing,
            _ => Work::Put { digest: *digest, tags: vec![tag.clone()], asks },
        },
        DebtItem::TagGone { tag } => match later(rest, repository, tag) {
            Some(said) if asks || here(repository, tag)? == said.target() => Work::Nothing,
            _ => Work::RemoveTag { tag: tag.clone(), asks },
        },
        DebtItem::ManifestGone { digest } => {
            let comes_back = rest.iter().any(|(_, later)| {
                let brings = match &later.item {
                    DebtItem::Manifest { digest: brought } | DebtItem::Tag { digest: brought, .. } => brought == digest,
                    DebtItem::Blob { .. } | DebtItem::TagGone { .. } | DebtItem::ManifestGone { .. } => false,
                };
                brings && later.repository == *repository
            });
            if comes_back { Work::Nothing } else { Work::RemoveManifest { digest: *digest } }
        }
    })
}

/// What later debts say of a tag in the end.
enum Later {
    /// It points here.
    Set(Digest),
    /// It is gone.
    Gone,
}

impl Later {
    /// What the tag points to then.
    const fn target(&self) -> Option<Digest> {
        match self {
            Self::Set(digest) => Some(*digest),
            Self::Gone => None,
        }
    }
}

/// What the last one of later debts says of a tag; `None` if none does.
fn later(rest: &[Debt], repository: &RepositoryName, tag: &Tag) -> Option<Later> {
    rest.iter().rev().filter(|(_, debt)| debt.repository == *repository).find_map(|(_, debt)| match &debt.item {
        DebtItem::Tag { tag: said, digest } if said == tag => Some(Later::Set(*digest)),
        DebtItem::TagGone { tag: said } if said == tag => Some(Later::Gone),
        _ => None,
    })
}

/// Whether two neighbours are one push: a manifest and its tags, of one moment.
fn joins(last: &Job, next: &Job) -> bool {
    let (Work::Put { digest, asks: false, .. }, Work::Put { digest: other, asks: false, .. }) =
        (&last.work, &next.work)
    else {
        return false;
    };
    let same = last.repository == next.repository && last.made == next.made && digest == other;
    same && last.failures == 0 && next.failures == 0
}

fn join(last: &mut Job, next: Job) {
    last.numbers.extend(next.numbers);
    if let (Work::Put { tags, .. }, Work::Put { tags: more, .. }) = (&mut last.work, next.work) {
        tags.extend(more.into_iter().filter(|tag| !tags.contains(tag)).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use raft::catalog::{Algorithm, ReplicationScope};
    use raft::id::RegionId;

    use super::*;
    use crate::regions::Region;
    use crate::registry::compute;

    fn wanted() -> Wanted {
        Wanted {
            prefix: "acme".to_owned(),
            source: Region { id: RegionId(1), name: "eu".to_owned(), public_url: None },
            except: vec!["acme/own".to_owned()],
            scope: ReplicationScope { deletes: true, ..ReplicationScope::default() },
            follows_deletes: true,
            settled: true,
            priority: 5,
        }
    }

    fn digest(text: &str) -> Digest {
        compute(Algorithm::Sha256, text.as_bytes())
    }

    fn debts(items: &[(&str, DebtItem, u32)]) -> Vec<Debt> {
        let debt = |(repository, item, failures): &(&str, DebtItem, u32)| DebtRecord {
            repository: repository.parse().unwrap(),
            item: item.clone(),
            time: Timestamp(1),
            length_bytes: 0,
            failures: *failures,
            error: None,
            not_before: Timestamp(0),
        };
        (1..).zip(items.iter().map(debt)).collect()
    }

    fn tag(text: &str, to: &str) -> DebtItem {
        DebtItem::Tag { tag: text.parse().unwrap(), digest: digest(to) }
    }

    fn manifest(content: &str) -> DebtItem {
        DebtItem::Manifest { digest: digest(content) }
    }

    fn tag_gone(text: &str) -> DebtItem {
        DebtItem::TagGone { tag: text.parse().unwrap() }
    }

    fn put(content: &str, tags: &[&str], asks: bool) -> Work {
        Work::Put { digest: digest(content), tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(), asks }
    }

    /// The plan, where every tag points to this here.
    fn planned(items: &[(&str, DebtItem, u32)], here: Option<&str>) -> Vec<(Vec<u64>, Work)> {
        let found: Result<_, Infallible> = plan(&wanted(), &debts(items), |_, _| Ok(here.map(digest)));
        let Ok(jobs) = found;
        jobs.into_iter().map(|job| (job.numbers, job.work)).collect()
    }

    #[test]
    fn a_push_of_a_manifest_with_its_tags_is_one_thing() {
        let app = "acme/app";
        let items = [
            (app, manifest("a"), 0),
            (app, tag("v1", "a"), 0),
            (app, tag("latest", "a"), 0),
            (app, manifest("b"), 0),
            ("acme/other", tag("v1", "b"), 0),
        ];
        let expected = [
            (vec![1, 2, 3], put("a", &["v1", "latest"], false)),
            (vec![4], put("b", &[], false)),
            (vec![5], put("b", &["v1"], false)),
        ];
        assert_eq!(planned(&items, None), expected);
    }

    #[test]
    fn what_is_of_another_moment_is_put_by_itself_so_that_each_keeps_its_age() {
        let items = [("acme/app", manifest("a"), 0), ("acme/app", tag("v1", "a"), 0), ("acme/app", tag("v2", "a"), 0)];
        let mut debts = debts(&items);
        debts[2].1.time = Timestamp(9);
        let found: Result<_, Infallible> = plan(&wanted(), &debts, |_, _| Ok(None));
        let Ok(jobs) = found;
        let told: Vec<_> = jobs.into_iter().map(|job| (job.numbers, job.made)).collect();
        assert_eq!(told, [(vec![1, 2], Timestamp(1)), (vec![3], Timestamp(9))]);
    }

    #[test]
    fn a_tag_goes_through_all_that_it_was_in_order() {
        let app = "acme/app";
        let items = [(app, tag("v1", "a"), 0), (app, tag("v1", "b"), 0), (app, tag_gone("v1"), 0)];
        let expected = [
            (vec![1], put("a", &["v1"], false)),
            (vec![2], put("b", &["v1"], false)),
            (vec![3], Work::RemoveTag { tag: "v1".parse().unwrap(), asks: false }),
        ];
        assert_eq!(planned(&items, Some("before")), expected);
    }

    #[test]
    fn what_was_done_and_not_struck_off_does_not_take_a_tag_back() {
        let app = "acme/app";
        let items = [(app, tag("v1", "a"), 0), (app, tag("v1", "b"), 0)];
        let nothing = (vec![1], Work::Nothing);
        assert_eq!(planned(&items, Some("b")), [nothing.clone(), (vec![2], put("b", &["v1"], false))]);
        let items = [(app, tag_gone("v1"), 0), (app, tag("v1", "b"), 0)];
        assert_eq!(planned(&items, Some("b"))[0], nothing);
        let items = [(app, tag("v1", "a"), 0), (app, tag_gone("v1"), 0)];
        assert_eq!(planned(&items, None)[0], nothing, "it was there and is gone again");
        let gone = DebtItem::ManifestGone { digest: digest("a") };
        let items = [(app, gone.clone(), 0), (app, manifest("a"), 0)];
        assert_eq!(planned(&items, None)[0], nothing, "it comes back");
        assert_eq!(planned(&[(app, gone, 0)], None)[0].1, Work::RemoveManifest { digest: digest("a") });
    }

    #[test]
    fn what_failed_asks_again_and_yields_to_what_came_later() {
        let app = "acme/app";
        assert_eq!(planned(&[(app, tag("v1", "a"), 2)], None), [(vec![1], put("a", &["v1"], true))]);
        let items = [(app, tag("v1", "a"), 1), (app, tag("v1", "b"), 0)];
        assert_eq!(planned(&items, None)[0], (vec![1], Work::Nothing));
        // It is tried by itself: what is joined to it would fail with it.
        let items = [(app, manifest("a"), 1), (app, tag("v1", "a"), 0)];
        assert_eq!(planned(&items, None).len(), 2);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_struck_off() {
        let items = [("acme/own/x", tag("v1", "a"), 0), ("other", manifest("a"), 0)];
        assert!(planned(&items, None).iter().all(|(_, work)| *work == Work::Nothing));
        let careful = Wanted { follows_deletes: false, ..wanted() };
        let found: Result<_, Infallible> =
            plan(&careful, &debts(&[("acme/app", tag_gone("v1"), 0)]), |_, _| Ok(Some(digest("a"))));
        let Ok(jobs) = found;
        assert_eq!(jobs[0].work, Work::Nothing);
    }
}
