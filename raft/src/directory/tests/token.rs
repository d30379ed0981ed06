//! Join tokens and admission.

use super::store::*;
use crate::directory::*;
use crate::id::{NodeId, RegionId};

const TOKEN: [u8; 8] = [7; 8];

fn add(token: [u8; 8]) -> Command {
    Command::AddJoinToken { token, secret_hash: [1; 32], lifetime_seconds: 60 }
}

#[test]
fn a_token_admits_one_node_and_a_repetition_gets_the_same_answer() {
    let mut store = Store::founded();
    assert_eq!(store.apply(add(TOKEN)), Response::Done);
    assert_eq!(store.apply(add(TOKEN)), Response::Done);
    let admitted = Response::Admitted { node: NodeId(2), region: RegionId(1), founds: false };
    assert_eq!(store.apply(admit(TOKEN, "two")), admitted);
    assert_eq!(store.repeat(admit(TOKEN, "two")), admitted);
    store.repeat(Command::UpdateNode { node: NodeId(2), info: info("two") });
    assert_eq!(store.repeat(admit(TOKEN, "two")), admitted, "also when it runs already");
    assert_eq!(store.apply(admit(TOKEN, "three")), refused(Refusal::TokenUsed(NodeId(2))));
    assert_eq!(store.view().nodes().unwrap().len(), 2);
    assert_eq!(store.view().join_token(TOKEN).unwrap().unwrap().used_by, Some(NodeId(2)));
}

#[test]
fn a_repetition_with_another_token_gets_the_same_answer() {
    let mut store = Store::founded();
    store.apply(add(TOKEN));
    store.apply(add([8; 8]));
    let admitted = store.apply(admit(TOKEN, "two"));
    assert_eq!(store.repeat(admit([8; 8], "two")), admitted);
    assert_eq!(store.view().nodes().unwrap().len(), 2);
    assert_eq!(store.view().join_token([8; 8]).unwrap().unwrap().used_by, Some(NodeId(2)));
}

#[test]
fn a_wrong_secret_or_an_unknown_token_is_refused() {
    let mut store = Store::founded();
    store.apply(add(TOKEN));
    assert_eq!(store.apply(admit([8; 8], "two")), refused(Refusal::TokenUnknown));
    let mut wrong = admit(TOKEN, "two");
    if let Command::AdmitNode { secret_hash, .. } = &mut wrong {
        *secret_hash = [2; 32];
    }
    assert_eq!(store.apply(wrong), refused(Refusal::TokenUnknown));
    let other = Command::AddJoinToken { token: TOKEN, secret_hash: [2; 32], lifetime_seconds: 60 };
    assert_eq!(store.apply(other), refused(Refusal::TokenExists));
}

#[test]
fn a_refused_admission_does_not_use_up_the_token() {
    let mut store = Store::founded();
    store.apply(add(TOKEN));
    assert_eq!(store.apply(admit(TOKEN, "one")), refused(Refusal::NameTaken(NodeId(1), "one".to_owned())));
    let mut elsewhere = admit(TOKEN, "two");
    if let Command::AdmitNode { region, .. } = &mut elsewhere {
        *region = "moon".to_owned();
    }
    let unknown = Refusal::RegionUnknown { name: "moon".to_owned(), known: vec!["home".to_owned()] };
    assert_eq!(unknown.to_string(), "there is no region \"moon\", there are home: add one with: regnode region add");
    assert_eq!(store.apply(elsewhere), refused(unknown));
    assert!(matches!(store.apply(admit(TOKEN, "two")), Response::Admitted { .. }));
}

#[test]
fn a_token_expires_and_is_forgotten_later() {
    let mut store = Store::founded();
    store.apply(add(TOKEN));
    store.now = store.now.plus_seconds(60);
    assert_eq!(store.apply(admit(TOKEN, "two")), refused(Refusal::TokenExpired));
    store.apply(add([8; 8]));
    assert!(store.view().join_token(TOKEN).unwrap().is_some(), "kept for a day");
    for _ in 0..24 {
        store.now = store.now.plus_seconds(3600);
        store.apply(Command::Tick);
    }
    store.apply(add([9; 8]));
    assert!(store.view().join_token(TOKEN).unwrap().is_none());
}
