//! Frozen encodings of who may do what.

use storage::kv::Bytes;

use super::super::store::found;
use crate::directory::*;
use crate::golden::Samples;
use crate::id::{NodeId, RequestId};
use crate::time::Timestamp;

const TIME: Timestamp = Timestamp(1_700_000_000_000);
const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn trust() -> TrustRule {
    let claims = [("repository", "acme/*"), ("ref", "refs/heads/main")];
    let claims = claims.map(|(path, pattern)| (path.to_owned(), pattern.to_owned()));
    TrustRule { issuer: "github".to_owned(), claims: claims.to_vec() }
}

fn condition() -> Condition {
    Condition {
        addresses: strings(&["10.0.0.0/8", "2001:db8::/32"]),
        not_before: Some(TIME),
        not_after: Some(TIME.plus_seconds(86_400)),
        daily: Some((480, 1080)),
    }
}

fn signing_key() -> NewSigningKey {
    let (public, wrapped_private) = (Bytes::from_static(b"public"), Bytes::from_static(b"private"));
    NewSigningKey { id: [7; 8], public, wrapped_private }
}

fn issuer(purpose: IssuerUse, keys: IssuerKeys) -> IssuerRecord {
    IssuerRecord {
        issuer: "https://token.example.com".to_owned(),
        audiences: strings(&["regnode"]),
        purpose,
        keys,
        authority: Some("-----BEGIN CERTIFICATE-----".to_owned()),
        algorithms: strings(&["RS256", "ES256"]),
        created: TIME,
    }
}

fn people() -> IssuerUse {
    IssuerUse::People {
        client_id: "regnode".to_owned(),
        user_claim: "email".to_owned(),
        groups_claim: Some("groups".to_owned()),
        groups: vec![("developers".to_owned(), "core".to_owned())],
    }
}

/// The founding of a cluster that has an operator and is open to readers.
pub(super) fn founding() -> Command {
    let mut command = found("one");
    if let Command::Found { access, .. } = &mut command {
        *access = FirstAccess {
            operator: Some(("admin".to_owned(), PHC.to_owned())),
            key: Some(signing_key()),
            anonymous: Some("reader".to_owned()),
        };
    }
    command
}

pub(super) fn commands() -> Vec<Command> {
    let (user, robot) = (Subject::User("anna".to_owned()), Subject::Robot("ci".to_owned()));
    let (name, groups) = (|| "anna".to_owned(), || strings(&["core", "ops"]));
    let (id, hash) = ([3; 8], [4; 32]);
    vec![
        Command::AddUser {
            name: name(),
            display: "Anna".to_owned(),
            password: Some(PHC.to_owned()),
            source: None,
            groups: groups(),
        },
        Command::ProvisionUser {
            name: name(),
            source: "ldap".to_owned(),
            display: "Anna".to_owned(),
            groups: groups(),
        },
        Command::SetUser {
            name: name(),
            display: Some("Anna".to_owned()),
            password: Some(PHC.to_owned()),
            disabled: Some(true),
            groups: Some(groups()),
        },
        Command::RemoveUser { name: name() },
        Command::AddGroup { name: "core".to_owned(), description: "the core team".to_owned() },
        Command::RemoveGroup { name: "core".to_owned() },
        Command::SetRole {
            name: "promoter".to_owned(),
            description: "moves tags".to_owned(),
            actions: Actions::of(&[Action::Pull, Action::Tag]),
        },
        Command::RemoveRole { name: "promoter".to_owned() },
        Command::AddRobot {
            name: "ci".to_owned(),
            description: "builds".to_owned(),
            groups: groups(),
            lifetime_seconds: Some(86_400),
        },
        Command::SetRobot {
            name: "ci".to_owned(),
            description: Some("builds".to_owned()),
            groups: Some(groups()),
            disabled: Some(false),
        },
        Command::RemoveRobot { name: "ci".to_owned() },
        Command::AddSecret {
            subject: robot.clone(),
            id,
            hash,
            name: "laptop".to_owned(),
            lifetime_seconds: Some(86_400),
            others_end_after_seconds: Some(3600),
        },
        Command::RemoveSecret { subject: user.clone(), id },
        Command::NoteSecretUses { uses: vec![(user.clone(), id, TIME), (robot.clone(), id, TIME)] },
        Command::EndSessions { subject: robot.clone() },
        Command::AddBinding {
            subject: Subject::Group("core".to_owned()),
            effect: Effect::Allow { role: "writer".to_owned() },
            namespace: "acme/prod".to_owned(),
            condition: condition(),
            note: "until the audit".to_owned(),
            by: "user:admin".to_owned(),
        },
        Command::RemoveBinding { id: BindingId(300) },
        Command::SetIssuer { name: "github".to_owned(), record: issuer(IssuerUse::Workload, IssuerKeys::Discover) },
        Command::RemoveIssuer { name: "github".to_owned() },
        Command::AddSigningKey { key: signing_key(), signs_after_seconds: 600, others_retire_after_seconds: 3600 },
        Command::RemoveSigningKey { id: [7; 8] },
        Command::NoteAuditHead { node: NodeId(2), head: AuditHead { sequence: 300, hash: [5; 32], time: TIME } },
        Command::Regroup { group: "core".to_owned(), add: vec![user.clone()], remove: vec![robot.clone()] },
        Command::Trust { robot: "ci".to_owned(), rule: trust() },
        Command::Distrust { robot: "ci".to_owned(), issuer: "github".to_owned() },
    ]
}

