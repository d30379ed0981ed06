//! Judge: nobody gets in where he does not belong, and who belongs gets in. Who shows no credentials, or wrong ones, is never
//! let in. A robot whose right is given and taken away while things go wrong is let in, or is not, on every node as soon as
//! that node's replica of the directory has the change, and a second for taking it up. Once all is healed every node has it
//! within a minute. Source: section 8 of the design; the promise of `node::access` that a right that is taken away is gone
//! wherever the directory arrives, and not before a node that starts has heard of it.
//!
//! The requests are such that leave nothing behind: they are for what does not exist. Who is let in is told so, which nobody
//! else may be.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use tokio::time::{Instant, sleep};

use crate::cluster::Control;
use crate::operator::authority::{Authority, GUARDED, Standing, version_at};
use crate::seed::Seed;
use crate::surroundings::Surroundings;
use crate::workload::Workload;
use crate::workload::content::IMAGE;
use crate::workload::http::{Manner, Request, once};

/// Name of the judge.
const JUDGE: &str = "authority";
/// In which a node takes up what its replica says. It reads the rules again at once, or five seconds later at the latest
/// if it was told of nothing; what is told is what is judged.
const TAKEN_UP: Duration = Duration::from_secs(1);
/// In which a change reaches every node once nothing is wrong.
const BOUND: Duration = Duration::from_mins(1);
/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Percent of the looks at which the operator changes his mind.
const TURNS_PERCENT: u32 = 20;
/// How one request goes.
const MANNER: Manner = Manner { deadline: Duration::from_secs(12), hang_up: None, linger: Duration::ZERO };
/// What nothing has.
const NOTHING: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Nobody.
    Stranger,
    /// Somebody with the robot's name and another secret.
    Impostor,
    /// The robot.
    Robot,
}

/// What an answer says of the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// The answer is about what was asked for.
    Open,
    /// It is about who has asked.
    Shut,
    /// Neither: the node could not say.
    Unsaid,
}

impl Door {
    const fn of(status: u16) -> Self {
        match status {
            401 | 403 => Self::Shut,
            200..=299 | 400 | 404 | 405 => Self::Open,
            _ => Self::Unsaid,
        }
    }
}

/// Has rights given and taken away, and asks nodes, until the work is told to stop or somebody is accused. Hands the operator
/// back, who may be in the middle of a change.
pub async fn watch(control: Control, work: Workload, mut operator: Authority) -> Authority {
    let mut random = work.seed.stream("authority probes");
    let goes_on = || !work.is_stopped() && work.court.first().is_none();
    while goes_on() {
        sleep(PAUSE_MAX.mul_f64(random.random_range(0.0..1.0))).await;
        if random.random_range(0..100) < TURNS_PERCENT {
            operator.turn(&control, goes_on).await;
        } else if let Some(standing) = operator.standing()
            && let Some(node) = work.serving().into_iter().choose(&mut random)
        {
            look(&control, &work, &operator, standing, node, &mut random).await;
        }
    }
    operator
}

/// Takes the right away and gives it, or the other way round, and judges that every node follows. Nothing is wrong by now.
pub async fn settle(control: &Control, seed: Seed, operator: &mut Authority) {
    let mut random = seed.stream("authority at rest");
    for _ in 0..2 {
        if !operator.turn_in_time(control).await || !arrives(control, operator, &mut random).await {
            return;
        }
    }
}

/// Judges that every member follows what the robot may now. Whether all do.
pub async fn arrives(control: &Control, operator: &Authority, random: &mut StdRng) -> bool {
    let Some(standing) = operator.standing() else { return false };
    let begun = Instant::now();
    for node in control.members() {
        loop {
            let request = request(Who::Robot, operator, random);
            let door = ask(&control.surroundings(), node, &request).await;
            if door == wanted(Who::Robot, standing) {
                break;
            }
            if control.court.first().is_some() {
                return false;
            }
            if begun.elapsed() >= BOUND {
                let text = format!(
                    "{standing:?}, and {} s later node {node} answers {} {} otherwise: {door:?}",
                    BOUND.as_secs(),
                    request.method,
                    request.path
                );
                control.court.accuse(JUDGE, text);
                return false;
            }
            sleep(TAKEN_UP).await;
        }
    }
    true
}

