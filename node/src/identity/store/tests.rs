//! What is written is read, and damage is named.

use raft::directory::FirstAccess;
use storage::disk::RealFiles;

use super::*;
use crate::identity::{Authority, generate_key};

fn store(directory: &tempfile::TempDir) -> Store {
    let store = Store::new(Arc::new(RealFiles), directory.path());
    store.prepare().unwrap();
    store
}

#[expect(clippy::disallowed_methods, reason = "looks at what the system says of a file")]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    assert_eq!(store.identity().unwrap(), None);
    let identity =
        Identity { cluster: ClusterId([9; 16]), node: NodeId(3), region: RegionId(1), name: "rack-2".to_owned() };
    store.write_identity(&identity).unwrap();
    assert_eq!(store.identity().unwrap(), Some(identity));

    let access = FirstAccess { anonymous: Some("reader".to_owned()), ..FirstAccess::default() };
    let founding = Founding { region: "main".to_owned(), wrapped_authority_key: vec![1, 2], access };
    store.write_founding(&founding).unwrap();
    assert_eq!(mode(&directory.path().join("identity/founding.toml")), 0o600, "a password's hash is nobody else's");
    assert_eq!(store.founding().unwrap(), Some(founding));
    store.remove_founding().unwrap();
    store.remove_founding().unwrap();
    assert_eq!(store.founding().unwrap(), None);

    assert!(!store.is_founding_region().unwrap());
    store.write_founding_region().unwrap();
    assert!(store.is_founding_region().unwrap());
    store.remove_founding_region().unwrap();
    store.remove_founding_region().unwrap();
    assert!(!store.is_founding_region().unwrap());

    let joining = Joining { request: RequestId([4; 16]), name: "n".to_owned() };
    store.write_joining(&joining).unwrap();
    assert_eq!(store.joining().unwrap(), Some(joining));

    assert!(!store.has_log().unwrap());
    store.write_has_log().unwrap();
    assert!(store.has_log().unwrap());

    assert!(store.credentials().unwrap().is_none());
    store.write_key("key").unwrap();
    assert!(matches!(store.credentials(), Err(IdentityError::Damaged { .. })));
    store.write_certificate(&[7; 100]).unwrap();
    store.write_authorities(&[[8; 100], [9; 100]]).unwrap();
    store.write_cluster_key(&ClusterKey([6; 32])).unwrap();
    let credentials = store.credentials().unwrap().unwrap();
    assert_eq!(credentials.certificate.as_ref(), [7; 100]);
    assert_eq!(credentials.authority.as_ref(), [8; 100]);
    assert_eq!(credentials.also, [CertificateDer::from([9; 100].to_vec())]);
    assert_eq!(credentials.cluster_key, ClusterKey([6; 32]));
}

#[test]
fn the_authority_that_has_signed_is_found_among_those_that_are_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let now = raft::time::Timestamp(1_800_000_000_000);
    // Both have the same name: only their keys differ.
    let [old, new] = [1, 2].map(|_| Authority::generate(ClusterId([9; 16]), now).unwrap());
    let key = generate_key().unwrap();
    store.write_key(&key).unwrap();
    store.write_cluster_key(&ClusterKey([6; 32])).unwrap();
    store.write_certificate(&new.renew((NodeId(1), RegionId(1)), &key, now).unwrap()).unwrap();
    for order in [[old.certificate(), new.certificate()], [new.certificate(), old.certificate()]] {
        store.write_authorities(&order).unwrap();
        let credentials = store.credentials().unwrap().unwrap();
        assert_eq!((&credentials.authority, &credentials.also), (new.certificate(), &vec![old.certificate().clone()]));
    }
    store.write(AUTHORITY, b"no certificate").unwrap();
    assert!(store.credentials().unwrap_err().to_string().contains("ca.crt"));
}

#[test]
fn disks_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let mut known = store.known_disks().unwrap();
    assert_eq!(known.list, directory.path().join("identity/disks.toml"));
    assert!(known.disks.is_empty());
    store.write_known_disks(&known).unwrap();
    assert_eq!(store.known_disks().unwrap(), known);
    known.disks.insert(PathBuf::from("/srv/\"one\""), DiskId([1; 16]));
    known.disks.insert(PathBuf::from("/srv/two"), DiskId([2; 16]));
    known.added.insert(PathBuf::from("/srv/two"));
    known.removed.insert(DiskId([3; 16]), PathBuf::from("/srv/three"));
    store.write_known_disks(&known).unwrap();
    assert_eq!(store.known_disks().unwrap(), known);
    store.write(DISKS, b"version = 1\n[[disk]]\ndirectory = \"/a\"\nid = \"zz\"\n").unwrap();
    assert!(store.known_disks().unwrap_err().to_string().contains("/a: "));
}

#[test]
fn damage_and_other_versions_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    store.write(NODE, b"version = 2\n").unwrap();
    assert!(matches!(store.identity(), Err(IdentityError::Version { found: 2, .. })));
    store.write(NODE, b"version = 1\n").unwrap();
    assert!(store.identity().unwrap_err().to_string().contains("node.toml\" is damaged: missing field"));
    store.write(NODE, &[0xff]).unwrap();
    assert!(matches!(store.identity(), Err(IdentityError::Damaged { .. })));
}
