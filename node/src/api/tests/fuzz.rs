//! Fuzz target: the path of a request, in which a repository's name must not climb out of its place.

use raft::catalog::RepositoryName;

use crate::api::route::Route;
use crate::fuzz::{explore, spelled};

const WORDS: &[&str] = &[
    "/v2",
    "/",
    "//",
    "v2/",
    "acme",
    "app",
    "manifests/",
    "/manifests/",
    "/blobs/",
    "uploads/",
    "/tags/list",
    "/referrers/",
    "_catalog",
    "_regnode/history/",
    "_regnode/usage/",
    "..",
    ".",
    "%2e%2e",
    "%2f",
    "%",
    "%zz",
    "%00",
    "%c3%a9",
    "é",
    "&digest=",
    "v1",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "00112233445566778899aabbccddeeff",
    "A",
];

#[test]
fn a_path_leads_to_one_place_and_its_name_stays_in_it() {
    explore!("paths", |input: &[u8]| {
        let text = spelled(input, WORDS);
        for path in [text.clone(), format!("/v2/{text}"), format!("/v2/acme/app/{text}")] {
            let Ok((route, query)) = Route::parse(&path) else { continue };
            if let Some(name) = route.repository() {
                assert!(name.as_str().parse::<RepositoryName>().is_ok(), "{path:?}: {route:?}");
                // It stands in the path as it is, whatever is escaped around it.
                assert!(!name.as_str().contains("..") && !name.as_str().contains("//"), "{path:?}: {route:?}");
            }
            assert_eq!(Route::parse(&route.path()), Ok((route.clone(), None)), "{path:?}: {query:?}");
            assert!(!route.allowed().is_empty());
        }
    });
}
