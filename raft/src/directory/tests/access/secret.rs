//! Secrets of users and robots, and their sessions.

use super::*;
use crate::time::Timestamp;

fn ids(secrets: &[SecretRecord]) -> Vec<u8> {
    secrets.iter().map(|secret| secret.id[0]).collect()
}

fn lasting(subject: &str, id: u8, seconds: Option<u64>, others: Option<u64>) -> Command {
    let mut command = secret(subject, id);
    if let Command::AddSecret { lifetime_seconds, others_end_after_seconds, .. } = &mut command {
        (*lifetime_seconds, *others_end_after_seconds) = (seconds, others);
    }
    command
}

#[test]
fn users_and_robots_have_secrets_and_nobody_else() {
    let mut store = Store::founded();
    store.refuses(secret("user:anna", 1), AccessRefusal::UserUnknown("anna".to_owned()));
    store.refuses(secret("robot:ci", 1), AccessRefusal::RobotUnknown("ci".to_owned()));
    store.add_user("anna");
    store.add_robot("ci");
    for subject in ["user:anna", "robot:ci"] {
        store.changes(secret(subject, 1));
        store.keeps(secret(subject, 1));
        let mut other = secret(subject, 1);
        if let Command::AddSecret { hash, .. } = &mut other {
            *hash = [9; 32];
        }
        store.refuses(other, AccessRefusal::SecretExists(subject.parse().unwrap()));
    }
    let (created, name) = (store.now, "laptop".to_owned());
    let kept = SecretRecord { id: [1; 8], hash: [1; 32], name, created, expires: None, last_used: None };
    assert_eq!((store.user("anna").keys, store.robot("ci").secrets), (vec![kept.clone()], vec![kept]));
    store.add_group("core");
    for subject in ["anonymous", "authenticated", "group:core"] {
        let (refusal, parsed) =
            (|| AccessRefusal::NoAccount(subject.parse().unwrap()), subject.parse::<Subject>().unwrap());
        store.refuses(secret(subject, 1), refusal());
        store.refuses(Command::RemoveSecret { subject: parsed.clone(), id: [1; 8] }, refusal());
        store.refuses(Command::EndSessions { subject: parsed }, refusal());
    }
    let mut long = secret("user:anna", 2);
    if let Command::AddSecret { name, .. } = &mut long {
        *name = "a".repeat(LABEL_LENGTH_MAX + 1);
    }
    assert!(store.reason(long).starts_with("the name of a secret of user:anna has 257 bytes"));
}

#[test]
fn a_rotation_lets_the_others_end_a_little_later() {
    let mut store = Store::founded();
    store.add_robot("ci");
    let begin = store.now;
    store.changes(lasting("robot:ci", 1, None, None));
    store.changes(lasting("robot:ci", 2, Some(60), None));
    store.changes(lasting("robot:ci", 3, Some(7200), Some(600)));
    let ends = |store: &Store| store.robot("ci").secrets.iter().map(|secret| secret.expires).collect::<Vec<_>>();
    let at = |seconds| Some(begin.plus_seconds(seconds));
    assert_eq!(ends(&store), [at(600), at(60), at(7200)], "none gets a later end than it had");
    store.now = begin.plus_seconds(30);
    store.keeps(lasting("robot:ci", 3, Some(7200), Some(600)));
    store.keeps(lasting("robot:ci", 1, None, None));
    assert_eq!(ends(&store), [at(600), at(60), at(7200)], "a repetition moves nothing");
    store.now = begin.plus_seconds(60);
    store.changes(lasting("robot:ci", 4, None, None));
    assert_eq!(ids(&store.robot("ci").secrets), [1, 3, 4], "what has ended makes room");
    let secrets = store.robot("ci").secrets;
    assert!(secrets[0].is_valid(begin.plus_seconds(599)) && !secrets[0].is_valid(begin.plus_seconds(600)));
}

#[test]
fn a_secret_that_ended_early_is_not_given_anew_by_a_repetition() {
    let mut store = Store::founded();
    store.add_robot("ci");
    store.changes(lasting("robot:ci", 1, Some(600), None));
    let longer = AccessRefusal::SecretExists("robot:ci".parse().unwrap());
    store.refuses(lasting("robot:ci", 1, Some(60), None), longer);
}

#[test]
fn removing_a_secret_ends_the_sessions() {
    let mut store = Store::founded();
    store.add_user("anna");
    store.changes(secret("user:anna", 1));
    store.changes(secret("user:anna", 2));
    let begin = store.user("anna").sessions_from;
    store.now = store.now.plus_seconds(60);
    let remove = |id| Command::RemoveSecret { subject: "user:anna".parse().unwrap(), id: [id; 8] };
    store.keeps(remove(9));
    assert_eq!(store.user("anna").sessions_from, begin);
    store.changes(remove(1));
    store.keeps(remove(1));
    assert_eq!((ids(&store.user("anna").keys), store.user("anna").sessions_from), (vec![2], store.now));
    store.now = store.now.plus_seconds(60);
    store.changes(Command::EndSessions { subject: "user:anna".parse().unwrap() });
    assert_eq!((ids(&store.user("anna").keys), store.user("anna").sessions_from), (vec![2], store.now));
}

#[test]
fn sessions_end_also_while_the_clock_stands_still() {
    let mut store = Store::founded();
    store.add_user("anna");
    let mut last = store.user("anna").sessions_from;
    let subject = || "user:anna".parse().unwrap();
    let ends = [
        Command::EndSessions { subject: subject() },
        secret("user:anna", 1),
        Command::RemoveSecret { subject: subject(), id: [1; 8] },
        Command::EndSessions { subject: subject() },
        Command::RemoveUser { name: "anna".to_owned() },
        user("anna", &[]),
    ];
    for command in ends {
        let ends = !matches!(command, Command::AddSecret { .. } | Command::RemoveUser { .. });
        store.changes(command.clone());
        if ends {
            let from = store.user("anna").sessions_from;
            assert!(from > last, "a token of before counts on after {command:?}");
            last = from;
        }
    }
}

#[test]
fn the_last_use_only_moves_on_and_changes_no_right() {
    let mut store = Store::founded();
    store.add_user("anna");
    store.add_robot("ci");
    store.changes(secret("user:anna", 1));
    store.changes(secret("robot:ci", 2));
    let used = |subject: &str, id: u8, time| (subject.parse().unwrap(), [id; 8], time);
    let (now, note) = (store.now, |uses| Command::NoteSecretUses { uses });
    let earlier = |before: u64| Timestamp(now.0 - before);
    store.keeps(note(vec![
        used("user:anna", 1, earlier(5)),
        used("user:anna", 9, now),
        used("user:bert", 1, now),
        used("robot:none", 1, now),
        used("anonymous", 1, now),
        used("robot:ci", 2, Timestamp(u64::MAX)),
    ]));
    let last = |store: &Store| (store.user("anna").keys[0].last_used, store.robot("ci").secrets[0].last_used);
    assert_eq!(last(&store), (Some(earlier(5)), Some(now)), "nothing was used in the future");
    store.keeps(note(vec![used("user:anna", 1, earlier(7)), used("robot:ci", 2, earlier(1))]));
    assert_eq!(last(&store), (Some(earlier(5)), Some(now)));
    store.keeps(note(vec![used("user:anna", 1, earlier(3))]));
    assert_eq!(last(&store).0, Some(earlier(3)));
    let too_many = note(vec![used("user:anna", 1, now); SECRET_USES_MAX + 1]);
    store.refuses(too_many, AccessRefusal::TooManyUses { uses: 1001, most: 1000 });
}
