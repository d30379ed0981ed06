//! The query of a URL: parameters in any order, unknown ones (`ns` of containerd's mirrors among them) ignored.

use std::borrow::Cow;

use super::route::decode;

/// A query string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    text: &'a str,
    /// What was appended to the path instead.
    more: &'a str,
}

impl<'a> Query<'a> {
    /// Of these strings, both without the question mark.
    pub(super) fn new(text: Option<&'a str>, more: Option<&'a str>) -> Self {
        Self { text: text.unwrap_or_default(), more: more.unwrap_or_default() }
    }

    /// First value of a parameter. An empty one counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// All values of a parameter, in order, empty ones left out.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        // A second question mark is a client that appended `?digest=` to a query that was there.
        let pairs = self.text.split(['&', '?']).chain(self.more.split('&'));
        pairs.filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_value(key) == name).then(|| decode_value(value)).filter(|value| !value.is_empty())
        })
    }
}

/// Decodes form encoding. What is broken stays as it is and fails where its meaning is checked.
fn decode_value(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(decode(&spaced).map(Cow::into_owned).unwrap_or(spaced));
    }
    decode(text).unwrap_or(Cow::Borrowed(text))
}

/// A query of which the values of one parameter are replaced, empty ones left out. All else stays as it is.
pub(super) fn mapped(text: &str, name: &str, map: impl Fn(&str) -> String) -> String {
    let replaced = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let value = decode_value(value);
        let is_meant = decode_value(key) == name && !value.is_empty();
        is_meant.then(|| format!("{key}={}", encode_value(&map(&value))))
    };
    let parts = text.split_inclusive(['&', '?']).map(|part| {
        let pair = part.trim_end_matches(['&', '?']);
        replaced(pair).map_or_else(|| part.to_owned(), |replaced| format!("{replaced}{}", &part[pair.len()..]))
    });
    parts.collect()
}

/// Encodes a value: everything but RFC 3986's unreserved characters.
pub(super) fn encode_value(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_found_in_any_dialect() {
        let query = Query::new(Some("ns=docker.io&tag=a&tag=b%2E1&n=&mount=x%3Ay&last=a+b&_s=1?digest=d"), Some("z=9"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b.1"]);
        assert_eq!(query.get("n"), None);
        assert_eq!(query.get("mount").as_deref(), Some("x:y"));
        assert_eq!(query.get("last").as_deref(), Some("a b"));
        assert_eq!(query.get("digest").as_deref(), Some("d"));
        assert_eq!(query.get("z").as_deref(), Some("9"));
        assert_eq!(Query::new(None, None).get("n"), None);
    }

    proptest! {
        #[test]
        fn values_round_trip(value in ".{1,40}") {
            let text = format!("a=1&last={}", encode_value(&value));
            prop_assert_eq!(Query::new(Some(&text), None).get("last").unwrap().into_owned(), value);
        }

        #[test]
        fn arbitrary_queries_never_panic(text in ".{0,100}", name in ".{0,5}") {
            let _ = Query::new(Some(&text), Some(&text)).all(&name).count();
        }
    }
}
