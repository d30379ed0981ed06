//! What each path of the administration needs of who comes over the network: one table. A path that is not in it is not
//! served there at all, as one that is for the local socket alone.
//!
//! Where the right hangs on what the request names, the request is read here, by the type that its handler reads it by, and
//! what was read is written anew for the handler: nobody gets past the check with a body that two readers understand
//! differently.
//!
//! What acts on all that is below a prefix needs the right there too: a denial anywhere below refuses it. What is only said of
//! the prefix itself does not.

use bytes::Bytes;
use http::Method;
use raft::directory::Action::{self, Access, Audit, Delete, Operate, Policy, Pull};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::access_types::{AddRuleRequest, ExplainAccessRequest};
use super::audit_types::AuditSearchRequest;
use super::deletion_types::{DeletedTagsRequest, HistoryRequest, RestoreRequest, TombstonesRequest, UsageRequest};
use super::job_types::{BulkDeletionRequest, RetentionRequest};
use super::namespace_types::{ExplainRequest, NamespaceRequest, PolicyField, SetNamespaceRequest};
use super::operator::Reach;
use super::place_types::OwnPlace;

/// One of these is enough.
pub(super) struct AnyOf {
    /// How far the request goes.
    pub(super) reach: Reach,
    /// The rights, each with the namespace that it is needed at.
    pub(super) rights: Vec<(Action, String)>,
}

/// A request that was read: the rights it needs, all of them, and its body as the handler gets it.
pub(super) struct Named {
    pub(super) all: Vec<AnyOf>,
    pub(super) body: Bytes,
}

/// What a path needs.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// To be somebody. What is answered is about himself, or is nobody's secret.
    Known,
    /// One of these actions in the whole registry.
    Cluster(&'static [Action]),
    /// What the request names.
    Named(fn(&[u8]) -> Result<Named, serde_json::Error>),
    /// The local socket: it is done on the machine itself, whatever somebody may.
    Machine,
    /// What its handler finds out, which asks the [`Operator`](super::Operator) itself.
    Asked,
}

/// A path and what it needs.
pub(super) struct Row {
    method: Method,
    path: &'static str,
    need: Need,
}

const fn get(path: &'static str, need: Need) -> Row {
    Row { method: Method::GET, path, need }
}

const fn post(path: &'static str, need: Need) -> Row {
    Row { method: Method::POST, path, need }
}

/// A request of this type, and what it needs by what it says.
macro_rules! named {
    ($type:ty, $all:expr) => {
        Need::Named(|body| {
            let all: fn(&$type) -> Vec<AnyOf> = $all;
            read::<$type>(body, all)
        })
    };
}

fn read<T: Serialize + DeserializeOwned>(body: &[u8], all: fn(&T) -> Vec<AnyOf>) -> Result<Named, serde_json::Error> {
    let request: T = serde_json::from_slice(body)?;
    Ok(Named { all: all(&request), body: serde_json::to_vec(&request)?.into() })
}

/// For what is about a repository, or about a namespace itself.
fn any(actions: &[Action], namespace: &str) -> Vec<AnyOf> {
    let rights = actions.iter().map(|action| (*action, namespace.to_owned())).collect();
    vec![AnyOf { reach: Reach::Itself, rights }]
}

/// For what is about all that is at a prefix and below.
fn throughout(actions: &[Action], prefix: &str) -> Vec<AnyOf> {
    any(actions, prefix).into_iter().map(|any| AnyOf { reach: Reach::Below, ..any }).collect()
}

/// To look at how the cluster is.
const LOOK: Need = Need::Cluster(&[Operate, Audit]);
/// To change the cluster.
const OPERATE: Need = Need::Cluster(&[Operate]);
/// To look at accounts and rules of the whole registry.
const LOOK_AT_ACCOUNTS: Need = Need::Cluster(&[Access, Operate, Audit]);
/// To keep accounts, groups and roles. Whom and what they may touch is asked besides.
const ACCOUNTS: Need = Need::Cluster(&[Access, Operate]);