/// Every change that is judged.
pub(super) fn judged() -> Vec<Command> {
    let binding = JudgedChange::AddBinding {
        subject: Subject::Group("core".to_owned()),
        effect: Effect::Allow { role: "writer".to_owned() },
        namespace: "acme/prod".to_owned(),
        condition: condition(),
        note: "until the audit".to_owned(),
        by: "user:admin".to_owned(),
    };
    let role = JudgedChange::SetRole {
        name: "promoter".to_owned(),
        description: "moves tags".to_owned(),
        actions: Actions::of(&[Action::Pull, Action::Tag]),
    };
    let changes = [
        role,
        JudgedChange::RemoveRole { name: "promoter".to_owned() },
        binding,
        JudgedChange::RemoveBinding { id: BindingId(300) },
    ];
    changes.map(|change| Command::Judged { made_from: 300, change }).into()
}

/// A new variant does not compile until it has a sample.
pub(super) fn judged_name(change: &JudgedChange) -> &'static str {
    match change {
        JudgedChange::SetRole { .. } => "judged-set-role",
        JudgedChange::RemoveRole { .. } => "judged-remove-role",
        JudgedChange::AddBinding { .. } => "judged-add-binding",
        JudgedChange::RemoveBinding { .. } => "judged-remove-binding",
    }
}

/// Every refusal.
pub(super) fn refusals() -> Vec<AccessRefusal> {
    let (name, subject) = (|| "anna".to_owned(), || Subject::User("anna".to_owned()));
    let problem = || "is wrong".to_owned();
    vec![
        AccessRefusal::UserNameInvalid("Anna".to_owned()),
        AccessRefusal::NameInvalid { kind: "robot".to_owned(), name: "CI".to_owned() },
        AccessRefusal::TextInvalid { what: "the note".to_owned(), problem: problem() },
        AccessRefusal::UserExists(name()),
        AccessRefusal::UserUnknown(name()),
        AccessRefusal::TooManyUsers(20_000),
        AccessRefusal::PasswordInvalid(name()),
        AccessRefusal::PasswordElsewhere { name: name(), from: "ldap".to_owned() },
        AccessRefusal::OtherSource { name: name(), present: Some("ldap".to_owned()), from: "corp".to_owned() },
        AccessRefusal::SourceUnknown("corp".to_owned()),
        AccessRefusal::RobotExists("ci".to_owned()),
        AccessRefusal::RobotUnknown("ci".to_owned()),
        AccessRefusal::TooManyRobots(10_000),
        AccessRefusal::TrustInvalid { robot: "ci".to_owned(), problem: problem() },
        AccessRefusal::GroupExists("core".to_owned()),
        AccessRefusal::GroupUnknown("core".to_owned()),
        AccessRefusal::TooManyGroups(2_000),
        AccessRefusal::TooManyGroupsOf { member: subject(), groups: 300, most: 256 },
        AccessRefusal::RoleBuiltIn("reader".to_owned()),
        AccessRefusal::RoleUnknown { name: "boss".to_owned(), known: strings(&["reader", "writer"]) },
        AccessRefusal::TooManyRoles(200),
        AccessRefusal::RoleBound { role: "promoter".to_owned(), binding: BindingId(300), subject: subject() },
        AccessRefusal::NoActions("the binding".to_owned()),
        AccessRefusal::ActionsUnknown("the binding".to_owned()),
        AccessRefusal::NoAccount(Subject::Anonymous),
        AccessRefusal::SecretExists(subject()),
        AccessRefusal::TooManySecrets { subject: subject(), most: 16 },
        AccessRefusal::TooManyUses { uses: 1001, most: 1000 },
        AccessRefusal::ConditionInvalid(problem()),
        AccessRefusal::BindingUnknown(BindingId(300)),
        AccessRefusal::TooManyBindings(20_000),
        AccessRefusal::IssuerReserved("ldap".to_owned()),
        AccessRefusal::IssuerInvalid { name: "github".to_owned(), problem: problem() },
        AccessRefusal::IssuerTaken { issuer: "https://token.example.com".to_owned(), other: "github".to_owned() },
        AccessRefusal::IssuerUnknown("github".to_owned()),
        AccessRefusal::TooManyIssuers(32),
        AccessRefusal::IssuerTrusted { issuer: "github".to_owned(), robot: "ci".to_owned() },
        AccessRefusal::SigningKeyExists,
        AccessRefusal::SigningKeyInvalid(problem()),
        AccessRefusal::SigningGap { signs_after_seconds: 600, others_retire_after_seconds: 60 },
        AccessRefusal::SigningKeyNeeded("07".repeat(8)),
        AccessRefusal::TooManySigningKeys(8),
        AccessRefusal::NoMember(Subject::Anonymous),
        AccessRefusal::TooManyRegrouped { members: 1001, most: 1000 },
        AccessRefusal::RegroupedTwice(subject()),
        AccessRefusal::IssuerHasUsers {
            issuer: "corp".to_owned(),
            user: name(),
            vouched: "email of https://token.example.com".to_owned(),
        },
        AccessRefusal::Changed { made_from: 300, version: 302 },
    ]
}

