//! Judge: what the contract promises is there. As long as no more nodes are impaired than it bears, everything
//! acknowledged can be read byte by byte, and new content can be pushed, through the nodes that are not impaired, by a
//! client that tries again as clients do. Source: section 1 of the design ("readable after the loss of any one node",
//! "any node answers any request").
//!
//! A prober goes on reading and pushing while faults are injected. It accuses only after the promise held without a
//! break for [`BOUND`]. For pushes that time begins anew whenever other nodes are impaired than before, since each
//! change may cost an election; reading by digest needs none. Wrong bytes are accused at once, whatever is promised, by
//! the rules that hold for every answer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand::{Rng as _, RngCore as _};
use tokio::time::{Instant, sleep};

use crate::history::Acknowledged;
use crate::judge::durability::{must_exist, must_still_exist};
use crate::workload::content::{Blob, Manifest};
use crate::workload::http::Manner;
use crate::workload::{Ask, Line, Workload};

/// Name of the judge.
const JUDGE: &str = "availability";
/// How long all tries must have failed under the promise: ten of the slowest elections that a configuration allows.
pub const BOUND: Duration = Duration::from_mins(1);
/// Fewer tries than this prove nothing.
const TRIES_MIN: usize = 4;
/// Tries that an accusation tells of, the last ones.
const TRIES_TOLD: usize = 8;
/// Number of the client that probes.
const PROBER: usize = 2000;
/// How one try goes. Its deadline is far above what a slow disk or link costs, and far below the bound.
const MANNER: Manner = Manner { deadline: Duration::from_secs(12), hang_up: None, linger: Duration::ZERO };
/// Pause before another try.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two probes.
const REST_MAX: Duration = Duration::from_secs(2);
/// How often it is looked whether the promise holds.
const WATCH: Duration = Duration::from_millis(50);
/// Percent of the probes that push.
const PUSHES_PERCENT: u32 = 25;
/// Lengths of what is pushed, in bytes: one that lies in the catalog, one that is coded.
const LENGTHS: [usize; 2] = [500, 150_000];

/// What is promised now; the fault atlas knows.
#[derive(Clone)]
pub struct Promise {
    /// Whether the contract promises service through the nodes that are not impaired.
    pub holds: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Nodes that cannot be relied on, from 1.
    pub impaired: Arc<dyn Fn() -> BTreeSet<usize> + Send + Sync>,
}

impl fmt::Debug for Promise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let impaired = (self.impaired)();
        formatter.debug_struct("Promise").field("holds", &(self.holds)()).field("impaired", &impaired).finish()
    }
}

impl Promise {
    async fn broken(&self) {
        while (self.holds)() {
            sleep(WATCH).await;
        }
    }
}

/// Probes until the work is told to stop, or somebody is accused. Returns the number of probes that succeeded.
pub async fn probe(work: Workload, promise: Promise) -> usize {
    let random = work.seed.stream("availability");
    let line = Line::new(work.clone(), PROBER, false);
    let mut prober = Prober { work, promise, random, line };
    let mut succeeded = 0;
    while prober.goes_on() {
        sleep(REST_MAX.mul_f64(prober.random.random_range(0.0..1.0))).await;
        let probe = if prober.random.random_range(0..100) < PUSHES_PERCENT { prober.push() } else { prober.read() };
        if let Some(probe) = probe {
            succeeded += usize::from(prober.succeeds(&probe).await);
        }
    }
    succeeded
}

/// What is tried until it succeeds.
enum Probe {
    /// Something acknowledged is read.
    Read(Acknowledged, Ask),
    /// Something new is pushed.
    Push(Ask),
}

impl Probe {
    const fn ask(&self) -> &Ask {
        match self {
            Self::Read(_, ask) | Self::Push(ask) => ask,
        }
    }
}

/// What came of a try.
enum Try {
    Succeeded,
    /// It says nothing: the disks are full, and a client is told so.
    Void,
    Failed(String),
}

