//! `regnode encryption`: the keys under which a node keeps what it has.

use std::path::{Path, PathBuf};

use anyhow::Result;
use node::admin::{EncryptionAnswer, EncryptionState, FilesUnderKey, RewrapRequest};
use node::vault::Source;

use super::identity_text::told;
use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::arguments::{Encryption, EncryptionAction, EncryptionRewrap, EncryptionRotate};
use crate::exit::{Code, Exit};
use crate::figures::{moment, size};
use crate::progress::Counted;
use crate::watch::{Look, Rate, Watched, watch};
use crate::{admin_client, server, settings};

/// Does what is asked.
pub(crate) async fn encryption(encryption: Encryption) -> Result<()> {
    match encryption.action {
        EncryptionAction::Status(status) => {
            let answer = admin_client::encryption(&data_dir(&status.ask).await?, status.node.as_deref()).await?;
            told(&status.ask, &answer, page(&answer).trim_end())
        }
        EncryptionAction::Rotate(rotate) => self::rotate(rotate).await,
        EncryptionAction::Rewrap(rewrap) => self::rewrap(rewrap).await,
    }
}

async fn rotate(rotate: EncryptionRotate) -> Result<()> {
    let data_dir = data_dir(&rotate.ask).await?;
    let node = rotate.node.as_deref();
    let begun = admin_client::rotate_data_key(&data_dir, node).await?;
    if !rotate.wait {
        let text = "a new data key is in use; older files are rewritten in the background, regnode encryption status says \
                    how far that is";
        return told(&rotate.ask, &begun, text);
    }
    match until_settled(&data_dir, node).await? {
        Some(answer) => told(&rotate.ask, &answer, page(&answer).trim_end()),
        None => Ok(()),
    }
}

/// Waits until nothing lies under an older key; nothing if nobody waits any more.
async fn until_settled(data_dir: &Path, node: Option<&str>) -> Result<Option<EncryptionAnswer>> {
    let (mut rate, mut over) = (Rate::begin(), None);
    let look = async || {
        let answer = admin_client::encryption(data_dir, node).await?;
        if answer.state == EncryptionState::Settled {
            over = Some(answer);
            return Ok(Look::Done("nothing lies under an older key any more".to_owned()));
        }
        let bytes = |row: &FilesUnderKey| row.shard_bytes + row.database_bytes;
        let done = answer.files.iter().filter(|row| row.newest).map(bytes).sum();
        let total = answer.files.iter().map(bytes).sum();
        Ok(Look::Going(rate.position(Counted::Bytes, done, total)))
    };
    match watch("rewriting what lies under older keys", "regnode encryption status", look).await? {
        Watched::ToTheEnd => Ok(over),
        Watched::Detached => Ok(None),
    }
}

/// Names the source of this machine's configuration to the running node.
async fn rewrap(rewrap: EncryptionRewrap) -> Result<()> {
    let usage = |message: String| anyhow::Error::new(Exit::new(Code::Usage, message));
    if server::chosen().is_some() {
        return Err(usage(
            "regnode encryption rewrap is about this machine: --server has no meaning for it".to_owned(),
        ));
    }
    let settings = settings::of_local_node(&settings::environment(), &rewrap.ask.node).await?.settings;
    let source = Source::configured(&settings.encryption)
        .ok_or_else(|| usage("the configuration names no key: set one in [encryption] first".to_owned()))?;
    if let Some(path) = relative(&source) {
        let message =
            format!("{} is looked for by the node, where it runs: name it as an absolute path", path.display());
        return Err(usage(message));
    }
    let answer = admin_client::rewrap(&settings.data_dir, &RewrapRequest { source: source.clone() }).await?;
    let text = format!(
        "the keyring is wrapped by {source}\nFrom its next start on the node needs exactly that: what wrapped it before \
         opens it no more."
    );
    told(&rewrap.ask, &answer, &text)
}

fn relative(source: &Source) -> Option<PathBuf> {
    match source {
        Source::KeyFile(path) | Source::PassphraseFile(path) if path.is_relative() => Some(path.clone()),
        _ => None,
    }
}

/// What lies under which key.
fn page(answer: &EncryptionAnswer) -> String {
    let Some(source) = &answer.source else {
        return "the node keeps everything in the clear: [encryption] names no key\n".to_owned();
    };
    let extent = if answer.content { "everything that the node keeps" } else { "the secrets of the node only" };
    let state = match (answer.state, &answer.waits_for) {
        (EncryptionState::Waiting, Some(what)) => format!("waiting: {what}"),
        (EncryptionState::Rewriting | EncryptionState::Waiting, _) if answer.counted => {
            "older files are being rewritten".to_owned()
        }
        (EncryptionState::Rewriting | EncryptionState::Waiting, _) => "the files are being looked through".to_owned(),
        (EncryptionState::Settled | EncryptionState::Off, _) => "all files are as they are to be".to_owned(),
    };
    let mut rows = table(&["KEY", "SINCE", "NEW FILES", "SHARD FILES", "BYTES", "DATABASES"]);
    for row in &answer.files {
        rows.add_row([
            row.key.clone().unwrap_or_else(|| "in the clear".to_owned()),
            row.since_milliseconds.map(moment).unwrap_or_default(),
            if row.newest { "yes" } else { "" }.to_owned(),
            row.shards.to_string(),
            size(row.shard_bytes),
            size(row.database_bytes),
        ]);
    }
    trimmed(&format!("encrypted   {extent}\nwrapped by  {source}\nstate       {state}\n\n{rows}\n"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn answer(state: EncryptionState) -> EncryptionAnswer {
        let row = |key: Option<char>, newest, shards| FilesUnderKey {
            key: key.map(|digit| digit.to_string().repeat(32)),
            since_milliseconds: key.map(|_| 1_800_000_000_000),
            newest,
            shards,
            shard_bytes: shards << 20,
            database_bytes: shards << 10,
        };
        EncryptionAnswer {
            version: 1,
            node: 1,
            source: Some("encryption.key_file = \"/etc/regnode/key\"".to_owned()),
            content: true,
            state,
            waits_for: None,
            counted: true,
            files: vec![row(Some('a'), false, 12), row(Some('b'), true, 300), row(None, false, 1)],
        }
    }

    #[test]
    fn what_lies_where_reads_well() {
        let mut waiting = answer(EncryptionState::Waiting);
        waiting.waits_for = Some("1 shard files cannot be rewritten yet".to_owned());
        let off = EncryptionAnswer { source: None, files: Vec::new(), ..answer(EncryptionState::Off) };
        let pages = [page(&answer(EncryptionState::Rewriting)), page(&waiting), page(&off)];
        insta::assert_snapshot!(pages.join("----\n"));
    }

    #[test]
    fn a_key_is_named_where_the_node_finds_it() {
        assert_eq!(relative(&Source::KeyFile("key".into())), Some("key".into()));
        assert_eq!(relative(&Source::PassphraseFile("/etc/words".into())), None);
        let parsed = Arguments::try_parse_from(["regnode", "encryption", "rotate", "--node", "n2", "--wait"]).unwrap();
        let Command::Encryption(Encryption { action: EncryptionAction::Rotate(rotate) }) = parsed.command else {
            panic!("another command");
        };
        assert!(rotate.wait && rotate.node.as_deref() == Some("n2"));
    }
}
