//! Patterns of tags: `*` stands for any characters or none, `?` for one character, everything else for itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use super::limit::PATTERN_LENGTH_MAX;

/// A text that is not a pattern. `Display` says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pattern {text:?} {problem}")]
pub struct InvalidPattern {
    text: String,
    problem: &'static str,
}

/// A pattern of tags. The whole tag must match, letter for letter: patterns know upper and lower case.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    matcher: WildMatch,
}

impl Pattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches all of a text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.matcher.matches(text)
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |problem| InvalidPattern { text: text.chars().take(PATTERN_LENGTH_MAX).collect(), problem };
        if text.is_empty() {
            return Err(invalid("is empty and would match nothing: \"*\" matches every tag"));
        }
        if text.len() > PATTERN_LENGTH_MAX {
            return Err(invalid("is longer than any tag: at most 128 characters are allowed"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'*' | b'?');
        if !text.bytes().all(allowed) {
            return Err(invalid(
                "can match no tag: letters, digits, '_', '.' and '-' stand for themselves, '*' for any characters, '?' \
                 for one",
            ));
        }
        Ok(Self { text: text.to_owned(), matcher: WildMatch::new(text) })
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(text)
    }

    #[test]
    fn stars_and_question_marks_stand_for_others_and_the_whole_tag_must_match() {
        assert!(matches("*", "latest") && matches("v*", "v1.2") && matches("v?.*", "v1.2") && matches("**", "x"));
        assert!(matches("release-*-amd64", "release-1-2-amd64") && matches("latest", "latest"));
        assert!(!matches("v*", "rv1") && !matches("V*", "v1") && !matches("v?", "v") && !matches("v?", "v12"));
        assert!(!matches("1.0", "100"), "a dot is a dot");
    }

    #[test]
    fn what_can_match_no_tag_is_refused() {
        for bad in ["", "a b", "a/b", "[ab]", "ä*", &"a".repeat(129)] {
            let error = bad.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.starts_with("pattern \""), "{error}");
        }
    }

    /// The plain definition, to compare with.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                naive(rest, text) || text.split_first().is_some_and(|(_, text)| naive(pattern, text))
            }
            (Some((b'?', rest)), Some((_, text))) => naive(rest, text),
            (Some((byte, rest)), Some((first, text))) => byte == first && naive(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_defined(pattern in "[ab*?]{1,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
