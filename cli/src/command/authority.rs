//! `regnode ca`: the cluster's own certificate authority, and its change.

use std::path::Path;

use anyhow::Result;
use node::admin::{AuthorityAnswer, AuthorityEntry, AuthorityPhase, AuthorityRole, NodeAuthority};

use super::identity_text::{age, told};
use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Ca, CaAction, CaRotate};
use crate::exit::{Code, Exit};
use crate::figures::moment;
use crate::progress::Counted;
use crate::watch::{Look, Rate, Watched, watch};

/// Characters of a fingerprint that stand for all of it in a table.
const SHORT: usize = 16;

/// Does what is asked.
pub(crate) async fn ca(ca: Ca) -> Result<()> {
    match ca.action {
        CaAction::Status(list) => {
            let answer = admin_client::authority(&data_dir(&list.ask).await?).await?;
            let text = format!("{}{}", page(&answer), age(answer.reading));
            told(&list.ask, &answer, text.trim_end())
        }
        CaAction::Rotate(rotate) => self::rotate(rotate).await,
    }
}

async fn rotate(rotate: CaRotate) -> Result<()> {
    let data_dir = data_dir(&rotate.ask).await?;
    if rotate.abort {
        let answer = admin_client::abort_rotation(&data_dir).await?;
        return told(&rotate.ask, &answer, "the change was taken back: the present authority goes on signing");
    }
    let begun = admin_client::rotate_authority(&data_dir).await?;
    if !rotate.wait {
        let text = "a new authority is made known to all nodes; the change goes on by itself, regnode ca status says how far \
                    it is";
        return told(&rotate.ask, &begun, text);
    }
    match until_over(&data_dir, &begun).await? {
        Some(answer) => told(&rotate.ask, &answer, page(&answer).trim_end()),
        None => Ok(()),
    }
}

/// Waits until a change is over that has just begun; nothing if nobody waits any more.
async fn until_over(data_dir: &Path, begun: &AuthorityAnswer) -> Result<Option<AuthorityAnswer>> {
    let next = begun.authorities.iter().find(|authority| authority.role == AuthorityRole::Next);
    let next = next.map(|authority| authority.fingerprint.clone());
    let (mut rate, mut over) = (Rate::begin(), None);
    let look = async || {
        let answer = admin_client::authority(data_dir).await?;
        match outcome(&answer, next.as_deref()) {
            Outcome::Going { done, total } => Ok(Look::Going(rate.position(Counted::Things("steps"), done, total))),
            Outcome::TakenBack => Err(Exit::new(Code::Refused, "the change was taken back".to_owned()).into()),
            Outcome::Over => {
                over = Some(answer);
                Ok(Look::Done("all nodes trust and show the new authority alone".to_owned()))
            }
        }
    };
    match watch("changing the certificate authority", "regnode ca status", look).await? {
        Watched::ToTheEnd => Ok(over),
        Watched::Detached => Ok(None),
    }
}

/// How a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// So many of the steps of all nodes are done.
    Going { done: u64, total: u64 },
    /// It is over.
    Over,
    /// Somebody has taken it back.
    TakenBack,
}

/// How the change to the authority of this fingerprint stands. Each node has three steps.
fn outcome(answer: &AuthorityAnswer, next: Option<&str>) -> Outcome {
    let nodes = answer.nodes.len() as u64;
    let ready = answer.nodes.iter().filter(|node| node.awaited.is_none()).count() as u64;
    let before = match answer.phase {
        AuthorityPhase::Introduced => 0,
        AuthorityPhase::Signing => 1,
        AuthorityPhase::Stable => 2,
    };
    let signs = answer.authorities.iter().find(|authority| authority.role == AuthorityRole::Signs);
    let is_next = next.is_none_or(|next| signs.is_some_and(|signs| signs.fingerprint == next));
    match answer.phase {
        AuthorityPhase::Stable if !is_next => Outcome::TakenBack,
        AuthorityPhase::Stable if ready == nodes => Outcome::Over,
        _ => Outcome::Going { done: before * nodes + ready, total: 3 * nodes },
    }
}