struct Prober {
    work: Workload,
    promise: Promise,
    random: StdRng,
    line: Line,
}

impl Prober {
    fn goes_on(&self) -> bool {
        !self.work.is_stopped() && self.work.court.first().is_none()
    }

    /// Something acknowledged that must exist, if there is anything.
    fn read(&mut self) -> Option<Probe> {
        let push = must_exist(&self.work.certain()).choose(&mut self.random)?.clone();
        let ask = if push.manifest {
            let known = self.work.manifest(&push.digest);
            let manifest = known.unwrap_or_else(|| Arc::new(Manifest::bare(&push.digest, &push.content)));
            Ask::get_manifest(&push.repository, &manifest)
        } else {
            let blob = Arc::new(Blob { digest: Arc::clone(&push.digest), content: push.content.clone() });
            Ask::get_blob(&push.repository, &blob, None)
        };
        Some(Probe::Read(push, ask))
    }

    /// Something that nobody pushed before.
    fn push(&mut self) -> Option<Probe> {
        let library = Arc::clone(&self.work.library);
        let repository = library.repositories.choose(&mut self.random)?;
        let mut content = vec![0; *LENGTHS.choose(&mut self.random)?];
        self.random.fill_bytes(&mut content);
        Some(Probe::Push(Ask::push_at_once(repository, &Arc::new(Blob::new(Bytes::from(content))))))
    }

    /// Tries until it succeeds, and accuses when it should have. `false` when it did not come to that.
    async fn succeeds(&mut self, probe: &Probe) -> bool {
        let mut impaired = (self.promise.impaired)();
        let mut begun = Instant::now();
        let mut tries = Vec::new();
        while self.goes_on() && (self.promise.holds)() {
            let now_impaired = (self.promise.impaired)();
            if impaired != now_impaired && matches!(probe, Probe::Push(_)) {
                (begun, tries) = (Instant::now(), Vec::new());
            }
            impaired = now_impaired;
            if let Probe::Read(push, _) = probe
                && !must_still_exist(&self.work.certain(), push)
            {
                return false;
            }
            let nodes = self.work.serving().into_iter().filter(|node| !impaired.contains(node));
            let Some(node) = nodes.choose(&mut self.random) else { return false };
            let promise = self.promise.clone();
            let outcome = tokio::select! {
                biased;
                () = promise.broken() => return false,
                outcome = self.once(node, probe) => outcome,
            };
            match outcome {
                Try::Succeeded => return true,
                Try::Void => return false,
                Try::Failed(text) => tries.push(format!("{:.1} s node {node}: {text}", begun.elapsed().as_secs_f64())),
            }
            if begun.elapsed() >= BOUND && tries.len() >= TRIES_MIN {
                self.accuse(probe, &impaired, &tries);
                return false;
            }
            tokio::select! {
                biased;
                () = promise.broken() => return false,
                () = sleep(PAUSE) => {}
            }
        }
        false
    }

