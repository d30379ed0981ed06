//! What a machine that wants to join says of itself, beside its token and its key.

use raft::directory::NodeInfo;
use raft::id::RequestId;
use serde::{Deserialize, Serialize};

/// An application to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Application {
    /// The same at each attempt, so that each gets the same node id.
    pub(super) request: RequestId,
    /// Name of the region to join; empty for the only one, or for that of the node whose place it takes.
    pub(super) region: String,
    /// The node.
    pub(super) info: NodeInfo,
    /// Name or id of the node whose place it takes.
    pub(super) replaces: Option<String>,
}

raft::versioned! {
    Application = 1, "application to join";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_encoding_is_frozen() {
        let application = Application {
            request: RequestId([7; 16]),
            region: "main".to_owned(),
            info: NodeInfo {
                name: "n".to_owned(),
                zone: "z".to_owned(),
                peer_address: "p:1".to_owned(),
                api_url: "u".to_owned(),
                disks: Vec::new(),
                feature_level: 1,
                version: "1".to_owned(),
            },
            replaces: Some("o".to_owned()),
        };
        let bytes = raft::codec::encode(&application);
        let golden = "0107070707070707070707070707070707046d61696e016e017a03703a3101750001013101016f";
        assert_eq!(hex::encode(&bytes), golden);
        assert_eq!(raft::codec::decode::<Application>(&bytes).unwrap(), application);
    }
}
