//! The change of the certificate authority: what each step waits for, and that each may be repeated.

use storage::kv::Bytes;

use super::store::*;
use crate::directory::*;
use crate::id::NodeId;

const OLD: &[u8] = b"certificate";
const NEW: &[u8] = b"another certificate";

fn introduce(certificate: &'static [u8], replaces: &[u8]) -> Command {
    Command::Authority(AuthorityCommand::Introduce {
        certificate: Bytes::from_static(certificate),
        wrapped_key: Bytes::from_static(b"another key"),
        replaces: AuthorityId::of(replaces),
    })
}

fn promote(certificate: &[u8]) -> Command {
    Command::Authority(AuthorityCommand::Promote { authority: AuthorityId::of(certificate) })
}

fn end(certificate: &[u8]) -> Command {
    Command::Authority(AuthorityCommand::Drop { authority: AuthorityId::of(certificate) })
}

fn abort(certificate: &[u8]) -> Command {
    Command::Authority(AuthorityCommand::Abort { authority: AuthorityId::of(certificate) })
}

fn note(node: u64, trusts: &[&[u8]], shows: &[u8]) -> Command {
    let trusts = trusts.iter().map(|certificate| AuthorityId::of(certificate)).collect();
    let standing = AuthorityStanding { trusts, shows: AuthorityId::of(shows) };
    Command::Authority(AuthorityCommand::Note { node: NodeId(node), standing })
}

fn no(refusal: AuthorityRefusal) -> Response {
    refused(Refusal::Authority(refusal))
}

/// A cluster of the nodes 1 and 2 that both trust the old authority.
fn two() -> Store {
    let mut store = Store::founded();
    store.run("two");
    for node in [1, 2] {
        assert_eq!(store.apply(note(node, &[OLD], OLD)), Response::Done);
    }
    store
}

fn signer(store: &Store) -> Bytes {
    store.view().cluster().unwrap().unwrap().ca_certificate
}

#[test]
fn an_authority_signs_once_all_trust_it_and_replaces_the_other_once_all_show_it() {
    let mut store = two();
    assert_eq!(store.apply(promote(NEW)), no(AuthorityRefusal::NotRunning));
    assert_eq!(store.apply(introduce(NEW, OLD)), Response::Done);
    assert_eq!(store.apply(introduce(NEW, OLD)), Response::Done, "a repetition");
    assert_eq!(store.apply(introduce(b"third", OLD)), no(AuthorityRefusal::Running));
    assert_eq!(store.apply(promote(NEW)), no(AuthorityRefusal::Awaited(NodeId(1))));
    store.apply(note(1, &[OLD, NEW], OLD));
    assert_eq!(store.apply(promote(NEW)), no(AuthorityRefusal::Awaited(NodeId(2))));
    assert_eq!(store.apply(end(OLD)), no(AuthorityRefusal::Changed), "it signs");
    store.apply(note(2, &[OLD, NEW], OLD));
    assert_eq!(store.apply(promote(b"third")), no(AuthorityRefusal::Changed));
    store.now = store.now.plus_seconds(60);
    for _ in 0..2 {
        assert_eq!(store.apply(promote(NEW)), Response::Done);
        assert_eq!(signer(&store), NEW);
    }
    let cluster = store.view().cluster().unwrap().unwrap();
    assert_eq!(cluster.wrapped_ca_key, b"another key".as_slice());
    let rotation = store.view().rotation().unwrap().unwrap();
    assert_eq!((rotation.certificate.as_ref(), rotation.wrapped_key.as_ref()), (OLD, b"key".as_slice()));
    assert_eq!((rotation.phase, rotation.since), (RotationPhase::Signing, rotation.begun.plus_seconds(60)));

    assert_eq!(store.apply(abort(NEW)), no(AuthorityRefusal::TooLate));
    assert_eq!(store.apply(introduce(NEW, OLD)), no(AuthorityRefusal::Running));
    assert_eq!(store.apply(end(OLD)), no(AuthorityRefusal::Awaited(NodeId(1))));
    store.apply(note(1, &[OLD, NEW], NEW));
    assert_eq!(store.apply(end(OLD)), no(AuthorityRefusal::Awaited(NodeId(2))));
    store.apply(note(2, &[OLD, NEW], NEW));
    assert_eq!(store.apply(end(NEW)), no(AuthorityRefusal::Changed));
    for _ in 0..2 {
        assert_eq!(store.apply(end(OLD)), Response::Done);
        assert_eq!(store.view().rotation().unwrap(), None);
    }
    assert_eq!(signer(&store), NEW);
    assert_eq!(store.apply(introduce(b"third", OLD)), no(AuthorityRefusal::Changed), "it was asked for before");
    assert_eq!(store.apply(introduce(b"third", NEW)), Response::Done);
}

