//! An operator of a closed cluster: he opens the clients' repositories to everybody, and gives a robot a right at one
//! namespace, takes it away, gives it again. What follows from that on each node is the judge's to say (`judge::authority`).
//!
//! A change is insisted on, through one member after the other, until its answer is there: copies of it may be on their way
//! much longer.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use node::login::{NewSecret, SecretKind, new_secret};
use node::start::Node;
use raft::directory::{BindingId, Command, Condition, Effect, Response, Subject, View};
use raft::id::RequestId;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{Rng as _, RngCore as _};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::Control;
use crate::entropy::SeededEntropy;
use crate::seed::Seed;

/// Name of the judge.
const JUDGE: &str = "authority";
/// The namespace that is watched. Nothing is in it.
pub const GUARDED: &str = "guarded";
/// The robot that has a right there, or has not.
const ROBOT: &str = "guest";
/// What everybody is in the clients' repositories, and the robot in the namespace.
const ROLE: &str = "owner";
/// Longest time that a node may take for a change before another one is asked.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest time until a change is made in a cluster in which nothing is wrong.
const IN_FORCE: Duration = Duration::from_mins(2);
/// Pause before a change is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the robot may, and from which version of the rules on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it may everything in the namespace; nothing otherwise.
    pub allowed: bool,
    /// Version of the directory's rules by which that is so.
    pub version: u64,
}

/// A change whose answer is not there yet.
#[derive(Clone, Debug)]
struct Pending {
    request: RequestId,
    command: Command,
}

/// The operator.
#[derive(Debug)]
pub struct Authority {
    random: StdRng,
    /// How the robot logs in: the value of a header.
    credentials: String,
    /// How somebody logs in who has guessed.
    false_credentials: String,
    binding: Option<BindingId>,
    standing: Option<Standing>,
    pending: Option<Pending>,
}

impl Authority {
    /// Opens the repositories to everybody, and adds the robot, which may nothing. `None`, and somebody is accused, if that
    /// cannot be done.
    pub async fn establish(control: &Control, seed: Seed, repositories: &[Arc<str>]) -> Option<Self> {
        let entropy = SeededEntropy::new(seed.derive("authority").0);
        let secret = new_secret(SecretKind::Robot, &entropy);
        let mut this = Self {
            random: seed.stream("authority"),
            credentials: basic(&secret),
            false_credentials: basic(&new_secret(SecretKind::Robot, &entropy)),
            binding: None,
            standing: None,
            pending: None,
        };
        let mut commands: Vec<Command> =
            repositories.iter().map(|repository| allow(Subject::Anonymous, repository)).collect();
        commands.push(Command::AddRobot {
            name: ROBOT.to_owned(),
            description: String::new(),
            groups: Vec::new(),
            lifetime_seconds: None,
        });
        commands.push(Command::AddSecret {
            subject: Subject::Robot(ROBOT.to_owned()),
            id: secret.id,
            hash: secret.hash,
            name: String::new(),
            lifetime_seconds: None,
            others_end_after_seconds: None,
        });
        for command in commands {
            this.begin(command);
            if !this.end_in_time(control, members(control)).await {
                return None;
            }
        }
        Some(this)
    }

    /// How the robot logs in.
    pub fn credentials(&self) -> &str {
        &self.credentials
    }

    /// The same with a secret that is not his.
    pub fn false_credentials(&self) -> &str {
        &self.false_credentials
    }

    /// What the robot may; nothing certain while a change is under way.
    pub fn standing(&self) -> Option<Standing> {
        self.standing.filter(|_| self.pending.is_none())
    }

    /// Gives the right or takes it away, until that is done or nobody wants to know any more.
    pub async fn turn(&mut self, control: &Control, goes_on: impl Fn() -> bool) {
        self.begin_turn();
        while goes_on() && !self.try_once(control, &members(control)).await {
            sleep(AGAIN).await;
        }
    }

    /// The same in a cluster in which nothing is wrong: accuses if it takes too long. Whether it is done.
    pub async fn turn_in_time(&mut self, control: &Control) -> bool {
        self.begin_turn();
        self.end_in_time(control, members(control)).await
    }

