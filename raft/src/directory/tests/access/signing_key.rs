//! Keys of the cluster's own tokens.

use storage::kv::Bytes;

use super::*;

fn key(id: u8) -> NewSigningKey {
    let (public, wrapped_private) = (Bytes::from(vec![id; 9]), Bytes::from(vec![id; 20]));
    NewSigningKey { id: [id; 8], public, wrapped_private }
}

fn add(id: u8, signs_after_seconds: u64, others_retire_after_seconds: u64) -> Command {
    Command::AddSigningKey { key: key(id), signs_after_seconds, others_retire_after_seconds }
}

fn remove(id: u8) -> Command {
    Command::RemoveSigningKey { id: [id; 8] }
}

/// Which keys sign now, and which only verify.
fn usable(store: &Store) -> (Vec<u8>, Vec<u8>) {
    let keys = store.view().signing_keys().unwrap();
    let valid = keys.iter().filter(|(_, key)| key.is_valid(store.now));
    let (signing, verifying): (Vec<_>, Vec<_>) = valid.partition(|(_, key)| key.signs(store.now));
    let ids = |keys: Vec<&([u8; 8], SigningKeyRecord)>| keys.into_iter().map(|(id, _)| id[0]).collect();
    (ids(signing), ids(verifying))
}

#[test]
fn a_rotation_leaves_no_gap() {
    let mut store = Store::founded();
    let begin = store.now;
    store.changes(add(1, 0, 0));
    assert_eq!(usable(&store), (vec![1], vec![]));
    store.changes(add(2, 600, 900));
    store.keeps(add(2, 600, 900));
    assert_eq!(usable(&store), (vec![1], vec![2]), "every node knows it before it signs");
    for (seconds, signing) in [(599, vec![1]), (600, vec![1, 2]), (899, vec![1, 2]), (900, vec![2])] {
        store.now = begin.plus_seconds(seconds);
        assert_eq!(usable(&store).0, signing, "after {seconds} seconds");
    }
    store.refuses(
        add(3, 600, 599),
        AccessRefusal::SigningGap { signs_after_seconds: 600, others_retire_after_seconds: 599 },
    );
    store.changes(add(3, 0, 0));
    let kept: Vec<u8> = store.view().signing_keys().unwrap().into_iter().map(|(id, _)| id[0]).collect();
    assert_eq!((usable(&store), kept), ((vec![3], vec![]), vec![2, 3]), "what had ended before is forgotten");
}

#[test]
fn a_key_stays_while_no_other_one_would_sign() {
    let mut store = Store::founded();
    store.keeps(remove(1));
    store.changes(add(1, 0, 0));
    store.refuses(remove(1), AccessRefusal::SigningKeyNeeded("01".repeat(8)));
    store.changes(add(2, 600, 900));
    store.refuses(remove(1), AccessRefusal::SigningKeyNeeded("01".repeat(8)));
    store.refuses(remove(2), AccessRefusal::SigningKeyNeeded("02".repeat(8)));
    store.now = store.now.plus_seconds(600);
    store.changes(remove(1));
    store.keeps(remove(1));
    assert_eq!(usable(&store), (vec![2], vec![]));
}

#[test]
fn a_key_is_one_and_whole() {
    let mut store = Store::founded();
    store.changes(add(1, 0, 0));
    let with =
        |key: NewSigningKey| Command::AddSigningKey { key, signs_after_seconds: 0, others_retire_after_seconds: 0 };
    store.refuses(with(NewSigningKey { id: [1; 8], ..key(2) }), AccessRefusal::SigningKeyExists);
    let empty = with(NewSigningKey { public: Bytes::new(), ..key(2) });
    assert_eq!(store.reason(empty), "the signing key has a public part of 0 bytes: 1 to 4096 are expected");
    let long = with(NewSigningKey { wrapped_private: Bytes::from(vec![0; 4097]), ..key(2) });
    assert_eq!(store.reason(long), "the signing key has a private part of 4097 bytes: 1 to 4096 are expected");
}

#[test]
fn ended_keys_make_room_for_others() {
    let mut store = Store::founded();
    for id in 1..=8 {
        store.changes(add(id, 0, 600));
    }
    store.refuses(add(9, 0, 600), AccessRefusal::TooManySigningKeys(8));
    store.now = store.now.plus_seconds(600);
    store.changes(add(9, 0, 600));
    assert_eq!(usable(&store), (vec![8, 9], vec![]));
}
