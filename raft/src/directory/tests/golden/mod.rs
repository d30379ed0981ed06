//! Frozen encodings of every record, command and response of the directory.

mod access;
mod authority;
mod certificate;
mod domain;

use proptest::prelude::*;
use storage::kv::Bytes;
use storage::shard::DiskId;

use super::store::*;
use crate::directory::*;
use crate::golden::{Samples, survives};
use crate::id::{NodeId, RegionId, RequestId};
use crate::policy::{PolicyError, whole_policy};
use crate::time::Timestamp;

fn replication() -> Replication {
    Replication { tags: vec!["v*".parse().unwrap(), "latest".parse().unwrap()], deletes: true, priority: 7 }
}

fn audit() -> ResidencyAudit {
    ResidencyAudit {
        time: Timestamp(1_700_000_000_000),
        region: RegionId(2),
        complete: true,
        nodes: 3,
        disks: 6,
        objects: 300,
        bytes: 1 << 40,
        pinned_objects: 30,
        pinned_bytes: 1 << 30,
        violations: 1,
        examples: vec!["node 2, disk 0: a blob of acme/prod".to_owned()],
    }
}

fn commands() -> Vec<Command> {
    let mut commands = cluster_commands();
    commands.extend(access::commands());
    commands.extend(certificate::commands().into_iter().map(Command::Certificate));
    commands.extend(domain::commands());
    commands.extend(access::judged());
    commands
}

fn cluster_commands() -> Vec<Command> {
    let replicated = Residency::Replicated(vec![RegionId(2), RegionId(3)]);
    vec![
        Command::Tick,
        found("one"),
        Command::AddJoinToken { token: [1; 8], secret_hash: [2; 32], lifetime_seconds: 3600 },
        admit([1; 8], "two"),
        Command::UpdateNode { node: NodeId(2), info: info("two") },
        Command::SetNodeState { node: NodeId(2), state: NodeState::Draining },
        Command::RaiseFeatureLevel { level: 3 },
        Command::SetNamespace {
            prefix: "acme/prod".to_owned(),
            record: NamespaceRecord {
                home: Some(RegionId(1)),
                residency: Some(replicated),
                elsewhere: Some(Elsewhere::Redirect),
                replication: Some(replication()),
                moving: Some(Moving { to: RegionId(2), fenced: true }),
                aside: vec![Aside { region: RegionId(3), since: Timestamp(1_700_000_000_000) }],
                policy: whole_policy(),
            },
            made_from: 7,
        },
        Command::DrainNode { node: NodeId(2), shards: 300, bytes: 1 << 40, leave: true },
        Command::SetDiskState { node: NodeId(2), disk: DiskId([1; 16]), state: DiskState::Failed },
        Command::RemoveNamespace { prefix: "acme/prod".to_owned() },
        Command::AddRegion { name: "us".to_owned() },
        Command::SetRegion {
            region: RegionId(2),
            public_url: Some("https://us.example.com".to_owned()),
            inbound_bytes_per_second: Some(50_000_000),
        },
        Command::SetPrimary { region: RegionId(2) },
        Command::RetireRegion { region: RegionId(2) },
        Command::ForceHome { prefix: "acme/prod".to_owned(), to: RegionId(2), made_from: 7 },
        Command::SettleAside { prefix: "acme/prod".to_owned(), region: RegionId(1), made_from: 8 },
        Command::RecordResidency { audit: audit() },
        Command::BeginAnew { primary: RegionId(2) },
        Command::ReleaseEvictions,
    ]
}

