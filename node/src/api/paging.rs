//! Pages of lists: `n`, `last`, and the link to the next one (distribution-spec 1.1, "Listing Tags"; RFC 8288).

use serde_json::json;

use super::error::{ApiError, Code};
use super::query::{Query, encode_value};

/// Largest page of tags or referrers; a client that asks for more gets this and a link.
pub(super) const PAGE_MAX: usize = 10_000;

/// The parameter `n`.
///
/// # Errors
/// That it is not a number of items.
pub(super) fn size(query: &Query<'_>) -> Result<Option<usize>, ApiError> {
    let Some(text) = query.get("n") else { return Ok(None) };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(&text));
    }
    Ok(Some(text.parse().unwrap_or(usize::MAX)))
}

/// A page of this size is not served.
pub(super) fn invalid(n: &str) -> ApiError {
    ApiError::new(Code::PaginationNumberInvalid, "invalid number of results requested")
        .with_detail(json!({ "n": n.chars().take(40).collect::<String>() }))
}

/// Path and query of the next page.
pub(super) fn next(path: &str, last: &str, n: Option<usize>) -> String {
    let last = encode_value(last);
    match n {
        Some(n) => format!("{path}?last={last}&n={n}"),
        None => format!("{path}?last={last}"),
    }
}

/// Appends names as elements of a JSON array. Their grammar leaves nothing to escape.
pub(super) fn append_names<'a>(json: &mut String, names: impl Iterator<Item = &'a str>, mut first: bool) {
    for name in names {
        if !std::mem::take(&mut first) {
            json.push(',');
        }
        json.push('"');
        json.push_str(name);
        json.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_page_is_a_number() {
        let size = |text: &str| size(&Query::new(Some(text), None)).map_err(|error| error.code());
        assert_eq!(size(""), Ok(None));
        assert_eq!(size("n="), Ok(None));
        assert_eq!(size("n=0"), Ok(Some(0)));
        assert_eq!(size("n=12"), Ok(Some(12)));
        assert_eq!(size("n=99999999999999999999999"), Ok(Some(usize::MAX)));
        for bad in ["n=-1", "n=%2B1", "n=a", "n=1.5", "n=1%00"] {
            assert_eq!(size(bad), Err("PAGINATION_NUMBER_INVALID"), "{bad}");
        }
    }

    #[test]
    fn the_link_leads_behind_the_last_item() {
        assert_eq!(next("/v2/_catalog", "a/b", Some(2)), "/v2/_catalog?last=a%2Fb&n=2");
        assert_eq!(next("/v2/a/tags/list", "v1", None), "/v2/a/tags/list?last=v1");
    }

    #[test]
    fn names_are_joined() {
        let mut json = String::new();
        append_names(&mut json, ["a", "b"].into_iter(), true);
        append_names(&mut json, std::iter::once("c"), false);
        assert_eq!(json, r#""a","b","c""#);
    }
}
