//! Usage and quotas: exact, by every ancestor, each distinct blob once.

use proptest::prelude::*;

use super::store::*;
use crate::catalog::*;

fn used(store: &Store, prefix: &str) -> (u64, u64, u64, u64) {
    let usage = store.view().usage(prefix).unwrap();
    assert_eq!(usage.bytes, usage.blobs * EXTENT_BYTES);
    (usage.repositories, usage.manifests, usage.tags, usage.bytes)
}

fn exceeded(namespace: &str, resource: QuotaResource, used: u64, limit: u64, needed: u64) -> Response {
    Response::QuotaExceeded { namespace: namespace.to_owned(), resource, used, limit, needed }
}

#[test]
fn each_prefix_counts_a_distinct_blob_once() {
    let mut store = Store::new();
    store.push(1, "acme/a", 1);
    store.push(2, "acme/a", 2);
    assert_eq!(store.apply(mount("acme/b", 1, None)), Response::Mounted { length_bytes: EXTENT_BYTES });
    assert_eq!(store.apply(mount("other", 1, None)), Response::Mounted { length_bytes: EXTENT_BYTES });
    assert_eq!(used(&store, ""), (3, 0, 0, 16));
    assert_eq!(used(&store, "acme"), (2, 0, 0, 16));
    assert_eq!([used(&store, "acme/a").3, used(&store, "acme/b").3, used(&store, "other").3], [16, 8, 8]);
    let below: Vec<String> = store.view().usages("", None, 9).unwrap().into_iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(below, ["acme", "acme/a", "acme/b", "other"]);
    let below: Vec<_> = store.view().usages("acme", Some("acme/a"), 9).unwrap();
    assert_eq!(below.len(), 1);
    store.apply(unlink("acme/a", 1));
    assert_eq!((used(&store, "").3, used(&store, "acme").3, used(&store, "acme/a").3), (16, 16, 8));
    store.apply(unlink("acme/b", 1));
    assert_eq!((used(&store, "").3, used(&store, "acme"), used(&store, "acme/b")), (16, (1, 0, 0, 8), (0, 0, 0, 0)));
}

#[test]
fn a_repository_whose_name_is_a_prefix_of_others_is_counted_with_them() {
    let mut store = Store::new();
    store.push(1, "acme", 1);
    store.apply(mount("acme/a", 1, None));
    store.apply(mount("acme/b", 1, None));
    assert_eq!(used(&store, "acme"), (3, 0, 0, 8));
    store.apply(unlink("acme", 1));
    assert_eq!((used(&store, "acme"), used(&store, "")), ((2, 0, 0, 8), (2, 0, 0, 8)));
    store.apply(mount("acme", 1, None));
    store.apply(unlink("acme/a", 1));
    store.apply(unlink("acme/b", 1));
    assert_eq!((used(&store, "acme"), used(&store, "")), ((1, 0, 0, 8), (1, 0, 0, 8)));
    store.apply(unlink("acme", 1));
    assert_eq!(store.view().usages("", None, 9).unwrap(), []);
}

#[test]
fn bytes_are_refused_one_above_the_limit_and_not_at_it() {
    let mut store = Store::new();
    store.configure("acme", "quota = { bytes = 16 }");
    store.push(1, "acme/a", 1);
    assert!(matches!(store.push(2, "acme/b", 2), Response::Published { .. }), "16 of 16 bytes");
    let full = exceeded("acme", QuotaResource::Bytes, 16, 16, 8);
    assert_eq!(store.push(3, "acme/c", 3), full);
    assert_eq!(store.view().blob(&digest(3)).unwrap(), None, "nothing was published");
    assert_eq!(store.view().repository(&repository("acme/c")).unwrap(), None);
    assert!(matches!(store.push(4, "acme/c", 1), Response::Published { .. }), "what the namespace has is free");
    store.push(5, "other", 5);
    assert_eq!(store.apply(mount("acme/c", 5, None)), full);
    assert_eq!(store.apply(mount("acme/c", 2, None)), Response::Mounted { length_bytes: EXTENT_BYTES });
    assert_eq!(used(&store, "acme").3, 16);
}

