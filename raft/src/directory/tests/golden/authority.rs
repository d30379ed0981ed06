//! Samples of everything about the change of the certificate authority.

use storage::kv::Bytes;

use crate::directory::*;
use crate::golden::Samples;
use crate::id::NodeId;
use crate::time::Timestamp;

const TIME: Timestamp = Timestamp(1_700_000_000_000);

fn standing() -> AuthorityStanding {
    AuthorityStanding { trusts: vec![AuthorityId([1; 32]), AuthorityId([2; 32])], shows: AuthorityId([1; 32]) }
}

fn commands() -> Vec<AuthorityCommand> {
    let authority = AuthorityId([3; 32]);
    let (certificate, wrapped_key) = (Bytes::from_static(b"certificate"), Bytes::from_static(b"key"));
    vec![
        AuthorityCommand::Introduce { certificate, wrapped_key, replaces: authority },
        AuthorityCommand::Promote { authority },
        AuthorityCommand::Drop { authority },
        AuthorityCommand::Abort { authority },
        AuthorityCommand::Note { node: NodeId(300), standing: standing() },
    ]
}

/// A new variant does not compile until it has a name here; it needs a sample above.
pub(super) const fn command_name(command: &AuthorityCommand) -> &'static str {
    match command {
        AuthorityCommand::Introduce { .. } => "authority-introduce",
        AuthorityCommand::Promote { .. } => "authority-promote",
        AuthorityCommand::Drop { .. } => "authority-drop",
        AuthorityCommand::Abort { .. } => "authority-abort",
        AuthorityCommand::Note { .. } => "authority-note",
    }
}

fn refusals() -> Vec<AuthorityRefusal> {
    vec![
        AuthorityRefusal::Running,
        AuthorityRefusal::Changed,
        AuthorityRefusal::NotRunning,
        AuthorityRefusal::TooLate,
        AuthorityRefusal::Awaited(NodeId(300)),
        AuthorityRefusal::None,
        AuthorityRefusal::Invalid("a key of 0 bytes".to_owned()),
    ]
}

/// A new variant does not compile until it has a name here; it needs a sample above.
pub(super) const fn refusal_name(refusal: &AuthorityRefusal) -> &'static str {
    match refusal {
        AuthorityRefusal::Running => "authority-running",
        AuthorityRefusal::Changed => "authority-changed",
        AuthorityRefusal::NotRunning => "authority-not-running",
        AuthorityRefusal::TooLate => "authority-too-late",
        AuthorityRefusal::Awaited(_) => "authority-awaited",
        AuthorityRefusal::None => "authority-none",
        AuthorityRefusal::Invalid(_) => "authority-invalid",
    }
}

#[test]
fn a_change_of_the_authority_is_frozen() {
    let mut samples = Samples::new();
    for command in commands() {
        samples.add(command_name(&command), &Command::Authority(command.clone()));
    }
    for refusal in refusals() {
        samples.add(refusal_name(&refusal), &Response::Refused(Refusal::Authority(refusal.clone())));
    }
    for (name, phase) in [("introduced", RotationPhase::Introduced), ("signing", RotationPhase::Signing)] {
        let (certificate, wrapped_key) = (Bytes::from_static(b"certificate"), Bytes::from_static(b"key"));
        let since = TIME.plus_seconds(60);
        samples.add(name, &RotationRecord { phase, certificate, wrapped_key, begun: TIME, since });
    }
    samples.add("standing", &standing());
    samples.compare("directory/authority.txt");
}
