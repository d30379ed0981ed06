//! Claims by their paths, and rules about them.
//!
//! A path is the names of objects from the outside in, with a dot between them: `repository`,
//! `kubernetes.io.serviceaccount.name`. Names may have dots themselves, as `kubernetes.io` has: at each object every name that
//! the path can go on with is followed. If more than one reading of a path leads to a value, it leads to none: a name that
//! somebody else may choose must not stand in for another. A path that begins with a slash is exact, as a JSON pointer is
//! (RFC 6901): `/kubernetes.io/serviceaccount/name`, with `~1` for a slash and `~0` for a tilde inside a name.
//!
//! Arrays are not counted: each of their elements is followed, and a rule holds if one of them fits. Texts, numbers and
//! truth values have a value; objects and `null` have none.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wildmatch::WildMatch;

/// The values that a path leads to, as texts; none if it can be read in several ways.
pub(super) fn values(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    if let Some(pointer) = path.strip_prefix('/') {
        let names: Vec<String> = pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
        let mut found = Vec::new();
        exact_in(claims, &names, &mut found);
        return found;
    }
    let mut readings = BTreeMap::new();
    dotted_in(claims, path, &mut Vec::new(), &mut readings);
    match readings.len() {
        1 => readings.into_values().next().unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Whether one of a path's values matches the whole pattern. Capital letters count.
pub(super) fn matches(claims: &Map<String, Value>, path: &str, pattern: &str) -> bool {
    let pattern = WildMatch::new(pattern);
    values(claims, path).iter().any(|value| pattern.matches(value))
}

fn exact_in(object: &Map<String, Value>, names: &[String], found: &mut Vec<String>) {
    if let Some((name, rest)) = names.split_first()
        && let Some(value) = object.get(name)
    {
        exact(value, rest, found);
    }
}

fn exact(value: &Value, names: &[String], found: &mut Vec<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| exact(element, names, found)),
        Value::Object(object) => exact_in(object, names, found),
        scalar if names.is_empty() => found.extend(text(scalar)),
        _ => {}
    }
}

/// Readings of a path: lengths of the names that it was cut into, and the values there.
type Readings = BTreeMap<Vec<usize>, Vec<String>>;

fn dotted_in(object: &Map<String, Value>, path: &str, cuts: &mut Vec<usize>, readings: &mut Readings) {
    for (name, value) in object {
        let Some(rest) = path.strip_prefix(name.as_str()) else { continue };
        let rest = match rest.strip_prefix('.') {
            Some(rest) => Some(rest),
            None if rest.is_empty() => None,
            None => continue,
        };
        cuts.push(name.len());
        dotted(value, rest, cuts, readings);
        cuts.pop();
    }
}

fn dotted(value: &Value, path: Option<&str>, cuts: &mut Vec<usize>, readings: &mut Readings) {
    match (value, path) {
        (Value::Array(elements), _) => elements.iter().for_each(|element| dotted(element, path, cuts, readings)),
        (Value::Object(object), Some(path)) => dotted_in(object, path, cuts, readings),
        (scalar, None) => {
            if let Some(text) = text(scalar) {
                readings.entry(cuts.clone()).or_default().push(text);
            }
        }
        _ => {}
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values_of(claims: &Value, path: &str) -> Vec<String> {
        values(claims.as_object().unwrap(), path)
    }

    #[test]
    fn paths_lead_through_names_with_dots() {
        let claims = json!({
            "sub": "system:serviceaccount:apps:ci",
            "kubernetes.io": {"namespace": "apps", "serviceaccount": {"name": "ci", "uid": "1"}},
            "https://example.com/teams": ["a", "b"],
            "ref_protected": true,
            "run_id": 7,
        });
        assert_eq!(values_of(&claims, "sub"), ["system:serviceaccount:apps:ci"]);
        assert_eq!(values_of(&claims, "kubernetes.io.serviceaccount.name"), ["ci"]);
        assert_eq!(values_of(&claims, "/kubernetes.io/serviceaccount/name"), ["ci"]);
        assert_eq!(values_of(&claims, "https://example.com/teams"), ["a", "b"]);
        assert_eq!(values_of(&claims, "/https:~1~1example.com~1teams"), ["a", "b"]);
        assert_eq!(values_of(&claims, "ref_protected"), ["true"]);
        assert_eq!(values_of(&claims, "run_id"), ["7"]);
        for path in
            ["", "/", ".", "kubernetes", "kubernetes.io", "kubernetes.io.", "sub.", ".sub", "sub.x", "Sub", "/sub/"]
        {
            assert!(values_of(&claims, path).is_empty(), "{path}");
        }
    }

    #[test]
    fn a_path_with_two_readings_leads_nowhere() {
        let claims = json!({"a.b": "theirs", "a": {"b": "ours"}, "c.d": {"x": "1"}, "c": {"d": {"y": "2"}}});
        assert!(values_of(&claims, "a.b").is_empty());
        assert_eq!(values_of(&claims, "/a/b"), ["ours"]);
        assert_eq!(values_of(&claims, "/a.b"), ["theirs"]);
        // Two ways in, but one way through.
        assert_eq!(values_of(&claims, "c.d.x"), ["1"]);
        assert_eq!(values_of(&claims, "c.d.y"), ["2"]);
    }

    #[test]
    fn each_element_of_an_array_counts_and_objects_do_not() {
        let claims = json!({"groups": ["dev", 7, null, {"name": "ops"}, [["deep"]]], "empty": []});
        assert_eq!(values_of(&claims, "groups"), ["dev", "7", "deep"]);
        assert_eq!(values_of(&claims, "groups.name"), ["ops"]);
        assert_eq!(values_of(&claims, "/groups/name"), ["ops"]);
        assert!(values_of(&claims, "groups.0").is_empty());
        assert!(values_of(&claims, "empty").is_empty());
    }

    #[test]
    fn patterns_match_whole_values() {
        let claims = json!({"sub": "repo:acme/app:ref:refs/heads/main", "none": null});
        let claims = claims.as_object().unwrap();
        for pattern in
            ["repo:acme/app:ref:refs/heads/main", "repo:acme/*", "repo:acme/app:*", "*main", "repo?acme/*", "*"]
        {
            assert!(matches(claims, "sub", pattern), "{pattern}");
        }
        for pattern in
            ["", "repo:acme/app", "acme/app", "Repo:acme/*", "repo:acme/*:environment:*", "main", "repo:acme/app:ref?"]
        {
            assert!(!matches(claims, "sub", pattern), "{pattern}");
        }
        assert!(!matches(claims, "none", "*"));
        assert!(!matches(claims, "missing", "*"));
    }

    proptest::proptest! {
        #[test]
        fn no_path_and_no_pattern_panics(path in ".{0,40}", pattern in ".{0,40}", json in ".{0,80}") {
            let claims = serde_json::from_str(&json).unwrap_or_else(|_| json!({&*path: {"a": [&*pattern]}}));
            if let Some(claims) = claims.as_object() {
                let _ = matches(claims, &path, &pattern);
            }
        }

        #[test]
        fn a_pattern_without_stars_matches_itself_only(value in "[a-z:/.]{0,20}", other in "[a-z:/.]{0,20}") {
            let claims = json!({"sub": &*value});
            let claims = claims.as_object().unwrap();
            proptest::prop_assert!(matches(claims, "sub", &value));
            proptest::prop_assert_eq!(matches(claims, "sub", &other), value == other);
        }
    }
}