/// A new variant does not compile until it has a sample: give it a name here and a value above.
fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Tick => "tick",
        Command::Found { .. } => "found",
        Command::AddJoinToken { .. } => "add-join-token",
        Command::AdmitNode { .. } => "admit-node",
        Command::UpdateNode { .. } => "update-node",
        Command::SetNodeState { .. } => "set-node-state",
        Command::RaiseFeatureLevel { .. } => "raise-feature-level",
        Command::SetNamespace { .. } => "set-namespace",
        Command::DrainNode { .. } => "drain-node",
        Command::SetDiskState { .. } => "set-disk-state",
        Command::RemoveNamespace { .. } => "remove-namespace",
        Command::AddRegion { .. } => "add-region",
        Command::SetRegion { .. } => "set-region",
        Command::SetPrimary { .. } => "set-primary",
        Command::RetireRegion { .. } => "retire-region",
        Command::ForceHome { .. } => "force-home",
        Command::SettleAside { .. } => "settle-aside",
        Command::RecordResidency { .. } => "record-residency",
        Command::BeginAnew { .. } => "begin-anew",
        Command::ReleaseEvictions => "release-evictions",
        Command::AddUser { .. } => "add-user",
        Command::ProvisionUser { .. } => "provision-user",
        Command::SetUser { .. } => "set-user",
        Command::RemoveUser { .. } => "remove-user",
        Command::AddGroup { .. } => "add-group",
        Command::RemoveGroup { .. } => "remove-group",
        Command::SetRole { .. } => "set-role",
        Command::RemoveRole { .. } => "remove-role",
        Command::AddRobot { .. } => "add-robot",
        Command::SetRobot { .. } => "set-robot",
        Command::RemoveRobot { .. } => "remove-robot",
        Command::AddSecret { .. } => "add-secret",
        Command::RemoveSecret { .. } => "remove-secret",
        Command::NoteSecretUses { .. } => "note-secret-uses",
        Command::EndSessions { .. } => "end-sessions",
        Command::AddBinding { .. } => "add-binding",
        Command::RemoveBinding { .. } => "remove-binding",
        Command::SetIssuer { .. } => "set-issuer",
        Command::RemoveIssuer { .. } => "remove-issuer",
        Command::AddSigningKey { .. } => "add-signing-key",
        Command::RemoveSigningKey { .. } => "remove-signing-key",
        Command::NoteAuditHead { .. } => "note-audit-head",
        Command::SetDomain { .. } => "set-domain",
        Command::RemoveDomain { .. } => "remove-domain",
        Command::Judged { change, .. } => access::judged_name(change),
        Command::Certificate(command) => certificate::command_name(command),
        Command::Regroup { .. } => "regroup",
        Command::Trust { .. } => "trust",
        Command::Distrust { .. } => "distrust",
        Command::Authority(command) => authority::command_name(command),
    }
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::AlreadyFounded,
        Refusal::TokenUnknown,
        Refusal::TokenExpired,
        Refusal::TokenUsed(NodeId(2)),
        Refusal::RegionUnknown { name: "moon".to_owned(), known: vec!["eu".to_owned(), "us".to_owned()] },
        Refusal::NameTaken(NodeId(2), "two".to_owned()),
        Refusal::NodeUnknown(NodeId(300)),
        Refusal::FeatureLevelTooHigh(NodeId(2), 3),
        Refusal::FeatureLevelSinks(3),
        Refusal::NamespaceInvalid("/".to_owned()),
        Refusal::NotFounded,
        Refusal::TokenExists,
        Refusal::JoinedAlready(NodeId(2)),
        Refusal::AddressTaken(NodeId(2), "two:5001".to_owned()),
        Refusal::BeingReplaced(NodeId(2), NodeId(3)),
        Refusal::OtherRegion(NodeId(2)),
        Refusal::LastNode(NodeId(2)),
        Refusal::DiskUnknown(NodeId(2), DiskId([1; 16])),
        Refusal::PolicyInvalid(PolicyError { field: "quota.bytes".to_owned(), problem: "0".to_owned() }),
        Refusal::NamespaceUnknown("acme".to_owned()),
        Refusal::NamespacesChanged { made_from: 7, version: 9 },
        Refusal::RootStays,
        Refusal::TooManyNamespaces(10_000),
        Refusal::RegionExists("us".to_owned()),
        Refusal::RegionInvalid("US".to_owned()),
        Refusal::TooManyRegions(64),
        Refusal::PublicUrlInvalid("us".to_owned()),
        Refusal::RegionEmpty("us".to_owned()),
        Refusal::RegionNotFounded { region: "us".to_owned(), founder: NodeId(2) },
        Refusal::RegionHasNode { region: "us".to_owned(), node: NodeId(2) },
        Refusal::RegionNamed { region: "us".to_owned(), namespace: "acme".to_owned() },
        Refusal::RegionIsPrimary("us".to_owned()),
        Refusal::LastNodeOf { node: NodeId(2), namespace: "acme".to_owned() },
        Refusal::CopyTwice("us".to_owned()),
        Refusal::CopyAtHome("us".to_owned()),
        Refusal::HomeAlready("us".to_owned()),
        Refusal::HomeNotMoving { prefix: "acme".to_owned(), from: "eu".to_owned(), to: "us".to_owned() },
        Refusal::ReplicationInvalid("has the priority 10".to_owned()),
        Refusal::InboundZero,
        Refusal::IsAside { prefix: "acme".to_owned(), region: "eu".to_owned() },
        Refusal::NotAside { prefix: "acme".to_owned(), region: "us".to_owned() },
        Refusal::TooManyAside { prefix: "acme".to_owned(), most: 8 },
    ]
}