#[test]
fn manifests_tags_and_repositories_are_refused_above_their_limits() {
    let mut store = Store::new();
    store.configure("acme", "quota = { manifests = 2, tags = 3, repositories = 1 }");
    let stored = |created| Response::ManifestStored { created, tags: Vec::new() };
    assert_eq!(store.put(manifest("acme/a", 10, &["a", "b"], &[])), stored(true));
    assert_eq!(store.put(manifest("acme/a", 11, &["c", "d"], &[])), exceeded("acme", QuotaResource::Tags, 2, 3, 2));
    assert_eq!(store.put(manifest("acme/a", 11, &["b", "c"], &[])), stored(true), "one tag moves, one is new");
    assert_eq!(store.put(manifest("acme/a", 12, &[], &[])), exceeded("acme", QuotaResource::Manifests, 2, 2, 1));
    assert_eq!(store.put(manifest("acme/a", 11, &["a", "b", "c"], &[])), stored(false), "nothing is new");
    assert_eq!(store.put(manifest("acme/b", 10, &[], &[])), exceeded("acme", QuotaResource::Repositories, 1, 1, 1));
    assert_eq!(store.apply(delete_manifest("acme/a", 10)), DELETED);
    assert_eq!(store.put(manifest("acme/a", 12, &[], &[])), stored(true));
    assert_eq!(used(&store, "acme"), (1, 2, 3, 0));
}

#[test]
fn every_ancestor_bounds_what_is_below_it() {
    let mut store = Store::new();
    store.configure("", "quota = { bytes = 24 }");
    store.configure("acme", "quota = { bytes = 16 }");
    store.configure("acme/team", "quota = { bytes = 100 }");
    store.push(1, "acme/team/app", 1);
    store.push(2, "acme/app", 2);
    assert_eq!(store.push(3, "acme/team/app", 3), exceeded("acme", QuotaResource::Bytes, 16, 16, 8));
    assert!(matches!(store.push(4, "other", 4), Response::Published { .. }));
    assert_eq!(store.push(5, "other", 5), exceeded("", QuotaResource::Bytes, 24, 24, 8));
    assert!(matches!(store.push(6, "other", 1), Response::Published { .. }), "the root has it already");
    assert_eq!(store.apply(mount("acme/team/app", 4, None)), exceeded("acme", QuotaResource::Bytes, 16, 16, 8));
}