/// All paths, by what they are about.
const TABLE: &[Row] = &[
    get("/whoami", Need::Known),
    // The cluster.
    get("/status", LOOK),
    get("/work", LOOK),
    get("/metrics", LOOK),
    get("/config", OPERATE),
    post("/token", OPERATE),
    get("/domains", LOOK),
    post("/domain/add", OPERATE),
    post("/domain/remove", OPERATE),
    post("/node/drain", OPERATE),
    post("/node/undrain", OPERATE),
    post("/node/leave", OPERATE),
    get("/disks", LOOK),
    post("/disk/add", OPERATE),
    post("/disk/wish", OPERATE),
    get("/encryption", LOOK),
    post("/encryption/rotate", OPERATE),
    // Who names a program there runs it.
    post("/encryption/rewrap", Need::Machine),
    get("/scrub", LOOK),
    post("/scrub", OPERATE),
    post("/damage", LOOK),
    post("/damage/uses", LOOK),
    post("/damage/names", LOOK),
    get("/gc", LOOK),
    post("/gc/run", OPERATE),
    get("/regions", LOOK),
    post("/region/add", OPERATE),
    post("/region/set", OPERATE),
    post("/region/primary", OPERATE),
    post("/region/retire", OPERATE),
    post("/region/release", OPERATE),
    post("/region/takeover", OPERATE),
    post("/replication/status", LOOK),
    post("/residency/verify", OPERATE),
    get("/residency/progress", LOOK),
    post("/residency/history", LOOK),
    // Namespaces.
    post("/namespaces", Need::Asked),
    post("/namespace/set", named!(SetNamespaceRequest, set_namespace)),
    post("/namespace/remove", named!(NamespaceRequest, |request| throughout(&[Policy], &request.prefix))),
    post("/namespace/show", named!(NamespaceRequest, |request| any(&[Pull, Policy, Audit], &request.prefix))),
    post(
        "/namespace/explain",
        named!(ExplainRequest, |request| any(&[Pull, Policy, Audit], request.repository.as_str())),
    ),
    post("/namespace/force/look", OPERATE),
    post("/namespace/force", OPERATE),
    post("/namespace/aside", OPERATE),
    post("/namespace/aside/settle", OPERATE),
    // What is in them.
    post("/usage", named!(UsageRequest, |request| throughout(&[Pull, Audit], &request.prefix))),
    post("/history", named!(HistoryRequest, |request| any(&[Pull, Audit], request.repository.as_str()))),
    post("/deleted-tags", named!(DeletedTagsRequest, |request| any(&[Pull, Audit], request.repository.as_str()))),
    post("/tombstones", named!(TombstonesRequest, |request| any(&[Pull, Audit], request.repository.as_str()))),
    post("/restore", named!(RestoreRequest, |request| any(&[Delete], request.repository.as_str()))),
    post("/delete", named!(BulkDeletionRequest, |request| any(&[Delete], request.repository.as_str()))),
    post("/delete/preview", named!(BulkDeletionRequest, |request| any(&[Delete], request.repository.as_str()))),
    post("/retention/run", named!(RetentionRequest, |request| throughout(&[Policy], &request.prefix))),
    post("/retention/preview", named!(RetentionRequest, |request| throughout(&[Policy, Audit], &request.prefix))),
    post("/jobs", Need::Asked),
    post("/job/show", Need::Asked),
    post("/job/cancel", Need::Asked),
    // Who may do what.
    get("/roles", Need::Known),
    post("/role/set", ACCOUNTS),
    post("/role/remove", ACCOUNTS),
    post("/rules", Need::Asked),
    post("/rule/add", named!(AddRuleRequest, |request| granting(&request.namespace))),
    post("/rule/remove", Need::Asked),
    post(
        "/access/explain",
        named!(ExplainAccessRequest, |request| any(&[Access, Audit, Operate], &request.repository)),
    ),
    post("/users", LOOK_AT_ACCOUNTS),
    post("/user/show", LOOK_AT_ACCOUNTS),
    post("/user/add", ACCOUNTS),
    post("/user/set", ACCOUNTS),
    post("/user/remove", ACCOUNTS),
    post("/robots", LOOK_AT_ACCOUNTS),
    post("/robot/show", LOOK_AT_ACCOUNTS),
    post("/robot/add", ACCOUNTS),
    post("/robot/set", ACCOUNTS),
    post("/robot/trust", ACCOUNTS),
    post("/robot/remove", ACCOUNTS),
    post("/secret/add", ACCOUNTS),
    post("/secret/remove", ACCOUNTS),
    post("/sessions/end", ACCOUNTS),
    get("/groups", LOOK_AT_ACCOUNTS),
    post("/group/add", ACCOUNTS),
    post("/group/remove", ACCOUNTS),
    post("/group/show", LOOK_AT_ACCOUNTS),
    post("/group/member", ACCOUNTS),
    // Whoever names an issuer says who everybody is, and whoever changes token keys ends all sessions.
    get("/issuers", LOOK_AT_ACCOUNTS),
    post("/issuer/set", OPERATE),
    post("/issuer/remove", OPERATE),
    get("/certificates", LOOK),
    post("/certificate/renew", OPERATE),
    get("/token-keys", LOOK_AT_ACCOUNTS),
    post("/token-key/rotate", OPERATE),
    get("/authority", LOOK),
    post("/authority/rotate", OPERATE),
    post("/authority/abort", OPERATE),
    // What was done.
    post("/audit/search", named!(AuditSearchRequest, |request| throughout(&[Audit], searched(request)))),
    post("/audit/verify", Need::Cluster(&[Audit])),
];