/// What a node lets the robot do now.
pub async fn lets_in(control: &Control, operator: &Authority, node: usize, random: &mut StdRng) -> Option<bool> {
    match ask(&control.surroundings(), node, &request(Who::Robot, operator, random)).await {
        Door::Open => Some(true),
        Door::Shut => Some(false),
        Door::Unsaid => None,
    }
}

/// Asks a node once, if its replica has what is so.
async fn look(
    control: &Control,
    work: &Workload,
    operator: &Authority,
    standing: Standing,
    node: usize,
    random: &mut StdRng,
) {
    let knows = |seen: Option<u64>| seen.is_some_and(|version| version >= standing.version);
    if !knows(version_at(control, node).await) {
        return;
    }
    sleep(TAKEN_UP).await;
    let who = *[Who::Stranger, Who::Impostor, Who::Robot, Who::Robot].choose(random).unwrap_or(&Who::Robot);
    let request = request(who, operator, random);
    let door = ask(&work.surroundings, node, &request).await;
    // A process that has started anew meanwhile may have been behind for a while.
    if door == Door::Unsaid || door == wanted(who, standing) || !knows(version_at(control, node).await) {
        return;
    }
    let text = format!(
        "{who:?} asked node {node}, which knows the rules, {} {}: {door:?} instead of {:?}; {standing:?}",
        request.method,
        request.path,
        wanted(who, standing)
    );
    work.court.accuse(JUDGE, text);
}

fn wanted(who: Who, standing: Standing) -> Door {
    if who == Who::Robot && standing.allowed { Door::Open } else { Door::Shut }
}

/// A request that needs one of the rights and leaves nothing behind.
fn request(who: Who, operator: &Authority, random: &mut StdRng) -> Request {
    let repository = format!("{GUARDED}/app");
    let request = match random.random_range(0..5) {
        0 => Request::new(Method::GET, format!("/v2/{repository}/tags/list")),
        1 => Request::new(Method::HEAD, format!("/v2/{repository}/blobs/{NOTHING}")),
        2 => Request::new(Method::GET, format!("/v2/{repository}/manifests/latest")),
        3 => Request::new(Method::DELETE, format!("/v2/{repository}/manifests/{NOTHING}")),
        // No manifest.
        _ => Request::new(Method::PUT, format!("/v2/{repository}/manifests/latest"))
            .with_header("content-type", IMAGE)
            .with_body(Bytes::from_static(b"{}")),
    };
    match who {
        Who::Stranger => request,
        Who::Impostor => request.with_header("authorization", operator.false_credentials()),
        Who::Robot => request.with_header("authorization", operator.credentials()),
    }
}

async fn ask(surroundings: &Surroundings, node: usize, request: &Request) -> Door {
    let address = surroundings.nodes.get(node - 1).cloned().unwrap_or_default();
    let answer = once(&*surroundings.network, &address, request, MANNER).await;
    answer.map_or(Door::Unsaid, |answer| Door::of(answer.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_robot_with_a_right_finds_the_door_open() {
        let standing = |allowed| Standing { allowed, version: 7 };
        for who in [Who::Stranger, Who::Impostor, Who::Robot] {
            assert_eq!(wanted(who, standing(false)), Door::Shut, "{who:?}");
        }
        assert_eq!(wanted(Who::Stranger, standing(true)), Door::Shut);
        assert_eq!(wanted(Who::Impostor, standing(true)), Door::Shut);
        assert_eq!(wanted(Who::Robot, standing(true)), Door::Open);
    }

    #[test]
    fn answers_of_a_node_in_distress_say_nothing_of_the_door() {
        assert_eq!([401, 403].map(Door::of), [Door::Shut; 2]);
        assert_eq!([200, 202, 400, 404].map(Door::of), [Door::Open; 4]);
        assert_eq!([429, 500, 503, 507].map(Door::of), [Door::Unsaid; 4]);
    }
}
