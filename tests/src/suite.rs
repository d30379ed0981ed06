//! Behaviours: tests of the interface that share one server.
//!
//! A behaviour is an `async fn(Registry) -> anyhow::Result<()>` that works in a repository of its own. All behaviours
//! of a file run in one process, some at the same time, each with a deadline; each is reported by its name, and the
//! suite fails at the end if one did.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, timeout};

/// Behaviours that run at the same time.
const CONCURRENT: usize = 4;
/// How long one may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// A list of behaviours.
#[derive(Default)]
pub struct Suite(Vec<(&'static str, LocalBoxFuture<'static, Result<()>>)>);

impl Suite {
    /// Adds a behaviour. It runs on the thread of the suite: those that wait by asynchronous closures could go to no other.
    pub fn add(&mut self, name: &'static str, behaviour: impl Future<Output = Result<()>> + 'static) {
        self.0.push((name, behaviour.boxed_local()));
    }

    /// Runs all and reports each on standard error.
    ///
    /// # Errors
    /// When one failed, naming all that did.
    pub async fn run(self) -> Result<()> {
        let total = self.0.len();
        let mut running = stream::iter(self.0).map(judge).buffer_unordered(CONCURRENT);
        let mut failed = Vec::new();
        while let Some((name, elapsed, verdict)) = running.next().await {
            let mut out = std::io::stderr().lock();
            match verdict {
                Ok(()) => writeln!(out, "ok      {name} ({elapsed:.0?})")?,
                Err(reason) => {
                    writeln!(out, "FAILED  {name} ({elapsed:.0?})\n        {}", reason.replace('\n', "\n        "))?;
                    failed.push(format!("{name}: {reason}"));
                }
            }
        }
        anyhow::ensure!(failed.is_empty(), "{} of {total} behaviours failed:\n{}", failed.len(), failed.join("\n"));
        Ok(())
    }
}

async fn judge(
    (name, behaviour): (&'static str, LocalBoxFuture<'static, Result<()>>),
) -> (&'static str, Duration, Result<(), String>) {
    let begin = Instant::now();
    let verdict = match timeout(DEADLINE, AssertUnwindSafe(behaviour).catch_unwind()).await {
        Err(_elapsed) => Err(format!("did not end within {DEADLINE:?}")),
        Ok(Err(panic)) => Err(panic_text(panic.as_ref())),
        Ok(Ok(Err(error))) => Err(format!("{error:#}")),
        Ok(Ok(Ok(()))) => Ok(()),
    };
    (name, begin.elapsed(), verdict)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("panicked").to_owned()
}

/// Two tests from a list of behaviours: on one node, and on three with each request sent to the next one.
#[macro_export]
macro_rules! behaviours {
    ($($behaviour:ident),+ $(,)?) => {
        async fn run_behaviours(nodes: usize) -> ::anyhow::Result<()> {
            let mut cluster = $crate::cluster::Cluster::start(nodes).await?;
            let registry = cluster.registry();
            let mut suite = $crate::suite::Suite::default();
            $( suite.add(stringify!($behaviour), $behaviour(registry.clone())); )+
            let verdict = suite.run().await.and_then(|()| cluster.check_sound());
            // A panic here, with the cluster still at hand, has its logs printed.
            assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
            Ok(())
        }

        #[tokio::test]
        async fn on_one_node() -> ::anyhow::Result<()> {
            run_behaviours(1).await
        }

        #[tokio::test]
        async fn on_three_nodes_each_request_to_the_next() -> ::anyhow::Result<()> {
            run_behaviours(3).await
        }
    };
}
