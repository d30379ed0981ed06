//! The paths of the local socket for issuers of tokens and for the cluster's own keys for tokens: `GET /issuers`,
//! `POST /issuer/set`, `/issuer/remove`, `GET /token-keys`, `POST /token-key/rotate`.

use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use raft::directory::{AccessRefusal, Command, IssuerKeys, IssuerRecord, IssuerUse, SigningKeyRecord};
use raft::time::Timestamp;

use super::access_changes::{AccessChanges, AccessError};
use super::access_refusal::answered;
use super::audited::{Recorded, recorded};
use super::identities::changed;
use super::identity_types::NameRequest;
use super::issuer_types::{
    IssuerEntry, IssuersAnswer, NamedKeys, NamedPurpose, RotateTokenKeyRequest, TokenKeyEntry, TokenKeyState,
    TokenKeysAnswer,
};
use super::types::VERSION;
use crate::federation::{check_key_set, check_roots};

/// The paths.
pub(super) fn router<S>() -> Router<S>
where
    AccessChanges: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/issuers", get(issuers))
        .route("/issuer/set", post(set))
        .route("/issuer/remove", post(remove))
        .route("/token-keys", get(token_keys))
        .route("/token-key/rotate", post(rotate))
}

async fn issuers(State(changes): State<AccessChanges>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let read = view.issuers().map(|issuers| {
        let issuers = issuers.into_iter().map(|(name, record)| entry(name, record)).collect();
        IssuersAnswer { version: VERSION, reading, issuers }
    });
    answered(read.map_err(AccessError::from))
}

async fn set(State(changes): State<AccessChanges>, Json(request): Json<IssuerEntry>) -> Response {
    let name = request.name.clone();
    let outcome = match usable(&request) {
        Ok(()) => changes.set_issuer(&name, record_of(request.clone())).await,
        Err(error) => Err(error),
    };
    let before = outcome.as_ref().ok().and_then(|before| before.as_ref());
    let before = before.map(|before| text(&entry(name.clone(), before.clone())));
    let record = Recorded::new("issuer", format!("issuer:{name}")).change(before, Some(text(&request)));
    recorded(answered(outcome.map(|_| changed(name))), record)
}

/// Whether what is copied into the cluster can be used, so that a wrong file is told of now and not at the first login.
fn usable(issuer: &IssuerEntry) -> Result<(), AccessError> {
    let invalid = |what: &str, error: &dyn std::fmt::Display| {
        Err(AccessError::Invalid(format!("issuer {:?}: {what} cannot be used: {error}", issuer.name)))
    };
    match &issuer.keys {
        NamedKeys::Jwks(keys) => {
            if let Err(error) = check_key_set(keys) {
                return invalid("the key set", &error);
            }
        }
        NamedKeys::Certificates(roots) => {
            if let Err(error) = check_roots(roots) {
                return invalid("the bundle of certificates", &error);
            }
        }
        NamedKeys::Discover | NamedKeys::JwksUrl(_) => {}
    }
    match issuer.authority.as_deref().map(check_roots) {
        Some(Err(error)) => invalid("the authority", &error),
        _ => Ok(()),
    }
}

async fn remove(State(changes): State<AccessChanges>, Json(NameRequest { name }): Json<NameRequest>) -> Response {
    let outcome = async {
        let before = changes.current().await?.issuer(&name)?;
        let before = before.ok_or_else(|| AccessRefusal::IssuerUnknown(name.clone()))?;
        changes.propose(Command::RemoveIssuer { name: name.clone() }).await?;
        Ok::<_, AccessError>(text(&entry(name.clone(), before)))
    };
    let outcome = outcome.await;
    let record = Recorded::new("issuer", format!("issuer:{name}")).change(outcome.as_ref().ok().cloned(), None);
    recorded(answered(outcome.map(|_| changed(name))), record)
}

async fn token_keys(State(changes): State<AccessChanges>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let now = Timestamp(reading.as_of_milliseconds);
    let read = view.signing_keys().map(|mut keys| {
        keys.sort_by_key(|(id, record)| (record.signs_from, *id));
        TokenKeysAnswer { version: VERSION, reading, keys: states(keys, now) }
    });
    answered(read.map_err(AccessError::from))
}

/// The keys, the oldest first, with what each is for. Of those that may sign, the newest does.
fn states(keys: Vec<([u8; 8], SigningKeyRecord)>, now: Timestamp) -> Vec<TokenKeyEntry> {
    let signing = keys.iter().rposition(|(_, record)| record.signs(now));
    let entry = |(position, (id, record)): (usize, ([u8; 8], SigningKeyRecord))| TokenKeyEntry {
        id: hex::encode(id),
        state: if !record.is_valid(now) {
            TokenKeyState::Retired
        } else if signing == Some(position) {
            TokenKeyState::Signs
        } else if record.signs(now) {
            TokenKeyState::Believed
        } else {
            TokenKeyState::Next
        },
        created_milliseconds: record.created.0,
        signs_from_milliseconds: record.signs_from.0,
        retires_milliseconds: record.retires.map(|retires| retires.0),
    };
    keys.into_iter().enumerate().map(entry).collect()
}

async fn rotate(State(changes): State<AccessChanges>, Json(request): Json<RotateTokenKeyRequest>) -> Response {
    let RotateTokenKeyRequest { signs_after_seconds, others_retire_after_seconds } = request;
    let outcome = changes.rotate_token_key(signs_after_seconds, others_retire_after_seconds).await;
    let after = outcome.as_ref().ok().map(|id| format!("key {id} signs in {signs_after_seconds} seconds"));
    let record = Recorded::new("token-key", "token-key").change(None, after);
    recorded(answered(outcome.map(changed)), record)
}

