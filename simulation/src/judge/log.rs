//! No ERROR line that nothing explains, and no panic at all. An ERROR says that a person must look (house style); under
//! faults some are right, and whoever injects the fault says which.
//!
//! The node is the host that turmoil runs at the moment: it enters a span named `node` around each turn of a host.

use std::fmt::{self, Write as _};
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::Court;
use crate::panics::PanicWatch;

const JUDGE: &str = "log";

/// Roots of the targets whose errors count: our own rooms and the consensus library.
const ROOTS: [&str; 4] = ["node", "raft", "storage", "openraft"];

/// One ERROR line.
#[derive(Clone, Copy, Debug)]
pub struct ErrorLine<'a> {
    /// Module that wrote it.
    pub target: &'a str,
    /// Its message with its fields, as in the trace.
    pub text: &'a str,
    /// Number of the node that wrote it; none outside the nodes.
    pub node: Option<usize>,
}

/// Whether an ERROR line is explained by what is being done to the cluster.
pub type Expected = Arc<dyn Fn(ErrorLine<'_>) -> bool + Send + Sync>;

/// The judge: a layer of the run's subscriber. Clones are the same one.
#[derive(Clone)]
pub struct LogJudge {
    court: Court,
    expected: Expected,
    /// Hosts whose turn it is, the innermost last.
    hosts: Arc<Mutex<Vec<Host>>>,
}

impl fmt::Debug for LogJudge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogJudge").field("court", &self.court).finish_non_exhaustive()
    }
}

/// Name of a host, kept with turmoil's span.
#[derive(Clone, Debug, Default)]
struct Host(String);

impl Visit for Host {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

impl Host {
    /// The number at the end of `node-7`.
    fn number(&self) -> Option<usize> {
        self.0.strip_prefix("node-")?.parse().ok()
    }
}

/// The fields of an event, as in the trace.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{separator}{value:?}"),
            name => write!(self.0, "{separator}{name}={value:?}"),
        };
    }
}

impl LogJudge {
    /// A judge that accuses before this court.
    #[must_use]
    pub fn new(court: Court, expected: Expected) -> Self {
        Self { court, expected, hosts: Arc::default() }
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self) -> Option<usize> {
        self.hosts().last().and_then(Host::number)
    }

    /// Accuses of every panic of this process until the watch is dropped. Whoever handled panics before still does.
    #[must_use]
    pub fn watch_panics(&self) -> PanicWatch {
        let judge = self.clone();
        PanicWatch::first(move |panic| judge.panicked(panic))
    }

    fn panicked(&self, information: &panic::PanicHookInfo<'_>) {
        let payload = information.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        let place = information.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        self.court.accuse(JUDGE, format!("{}a panic at {place}: {message}", prefix(self.node())));
    }
}

fn prefix(node: Option<usize>) -> String {
    node.map_or_else(String::new, |node| format!("node {node}: "))
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogJudge {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == "node" && attributes.metadata().target().starts_with("turmoil") {
            let mut host = Host::default();
            attributes.record(&mut host);
            if let Some(span) = context.span(id) {
                span.extensions_mut().insert(host);
            }
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(host) = context.span(id).and_then(|span| span.extensions().get::<Host>().cloned()) {
            self.hosts().push(host);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if context.span(id).is_some_and(|span| span.extensions().get::<Host>().is_some()) {
            self.hosts().pop();
        }
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let root = metadata.target().split("::").next().unwrap_or_default();
        if *metadata.level() != Level::ERROR || !ROOTS.contains(&root) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let (target, node) = (metadata.target(), self.node());
        if !(self.expected)(ErrorLine { target, text: &text.0, node }) {
            self.court.accuse(JUDGE, format!("{}{target} says {}", prefix(node), text.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::{error, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Runs `work` on a host `node-3` of a simulation.
    fn on_a_node(expected: Expected, work: impl Fn() + Copy + 'static) -> Vec<String> {
        let court = Court::default();
        let judge = LogJudge::new(court.clone(), expected);
        let subscriber = tracing_subscriber::registry().with(judge);
        tracing::subscriber::with_default(subscriber, || {
            let mut simulation = turmoil::Builder::new().simulation_duration(Duration::from_secs(5)).build();
            simulation.client("node-3", async move {
                work();
                Ok(())
            });
            simulation.run().unwrap();
        });
        court.all().into_iter().map(|violation| violation.text).collect()
    }

    #[test]
    fn an_error_line_is_accused_with_its_node_and_fields() {
        let texts = on_a_node(Arc::new(|_| false), || error!(target: "raft::group", group = 7, "it broke"));
        assert_eq!(texts, vec!["node 3: raft::group says it broke group=7"]);
    }

    #[test]
    fn warnings_and_strangers_are_not_accused() {
        let texts = on_a_node(Arc::new(|_| false), || {
            warn!(target: "raft::group", "it may break");
            error!(target: "hyper::proto", "it broke");
        });
        assert_eq!(texts, Vec::<String>::new());
    }

    #[test]
    fn an_expected_line_is_not_accused() {
        let expected: Expected =
            Arc::new(|line| (line.node, line.target) == (Some(3), "raft::group") && line.text.starts_with("it broke"));
        assert_eq!(on_a_node(expected, || error!(target: "raft::group", "it broke")), Vec::<String>::new());
    }

    #[test]
    fn a_panic_is_accused_with_its_place_until_nobody_watches() {
        let court = Court::default();
        let judge = LogJudge::new(court.clone(), Arc::new(|_| true));
        let watch = judge.watch_panics();
        assert!(panic::catch_unwind(|| panic!("planted")).is_err());
        drop(watch);
        assert!(panic::catch_unwind(|| panic!("not watched")).is_err());
        let violations = court.all();
        assert_eq!(violations.len(), 1);
        assert!(violations[0].text.contains("log.rs") && violations[0].text.ends_with("planted"), "{violations:?}");
    }
}