fn refusal_name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyFounded => "already-founded",
        Refusal::TokenUnknown => "token-unknown",
        Refusal::TokenExpired => "token-expired",
        Refusal::TokenUsed(_) => "token-used",
        Refusal::RegionUnknown { .. } => "region-unknown",
        Refusal::NameTaken(..) => "name-taken",
        Refusal::NodeUnknown(_) => "node-unknown",
        Refusal::FeatureLevelTooHigh(..) => "feature-level-too-high",
        Refusal::FeatureLevelSinks(_) => "feature-level-sinks",
        Refusal::NamespaceInvalid(_) => "namespace-invalid",
        Refusal::NotFounded => "not-founded",
        Refusal::TokenExists => "token-exists",
        Refusal::JoinedAlready(_) => "joined-already",
        Refusal::AddressTaken(..) => "address-taken",
        Refusal::BeingReplaced(..) => "being-replaced",
        Refusal::OtherRegion(_) => "other-region",
        Refusal::LastNode(_) => "last-node",
        Refusal::DiskUnknown(..) => "disk-unknown",
        Refusal::PolicyInvalid(_) => "policy-invalid",
        Refusal::NamespaceUnknown(_) => "namespace-unknown",
        Refusal::NamespacesChanged { .. } => "namespaces-changed",
        Refusal::RootStays => "root-stays",
        Refusal::TooManyNamespaces(_) => "too-many-namespaces",
        Refusal::RegionExists(_) => "region-exists",
        Refusal::RegionInvalid(_) => "region-invalid",
        Refusal::TooManyRegions(_) => "too-many-regions",
        Refusal::PublicUrlInvalid(_) => "public-url-invalid",
        Refusal::RegionEmpty(_) => "region-empty",
        Refusal::RegionNotFounded { .. } => "region-not-founded",
        Refusal::RegionHasNode { .. } => "region-has-node",
        Refusal::RegionNamed { .. } => "region-named",
        Refusal::RegionIsPrimary(_) => "region-is-primary",
        Refusal::LastNodeOf { .. } => "last-node-of",
        Refusal::CopyTwice(_) => "copy-twice",
        Refusal::CopyAtHome(_) => "copy-at-home",
        Refusal::HomeAlready(_) => "home-already",
        Refusal::HomeNotMoving { .. } => "home-not-moving",
        Refusal::ReplicationInvalid(_) => "replication-invalid",
        Refusal::InboundZero => "inbound-zero",
        Refusal::IsAside { .. } => "is-aside",
        Refusal::NotAside { .. } => "not-aside",
        Refusal::TooManyAside { .. } => "too-many-aside",
        Refusal::Access(refusal) => access::refusal_name(refusal),
        Refusal::Domain(refusal) => domain::refusal_name(refusal),
        Refusal::Certificate(refusal) => certificate::refusal_name(refusal),
        Refusal::Authority(refusal) => authority::refusal_name(refusal),
    }
}

fn response_name(response: &Response) -> String {
    match response {
        Response::Done => "done".to_owned(),
        Response::Admitted { .. } => "admitted".to_owned(),
        Response::Refused(refusal) => format!("refused-{}", refusal_name(refusal)),
        Response::Bound { .. } => "bound".to_owned(),
    }
}

#[test]
fn commands_are_frozen() {
    let mut samples = Samples::new();
    for command in commands() {
        samples.add(command_name(&command), &command);
    }
    samples.add("found-open", &access::founding());
    samples.compare("directory/command.txt");
}

#[test]
fn responses_are_frozen() {
    let mut samples = Samples::new();
    let answers = [Response::Done, Response::Admitted { node: NodeId(2), region: RegionId(1), founds: true }];
    for response in answers.into_iter().chain(refusals().into_iter().map(Response::Refused)) {
        samples.add(&response_name(&response), &response);
    }
    let bound = Response::Bound { id: BindingId(300) };
    samples.add(&response_name(&bound), &bound);
    for refusal in access::refusals() {
        let response = Response::Refused(refusal.into());
        samples.add(&response_name(&response), &response);
    }
    for refusal in certificate::refusals() {
        let response = Response::Refused(Refusal::Certificate(refusal));
        samples.add(&response_name(&response), &response);
    }
    for refusal in domain::refusals() {
        let response = Response::Refused(refusal.into());
        samples.add(&response_name(&response), &response);
    }
    samples.compare("directory/response.txt");
}

