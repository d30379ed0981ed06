//! What of a tree survives a power loss: every outcome that many random ones reach is one that the syncs allow.

use rand::SeedableRng;

use super::*;

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn present(tree: &Tree) -> String {
    let files: Vec<String> = tree.files().iter().map(|(path, _)| path.display().to_string()).collect();
    files.join(" ")
}

/// All that a power loss makes of what `build` leaves.
fn outcomes(build: impl Fn(&mut Tree)) -> BTreeSet<String> {
    let outcome = |seed| {
        let mut tree = Tree::new();
        tree.create_directories(path("/d")).unwrap();
        tree.sync(path("/")).unwrap();
        build(&mut tree);
        tree.power_loss(&mut StdRng::seed_from_u64(seed));
        present(&tree)
    };
    (0..100).map(outcome).collect()
}

fn set(outcomes: &[&str]) -> BTreeSet<String> {
    outcomes.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn entries_survive_one_by_one_without_a_sync() {
    let seen = outcomes(|tree| {
        tree.create(path("/d/a")).unwrap();
        tree.create(path("/d/b")).unwrap();
    });
    assert_eq!(seen, set(&["", "/d/a", "/d/b", "/d/a /d/b"]));
}

#[test]
fn a_synced_directory_keeps_its_entries() {
    let seen = outcomes(|tree| {
        tree.create(path("/d/a")).unwrap();
        tree.create(path("/d/b")).unwrap();
        tree.sync(path("/d")).unwrap();
        tree.remove(path("/d/b")).unwrap();
    });
    assert_eq!(seen, set(&["/d/a", "/d/a /d/b"]));
}

#[test]
fn a_rename_is_seen_wholly_or_not_at_all() {
    let seen = outcomes(|tree| {
        tree.create(path("/d/old")).unwrap();
        tree.sync(path("/d")).unwrap();
        tree.rename(path("/d/old"), path("/d/new")).unwrap();
    });
    assert_eq!(seen, set(&["/d/old", "/d/new"]));
}

#[test]
fn what_rests_on_an_earlier_change_does_not_survive_without_it() {
    let seen = outcomes(|tree| {
        tree.create(path("/d/a")).unwrap();
        tree.rename(path("/d/a"), path("/d/b")).unwrap();
    });
    assert_eq!(seen, set(&["", "/d/a", "/d/b"]));
}

#[test]
fn a_sync_of_the_target_carries_a_rename_out_on_both_sides() {
    let seen = outcomes(|tree| {
        tree.create_directories(path("/e")).unwrap();
        tree.create(path("/e/a")).unwrap();
        tree.rename(path("/e/a"), path("/d/a")).unwrap();
        tree.sync(path("/d")).unwrap();
    });
    assert_eq!(seen, set(&["/d/a"]));
}

#[test]
fn a_renamed_directory_takes_along_what_is_durable_in_it() {
    let seen = outcomes(|tree| {
        tree.create_directories(path("/d/new.tmp")).unwrap();
        tree.create(path("/d/new.tmp/synced")).unwrap();
        tree.sync(path("/d/new.tmp")).unwrap();
        tree.create(path("/d/new.tmp/not")).unwrap();
        tree.rename(path("/d/new.tmp"), path("/d/new")).unwrap();
        tree.sync(path("/d")).unwrap();
    });
    assert_eq!(seen, set(&["/d/new/synced", "/d/new/not /d/new/synced"]));
}

#[test]
fn a_directory_that_is_synced_is_reachable() {
    let seen = outcomes(|tree| {
        tree.create_directories(path("/d/e/f")).unwrap();
        tree.create(path("/d/e/f/a")).unwrap();
        tree.sync(path("/d/e/f")).unwrap();
    });
    assert_eq!(seen, set(&["/d/e/f/a"]));
}

#[test]
fn a_directory_may_be_half_removed() {
    let seen = outcomes(|tree| {
        tree.create_directories(path("/d/e")).unwrap();
        tree.create(path("/d/e/a")).unwrap();
        tree.create(path("/d/e/b")).unwrap();
        tree.sync(path("/d/e")).unwrap();
        tree.remove_directories(path("/d/e")).unwrap();
        assert_eq!(tree.file(path("/d/e/a")).unwrap_err().kind(), io::ErrorKind::NotFound);
    });
    assert_eq!(seen, set(&["", "/d/e/a", "/d/e/a /d/e/b", "/d/e/b"]));
}

#[test]
fn a_lost_file_does_not_come_back() {
    let seen = outcomes(|tree| {
        tree.create(path("/d/a")).unwrap();
        tree.sync(path("/d")).unwrap();
        tree.lose(path("/d/a")).unwrap();
    });
    assert_eq!(seen, set(&[""]));
}

#[test]
fn changes_that_wait_are_bounded() {
    let mut tree = Tree::new();
    for number in 0..PENDING_MAX * 2 {
        tree.create(&path("/").join(number.to_string())).unwrap();
    }
    assert!(tree.pending.len() <= PENDING_MAX);
    assert_eq!(tree.files().len(), PENDING_MAX * 2);
}

#[test]
fn a_file_is_durable_once_every_name_on_the_way_to_it_is() {
    let mut tree = Tree::new();
    tree.create_directories(path("/d/e")).unwrap();
    tree.create(path("/d/e/a")).unwrap();
    assert!(!tree.is_durable(path("/d/e/a")));
    tree.sync(path("/d/e")).unwrap();
    assert!(tree.is_durable(path("/d/e/a")) && !tree.is_durable(path("/d/e/b")));
    tree.create(path("/d/e/b")).unwrap();
    tree.rename(path("/d/e/b"), path("/d/e/a")).unwrap();
    assert!(!tree.is_durable(path("/d/e/a")), "the name is, and stands for another file");
}