/// An issuer, as the audit log has it.
fn text(issuer: &IssuerEntry) -> String {
    format!("{} for {}, keys {}", issuer.issuer, issuer.purpose.word(), issuer.keys.words())
}

fn entry(name: String, record: IssuerRecord) -> IssuerEntry {
    IssuerEntry {
        name,
        issuer: record.issuer,
        audiences: record.audiences,
        purpose: match record.purpose {
            IssuerUse::Workload => NamedPurpose::Workload,
            IssuerUse::People { client_id, user_claim, groups_claim, groups } => {
                NamedPurpose::People { client_id, user_claim, groups_claim, groups }
            }
            IssuerUse::Tokens => NamedPurpose::Tokens,
        },
        keys: match record.keys {
            IssuerKeys::Discover => NamedKeys::Discover,
            IssuerKeys::JwksUrl(url) => NamedKeys::JwksUrl(url),
            IssuerKeys::Jwks(keys) => NamedKeys::Jwks(keys),
            IssuerKeys::Certificates(roots) => NamedKeys::Certificates(roots),
        },
        authority: record.authority,
        algorithms: record.algorithms,
        created_milliseconds: record.created.0,
    }
}

fn record_of(entry: IssuerEntry) -> IssuerRecord {
    IssuerRecord {
        issuer: entry.issuer,
        audiences: entry.audiences,
        purpose: match entry.purpose {
            NamedPurpose::Workload => IssuerUse::Workload,
            NamedPurpose::People { client_id, user_claim, groups_claim, groups } => {
                IssuerUse::People { client_id, user_claim, groups_claim, groups }
            }
            NamedPurpose::Tokens => IssuerUse::Tokens,
        },
        keys: match entry.keys {
            NamedKeys::Discover => IssuerKeys::Discover,
            NamedKeys::JwksUrl(url) => IssuerKeys::JwksUrl(url),
            NamedKeys::Jwks(keys) => IssuerKeys::Jwks(keys),
            NamedKeys::Certificates(roots) => IssuerKeys::Certificates(roots),
        },
        authority: entry.authority,
        algorithms: entry.algorithms,
        created: Timestamp::default(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_newest_key_that_may_sign_does() {
        let key = |id: u8, from: u64, retires: Option<u64>| {
            let record = SigningKeyRecord {
                public: Bytes::new(),
                wrapped_private: Bytes::new(),
                created: Timestamp(0),
                signs_from: Timestamp(from),
                retires: retires.map(Timestamp),
            };
            ([id; 8], record)
        };
        let keys = vec![key(1, 0, Some(50)), key(2, 10, Some(500)), key(3, 20, Some(500)), key(4, 200, None)];
        let states = states(keys, Timestamp(100)).into_iter().map(|key| key.state).collect::<Vec<_>>();
        let expected = [TokenKeyState::Retired, TokenKeyState::Believed, TokenKeyState::Signs, TokenKeyState::Next];
        assert_eq!(states, expected);
    }

    #[test]
    fn a_wrong_file_is_refused_at_once() {
        let issuer = |keys: NamedKeys, authority: Option<&str>| IssuerEntry {
            name: "a".to_owned(),
            issuer: "https://a.example.com".to_owned(),
            audiences: vec!["regnode".to_owned()],
            purpose: NamedPurpose::Workload,
            keys,
            authority: authority.map(str::to_owned),
            algorithms: vec!["ES256".to_owned()],
            created_milliseconds: 0,
        };
        assert!(usable(&issuer(NamedKeys::Discover, None)).is_ok());
        let refused = |issuer: IssuerEntry| usable(&issuer).unwrap_err().to_string();
        assert!(refused(issuer(NamedKeys::Jwks("no json".to_owned()), None)).starts_with("issuer \"a\": the key set"));
        let certificates = NamedKeys::Certificates("no PEM".to_owned());
        assert!(refused(issuer(certificates, None)).starts_with("issuer \"a\": the bundle of certificates"));
        assert!(refused(issuer(NamedKeys::Discover, Some("no PEM"))).starts_with("issuer \"a\": the authority"));
    }

    #[test]
    fn an_issuer_comes_back_as_it_was_set() {
        let purposes = [
            NamedPurpose::Workload,
            NamedPurpose::Tokens,
            NamedPurpose::People {
                client_id: "regnode".to_owned(),
                user_claim: "email".to_owned(),
                groups_claim: Some("groups".to_owned()),
                groups: vec![("theirs".to_owned(), "ours".to_owned())],
            },
        ];
        let keys = [
            NamedKeys::Discover,
            NamedKeys::JwksUrl("https://a.example.com/keys".to_owned()),
            NamedKeys::Jwks("{}".to_owned()),
            NamedKeys::Certificates("pem".to_owned()),
        ];
        for (purpose, keys) in purposes.into_iter().cycle().zip(keys) {
            let issuer = IssuerEntry {
                name: "a".to_owned(),
                issuer: "https://a.example.com".to_owned(),
                audiences: vec!["regnode".to_owned()],
                purpose,
                keys,
                authority: Some("ca".to_owned()),
                algorithms: vec!["ES256".to_owned()],
                created_milliseconds: 0,
            };
            assert_eq!(entry("a".to_owned(), record_of(issuer.clone())), issuer);
            let json = serde_json::to_string(&issuer).unwrap();
            assert_eq!(serde_json::from_str::<IssuerEntry>(&json).unwrap(), issuer);
        }
    }
}
