//! Pushes and pulls by skopeo: an image of ten layers, made once; each push goes to a repository of its own.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tests::image::Recipe;
use tests::{layout, tools};
use tokio::time::Instant;

use crate::options::Target;

/// Layers of the image, and the size of each.
const LAYERS: usize = 10;
const LAYER_BYTES: usize = 50 << 20;
/// Size of the image in the unit of the row.
const MEBIBYTES: f64 = 500.0;
/// Where skopeo, run by root, remembers which registry has which blob.
const BLOB_INFO_CACHE: &str = "/var/lib/containers/cache/blob-info-cache-v1.boltdb";

/// The image on disk. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Skopeo {
    folder: Arc<TempDir>,
    pushes: Arc<AtomicU64>,
}

impl Skopeo {
    /// Makes the image; `None` without skopeo.
    pub(crate) fn prepare() -> Result<Option<Self>> {
        if tools::find("skopeo")?.is_none() {
            return Ok(None);
        }
        let folder = TempDir::new()?;
        let image = Recipe::new(u64::from(std::process::id())).layers(LAYERS, LAYER_BYTES).build()?;
        layout::write(&folder.path().join("image"), &[&image], None, "bench")?;
        Ok(Some(Self { folder: Arc::new(folder), pushes: Arc::default() }))
    }

    /// Pushes; mebibytes a second.
    pub(crate) async fn push(&self, target: &Target) -> Result<f64> {
        let number = self.pushes.fetch_add(1, Ordering::Relaxed);
        self.copy(&self.local("image"), &remote(target, &format!("push-{number}"))).await
    }

    /// Pulls what it pushed first, untimed; mebibytes a second.
    pub(crate) async fn pull(&self, target: &Target) -> Result<f64> {
        let source = remote(target, "pull");
        self.copy(&self.local("image"), &source).await?;
        let speed = self.copy(&source, &self.local("pulled")).await?;
        std::fs::remove_dir_all(self.folder.path().join("pulled")).context("removing what was pulled")?;
        Ok(speed)
    }

    fn local(&self, name: &str) -> String {
        format!("oci:{}:bench", self.folder.path().join(name).display())
    }

    async fn copy(&self, from: &str, to: &str) -> Result<f64> {
        // What it remembers of earlier runs would save it the work. There is nothing to remove in the first run.
        let _ = std::fs::remove_file(BLOB_INFO_CACHE);
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        command.args([from, to]).env("XDG_DATA_HOME", self.folder.path()).env("HOME", self.folder.path());
        let begin = Instant::now();
        tools::run(command).await?;
        Ok(MEBIBYTES / begin.elapsed().as_secs_f64())
    }
}

fn remote(target: &Target, name: &str) -> String {
    format!("docker://{}/bench/skopeo-{name}:bench", target.endpoints[0].authority)
}
