//! Who may do what: each command's meaning in plain words.

mod audit_head;
mod binding;
mod founding;
mod group;
mod issuer;
mod judged;
mod limits;
mod model;
mod robot;
mod role;
mod secret;
mod signing_key;
mod user;

use super::store::*;
use crate::directory::*;

const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
const OTHER_PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$b3RoZXI";

impl Store {
    fn version(&self) -> u64 {
        self.view().access_version().unwrap()
    }

    /// Applies a command that changes something, and sees that it is counted once.
    fn changes(&mut self, command: Command) {
        let (before, asked) = (self.version(), format!("{command:?}"));
        assert_eq!((self.apply(command), self.version()), (Response::Done, before + 1), "{asked}");
    }

    /// Applies a command that finds everything as it asks for it.
    fn keeps(&mut self, command: Command) {
        let (before, asked) = (self.version(), format!("{command:?}"));
        assert_eq!((self.apply(command), self.version()), (Response::Done, before), "{asked}");
    }

    /// Applies a command that is refused.
    fn refuses(&mut self, command: Command, refusal: AccessRefusal) {
        let (before, asked) = (self.version(), format!("{command:?}"));
        assert_eq!((self.apply(command), self.version()), (refused(refusal.into()), before), "{asked}");
    }

    /// Applies a command that is refused, and gives the reason in words.
    fn reason(&mut self, command: Command) -> String {
        let before = self.version();
        let Response::Refused(refusal) = self.apply(command) else { panic!("it is not refused") };
        assert_eq!(self.version(), before);
        refusal.to_string()
    }

    fn add_user(&mut self, name: &str) {
        self.changes(user(name, &[]));
    }

    fn add_robot(&mut self, name: &str) {
        self.changes(robot(name, &[]));
    }

    fn add_group(&mut self, name: &str) {
        self.changes(group(name));
    }

    /// Binds a subject to a role at the root.
    fn bind(&mut self, subject: &str, role: &str) -> BindingId {
        match self.apply(allow(subject, role, "")) {
            Response::Bound { id } => id,
            other => panic!("{other:?}"),
        }
    }

    fn bound(&self) -> Vec<BindingId> {
        self.view().bindings(None, usize::MAX).unwrap().into_iter().map(|(id, _)| id).collect()
    }

    fn user(&self, name: &str) -> UserRecord {
        self.view().user(name).unwrap().unwrap()
    }

    fn robot(&self, name: &str) -> RobotRecord {
        self.view().robot(name).unwrap().unwrap()
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn user(name: &str, groups: &[&str]) -> Command {
    Command::AddUser {
        name: name.to_owned(),
        display: "somebody".to_owned(),
        password: Some(PHC.to_owned()),
        source: None,
        groups: strings(groups),
    }
}

fn robot(name: &str, groups: &[&str]) -> Command {
    Command::AddRobot {
        name: name.to_owned(),
        description: "builds".to_owned(),
        groups: strings(groups),
        lifetime_seconds: None,
    }
}

fn group(name: &str) -> Command {
    Command::AddGroup { name: name.to_owned(), description: "a team".to_owned() }
}

fn allow(subject: &str, role: &str, namespace: &str) -> Command {
    bind(subject, Effect::Allow { role: role.to_owned() }, namespace)
}

fn bind(subject: &str, effect: Effect, namespace: &str) -> Command {
    Command::AddBinding {
        subject: subject.parse().unwrap(),
        effect,
        namespace: namespace.to_owned(),
        condition: Condition::default(),
        note: String::new(),
        by: "user:admin".to_owned(),
    }
}

fn secret(subject: &str, id: u8) -> Command {
    Command::AddSecret {
        subject: subject.parse().unwrap(),
        id: [id; 8],
        hash: [id; 32],
        name: "laptop".to_owned(),
        lifetime_seconds: None,
        others_end_after_seconds: None,
    }
}

fn issuer(purpose: IssuerUse) -> IssuerRecord {
    IssuerRecord {
        issuer: "https://token.example.com".to_owned(),
        audiences: strings(&["regnode"]),
        purpose,
        keys: IssuerKeys::Discover,
        authority: None,
        algorithms: strings(&["RS256"]),
        created: crate::time::Timestamp(0),
    }
}

fn people(groups: &[(&str, &str)]) -> IssuerUse {
    let groups = groups.iter().map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).to_owned())).collect();
    let (client_id, user_claim) = ("regnode".to_owned(), "email".to_owned());
    IssuerUse::People { client_id, user_claim, groups_claim: Some("groups".to_owned()), groups }
}

fn regroup(group: &str, add: &[&str], remove: &[&str]) -> Command {
    let subjects = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Command::Regroup { group: group.to_owned(), add: subjects(add), remove: subjects(remove) }
}

fn trust(robot: &str, rule: TrustRule) -> Command {
    Command::Trust { robot: robot.to_owned(), rule }
}

fn distrust(robot: &str, issuer: &str) -> Command {
    Command::Distrust { robot: robot.to_owned(), issuer: issuer.to_owned() }
}

fn rule(issuer: &str, repository: &str) -> TrustRule {
    TrustRule { issuer: issuer.to_owned(), claims: vec![("repository".to_owned(), repository.to_owned())] }
}

fn set_issuer(name: &str, record: IssuerRecord) -> Command {
    Command::SetIssuer { name: name.to_owned(), record }
}
