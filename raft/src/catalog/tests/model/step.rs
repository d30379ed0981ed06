//! What can happen in a history.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{REPOSITORIES, TAGS};
use crate::policy::Role;

/// Something that happens. Numbers pick names out of small sets, so that commands meet each other.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Start {
        session: u8,
        repository: usize,
    },
    Advance {
        session: u8,
        extents: u64,
        stale: bool,
        degraded: bool,
    },
    Rewrite {
        session: u8,
        extent: u32,
    },
    Finish {
        session: u8,
        blob: u8,
        more: bool,
    },
    Cancel {
        session: u8,
        repository: usize,
    },
    Expire {
        limit: u32,
    },
    Mount {
        repository: usize,
        blob: u8,
        from: Option<usize>,
    },
    Touch {
        repository: usize,
        blob: u8,
    },
    Unlink {
        repository: usize,
        blob: u8,
    },
    Put {
        repository: usize,
        manifest: u8,
        tags: Vec<usize>,
        blobs: Vec<u8>,
        children: Vec<u8>,
        subject: Option<u8>,
        typed: bool,
    },
    DeleteTag {
        repository: usize,
        tag: usize,
    },
    DeleteManifest {
        repository: usize,
        manifest: u8,
    },
    Replace {
        object: u8,
        extent: u32,
        current: bool,
    },
    Report {
        object: u8,
        extent: u32,
        missing: Vec<u8>,
    },
    Move {
        object: u8,
        extent: u32,
        shards: Vec<u8>,
        current: bool,
    },
    Accept {
        object: u8,
        extent: u32,
    },
    ReportLocation {
        node: u8,
        page: u32,
    },
    ForgiveLocation {
        node: u8,
        page: u32,
    },
    Sweep {
        count: usize,
    },
    Wait {
        seconds: u64,
    },
    Collect {
        limit: u32,
    },
    RestoreManifest {
        repository: usize,
        manifest: u8,
    },
    RestoreTag {
        repository: usize,
        tag: usize,
    },
    Pull {
        repository: usize,
        manifest: u8,
    },
    SetPolicy(Rules),
    Walk {
        limit: u32,
    },
    Evict {
        repository: usize,
        limit: u32,
    },
    Hear {
        debts: usize,
        follow: bool,
    },
    Settle {
        settled: Vec<u64>,
        failed: Vec<u64>,
    },
    Forget {
        limit: u32,
    },
}

/// The policy of everything, as far as these histories change it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) deletes: bool,
    /// Tags that begin with a `v`.
    pub(super) immutable: bool,
    /// Untagged manifests go after this many seconds.
    pub(super) untagged: Option<u64>,
    pub(super) grace: u64,
    pub(super) restore: u64,
    /// What this region is for [`ROLED`].
    pub(super) role: Option<Role>,
}

