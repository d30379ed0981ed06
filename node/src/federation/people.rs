//! People who log in at an issuer of OpenID Connect: an ID token becomes a name, what he is called, and his groups.

use raft::directory::is_user_name;
use serde_json::{Map, Value};

use super::claims;
use super::verify::audiences;

/// Most characters of the name that people read.
const DISPLAY_LENGTH_MAX: usize = 100;

/// Claims whose value names the same person however it is written; of others capital letters count.
const WITHOUT_CASE: [&str; 3] = ["email", "preferred_username", "upn"];

/// Somebody, as an ID token names him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) display: String,
    /// Ours, sorted.
    pub(super) groups: Vec<String>,
}

/// Why an ID token names nobody.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nobody {
    #[error("its `azp` says that it was made for another client")]
    OtherClient,
    #[error("it has no {0:?} that is one text")]
    NoName(String),
    #[error("its address of mail is not verified there (`email_verified`)")]
    Unverified,
    #[error(
        "its {0:?} cannot be a user's name here: 1 to 127 of a-z, 0-9, '.', '_', '-' and '@' inside are; choose another claim"
    )]
    OddName(String),
}

/// Reads the claims of a verified ID token. `clients` are the ids that we have there.
pub(super) fn person(
    token: &Map<String, Value>,
    clients: &[&str],
    user_claim: &str,
    groups_claim: Option<&str>,
    ours: &[(String, String)],
) -> Result<Person, Nobody> {
    // Where there are several audiences, the one it was made for must be told (OpenID Connect Core 1.0, 3.1.3.7).
    match token.get("azp") {
        Some(Value::String(client)) if clients.contains(&client.as_str()) => {}
        None if audiences(token).len() == 1 => {}
        _ => return Err(Nobody::OtherClient),
    }
    let mut names = claims::values(token, user_claim);
    let (Some(mut name), true) = (names.pop(), names.is_empty()) else {
        return Err(Nobody::NoName(user_claim.to_owned()));
    };
    // Anybody can claim an address of mail where it is not verified.
    if user_claim == "email" && claims::values(token, "email_verified") != ["true"] {
        return Err(Nobody::Unverified);
    }
    if WITHOUT_CASE.contains(&user_claim) {
        name.make_ascii_lowercase();
    }
    if !is_user_name(&name) {
        return Err(Nobody::OddName(user_claim.to_owned()));
    }
    Ok(Person { name, display: display(token), groups: groups(token, groups_claim, ours) })
}

fn display(token: &Map<String, Value>) -> String {
    let name = token.get("name").and_then(Value::as_str).unwrap_or_default();
    name.chars().filter(|letter| !letter.is_control()).take(DISPLAY_LENGTH_MAX).collect()
}

/// Ours, for those of theirs that the operator has named; they are compared exactly.
fn groups(token: &Map<String, Value>, claim: Option<&str>, ours: &[(String, String)]) -> Vec<String> {
    let theirs = claim.map(|claim| claims::values(token, claim)).unwrap_or_default();
    let mapped = ours.iter().filter(|(their, _)| theirs.contains(their)).map(|(_, our)| our.clone());
    let mut groups: Vec<String> = mapped.collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: &Value, user_claim: &str) -> Result<Person, Nobody> {
        let ours = [("/devs", "developers"), ("admins", "operators"), ("leads", "developers")]
            .map(|(their, our)| (their.to_owned(), our.to_owned()));
        person(claims.as_object().unwrap(), &["cli", "console"], user_claim, Some("groups"), &ours)
    }

    #[test]
    fn a_person_has_a_name_and_groups_of_ours() {
        let claims = json!({
            "aud": "cli", "preferred_username": "Ann.B", "name": "Ann\u{7} B.", "groups": ["leads", "/devs", "Admins"],
        });
        let ann =
            Person { name: "ann.b".to_owned(), display: "Ann B.".to_owned(), groups: vec!["developers".to_owned()] };
        assert_eq!(read(&claims, "preferred_username"), Ok(ann));
    }

    #[test]
    fn capital_letters_count_where_they_mean_somebody_else() {
        assert_eq!(read(&json!({"aud": "cli", "sub": "aBc"}), "sub"), Err(Nobody::OddName("sub".to_owned())));
        assert_eq!(read(&json!({"aud": "cli", "sub": "abc"}), "sub").unwrap().name, "abc");
    }

    #[test]
    fn an_address_of_mail_must_be_verified() {
        let claims = |verified: Value| json!({"aud": "cli", "email": "Ann@B.test", "email_verified": verified});
        assert_eq!(read(&claims(json!(true)), "email").unwrap().name, "ann@b.test");
        for verified in [json!(false), json!(null), json!("yes"), json!([true, false])] {
            assert_eq!(read(&claims(verified.clone()), "email"), Err(Nobody::Unverified), "{verified}");
        }
        assert_eq!(read(&json!({"aud": "cli", "email": "a@b.test"}), "email"), Err(Nobody::Unverified));
    }

    #[test]
    fn names_must_be_one_text_that_can_be_a_name() {
        for (sub, why) in [
            (json!(null), Nobody::NoName("sub".to_owned())),
            (json!(["a", "b"]), Nobody::NoName("sub".to_owned())),
            (json!({"a": "b"}), Nobody::NoName("sub".to_owned())),
            (json!(""), Nobody::OddName("sub".to_owned())),
            (json!("robot+ci"), Nobody::OddName("sub".to_owned())),
            (json!("a/../b"), Nobody::OddName("sub".to_owned())),
            (json!("a".repeat(128)), Nobody::OddName("sub".to_owned())),
        ] {
            assert_eq!(read(&json!({"aud": "cli", "sub": sub}), "sub"), Err(why), "{sub}");
        }
    }

    #[test]
    fn a_token_for_another_client_names_nobody() {
        for (claims, good) in [
            (json!({"aud": "cli", "sub": "ann"}), true),
            (json!({"aud": "cli", "azp": "console", "sub": "ann"}), true),
            (json!({"aud": ["cli", "x"], "azp": "cli", "sub": "ann"}), true),
            (json!({"aud": ["cli", "x"], "sub": "ann"}), false),
            (json!({"aud": "cli", "azp": "x", "sub": "ann"}), false),
            (json!({"aud": "cli", "azp": null, "sub": "ann"}), false),
        ] {
            assert_eq!(read(&claims, "sub").is_ok(), good, "{claims}");
        }
    }
}