    async fn once(&mut self, node: usize, probe: &Probe) -> Try {
        let good = match probe {
            Probe::Read(..) => 200,
            Probe::Push(_) => 201,
        };
        match self.line.ask(node, probe.ask(), MANNER).await {
            Ok(answer) if answer.status == good => Try::Succeeded,
            Ok(answer) if answer.status == 507 && matches!(probe, Probe::Push(_)) => Try::Void,
            Ok(answer) => Try::Failed(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))),
            Err(failure) => Try::Failed(format!("{:?}", failure.cause)),
        }
    }

    fn accuse(&self, probe: &Probe, impaired: &BTreeSet<usize>, tries: &[String]) {
        let what = match probe {
            Probe::Read(push, ask) => format!(
                "{} cannot be read although it was acknowledged at {:.3} s",
                ask.request.path,
                Duration::from_micros(push.at).as_secs_f64()
            ),
            Probe::Push(ask) => format!("{} bytes cannot be pushed", ask.request.body.len()),
        };
        let told = &tries[tries.len().saturating_sub(TRIES_TOLD)..];
        self.work.court.accuse(
            JUDGE,
            format!(
                "{what}, and the nodes {impaired:?} alone are impaired; {} tries within more than {} s, the last:\n  {}",
                tries.len(),
                BOUND.as_secs(),
                told.join("\n  ")
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use http::request::Parts;
    use tokio::time::timeout;

    use super::*;
    use crate::workload::testing::{Registry, Trick, configuration, workload};

    fn promise(holds: impl Fn() -> bool + Send + Sync + 'static, impaired: &[usize]) -> Promise {
        let impaired: BTreeSet<usize> = impaired.iter().copied().collect();
        Promise { holds: Arc::new(holds), impaired: Arc::new(move || impaired.clone()) }
    }

    /// Probes in a registry where all is well, changes it, probes for five more minutes, and says what was accused.
    async fn story(
        play: impl Fn(&Parts, u64) -> Trick + Send + Sync + 'static,
        promise: Promise,
        change: impl FnOnce(&Registry),
    ) -> (usize, Option<String>) {
        let (work, registry) = workload(&configuration(1), play);
        let prober = tokio::spawn(probe(work.clone(), promise));
        sleep(Duration::from_mins(1)).await;
        assert_eq!(work.court.first(), None);
        change(&registry);
        sleep(Duration::from_mins(5)).await;
        work.stop();
        let succeeded = timeout(Duration::from_mins(1), prober).await.unwrap().unwrap();
        (succeeded, work.court.first().map(|violation| violation.text))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_available_is_probed_again_and_again() {
        let (succeeded, accused) = story(|_, _| Trick::Right, promise(|| true, &[]), |_| ()).await;
        assert_eq!(accused, None);
        assert!(succeeded > 200, "{succeeded}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_promise_that_is_not_kept_is_accused() {
        let (_, accused) = story(|_, _| Trick::Right, promise(|| true, &[]), Registry::fall_silent).await;
        let accused = accused.expect("nothing was available");
        assert!(accused.contains(" 503 "), "{accused}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_acknowledged_and_is_gone_is_accused() {
        let (_, accused) = story(|_, _| Trick::Right, promise(|| true, &[]), Registry::forget_blobs).await;
        let accused = accused.expect("a blob was lost");
        assert!(accused.contains("cannot be read although it was acknowledged") && accused.contains(" 404 "));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_promise_or_with_one_that_is_interrupted_nothing_is_demanded() {
        let begun = Instant::now();
        let at_first = move || begun.elapsed() < Duration::from_secs(59);
        let (_, accused) = story(|_, _| Trick::Right, promise(at_first, &[]), Registry::fall_silent).await;
        assert_eq!(accused, None);
        let interrupted = move || !begun.elapsed().as_secs().is_multiple_of(20);
        let (_, accused) = story(|_, _| Trick::Right, promise(interrupted, &[]), Registry::fall_silent).await;
        assert_eq!(accused, None);
    }

    #[tokio::test(start_paused = true)]
    async fn impaired_nodes_and_full_disks_are_not_held_to_it() {
        let play = |parts: &Parts, _| match &parts.headers["host"] {
            host if host == "node-2:5000" => Trick::Refuse(503),
            _ => Trick::Right,
        };
        let (succeeded, accused) = story(play, promise(|| true, &[2]), |_| ()).await;
        assert_eq!(accused, None);
        assert!(succeeded > 200);
        let full = |parts: &Parts, number| match parts.method {
            http::Method::POST if number > 20 => Trick::Refuse(507),
            _ => Trick::Right,
        };
        let (succeeded, accused) = story(full, promise(|| true, &[]), |_| ()).await;
        assert_eq!(accused, None);
        assert!(succeeded > 100);
    }
}