/// The authorities, the nodes, and what is awaited.
fn page(answer: &AuthorityAnswer) -> String {
    let since = answer.since_milliseconds.map(|since| format!(", since {}", moment(since))).unwrap_or_default();
    let phase = match answer.phase {
        AuthorityPhase::Stable => "no change is under way".to_owned(),
        AuthorityPhase::Introduced => {
            format!("a change is under way: all nodes learn to trust the new authority (step 1 of 2{since})")
        }
        AuthorityPhase::Signing => {
            format!("a change is under way: all nodes get a certificate of the new authority (step 2 of 2{since})")
        }
    };
    let mut authorities = table(&["AUTHORITY (SHA-256)", "STATE", "HOLDS UNTIL"]);
    for AuthorityEntry { fingerprint, role, not_after_milliseconds } in &answer.authorities {
        authorities.add_row([
            fingerprint.clone(),
            word(*role).to_owned(),
            not_after_milliseconds.map(moment).unwrap_or_default(),
        ]);
    }
    let mut nodes = table(&["NODE", "TRUSTS", "SHOWS", "AWAITED"]);
    for node in &answer.nodes {
        let trusts: Vec<&str> = node.trusts.iter().map(|fingerprint| short(fingerprint)).collect();
        let shows = node.shows.as_deref().map_or("not said yet", short);
        nodes.add_row([node.name.clone(), trusts.join(", "), shows.to_owned(), awaited(node)]);
    }
    trimmed(&format!("{phase}\n\n{authorities}\n\n{nodes}\n"))
}

fn awaited(node: &NodeAuthority) -> String {
    match (&node.awaited, node.live) {
        (None, _) => String::new(),
        (Some(why), true) => why.clone(),
        (Some(why), false) => format!("{why}, and does not answer"),
    }
}

const fn word(role: AuthorityRole) -> &'static str {
    match role {
        AuthorityRole::Signs => "signs",
        AuthorityRole::Next => "signs next",
        AuthorityRole::Former => "still trusted",
    }
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHORT).unwrap_or(fingerprint)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use node::admin::Confirmation;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn answer(phase: AuthorityPhase, roles: &[(char, AuthorityRole)]) -> AuthorityAnswer {
        let entry = |(digit, role): &(char, AuthorityRole)| AuthorityEntry {
            fingerprint: digit.to_string().repeat(64),
            role: *role,
            not_after_milliseconds: Some(2_700_000_000_000),
        };
        let node = |id: u64, trusts: &str, awaited: Option<&str>| NodeAuthority {
            node: id,
            name: format!("n{id}"),
            live: id != 3,
            trusts: trusts.chars().map(|digit| digit.to_string().repeat(64)).collect(),
            shows: (id != 3).then(|| "a".repeat(64)),
            awaited: awaited.map(str::to_owned),
        };
        AuthorityAnswer {
            version: 1,
            reading: Confirmation { confirmed: true, as_of_milliseconds: 0 },
            phase,
            begun_milliseconds: Some(1_700_000_000_000),
            since_milliseconds: Some(1_700_000_000_000),
            authorities: roles.iter().map(entry).collect(),
            nodes: vec![
                node(1, "ab", None),
                node(2, "a", Some("has yet to follow")),
                node(3, "", Some("has yet to follow")),
            ],
        }
    }

    #[test]
    fn a_change_reads_well() {
        let roles = [('a', AuthorityRole::Signs), ('b', AuthorityRole::Next)];
        insta::assert_snapshot!(page(&answer(AuthorityPhase::Introduced, &roles)));
        let mut stable = answer(AuthorityPhase::Stable, &roles[..1]);
        stable.since_milliseconds = None;
        assert!(page(&stable).starts_with("no change is under way\n"));
    }

    #[test]
    fn a_change_is_over_when_nobody_is_awaited_and_the_new_one_signs() {
        let (old, new) = ("a".repeat(64), "b".repeat(64));
        let introduced = answer(AuthorityPhase::Introduced, &[('a', AuthorityRole::Signs), ('b', AuthorityRole::Next)]);
        assert_eq!(outcome(&introduced, Some(&new)), Outcome::Going { done: 1, total: 9 });
        let signing = answer(AuthorityPhase::Signing, &[('b', AuthorityRole::Signs), ('a', AuthorityRole::Former)]);
        assert_eq!(outcome(&signing, Some(&new)), Outcome::Going { done: 4, total: 9 });
        let mut stable = answer(AuthorityPhase::Stable, &[('b', AuthorityRole::Signs)]);
        assert_eq!(outcome(&stable, Some(&new)), Outcome::Going { done: 7, total: 9 }, "somebody trusts the old one");
        assert_eq!(outcome(&stable, Some(&old)), Outcome::TakenBack);
        for node in &mut stable.nodes {
            node.awaited = None;
        }
        assert_eq!(outcome(&stable, Some(&new)), Outcome::Over);
    }

    #[test]
    fn nobody_waits_for_what_he_takes_back() {
        let parse = |words: &[&str]| Arguments::try_parse_from(["regnode", "ca", "rotate"].iter().chain(words));
        assert!(parse(&["--abort", "--wait"]).is_err());
        let Command::Ca(Ca { action: CaAction::Rotate(rotate) }) = parse(&["--wait", "--json"]).unwrap().command else {
            panic!("another command");
        };
        assert!(rotate.wait && rotate.ask.json && !rotate.abort);
    }
}
