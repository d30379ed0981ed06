//! The paths of the local socket for the encryption of what a node keeps: `GET /encryption`, `POST /encryption/rotate`,
//! which `remote` answers for other nodes too, and `POST /encryption/rewrap`, which names files and programs of this
//! machine and is therefore answered to nobody else.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use storage::seal::KeyId;
use tracing::info;

use super::audited::{Recorded, recorded};
use super::encryption_types::{EncryptionAnswer, EncryptionState, FilesUnderKey, RewrapRequest};
use super::operator::Operator;
use super::router::{Admin, refuse};
use super::types::VERSION;
use crate::reseal::{BytesByKey, Count, Counts};
use crate::vault::{KeyReport, VaultError};

/// What these changes are called in the audit log.
const ACTION: &str = "encryption";

/// The paths, answered for this machine.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/encryption", get(show)).route("/encryption/rotate", post(rotate))
}

/// Those that nobody but this machine's operator is answered.
pub(super) fn of_machine() -> Router<Admin> {
    Router::new().route("/encryption/rewrap", post(rewrap))
}

async fn show(State(admin): State<Admin>) -> Response {
    match answer(&admin).await {
        Ok(answer) => Json(answer).into_response(),
        Err(message) => refuse(StatusCode::INTERNAL_SERVER_ERROR, message),
    }
}

async fn rotate(State(admin): State<Admin>) -> Response {
    let vault = admin.reseal.vault();
    let before = vault.keys().into_iter().find(|key| key.current).map(|key| key.id.to_string());
    match vault.rotate().await {
        Ok(key) => {
            info!(%key, "new data key: what this node writes lies under it from now on");
            let record = Recorded::new(ACTION, "data key").change(before, Some(key.to_string()));
            recorded(show(State(admin)).await, record)
        }
        Err(error) => refused(&error),
    }
}

async fn rewrap(State(admin): State<Admin>, operator: Operator, Json(request): Json<RewrapRequest>) -> Response {
    if !operator.is_machine() {
        return refuse(StatusCode::FORBIDDEN, "this is asked on the node's own machine only".to_owned());
    }
    let (vault, source) = (admin.reseal.vault(), request.source.to_string());
    let before = vault.source();
    match vault.rewrap(request.source).await {
        Ok(()) => {
            info!(source, "the keyring is wrapped by another source");
            recorded(show(State(admin)).await, Recorded::new(ACTION, "keyring").change(before, Some(source)))
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &VaultError) -> Response {
    let status = match error {
        VaultError::Off | VaultError::TooManyKeys(_) => StatusCode::CONFLICT,
        VaultError::Io { .. } | VaultError::UnknownKey(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    refuse(status, format!("{error}{cause}"))
}

async fn answer(admin: &Admin) -> Result<EncryptionAnswer, String> {
    let reseal = &admin.reseal;
    let vault = reseal.vault();
    let databases = if vault.is_on() { reseal.databases().await? } else { BytesByKey::new() };
    let (shards, counted) = reseal.shards();
    let (state, waits_for) = match reseal.state() {
        _ if !vault.is_on() => (EncryptionState::Off, None),
        crate::reseal::State::Settled => (EncryptionState::Settled, None),
        crate::reseal::State::Working => (EncryptionState::Rewriting, None),
        crate::reseal::State::Waiting(what) => (EncryptionState::Waiting, Some(what)),
    };
    Ok(EncryptionAnswer {
        version: VERSION,
        node: admin.members.own().0,
        source: vault.source(),
        content: vault.seals_content(),
        state,
        waits_for,
        counted,
        files: files(&vault.keys(), vault.seals_content(), &shards, &databases),
    })
}

/// What lies where: each key of the ring, then what else was found.
fn files(keys: &[KeyReport], content: bool, shards: &Counts, databases: &BytesByKey) -> Vec<FilesUnderKey> {
    let known: BTreeMap<Option<KeyId>, &KeyReport> = keys.iter().map(|key| (Some(key.id), key)).collect();
    let mut places: Vec<Option<KeyId>> = keys.iter().map(|key| Some(key.id)).collect();
    for found in shards.keys().chain(databases.keys()) {
        if !places.contains(found) {
            places.push(*found);
        }
    }
    let row = |place: Option<KeyId>| {
        let key = known.get(&place);
        let count = shards.get(&place).copied().unwrap_or_default();
        let Count { files, bytes } = count;
        FilesUnderKey {
            key: place.map(|id| id.to_string()),
            since_milliseconds: key.map(|key| key.since.0),
            newest: content && key.is_some_and(|key| key.current) || !content && place.is_none(),
            shards: files,
            shard_bytes: bytes,
            database_bytes: databases.get(&place).copied().unwrap_or_default(),
        }
    };
    places.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;

    use super::*;

    #[test]
    fn what_lies_where_is_told_by_key() {
        let key = |byte, current| KeyReport { id: KeyId([byte; 16]), since: Timestamp(u64::from(byte)), current };
        let keys = [key(9, false), key(2, true)];
        let shards = Counts::from([
            (None, Count { files: 1, bytes: 10 }),
            (Some(KeyId([2; 16])), Count { files: 3, bytes: 30 }),
        ]);
        let databases = BytesByKey::from([(Some(KeyId([9; 16])), 5), (Some(KeyId([7; 16])), 6)]);
        let told = files(&keys, true, &shards, &databases);
        let seen: Vec<_> = told
            .iter()
            .map(|row| (row.key.as_deref().map(|key| &key[..2]), row.newest, row.shards, row.database_bytes))
            .collect();
        assert_eq!(
            seen,
            [(Some("09"), false, 0, 5), (Some("02"), true, 3, 0), (None, false, 1, 0), (Some("07"), false, 0, 6),]
        );
        assert!(files(&keys, false, &shards, &databases).iter().any(|row| row.newest && row.key.is_none()));
    }
}