    fn begin_turn(&mut self) {
        if self.pending.is_some() {
            return;
        }
        let command = match self.binding {
            Some(id) => Command::RemoveBinding { id },
            None => allow(Subject::Robot(ROBOT.to_owned()), GUARDED),
        };
        self.begin(command);
    }

    fn begin(&mut self, command: Command) {
        let mut request = [0; 16];
        self.random.fill_bytes(&mut request);
        self.pending = Some(Pending { request: RequestId(request), command });
    }

    /// The same through these nodes.
    pub async fn turn_through(&mut self, control: &Control, nodes: &[usize]) -> bool {
        self.begin_turn();
        self.end_in_time(control, nodes.to_vec()).await
    }

    async fn end_in_time(&mut self, control: &Control, nodes: Vec<usize>) -> bool {
        let begun = Instant::now();
        while control.court.first().is_none() {
            if self.try_once(control, &nodes).await {
                return true;
            }
            if begun.elapsed() >= IN_FORCE {
                control.court.accuse(JUDGE, format!("{:?} is not carried out", self.pending));
                return false;
            }
            sleep(AGAIN).await;
        }
        false
    }

    /// Asks one of the nodes. Whether the change is made.
    async fn try_once(&mut self, control: &Control, nodes: &[usize]) -> bool {
        let Some(pending) = self.pending.clone() else { return true };
        let ready = nodes.iter().copied().filter(|number| control.report(*number).ready);
        let Some(through) = ready.choose(&mut self.random) else { return false };
        // Now and then a copy stays behind on its way, and arrives late or never.
        let patience = if self.random.random_bool(0.1) { Duration::from_millis(50) } else { DEADLINE };
        let Pending { request, command } = pending.clone();
        let order = control.order(through, move |node| {
            Box::pin(async move { timeout(patience, change(node, request, command)).await.ok().flatten() })
        });
        let Ok(Some((response, version))) = order.await else { return false };
        if let Response::Refused(refusal) = &response {
            control.court.accuse(JUDGE, format!("{:?} was refused: {refusal}", pending.command));
            return false;
        }
        control.trace.note(&format!("operator: {:?} through node {through}: version {version}", pending.command));
        let before = self.binding;
        match (&pending.command, response) {
            (Command::AddBinding { subject: Subject::Robot(_), .. }, Response::Bound { id }) => self.binding = Some(id),
            (Command::RemoveBinding { .. }, _) => self.binding = None,
            _ => {}
        }
        if before != self.binding || self.standing.is_none() {
            self.standing = Some(Standing { allowed: self.binding.is_some(), version });
        }
        self.pending = None;
        true
    }
}

fn members(control: &Control) -> Vec<usize> {
    control.members().into_iter().collect()
}

fn basic(secret: &NewSecret) -> String {
    format!("Basic {}", STANDARD.encode(format!("robot+{ROBOT}:{}", secret.text)))
}

/// Everything is allowed at a prefix and below.
fn allow(subject: Subject, prefix: &str) -> Command {
    Command::AddBinding {
        subject,
        effect: Effect::Allow { role: ROLE.to_owned() },
        namespace: prefix.to_owned(),
        condition: Condition::default(),
        note: String::new(),
        by: "operator".to_owned(),
    }
}

/// Has a change made, and says by which version of the rules it holds; nothing if that cannot be known.
async fn change(node: &Node, request: RequestId, command: Command) -> Option<(Response, u64)> {
    let directory = &node.admin().directory;
    let response = directory.propose(request, command).await.ok()?;
    directory.read_barrier().await.ok()?;
    Some((response, View::new(directory.state()).access_version().ok()?))
}

/// The version of the rules that a node's replica has; `None` while it cannot say.
pub async fn version_at(control: &Control, number: usize) -> Option<u64> {
    let order = control
        .order(number, |node| Box::pin(async move { View::new(node.admin().directory.state()).access_version().ok() }));
    order.await.ok().flatten()
}
