//! `regnode issuer` and `regnode token-key`: whose tokens are believed, and what the cluster's own are signed with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use node::admin::{IssuerEntry, NameRequest, NamedKeys, NamedPurpose, RotateTokenKeyRequest, TokenKeyEntry};

use super::identity_text::{age, told};
use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::arguments::{Issuer, IssuerAction, IssuerPurpose, IssuerSet, TokenKey, TokenKeyAction, TokenKeyRotate};
use crate::exit::{Code, Exit};
use crate::figures::{exact, moment};
use crate::{admin_client, settings};

/// Does what is asked of issuers.
pub(crate) async fn issuer(issuer: Issuer) -> Result<()> {
    match issuer.action {
        IssuerAction::Set(set) => self::set(*set).await,
        IssuerAction::List(list) => {
            let answer = admin_client::issuers(&data_dir(&list.ask).await?).await?;
            let text = format!("{}{}", issuers(&answer.issuers), age(answer.reading));
            told(&list.ask, &answer, text.trim_end())
        }
        IssuerAction::Remove(named) => {
            let request = NameRequest { name: named.name };
            let answer = admin_client::remove_issuer(&data_dir(&named.ask).await?, &request).await?;
            told(&named.ask, &answer, &format!("tokens of {} are not believed any more", answer.name))
        }
    }
}

async fn set(set: IssuerSet) -> Result<()> {
    let data_dir = data_dir(&set.ask).await?;
    let jwks = text_of(set.jwks_file.as_ref()).await?;
    let certificates = text_of(set.certificates.as_ref()).await?;
    let authority = text_of(set.authority.as_ref()).await?;
    let files = Copied { jwks, certificates, authority };
    let request = request(&set, files).map_err(|message| Exit::new(Code::Usage, message))?;
    let answer = admin_client::set_issuer(&data_dir, &request).await?;
    told(&set.ask, &answer, &believed(&request))
}

/// What the files that are named hold.
#[derive(Debug, Default)]
struct Copied {
    jwks: Option<String>,
    certificates: Option<String>,
    authority: Option<String>,
}

/// What is in a file, if one is named.
async fn text_of(path: Option<&PathBuf>) -> Result<Option<String>> {
    let Some(path) = path else { return Ok(None) };
    Ok(Some(read(path).await?))
}

async fn read(path: &Path) -> Result<String> {
    let environment = settings::environment();
    let (files, owned) = (environment.files, path.to_owned());
    let text = environment.exec.run(move || files.read(&owned)).await;
    let text = text.with_context(|| format!("reading {}", path.display()))?;
    String::from_utf8(text).with_context(|| format!("{} is no text", path.display()))
}

/// What the options ask for.
fn request(set: &IssuerSet, files: Copied) -> Result<IssuerEntry, &'static str> {
    let purpose = match (set.purpose, &set.client_id) {
        (IssuerPurpose::People, Some(client_id)) => NamedPurpose::People {
            client_id: client_id.clone(),
            user_claim: set.user_claim.clone(),
            groups_claim: set.groups_claim.clone(),
            groups: set.mapped.clone(),
        },
        (IssuerPurpose::People, None) => return Err("--for people needs --client-id"),
        (_, Some(_)) => return Err("--client-id, and what goes with it, is for people: --for people"),
        (IssuerPurpose::Workload, None) => NamedPurpose::Workload,
        (IssuerPurpose::Tokens, None) => NamedPurpose::Tokens,
    };
    let keys = match (&set.jwks_url, files.jwks, files.certificates) {
        (Some(url), ..) => NamedKeys::JwksUrl(url.clone()),
        (None, Some(keys), _) => NamedKeys::Jwks(keys),
        (None, None, Some(roots)) => NamedKeys::Certificates(roots),
        (None, None, None) => NamedKeys::Discover,
    };
    // What is for a client says the client's id.
    let own = set.client_id.clone().filter(|_| set.audiences.is_empty());
    Ok(IssuerEntry {
        name: set.name.clone(),
        issuer: set.issuer.clone(),
        audiences: set.audiences.iter().cloned().chain(own).collect(),
        purpose,
        keys,
        authority: files.authority,
        algorithms: set.algorithms.clone(),
        created_milliseconds: 0,
    })
}