fn rules() -> impl Strategy<Value = Rules> {
    let untagged = prop::option::of(prop_oneof![Just(0), Just(500)]);
    let (grace, restore) = (prop_oneof![Just(0_u64), Just(80), Just(86400)], prop_oneof![Just(0_u64), Just(300)]);
    let others = [Role::Home, Role::Replica, Role::Foreign, Role::Foreign, Role::Fenced];
    let role = prop_oneof![4 => Just(None), 2 => select(others.map(Some).to_vec())];
    (prop::bool::weighted(0.8), prop::bool::weighted(0.3), untagged, grace, restore, role).prop_map(
        |(deletes, immutable, untagged, grace, restore, role)| Rules {
            deletes,
            immutable,
            untagged,
            grace,
            restore,
            role,
        },
    )
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let session = || 1..5_u8;
    let repository = || 0..REPOSITORIES.len();
    let blob = || 1..4_u8;
    let manifest = || 10..15_u8;
    let node = || 1..7_u8;
    prop_oneof![
        3 => (session(), repository()).prop_map(|(session, repository)| Step::Start { session, repository }),
        3 => (session(), 0..3_u64, prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(session, extents, stale, degraded)| Step::Advance { session, extents, stale, degraded }),
        1 => (session(), 0..2_u32).prop_map(|(session, extent)| Step::Rewrite { session, extent }),
        5 => (session(), blob(), prop::bool::weighted(0.9))
            .prop_map(|(session, blob, more)| Step::Finish { session, blob, more }),
        1 => (session(), repository()).prop_map(|(session, repository)| Step::Cancel { session, repository }),
        1 => (1..4_u32).prop_map(|limit| Step::Expire { limit }),
        2 => (repository(), blob(), prop::option::of(repository()))
            .prop_map(|(repository, blob, from)| Step::Mount { repository, blob, from }),
        2 => (repository(), blob()).prop_map(|(repository, blob)| Step::Touch { repository, blob }),
        3 => (repository(), blob()).prop_map(|(repository, blob)| Step::Unlink { repository, blob }),
        8 => (
            (repository(), manifest(), vec(0..TAGS.len(), 0..3), vec(blob(), 0..3)),
            (vec(manifest(), 0..3), prop::option::of(manifest()), prop::bool::weighted(0.9)),
        )
            .prop_map(|((repository, manifest, tags, blobs), (children, subject, typed))| Step::Put {
                repository,
                manifest,
                tags,
                blobs,
                children,
                subject,
                typed,
            }),
        2 => (repository(), 0..TAGS.len()).prop_map(|(repository, tag)| Step::DeleteTag { repository, tag }),
        2 => (repository(), manifest()).prop_map(|(repository, manifest)| Step::DeleteManifest { repository, manifest }),
        2 => (session(), 0..3_u32, prop::bool::weighted(0.8))
            .prop_map(|(object, extent, current)| Step::Replace { object, extent, current }),
        2 => (session(), 0..3_u32, vec(0..3_u8, 0..3))
            .prop_map(|(object, extent, missing)| Step::Report { object, extent, missing }),
        3 => (session(), 0..3_u32, vec(0..3_u8, 0..3), prop::bool::weighted(0.8))
            .prop_map(|(object, extent, shards, current)| Step::Move { object, extent, shards, current }),
        1 => (session(), 0..3_u32).prop_map(|(object, extent)| Step::Accept { object, extent }),
        1 => (node(), 1..4_u32).prop_map(|(node, page)| Step::ReportLocation { node, page }),
        1 => (node(), 1..4_u32).prop_map(|(node, page)| Step::ForgiveLocation { node, page }),
        1 => (0..4_usize).prop_map(|count| Step::Sweep { count }),
        3 => prop_oneof![1..100_u64, Just(400), Just(3600), Just(8 * 86400)].prop_map(|seconds| Step::Wait { seconds }),
        6 => prop_oneof![1..4_u32, Just(1000)].prop_map(|limit| Step::Collect { limit }),
        2 => (repository(), manifest())
            .prop_map(|(repository, manifest)| Step::RestoreManifest { repository, manifest }),
        2 => (repository(), 0..TAGS.len()).prop_map(|(repository, tag)| Step::RestoreTag { repository, tag }),
        1 => (repository(), manifest()).prop_map(|(repository, manifest)| Step::Pull { repository, manifest }),
        2 => rules().prop_map(Step::SetPolicy),
        1 => (1..4_u32).prop_map(|limit| Step::Walk { limit }),
        3 => (repository(), 1..4_u32).prop_map(|(repository, limit)| Step::Evict { repository, limit }),
        2 => (0..3_usize, any::<bool>()).prop_map(|(debts, follow)| Step::Hear { debts, follow }),
        2 => (vec(0..8_u64, 0..3), vec(0..8_u64, 0..3))
            .prop_map(|(settled, failed)| Step::Settle { settled, failed }),
        1 => (1..4_u32).prop_map(|limit| Step::Forget { limit }),
    ]
}