#[test]
fn records_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    let cluster = ClusterRecord {
        id: [9; 16],
        feature_level: 1,
        ca_certificate: Bytes::from_static(b"certificate"),
        wrapped_ca_key: Bytes::from_static(b"key"),
        founded: time,
        next_node: NodeId(4),
        next_region: RegionId(3),
        primary: RegionId(2),
        evictions_held: None,
    };
    samples.add("cluster", &cluster);
    samples.add("cluster-held", &ClusterRecord { evictions_held: Some(time), ..cluster });
    let added = RegionRecord::new("home".to_owned(), time, RequestId([5; 16]));
    samples.add("region", &added);
    let public_url = Some("https://eu.example.com".to_owned());
    let founded = RegionRecord { founder: Some(NodeId(300)), public_url, ..added };
    samples.add("region-founded", &founded);
    samples.add("region-limited", &RegionRecord { inbound_bytes_per_second: Some(50_000_000), ..founded });
    for (name, state) in [
        ("node-joining", NodeState::Joining),
        ("node-active", NodeState::Active),
        ("node-draining", NodeState::Draining),
        ("node-removed", NodeState::Removed),
    ] {
        let (region, admitted_by) = (RegionId(1), RequestId([5; 16]));
        samples.add(name, &NodeRecord::new(info("one"), region, state, time, admitted_by));
    }
    for (name, state) in [
        ("node-disk-draining", DiskState::Draining),
        ("node-disk-failed", DiskState::Failed),
        ("node-disk-removed", DiskState::Removed),
    ] {
        let mut node = NodeRecord::new(info("one"), RegionId(1), NodeState::Active, time, RequestId([5; 16]));
        node.disks[0].state = state;
        samples.add(name, &node);
    }
    let replaced = NodeRecord {
        drain: Some(DrainRecord { since: time, shards: 300, bytes: 1 << 40, leave: true }),
        replaces: Some(NodeId(1)),
        replaced_by: Some(NodeId(3)),
        ..NodeRecord::new(info("two"), RegionId(1), NodeState::Draining, time, RequestId([5; 16]))
    };
    samples.add("node-replaced", &replaced);
    samples.add("node-id", &NodeId(300));
    let used_by = Some(NodeId(2));
    samples.add("join-token", &JoinTokenRecord { secret_hash: [2; 32], expires: time, used_by });
    for (name, residency) in [
        ("namespace-inherited", None),
        ("namespace-home", Some(Residency::Home)),
        ("namespace-pinned", Some(Residency::Pinned)),
        ("namespace-replicated", Some(Residency::Replicated(vec![RegionId(2), RegionId(3)]))),
    ] {
        let home = Some(RegionId(1));
        samples.add(name, &NamespaceRecord { home, residency, ..NamespaceRecord::default() });
    }
    for (name, elsewhere) in [
        ("namespace-proxy", Elsewhere::Proxy),
        ("namespace-redirect", Elsewhere::Redirect),
        ("namespace-refuse", Elsewhere::Refuse),
    ] {
        samples.add(name, &NamespaceRecord { elsewhere: Some(elsewhere), ..NamespaceRecord::default() });
    }
    for (name, fenced) in [("namespace-moving", false), ("namespace-fenced", true)] {
        let moving = Some(Moving { to: RegionId(2), fenced });
        samples.add(name, &NamespaceRecord { moving, ..NamespaceRecord::default() });
    }
    samples.add(
        "namespace-replication",
        &NamespaceRecord { replication: Some(replication()), ..NamespaceRecord::default() },
    );
    let aside = vec![Aside { region: RegionId(1), since: time }];
    samples.add("namespace-aside", &NamespaceRecord { home: Some(RegionId(2)), aside, ..NamespaceRecord::default() });
    samples.add("residency-audit", &audit());
    samples.add("namespace-policy", &NamespaceRecord { policy: whole_policy(), ..NamespaceRecord::default() });
    samples.add("policy-version", &PolicyVersionRecord { version: 300 });
    samples.compare("directory/records.txt");
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives::<Command>(&bytes);
        survives::<Response>(&bytes);
        survives::<ClusterRecord>(&bytes);
        survives::<RegionRecord>(&bytes);
        survives::<NodeRecord>(&bytes);
        survives::<NodeId>(&bytes);
        survives::<JoinTokenRecord>(&bytes);
        survives::<NamespaceRecord>(&bytes);
        survives::<PolicyVersionRecord>(&bytes);
        survives::<ResidencyAudit>(&bytes);
        survives::<UserRecord>(&bytes);
        survives::<RobotRecord>(&bytes);
        survives::<GroupRecord>(&bytes);
        survives::<RoleRecord>(&bytes);
        survives::<StoredBinding>(&bytes);
        survives::<BindingId>(&bytes);
        survives::<IssuerRecord>(&bytes);
        survives::<SigningKeyRecord>(&bytes);
        survives::<AuditHead>(&bytes);
        survives::<RotationRecord>(&bytes);
        survives::<AuthorityStanding>(&bytes);
        survives::<AccessStateRecord>(&bytes);
        survives::<AcmeAccountRecord>(&bytes);
        survives::<CertificateRecord>(&bytes);
        survives::<ChallengeRecord>(&bytes);
        survives::<CertificateStateRecord>(&bytes);
        survives::<DomainRecord>(&bytes);
    }
}