/// What is said once an issuer was set.
fn believed(issuer: &IssuerEntry) -> String {
    let name = &issuer.name;
    let next = match &issuer.purpose {
        NamedPurpose::Workload => {
            format!("Say which of them stand for which robot: regnode robot trust ROBOT {name} CLAIM=PATTERN")
        }
        NamedPurpose::People { .. } => {
            "Who logs in there is known here from then on; say what people may do: regnode access grant".to_owned()
        }
        NamedPurpose::Tokens => {
            "They allow what they say, unless a rule denies it: regnode access deny authenticated ACTIONS".to_owned()
        }
    };
    format!("tokens of {name} ({}) are believed from now on. {next}", issuer.issuer)
}

/// The issuers.
fn issuers(issuers: &[IssuerEntry]) -> String {
    if issuers.is_empty() {
        return "no tokens from outside are believed; see regnode issuer set --help\n".to_owned();
    }
    let mut rows = table(&["ISSUER", "FOR", "ISS", "AUDIENCES", "KEYS", "ALGORITHMS", "ADDED"]);
    for issuer in issuers {
        rows.add_row([
            issuer.name.clone(),
            issuer.purpose.word().to_owned(),
            issuer.issuer.clone(),
            issuer.audiences.join(", "),
            issuer.keys.words(),
            issuer.algorithms.join(", "),
            moment(issuer.created_milliseconds),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

/// Does what is asked of the keys for tokens.
pub(crate) async fn token_key(token_key: TokenKey) -> Result<()> {
    match token_key.action {
        TokenKeyAction::List(list) => {
            let answer = admin_client::token_keys(&data_dir(&list.ask).await?).await?;
            let text = format!("{}{}", keys(&answer.keys), age(answer.reading));
            told(&list.ask, &answer, text.trim_end())
        }
        TokenKeyAction::Rotate(rotate) => {
            let request = rotation(&rotate);
            let answer = admin_client::rotate_token_key(&data_dir(&rotate.ask).await?, &request).await?;
            told(&rotate.ask, &answer, &rotated(&answer.name, request))
        }
    }
}

fn rotation(rotate: &TokenKeyRotate) -> RotateTokenKeyRequest {
    if rotate.now {
        return RotateTokenKeyRequest { signs_after_seconds: 0, others_retire_after_seconds: Some(0) };
    }
    RotateTokenKeyRequest {
        signs_after_seconds: rotate.signs_after.as_secs(),
        others_retire_after_seconds: rotate.retire_after.map(|after| after.as_secs()),
    }
}

fn rotated(id: &str, request: RotateTokenKeyRequest) -> String {
    let signs = match request.signs_after_seconds {
        0 => "signs from now on".to_owned(),
        seconds => format!("is made known now and signs in {}", exact(seconds)),
    };
    let others = match request.others_retire_after_seconds {
        Some(0) => "no other key is believed any more: whoever is logged in by a token has to log in again".to_owned(),
        Some(seconds) => format!("the others are believed for another {} at most", exact(seconds)),
        None => "the others are believed until all that they have signed is over".to_owned(),
    };
    format!("key {id} {signs}; {others}")
}

/// The keys for tokens.
fn keys(keys: &[TokenKeyEntry]) -> String {
    if keys.is_empty() {
        return "there is no key: no tokens are handed out; make one with: regnode token-key rotate\n".to_owned();
    }
    let mut rows = table(&["KEY", "STATE", "MADE", "SIGNS FROM", "BELIEVED UNTIL"]);
    for key in keys {
        rows.add_row([
            key.id.clone(),
            key.state.words().to_owned(),
            moment(key.created_milliseconds),
            moment(key.signs_from_milliseconds),
            key.retires_milliseconds.map(moment).unwrap_or_default(),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use node::admin::TokenKeyState;

    use super::*;
    use crate::arguments::{Arguments, Command};

    const START: u64 = 1_800_000_000_000;

    fn parsed(words: &[&str]) -> Result<IssuerEntry, clap::Error> {
        let line = ["regnode", "issuer", "set", "a", "--issuer", "https://a.example.com"].iter().chain(words);
        match Arguments::try_parse_from(line)?.command {
            Command::Issuer(Issuer { action: IssuerAction::Set(set) }) => request(&set, Copied::default())
                .map_err(|message| clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_purpose_has_what_it_needs() {
        let workload = parsed(&["--for", "workload", "--audience", "x", "--audience", "y"]).unwrap();
        assert_eq!((workload.purpose, workload.audiences.len()), (NamedPurpose::Workload, 2));
        assert_eq!((workload.keys, workload.algorithms.join(",").as_str()), (NamedKeys::Discover, "RS256,ES256"));
        let people = ["--for", "people", "--client-id", "regnode", "--groups-claim", "groups", "--map-group", "p=d"];
        let people = parsed(&people).unwrap();
        assert_eq!(people.audiences, ["regnode"]);
        let expected = NamedPurpose::People {
            client_id: "regnode".to_owned(),
            user_claim: "preferred_username".to_owned(),
            groups_claim: Some("groups".to_owned()),
            groups: vec![("p".to_owned(), "d".to_owned())],
        };
        assert_eq!(people.purpose, expected);
        let url = "https://a.example.com/keys";
        let tokens =
            parsed(&["--for", "tokens", "--audience", "x", "--jwks-url", url, "--algorithms", "EdDSA"]).unwrap();
        assert_eq!(
            (tokens.keys, tokens.algorithms.as_slice()),
            (NamedKeys::JwksUrl(url.to_owned()), &["EdDSA".to_owned()][..])
        );
        for words in [
            &["--for", "workload"][..],
            &["--for", "people", "--audience", "x"],
            &["--for", "workload", "--client-id", "x"],
            &["--for", "tokens", "--audience", "x", "--jwks-url", "u", "--jwks-file", "f"],
            &["--for", "people", "--client-id", "x", "--map-group", "p=d"],
            &["--audience", "x"],
        ] {
            assert_eq!(parsed(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn a_rotation_at_once_leaves_no_other_key() {
        let parsed =
            |words: &[&str]| match Arguments::try_parse_from(["regnode", "token-key", "rotate"].iter().chain(words)) {
                Ok(Arguments {
                    command: Command::TokenKey(TokenKey { action: TokenKeyAction::Rotate(rotate) }),
                    ..
                }) => Ok(rotation(&rotate)),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error),
            };
        let request = |signs_after_seconds, others_retire_after_seconds| RotateTokenKeyRequest {
            signs_after_seconds,
            others_retire_after_seconds,
        };
        assert_eq!(parsed(&[]).unwrap(), request(600, None));
        assert_eq!(parsed(&["--now"]).unwrap(), request(0, Some(0)));
        assert_eq!(parsed(&["--signs-after", "1m", "--retire-after", "1h"]).unwrap(), request(60, Some(3600)));
        assert_eq!(parsed(&["--now", "--signs-after", "1m"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn issuers_and_keys_read_well() {
        let issuer = |name: &str, purpose: NamedPurpose| IssuerEntry {
            name: name.to_owned(),
            issuer: "https://token.example.com".to_owned(),
            audiences: vec!["regnode".to_owned()],
            purpose,
            keys: NamedKeys::Discover,
            authority: None,
            algorithms: vec!["RS256".to_owned(), "ES256".to_owned()],
            created_milliseconds: START,
        };
        let key = |id: &str, state, retires_milliseconds| TokenKeyEntry {
            id: id.to_owned(),
            state,
            created_milliseconds: START,
            signs_from_milliseconds: START + 600_000,
            retires_milliseconds,
        };
        let (workload, tokens) = (issuer("github", NamedPurpose::Workload), issuer("auth", NamedPurpose::Tokens));
        let texts = [
            issuers(&[workload.clone(), tokens.clone()]),
            issuers(&[]),
            believed(&workload),
            believed(&tokens),
            keys(&[
                key("0011223344556677", TokenKeyState::Believed, Some(START + 3_600_000)),
                key("8899aabbccddeeff", TokenKeyState::Signs, None),
            ]),
            keys(&[]),
            rotated(
                "8899aabbccddeeff",
                RotateTokenKeyRequest { signs_after_seconds: 600, others_retire_after_seconds: None },
            ),
            rotated(
                "8899aabbccddeeff",
                RotateTokenKeyRequest { signs_after_seconds: 0, others_retire_after_seconds: Some(0) },
            ),
        ];
        insta::assert_snapshot!(texts.join("\n----\n"));
    }
}