#[test]
fn what_signs_nothing_yet_is_taken_back() {
    let mut store = two();
    assert_eq!(store.apply(abort(NEW)), Response::Done, "there is nothing to take back");
    store.apply(introduce(NEW, OLD));
    assert_eq!(store.apply(abort(b"third")), no(AuthorityRefusal::Changed));
    store.apply(note(2, &[OLD, NEW], NEW));
    assert_eq!(store.apply(abort(NEW)), no(AuthorityRefusal::TooLate), "a node shows a certificate of it");
    store.apply(note(2, &[OLD, NEW], OLD));
    for _ in 0..2 {
        assert_eq!(store.apply(abort(NEW)), Response::Done);
    }
    assert_eq!((store.view().rotation().unwrap(), signer(&store).as_ref()), (None, OLD));
    assert_eq!(store.apply(introduce(b"third", OLD)), Response::Done);
}

#[test]
fn a_node_that_has_joined_is_awaited_and_one_that_was_removed_is_not() {
    let mut store = two();
    store.apply(introduce(NEW, OLD));
    for node in [1, 2] {
        store.apply(note(node, &[OLD, NEW], OLD));
    }
    store.join("three");
    assert_eq!(store.apply(promote(NEW)), no(AuthorityRefusal::Awaited(NodeId(3))), "it has yet to run");
    store.apply(note(3, &[OLD, NEW], OLD));
    assert_eq!(store.apply(promote(NEW)), Response::Done);
    for node in [1, 2] {
        store.apply(note(node, &[OLD, NEW], NEW));
    }
    assert_eq!(store.apply(end(OLD)), no(AuthorityRefusal::Awaited(NodeId(3))));
    store.apply(Command::SetNodeState { node: NodeId(3), state: NodeState::Removed });
    assert_eq!(store.view().authority_standing(NodeId(3)).unwrap(), None);
    assert_eq!(store.apply(note(3, &[OLD], OLD)), refused(Refusal::NodeUnknown(NodeId(3))));
    assert_eq!(store.apply(end(OLD)), Response::Done);
    let known: Vec<NodeId> = store.view().authority_standings().unwrap().into_iter().map(|(node, _)| node).collect();
    assert_eq!(known, [NodeId(1), NodeId(2)]);
}

#[test]
fn what_cannot_be_an_authority_is_refused() {
    let mut store = two();
    assert!(matches!(
        store.apply(introduce(b"", OLD)),
        Response::Refused(Refusal::Authority(AuthorityRefusal::Invalid(_)))
    ));
    assert_eq!(store.apply(introduce(OLD, OLD)), no(AuthorityRefusal::Changed), "it is the present one");
    let many = [OLD; AUTHORITIES_TRUSTED_MAX + 1];
    assert!(matches!(
        store.apply(note(1, &many, OLD)),
        Response::Refused(Refusal::Authority(AuthorityRefusal::Invalid(_)))
    ));
    let Command::Found { cluster, wrapped_ca_key, feature_level, region, node, access, .. } = found("one") else {
        panic!("it founds")
    };
    let ca_certificate = Bytes::new();
    let mut bare = Store::new();
    assert_eq!(bare.apply(introduce(NEW, b"")), refused(Refusal::NotFounded));
    bare.apply(Command::Found { cluster, ca_certificate, wrapped_ca_key, feature_level, region, node, access });
    assert_eq!(bare.apply(introduce(NEW, b"")), no(AuthorityRefusal::None));
}
