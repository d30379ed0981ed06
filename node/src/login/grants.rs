//! What a token grants: what was asked for, as far as the rules allow it now.

use raft::directory::Action;
use raft::time::Timestamp;

use super::scope::Scope;
use crate::access::{Caller, Grant, GrantKind, Principal, Rights};

/// The words of tokens for what may be done to a repository, each with the right that it takes. Tags are moved by who may
/// push; whether he may is asked again when he does.
const WORDS: [(&str, Action); 3] = [("pull", Action::Pull), ("push", Action::Push), ("delete", Action::Delete)];

/// The grants. What is not allowed is left out, and so is what nothing is left of.
pub(super) fn grants(rights: &Rights, caller: &Caller, scopes: &[Scope], now: Timestamp) -> Vec<Grant> {
    let granted = scopes.iter().filter_map(|scope| {
        let actions = match scope.kind {
            GrantKind::Repository => of_repository(rights, caller, scope, now),
            GrantKind::Registry if scope.name == Grant::ADMINISTRATION => of_administration(caller, scope),
            GrantKind::Registry => of_catalog(rights, caller, scope, now),
            GrantKind::Other => Vec::new(),
        };
        (!actions.is_empty()).then(|| Grant { kind: scope.kind, name: scope.name.clone(), actions })
    });
    granted.collect()
}

fn of_repository(rights: &Rights, caller: &Caller, scope: &Scope, now: Timestamp) -> Vec<String> {
    let asked = |word: &str| scope.actions.iter().any(|action| action == word || action == "*");
    let words = WORDS.into_iter().filter(|(word, _)| asked(word));
    let allowed = words.filter(|(_, action)| rights.allows(caller, *action, &scope.name, now));
    allowed.map(|(word, _)| word.to_owned()).collect()
}

/// To whom the rules let administer nothing it is of no use, and what they let is asked at each request: so everybody may have
/// it who has an account.
fn of_administration(caller: &Caller, scope: &Scope) -> Vec<String> {
    let asks = scope.actions.iter().any(|action| action == "*");
    let is_somebody = !matches!(caller.principal, Principal::Anonymous | Principal::External { .. });
    if asks && is_somebody { vec!["*".to_owned()] } else { Vec::new() }
}

/// The list shows nobody more than he may pull, so everybody may ask for it who has an account; others if there is something
/// to show.
fn of_catalog(rights: &Rights, caller: &Caller, scope: &Scope, now: Timestamp) -> Vec<String> {
    let is_somebody = caller.principal != Principal::Anonymous;
    let all = scope.actions.iter().any(|action| action == "*");
    if all && (is_somebody || rights.sees_any(caller, "", now)) { vec!["*".to_owned()] } else { Vec::new() }
}
