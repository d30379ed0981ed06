//! A real client for each way to log in: it pushes, pulls the same bytes, and is refused what it may not.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::image::{Image, Recipe};
use crate::layout;
use crate::tools::{self, client, refused};

/// How it says who it is.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// By `skopeo login`, with a name and a password or what stands in for one.
    Login(&'a str, &'a str),
    /// By a token that somebody else has made for it.
    Token(&'a str),
    /// By a certificate: the folder holds it, its key, and the authority of the registry (`client.cert`, `client.key`,
    /// `ca.crt`).
    Certificate(&'a str),
}

/// `skopeo` with a home of its own, and an image to push.
#[derive(Debug)]
pub struct Skopeo {
    folder: TempDir,
    image: Image,
}

impl Skopeo {
    /// One with an image of this seed, or `None` after saying that it is missing.
    ///
    /// # Errors
    /// When it is missing and must not be.
    pub fn new(seed: u64) -> Result<Option<Self>> {
        let folder = TempDir::new()?;
        if client("skopeo", folder.path())?.is_none() {
            return Ok(None);
        }
        let image = Recipe::new(seed).layers(2, 50_000).build()?;
        layout::write(&folder.path().join("image"), &[&image], None, "v1")?;
        Ok(Some(Self { folder, image }))
    }

    /// Logs in, pushes to `own` at a registry, pulls it back, and is refused `other`, where it may do nothing, and everything
    /// before it has logged in. Both are names of repositories.
    ///
    /// # Errors
    /// When it is not as said.
    pub async fn goes_through(&self, host: &str, way: Way<'_>, own: &str, other: &str) -> Result<()> {
        std::fs::write(self.auth(), "{}")?;
        let own = format!("docker://{host}/{own}:skopeo");
        let nobody = if let Way::Certificate(_) = way { None } else { Some(Way::Login("", "")) };
        if let Way::Login(name, secret) = way {
            refused(self.copy(way, &self.image_place(), &own)?).await?;
            refused(self.login(host, name, &format!("{secret}x"))?).await?;
            tools::run(self.login(host, name, secret)?).await?;
        }
        tools::run(self.copy(way, &self.image_place(), &own)?).await?;
        let back = self.folder.path().join("back");
        tools::run(self.copy(way, &own, &format!("oci:{}:v1", back.display()))?).await?;
        layout::check(&back, &self.image.blobs.iter().chain([&self.image.manifest]).collect::<Vec<_>>())?;
        std::fs::remove_dir_all(&back)?;
        refused(self.copy(way, &self.image_place(), &format!("docker://{host}/{other}:skopeo"))?).await?;
        if let Some(nobody) = nobody {
            std::fs::write(self.auth(), "{}")?;
            refused(self.copy(nobody, &own, &format!("oci:{}:v1", back.display()))?).await?;
        }
        Ok(())
    }

    fn auth(&self) -> PathBuf {
        self.folder.path().join("auth.json")
    }

    fn image_place(&self) -> String {
        format!("oci:{}:v1", self.folder.path().join("image").display())
    }

    fn command(&self, name: &str) -> Result<Command> {
        let mut command = client("skopeo", self.folder.path())?.context("skopeo went away")?;
        command.args(["--insecure-policy", name, "--authfile"]).arg(self.auth());
        Ok(command)
    }

    fn login(&self, host: &str, name: &str, secret: &str) -> Result<Command> {
        let mut command = self.command("login")?;
        command.args(["--tls-verify=false", "--username", name, "--password", secret, host]);
        Ok(command)
    }

    /// Copies from and to: one of both is at the registry.
    fn copy(&self, way: Way<'_>, from: &str, to: &str) -> Result<Command> {
        let mut command = self.command("copy")?;
        let end = if from.starts_with("docker:") { "src" } else { "dest" };
        match way {
            Way::Login(..) => command.arg(format!("--{end}-tls-verify=false")),
            Way::Token(token) => {
                command.arg(format!("--{end}-tls-verify=false")).arg(format!("--{end}-registry-token={token}"))
            }
            Way::Certificate(folder) => command.arg(format!("--{end}-cert-dir={folder}")),
        };
        command.args([from, to]);
        Ok(command)
    }
}
