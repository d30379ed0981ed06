//! Issuers of tokens.

use super::*;

fn remove(name: &str) -> Command {
    Command::RemoveIssuer { name: name.to_owned() }
}

#[test]
fn an_issuer_is_set_as_a_whole() {
    let mut store = Store::founded();
    let added = store.now;
    store.changes(set_issuer("github", issuer(IssuerUse::Workload)));
    store.now = added.plus_seconds(60);
    store.keeps(set_issuer("github", issuer(IssuerUse::Workload)));
    let other = IssuerRecord { algorithms: strings(&["ES256"]), ..issuer(IssuerUse::Workload) };
    store.changes(set_issuer("github", other.clone()));
    let expected = IssuerRecord { created: added, ..other };
    assert_eq!(store.view().issuers().unwrap(), [("github".to_owned(), expected.clone())], "when it was added stays");
    assert_eq!(store.view().issuer("github").unwrap(), Some(expected));
    store.changes(remove("github"));
    store.keeps(remove("github"));
    assert!(store.view().issuers().unwrap().is_empty());
}

#[test]
fn what_could_not_be_verified_is_refused() {
    let mut store = Store::founded();
    store.refuses(set_issuer("ldap", issuer(IssuerUse::Workload)), AccessRefusal::IssuerReserved("ldap".to_owned()));
    let symmetric = IssuerRecord { algorithms: strings(&["HS256"]), ..issuer(IssuerUse::Workload) };
    assert!(store.reason(set_issuer("corp", symmetric)).starts_with("issuer \"corp\" needs one or more signature"));
}

#[test]
fn two_issuers_of_one_use_have_different_tokens() {
    let mut store = Store::founded();
    store.changes(set_issuer("github", issuer(IssuerUse::Tokens)));
    let taken = |issuer: &str| AccessRefusal::IssuerTaken { issuer: issuer.to_owned(), other: "github".to_owned() };
    store.refuses(set_issuer("second", issuer(IssuerUse::Tokens)), taken("https://token.example.com"));
    store.changes(set_issuer("second", issuer(people(&[]))));
    let elsewhere = IssuerRecord { issuer: "https://other.example.com".to_owned(), ..issuer(IssuerUse::Tokens) };
    store.changes(set_issuer("third", elsewhere));
    store.refuses(set_issuer("third", issuer(IssuerUse::Tokens)), taken("https://token.example.com"));
}

#[test]
fn an_issuer_gives_groups_that_exist() {
    let mut store = Store::founded();
    let corp = set_issuer("corp", issuer(people(&[("dev", "core")])));
    store.refuses(corp.clone(), AccessRefusal::GroupUnknown("core".to_owned()));
    store.add_group("core");
    store.changes(corp);
}

#[test]
fn an_issuer_that_a_robot_trusts_stays_one_of_workloads() {
    let mut store = Store::founded();
    store.changes(set_issuer("github", issuer(IssuerUse::Workload)));
    store.add_robot("ci");
    store.changes(trust("ci", rule("github", "acme/*")));
    let refusal = || AccessRefusal::IssuerTrusted { issuer: "github".to_owned(), robot: "ci".to_owned() };
    store.refuses(remove("github"), refusal());
    store.refuses(set_issuer("github", issuer(IssuerUse::Tokens)), refusal());
    let other = IssuerRecord { audiences: strings(&["a", "b"]), ..issuer(IssuerUse::Workload) };
    store.changes(set_issuer("github", other));
    store.changes(distrust("ci", "github"));
    store.changes(remove("github"));
}

#[test]
fn nobody_else_speaks_of_the_users_of_an_issuer() {
    let mut store = Store::founded();
    let corp = issuer(people(&[]));
    let elsewhere = IssuerRecord { issuer: "https://evil.example.com".to_owned(), ..corp.clone() };
    let mut by_another_claim = corp.clone();
    if let IssuerUse::People { user_claim, .. } = &mut by_another_claim.purpose {
        *user_claim = "sub".to_owned();
    }
    store.changes(set_issuer("corp", corp.clone()));
    let login = |name: &str| Command::ProvisionUser {
        name: name.to_owned(),
        source: "corp".to_owned(),
        display: "Anna".to_owned(),
        groups: Vec::new(),
    };
    store.changes(set_issuer("corp", elsewhere.clone()));
    store.changes(set_issuer("corp", corp.clone()));
    store.changes(login("anna"));
    let refusal = || AccessRefusal::IssuerHasUsers {
        issuer: "corp".to_owned(),
        user: "anna".to_owned(),
        vouched: "email of https://token.example.com".to_owned(),
    };
    let machines = IssuerRecord { purpose: IssuerUse::Workload, ..corp.clone() };
    let others = [elsewhere.clone(), by_another_claim, machines];
    for other in &others {
        store.refuses(set_issuer("corp", other.clone()), refusal());
    }
    let other_keys = IssuerRecord { algorithms: strings(&["ES256"]), ..corp.clone() };
    store.changes(set_issuer("corp", other_keys));
    // Whoever removes it first is held to the same.
    store.changes(remove("corp"));
    for other in others {
        store.refuses(set_issuer("corp", other), refusal());
    }
    store.refuses(login("anna"), AccessRefusal::SourceUnknown("corp".to_owned()));
    store.changes(set_issuer("corp", corp));
    store.keeps(login("anna"));
    store.changes(Command::RemoveUser { name: "anna".to_owned() });
    store.changes(set_issuer("corp", elsewhere));
}
