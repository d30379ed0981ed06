//! How far the nodes' audit logs have come.

use super::*;
use crate::id::NodeId;
use crate::time::Timestamp;

#[test]
fn a_head_only_moves_on() {
    let mut store = Store::founded();
    let head = |sequence, byte| AuditHead { sequence, hash: [byte; 32], time: Timestamp(sequence) };
    let note = |node, head| Command::NoteAuditHead { node: NodeId(node), head };
    for (told, kept) in
        [(head(3, 1), head(3, 1)), (head(3, 2), head(3, 1)), (head(2, 3), head(3, 1)), (head(4, 4), head(4, 4))]
    {
        store.keeps(note(1, told));
        assert_eq!(store.view().audit_heads().unwrap(), [(NodeId(1), kept)]);
    }
    assert_eq!(store.apply(note(9, head(1, 1))), refused(Refusal::NodeUnknown(NodeId(9))));
}
