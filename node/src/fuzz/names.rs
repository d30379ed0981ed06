//! Names of repositories, tags and digests, compared with the grammar of the specification; join tokens.

use raft::catalog::{Digest, RepositoryName, Tag};
use regex::Regex;

use super::{explore, spelled};
use crate::identity::JoinToken;

/// distribution-spec 1.1, "Pulling manifests"; and the most characters that a name has here.
const NAME: &str = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";
const NAME_CHARACTERS_MAX: usize = 255;
const TAG: &str = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$";
/// image-spec 1.1, "Registered algorithms".
const DIGEST: &str = "^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$";

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const WORDS: &[&str] = &[
    "a", "z", "0", "9", "/", ".", "_", "__", "-", "--", "A", "Z", ":", "sha256:", "sha512:", HEX, "%2e", "\n", "é",
    "abcdefgh",
];

#[test]
fn names_that_are_read_are_those_of_the_specification() {
    let [name, tag, digest] = [NAME, TAG, DIGEST].map(|text| Regex::new(text).unwrap());
    explore!("names", |input: &[u8]| {
        let text = spelled(input, WORDS);
        let is_name = text.len() <= NAME_CHARACTERS_MAX && name.is_match(&text);
        assert_eq!(text.parse::<RepositoryName>().is_ok(), is_name, "{text:?}");
        assert_eq!(text.parse::<Tag>().is_ok(), tag.is_match(&text), "{text:?}");
        assert_eq!(text.parse::<Digest>().is_ok(), digest.is_match(&text), "{text:?}");
        // What was read is written as it stood there.
        let written = [
            text.parse::<RepositoryName>().ok().map(|name| name.to_string()),
            text.parse::<Tag>().ok().map(|tag| tag.to_string()),
            text.parse::<Digest>().ok().map(|digest| digest.to_string()),
        ];
        assert!(written.iter().flatten().all(|written| *written == text), "{text:?}: {written:?}");
    });
}

#[test]
fn join_tokens_are_written_in_one_way_and_keep_their_secret() {
    const WORDS: &[&str] = &["rj1.", "rj", "2", ".", "AAAA", "zZ9_-0aB", "=", "+", "/", " ", HEX, "é"];
    explore!("join_tokens", |input: &[u8]| {
        let text = spelled(input, WORDS);
        let Ok(token) = text.parse::<JoinToken>() else { return };
        assert_eq!(token.to_string(), text.trim());
        // Its id is shown, and nothing of what follows.
        let shown = format!("{token:?}");
        assert_eq!(shown, format!("JoinToken({}, ..)", hex::encode(token.id)));
    });
}
