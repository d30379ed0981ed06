//! A client that pushes tagged images to a repository, one after the other, while its namespace moves.
//!
//! A push that is refused begins again from its first blob, as people's scripts do; what is acknowledged is remembered, and
//! how long the longest wait was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::image::{Image, Recipe};
use crate::registry::Registry;
use crate::wait::eventually;

/// How long a push may be refused before the client gives up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long until a refused push begins again.
const PAUSE: Duration = Duration::from_millis(200);

/// A client at work.
#[derive(Debug)]
pub struct Pushes {
    stop: Arc<AtomicBool>,
    pushed: Arc<AtomicUsize>,
    task: JoinHandle<Result<Pushed>>,
}

/// What a client has pushed.
#[derive(Debug)]
pub struct Pushed {
    /// Its repository.
    pub repository: String,
    /// Images that were acknowledged under their tags, in order. The tag `latest` was set on each of them.
    pub images: Vec<(String, Image)>,
    /// How long the longest push was refused.
    pub refused: Duration,
    /// What refused pushes were told, each text once for each time.
    pub reasons: Vec<String>,
}

impl Pushes {
    /// Begins.
    #[must_use]
    pub fn start(registry: Registry, repository: &str, seed: u64) -> Self {
        let (stop, pushed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let done = Pushed {
            repository: repository.to_owned(),
            images: Vec::new(),
            refused: Duration::ZERO,
            reasons: Vec::new(),
        };
        let task = tokio::spawn(work(registry, done, seed, Arc::clone(&stop), Arc::clone(&pushed)));
        Self { stop, pushed, task }
    }

    /// Waits until it has pushed so many more.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_for(&self, more: usize) -> Result<()> {
        let target = self.pushed.load(Ordering::Relaxed) + more;
        eventually("the client makes progress", PATIENCE, async || {
            let pushed = self.pushed.load(Ordering::Relaxed);
            // An end before it was told so is an error, which is shown when it is finished.
            ensure!(pushed >= target || self.task.is_finished(), "{pushed} of {target} images");
            Ok(Some(()))
        })
        .await
    }

    /// Ends it; what it has pushed.
    ///
    /// # Errors
    /// When a push was refused for longer than a client waits.
    pub async fn finish(self) -> Result<Pushed> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

async fn work(
    registry: Registry,
    mut done: Pushed,
    seed: u64,
    stop: Arc<AtomicBool>,
    pushed: Arc<AtomicUsize>,
) -> Result<Pushed> {
    while !stop.load(Ordering::Relaxed) {
        let number = done.images.len() as u64;
        let (tag, image) = (format!("t{number}"), Recipe::new(seed + number).layers(1, 60_000).build()?);
        let mut first: Option<Instant> = None;
        while let Err(error) = push(&registry, &done.repository, &tag, &image).await {
            let since = *first.get_or_insert_with(Instant::now);
            ensure!(since.elapsed() < PATIENCE, "{tag} was refused for {PATIENCE:?}: {error:#}");
            done.reasons.push(format!("{error:#}"));
            sleep(PAUSE).await;
        }
        if let Some(first) = first {
            done.refused = done.refused.max(first.elapsed());
        }
        done.images.push((tag, image));
        pushed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(done)
}

async fn push(registry: &Registry, repository: &str, tag: &str, image: &Image) -> Result<()> {
    image.push(registry, repository, tag).await?;
    let (media, bytes) = (&image.manifest.media, &image.manifest.bytes);
    registry.put_manifest(repository, "latest", media, bytes).await?.expect(201)?;
    Ok(())
}

impl Pushed {
    /// Pulls all that was acknowledged and compares every byte; no tag more is there.
    ///
    /// # Errors
    /// When something is missing or other than it was pushed.
    pub async fn check(&self, registry: &Registry) -> Result<()> {
        for (tag, image) in &self.images {
            image.check(registry, &self.repository, tag).await.with_context(|| format!("{tag} was acknowledged"))?;
        }
        let (_, last) = self.images.last().context("nothing was pushed")?;
        last.check(registry, &self.repository, "latest").await.context("latest was acknowledged")?;
        let mut expected: Vec<String> = self.images.iter().map(|(tag, _)| tag.clone()).collect();
        expected.push("latest".to_owned());
        expected.sort();
        let tags = registry.tags(&self.repository).await?;
        ensure!(tags == expected, "{} has {tags:?}, {expected:?} were pushed", self.repository);
        Ok(())
    }
}