/// A new variant does not compile until it has a sample: give it a name here and a value above.
pub(super) fn refusal_name(refusal: &AccessRefusal) -> &'static str {
    match refusal {
        AccessRefusal::UserNameInvalid(_) => "user-name-invalid",
        AccessRefusal::NameInvalid { .. } => "name-invalid",
        AccessRefusal::TextInvalid { .. } => "text-invalid",
        AccessRefusal::UserExists(_) => "user-exists",
        AccessRefusal::UserUnknown(_) => "user-unknown",
        AccessRefusal::TooManyUsers(_) => "too-many-users",
        AccessRefusal::PasswordInvalid(_) => "password-invalid",
        AccessRefusal::PasswordElsewhere { .. } => "password-elsewhere",
        AccessRefusal::OtherSource { .. } => "other-source",
        AccessRefusal::SourceUnknown(_) => "source-unknown",
        AccessRefusal::RobotExists(_) => "robot-exists",
        AccessRefusal::RobotUnknown(_) => "robot-unknown",
        AccessRefusal::TooManyRobots(_) => "too-many-robots",
        AccessRefusal::TrustInvalid { .. } => "trust-invalid",
        AccessRefusal::GroupExists(_) => "group-exists",
        AccessRefusal::GroupUnknown(_) => "group-unknown",
        AccessRefusal::TooManyGroups(_) => "too-many-groups",
        AccessRefusal::TooManyGroupsOf { .. } => "too-many-groups-of",
        AccessRefusal::RoleBuiltIn(_) => "role-built-in",
        AccessRefusal::RoleUnknown { .. } => "role-unknown",
        AccessRefusal::TooManyRoles(_) => "too-many-roles",
        AccessRefusal::RoleBound { .. } => "role-bound",
        AccessRefusal::NoActions(_) => "no-actions",
        AccessRefusal::ActionsUnknown(_) => "actions-unknown",
        AccessRefusal::NoAccount(_) => "no-account",
        AccessRefusal::SecretExists(_) => "secret-exists",
        AccessRefusal::TooManySecrets { .. } => "too-many-secrets",
        AccessRefusal::TooManyUses { .. } => "too-many-uses",
        AccessRefusal::ConditionInvalid(_) => "condition-invalid",
        AccessRefusal::BindingUnknown(_) => "binding-unknown",
        AccessRefusal::TooManyBindings(_) => "too-many-bindings",
        AccessRefusal::IssuerReserved(_) => "issuer-reserved",
        AccessRefusal::IssuerInvalid { .. } => "issuer-invalid",
        AccessRefusal::IssuerTaken { .. } => "issuer-taken",
        AccessRefusal::IssuerUnknown(_) => "issuer-unknown",
        AccessRefusal::TooManyIssuers(_) => "too-many-issuers",
        AccessRefusal::IssuerTrusted { .. } => "issuer-trusted",
        AccessRefusal::SigningKeyExists => "signing-key-exists",
        AccessRefusal::SigningKeyInvalid(_) => "signing-key-invalid",
        AccessRefusal::SigningGap { .. } => "signing-gap",
        AccessRefusal::SigningKeyNeeded(_) => "signing-key-needed",
        AccessRefusal::TooManySigningKeys(_) => "too-many-signing-keys",
        AccessRefusal::NoMember(_) => "no-member",
        AccessRefusal::TooManyRegrouped { .. } => "too-many-regrouped",
        AccessRefusal::RegroupedTwice(_) => "regrouped-twice",
        AccessRefusal::IssuerHasUsers { .. } => "issuer-has-users",
        AccessRefusal::Changed { .. } => "changed",
    }
}

