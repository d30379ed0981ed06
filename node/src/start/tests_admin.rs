//! The administration of a whole node: every path that the local socket serves says what it needs over the network.

use std::collections::BTreeSet;

use super::tests::{environment, settings, start};
use crate::admin;
use crate::cluster::{Certificates, InitAccess, init};

/// The paths of a router, as it shows them itself; without those of its fallback, which has the root and whatever is below.
fn paths(router: &axum::Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let mut paths = BTreeSet::new();
    for part in shown.split("paths: {").skip(1) {
        // Texts and what is between them take turns; the list ends between two of them.
        for pair in part.split('"').collect::<Vec<_>>().chunks(2) {
            let [between, text] = pair else { break };
            if between.contains('}') {
                break;
            }
            paths.insert((*text).to_owned());
        }
    }
    paths.retain(|path| path.starts_with('/') && path != "/" && !path.contains('*'));
    paths
}

#[tokio::test]
async fn every_path_of_the_administration_says_what_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let (environment, settings) = (environment(), settings(directory.path(), "n1"));
    init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let node = start(&environment, &settings).await;
    let served = paths(&admin::router(node.admin().clone()));
    node.shutdown().await;
    for known in ["/status", "/namespace/set", "/audit/search", "/scrub"] {
        assert!(served.contains(known), "the router shows its paths in another way now: {served:?}");
    }
    let listed: BTreeSet<String> = admin::needed_paths().map(ToOwned::to_owned).collect();
    let missing: Vec<_> = served.difference(&listed).collect();
    assert!(missing.is_empty(), "without a row in admin/needs.rs: {missing:?}");
    let dead: Vec<_> = listed.difference(&served).collect();
    assert!(dead.is_empty(), "admin/needs.rs has rows of nothing: {dead:?}");
}