/// What a path needs; `None` if it is not served over the network.
pub(super) fn need(method: &Method, path: &str) -> Option<Need> {
    TABLE.iter().find(|row| row.method == *method && row.path == path).map(|row| row.need)
}

/// The rights to bind roles in a namespace.
pub(super) fn granting(namespace: &str) -> Vec<AnyOf> {
    let rights = vec![(Access, namespace.to_owned()), (Operate, String::new())];
    vec![AnyOf { reach: Reach::Below, rights }]
}

/// Where data rests is the operators' to say; all else that is said of a namespace is its owners'.
fn set_namespace(request: &SetNamespaceRequest) -> Vec<AnyOf> {
    use PolicyField::{Elsewhere, Home, Replication, Residency};
    let mut all = throughout(&[Policy], &request.prefix);
    let places = [Home, Residency, Elsewhere, Replication];
    if request.place != OwnPlace::default() || request.unset.iter().any(|field| places.contains(field)) {
        all.extend(any(&[Operate], ""));
    }
    all
}

/// The namespace within which a search stays; the root if it could find records of others too.
fn searched(request: &AuditSearchRequest) -> &str {
    request
        .filter
        .repository
        .as_deref()
        .filter(|text| !text.contains(['*', '?']))
        .map_or("", |text| text.trim_matches('/'))
}

/// All paths of the table.
#[cfg(test)]
pub(crate) fn needed_paths() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.path)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn named(path: &str, body: &str) -> Result<(String, Value), serde_json::Error> {
        let Some(Need::Named(read)) = need(&Method::POST, path) else { panic!("{path} is not named") };
        let Named { all, body } = read(body.as_bytes())?;
        let one = |AnyOf { reach, rights }| {
            let below = if reach == Reach::Below { "/**" } else { "" };
            rights.iter().map(|(action, at)| format!("{action}@{at}{below}")).collect::<Vec<_>>().join("|")
        };
        let all = all.into_iter().map(one).collect::<Vec<_>>().join(" and ");
        Ok((all, serde_json::from_slice(&body)?))
    }

    #[test]
    fn a_request_needs_a_right_where_it_acts() {
        for (path, body, expected) in [
            ("/namespace/set", json!({"prefix": "acme", "set": {}, "unset": []}), "policy@acme/**"),
            (
                "/namespace/set",
                json!({"prefix": "acme", "set": {}, "unset": [], "place": {"home": "us"}}),
                "policy@acme/** and operate@",
            ),
            ("/namespace/set", json!({"prefix": "a", "set": {}, "unset": ["residency"]}), "policy@a/** and operate@"),
            ("/namespace/set", json!({"prefix": "", "set": {}, "unset": ["deletes"]}), "policy@/**"),
            ("/restore", json!({"repository": "acme/app", "tag": "v1"}), "delete@acme/app"),
            ("/retention/run", json!({"prefix": "acme"}), "policy@acme/**"),
            ("/retention/preview", json!({"prefix": "acme"}), "policy@acme/**|audit@acme/**"),
            ("/namespace/remove", json!({"prefix": "acme"}), "policy@acme/**"),
            ("/namespace/show", json!({"prefix": "acme"}), "pull@acme|policy@acme|audit@acme"),
            (
                "/rule/add",
                json!({"subject": "user:a", "effect": {"allow": "reader"}, "namespace": "acme"}),
                "access@acme/**|operate@/**",
            ),
            ("/audit/search", json!({"filter": {"repository": "acme"}}), "audit@acme/**"),
            ("/audit/search", json!({"filter": {"repository": "ac*"}}), "audit@/**"),
            ("/audit/search", json!({"filter": {"repository": "/"}}), "audit@/**"),
            ("/audit/search", json!({}), "audit@/**"),
        ] {
            assert_eq!(named(path, &body.to_string()).unwrap().0, expected, "{path} {body}");
        }
    }

    #[test]
    fn the_handler_is_given_what_was_checked() {
        let (all, body) = named("/usage", r#"{"prefix":"acme","after":"acme/a","x":{"prefix":"other"}}"#).unwrap();
        assert_eq!(
            (all.as_str(), &body),
            ("pull@acme/**|audit@acme/**", &json!({"prefix": "acme", "after": "acme/a"}))
        );
        for twice in [r#"{"prefix":"acme","prefix":"other"}"#, r#"{"prefix":"a"} {"prefix":"b"}"#, "[", ""] {
            assert!(named("/usage", twice).is_err(), "{twice}");
        }
    }

    #[test]
    fn no_path_stands_twice() {
        let mut rows: Vec<_> = TABLE.iter().map(|row| format!("{} {}", row.method, row.path)).collect();
        rows.sort_unstable();
        let count = rows.len();
        rows.dedup();
        assert_eq!(rows.len(), count);
        assert!(need(&Method::GET, "/namespace/set").is_none() && need(&Method::POST, "/no/such").is_none());
    }
}
