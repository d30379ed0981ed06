//! The operating system's files behind the seam.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use storage::disk::{Files, RealFiles};

#[expect(clippy::disallowed_methods, reason = "looks at the real file")]
fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn files_are_their_owners_only() {
    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("a/b/c");
    RealFiles.create_directory_durable(&nested).unwrap();
    RealFiles.create_directory_durable(&nested).unwrap();
    RealFiles.create(&nested.join("file")).unwrap();
    assert_eq!(mode(&nested), 0o700);
    assert_eq!(mode(&nested.join("file")), 0o600);
    assert_eq!(RealFiles.create(&nested.join("file")).unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn parts_are_written_one_behind_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let file = RealFiles.create(&path).unwrap();
    let many: Vec<Vec<u8>> = (0..3000u32).map(|part| vec![part.to_le_bytes()[0]; (part % 5) as usize]).collect();
    let parts: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    file.write_all_parts_at(&parts, 3).unwrap();
    file.write_all_parts_at(&[b"", b""], 0).unwrap();
    file.write_all_parts_at(&[], 0).unwrap();
    file.start_writeback(0, 1000);
    file.sync().unwrap();
    assert_eq!(RealFiles.read(&path).unwrap(), [vec![0; 3], many.concat()].concat());
}

#[test]
fn a_read_beyond_the_end_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = RealFiles.create(&directory.path().join("file")).unwrap();
    file.write_all_at(b"0123456789", 0).unwrap();
    assert_eq!(file.read_vec_at(4, 6).unwrap(), b"6789");
    assert_eq!(file.read_vec_at(0, 99).unwrap(), b"");
    assert_eq!(file.read_vec_at(5, 6).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn replacing_leaves_no_temporary_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    RealFiles.replace(&path, b"one").unwrap();
    RealFiles.replace(&path, b"two").unwrap();
    let listed = RealFiles.list(directory.path()).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), listed[0].length_bytes), ("identity", 3));
    assert_eq!(RealFiles.read(&path).unwrap(), b"two");
}

#[test]
fn a_directory_is_locked_once() {
    let directory = tempfile::tempdir().unwrap();
    let guard = RealFiles.lock(directory.path()).unwrap();
    assert_eq!(RealFiles.lock(directory.path()).err().unwrap().kind(), ErrorKind::WouldBlock);
    drop(guard);
    assert!(RealFiles.lock(directory.path()).is_ok());
}

#[test]
fn removing_what_is_not_there_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    RealFiles.remove_directory_all(&directory.path().join("none")).unwrap();
    assert_eq!(RealFiles.remove(&directory.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(RealFiles.space(directory.path()).unwrap().total_bytes > 0);
}