#[test]
fn what_is_deleted_frees_its_quota_at_once_and_needs_it_again_when_it_comes_back() {
    let mut store = Store::new();
    store.configure("acme", "quota = { bytes = 8 }");
    store.push(1, "acme/a", 1);
    store.put(manifest("acme/a", 10, &["a"], &[1]));
    assert_eq!(store.apply(delete_manifest("acme/a", 10)), DELETED);
    assert_eq!(used(&store, "acme"), (1, 0, 0, 0));
    assert!(store.view().blob(&digest(1)).unwrap().is_some(), "its bytes wait for their grace");
    store.push(2, "acme/a", 2);
    let full = exceeded("acme", QuotaResource::Bytes, 8, 8, 8);
    assert_eq!(store.put(manifest("acme/a", 10, &["a"], &[1])), full);
    store.apply(unlink("acme/a", 2));
    assert_eq!(
        store.put(manifest("acme/a", 10, &["a"], &[1])),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
    assert_eq!(used(&store, "acme"), (1, 1, 1, 8));
}

#[test]
fn a_lowered_quota_takes_nothing_away_and_lets_what_adds_nothing_pass() {
    let mut store = Store::new();
    store.push(1, "acme/a", 1);
    store.push(2, "acme/a", 2);
    store.configure("acme", "quota = { bytes = 1, manifests = 1 }");
    assert_eq!(
        store.put(manifest("acme/a", 10, &["a"], &[1, 2])),
        Response::ManifestStored { created: true, tags: Vec::new() }
    );
    assert_eq!(used(&store, "acme").3, 16);
    assert_eq!(store.push(3, "acme/a", 3), exceeded("acme", QuotaResource::Bytes, 16, 1, 8));
}

#[test]
fn an_upload_longer_than_the_whole_quota_is_refused_on_its_way() {
    let mut store = Store::new();
    store.configure("acme", "quota = { bytes = 16 }");
    store.start(1, "acme/a");
    let extents = store.extents(2);
    assert!(matches!(store.advance(1, extents), Response::Uploaded { .. }));
    let extents = store.extents(1);
    assert_eq!(store.advance(1, extents), exceeded("acme", QuotaResource::Bytes, 0, 16, 24));
    assert_eq!(store.position(1).offset_bytes, 16, "it stands where it stood");
    assert!(matches!(store.finish(1, Vec::new(), 1), Response::Published { .. }));
}

/// Repositories, of which two are prefixes of others.
const NAMES: [&str; 4] = ["acme", "acme/a", "acme/a/b", "b"];

/// What a client or the collector does, by the number of a repository and of a blob or manifest.
#[derive(Clone, Copy, Debug)]
enum Act {
    Push(usize, u8),
    Mount(usize, u8),
    Unlink(usize, u8),
    Put(usize, u8),
    Delete(usize, u8),
    Collect,
}

fn act() -> impl Strategy<Value = Act> {
    let named = || (0..NAMES.len(), 0..4_u8);
    prop_oneof![
        4 => named().prop_map(|(name, blob)| Act::Push(name, blob)),
        2 => named().prop_map(|(name, blob)| Act::Mount(name, blob)),
        1 => named().prop_map(|(name, blob)| Act::Unlink(name, blob)),
        4 => named().prop_map(|(name, number)| Act::Put(name, number)),
        2 => named().prop_map(|(name, number)| Act::Delete(name, number)),
        1 => Just(Act::Collect),
    ]
}

fn perform(store: &mut Store, session: u8, act: Act) -> Response {
    match act {
        Act::Push(name, blob) => store.push(session, NAMES[name], blob),
        Act::Mount(name, blob) => store.apply(mount(NAMES[name], blob, None)),
        Act::Unlink(name, blob) => store.apply(unlink(NAMES[name], blob)),
        Act::Put(name, number) => {
            let tags = [format!("t{number}"), format!("t{}", number / 2)];
            store.put(manifest(NAMES[name], 10 + number, &[&tags[0], &tags[1]], &[number, number / 2]))
        }
        Act::Delete(name, number) => store.apply(delete_manifest(NAMES[name], 10 + number)),
        Act::Collect => {
            store.wait(20_000);
            store.collect();
            Response::Done
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The audit counts anew after every command; here it is seen that no order of them exceeds a quota, and that what is
    /// refused would have.
    #[test]
    fn quotas_hold_after_any_commands(acts in prop::collection::vec(act(), 0..40)) {
        let mut store = Store::new();
        store.configure("", "quota = { bytes = 24, repositories = 3 }\ngrace_seconds = 10\nrestore_seconds = 5");
        store.configure("acme", "quota = { bytes = 16, manifests = 4, tags = 5 }");
        store.configure("acme/a", "quota = { bytes = 8, manifests = 2 }");
        for (session, act) in acts.into_iter().enumerate() {
            let response = perform(&mut store, 100 + u8::try_from(session).unwrap(), act);
            if let Response::QuotaExceeded { namespace, resource, used, limit, needed } = response {
                prop_assert_eq!(store.view().usage(&namespace).unwrap().of(resource), used);
                prop_assert!(needed > 0 && used + needed > limit);
            }
            for (prefix, copy) in store.view().policies(None, 9).unwrap() {
                let usage = store.view().usage(&prefix).unwrap();
                for resource in QuotaResource::ALL {
                    let limit = copy.policy.quota.limit(resource).unwrap_or(u64::MAX);
                    prop_assert!(usage.of(resource) <= limit, "{} of {:?}: {:?}", resource.name(), prefix, usage);
                }
            }
        }
    }
}