fn accounts(samples: &mut Samples) {
    let ended = SecretRecord {
        id: [3; 8],
        hash: [4; 32],
        name: "laptop".to_owned(),
        created: TIME,
        expires: Some(TIME),
        last_used: Some(TIME),
    };
    let fresh = SecretRecord { expires: None, last_used: None, ..ended.clone() };
    let user = UserRecord {
        display: "Anna".to_owned(),
        password: Some(PHC.to_owned()),
        source: None,
        groups: strings(&["core", "ops"]),
        disabled: false,
        created: TIME,
        sessions_from: TIME,
        keys: vec![ended.clone(), fresh.clone()],
        vouched: None,
        confirmed: None,
    };
    samples.add("user", &user);
    let elsewhere = UserRecord {
        password: None,
        source: Some("corp".to_owned()),
        disabled: true,
        vouched: Some("email of https://token.example.com".to_owned()),
        confirmed: Some(TIME),
        ..user
    };
    samples.add("user-elsewhere", &elsewhere);
    let robot = RobotRecord {
        description: "builds".to_owned(),
        groups: strings(&["core"]),
        disabled: false,
        created: TIME,
        expires: Some(TIME),
        sessions_from: TIME,
        secrets: vec![ended, fresh],
        trusts: vec![trust()],
    };
    samples.add("robot", &robot);
    samples.add("robot-forever", &RobotRecord { expires: None, disabled: true, ..robot });
    samples.add("group", &GroupRecord { description: "the core team".to_owned(), created: TIME });
    for action in Action::ALL {
        let actions = Actions::of(&[action]);
        samples.add(&format!("role-{action}"), &RoleRecord { description: String::new(), actions });
    }
}

fn bindings(samples: &mut Samples) {
    let binding = BindingRecord {
        subject: Subject::Anonymous,
        effect: Effect::Allow { role: "reader".to_owned() },
        namespace: String::new(),
        condition: Condition::default(),
        note: "open".to_owned(),
        created: TIME,
        created_by: "user:admin".to_owned(),
    };
    for subject in ["anonymous", "authenticated", "user:anna", "robot:ci", "group:core"] {
        let binding = BindingRecord { subject: subject.parse().unwrap(), ..binding.clone() };
        samples.add(&format!("binding-{subject}"), &StoredBinding { binding, added_by: None });
    }
    let effect = Effect::Deny { actions: Actions::of(&[Action::Delete, Action::Tag]) };
    let denied = BindingRecord { effect, namespace: "acme/prod".to_owned(), condition: condition(), ..binding };
    samples.add("binding-deny", &StoredBinding { binding: denied, added_by: Some(RequestId([5; 16])) });
    samples.add("binding-id", &BindingId(300));
    let (version, next_binding) = (300, BindingId(301));
    let state =
        AccessStateRecord { version, next_binding, users: 3, robots: 4, groups: 5, bindings: 6, sessions: TIME };
    samples.add("access-state", &state);
}

#[test]
fn records_of_access_are_frozen() {
    let mut samples = Samples::new();
    accounts(&mut samples);
    bindings(&mut samples);
    let url = "https://keys.example.com".to_owned();
    for (name, purpose, keys) in [
        ("issuer-workload", IssuerUse::Workload, IssuerKeys::Discover),
        ("issuer-people", people(), IssuerKeys::JwksUrl(url)),
        ("issuer-tokens", IssuerUse::Tokens, IssuerKeys::Jwks("{}".to_owned())),
        ("issuer-roots", IssuerUse::Tokens, IssuerKeys::Certificates("-----BEGIN CERTIFICATE-----".to_owned())),
    ] {
        samples.add(name, &issuer(purpose, keys));
    }
    let NewSigningKey { public, wrapped_private, .. } = signing_key();
    let key = SigningKeyRecord { public, wrapped_private, created: TIME, signs_from: TIME, retires: None };
    samples.add("signing-key", &key);
    samples.add("signing-key-ending", &SigningKeyRecord { retires: Some(TIME), ..key });
    samples.add("audit-head", &AuditHead { sequence: 300, hash: [5; 32], time: TIME });
    samples.compare("directory/access.txt");
}
