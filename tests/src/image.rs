//! Images, indices and artifacts made on the spot: the same seed gives the same bytes.

use std::io::Write;

use anyhow::Result;
use bytes::Bytes;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::registry::Registry;
use crate::{content, digest};

/// OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The empty JSON object of artifacts.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// Content with a media type.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Media type.
    pub media: String,
    /// The bytes.
    pub bytes: Bytes,
    /// Their SHA-256.
    pub digest: String,
}

impl Blob {
    /// Content of a media type.
    #[must_use]
    pub fn new(media: &str, bytes: Bytes) -> Self {
        Self { media: media.to_owned(), digest: digest::sha256(&bytes), bytes }
    }

    /// Its descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// A manifest and the blobs that it names.
#[derive(Clone, Debug)]
pub struct Image {
    /// Configuration and layers.
    pub blobs: Vec<Blob>,
    /// The manifest.
    pub manifest: Blob,
}

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Recipe {
    seed: u64,
    layers: usize,
    layer_bytes: usize,
    compression: Compression,
    docker: bool,
    architecture: &'static str,
}

impl Recipe {
    /// One layer of 20 kB, gzip, OCI, amd64.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let compression = Compression::Gzip;
        Self { seed, layers: 1, layer_bytes: 20_000, compression, docker: false, architecture: "amd64" }
    }

    /// Number of layers, and bytes of the file in each.
    #[must_use]
    pub fn layers(mut self, layers: usize, layer_bytes: usize) -> Self {
        (self.layers, self.layer_bytes) = (layers, layer_bytes);
        self
    }

    /// Compression of the layers.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Docker's media types, with gzip.
    #[must_use]
    pub fn docker(mut self) -> Self {
        (self.docker, self.compression) = (true, Compression::Gzip);
        self
    }

    /// Architecture.
    #[must_use]
    pub fn architecture(mut self, architecture: &'static str) -> Self {
        self.architecture = architecture;
        self
    }

    /// The image.
    ///
    /// # Errors
    /// When a compressor fails.
    pub fn build(&self) -> Result<Image> {
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for number in 0..self.layers {
            let archive = archive(self.seed * 1000 + number as u64, number, self.layer_bytes)?;
            diff_ids.push(digest::sha256(&archive));
            layers.push(Blob::new(self.layer_media(), compress(&archive, self.compression)?));
        }
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": { "Labels": { "seed": self.seed.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let (config_media, media) = if self.docker { (DOCKER_CONFIG, DOCKER_MANIFEST) } else { (CONFIG, MANIFEST) };
        let config = Blob::new(config_media, config.to_string().into());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media,
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        let mut blobs = vec![config];
        blobs.append(&mut layers);
        Ok(Image { blobs, manifest: Blob::new(media, manifest.to_string().into()) })
    }

    fn layer_media(&self) -> &'static str {
        match (self.docker, self.compression) {
            (true, _) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (false, Compression::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (false, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (false, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

impl Image {
    /// Pushes the blobs, then the manifest under a tag or digest.
    ///
    /// # Errors
    /// When anything is refused.
    pub async fn push(&self, registry: &Registry, repository: &str, reference: &str) -> Result<()> {
        for blob in &self.blobs {
            registry.push_blob(repository, &blob.bytes).await?;
        }
        let (media, bytes) = (&self.manifest.media, &self.manifest.bytes);
        registry.put_manifest(repository, reference, media, bytes).await?.expect(201)?;
        Ok(())
    }

    /// Pulls manifest and blobs and compares every byte.
    ///
    /// # Errors
    /// When anything differs or is missing.
    pub async fn check(&self, registry: &Registry, repository: &str, reference: &str) -> Result<()> {
        let answer = registry.manifest(repository, reference).await?.expect(200)?;
        anyhow::ensure!(answer.body == self.manifest.bytes, "{}: another manifest than was pushed", answer.request);
        for blob in &self.blobs {
            registry.blob(repository, &blob.digest).await?;
        }
        Ok(())
    }
}

/// An index of manifests, each with a platform.
#[must_use]
pub fn index(images: &[(&Blob, &str)]) -> Blob {
    index_of(INDEX, images)
}

/// An index in Docker's form.
#[must_use]
pub fn docker_list(images: &[(&Blob, &str)]) -> Blob {
    index_of(DOCKER_LIST, images)
}

fn index_of(media: &str, images: &[(&Blob, &str)]) -> Blob {
    let entry = |(manifest, architecture): &(&Blob, &str)| {
        let mut descriptor = manifest.descriptor();
        descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
        descriptor
    };
    let manifests: Vec<Value> = images.iter().map(entry).collect();
    Blob::new(media, json!({ "schemaVersion": 2, "mediaType": media, "manifests": manifests }).to_string().into())
}

/// An artifact: the empty configuration, one small layer, an artifact type, annotations, and a subject if given.
#[must_use]
pub fn artifact(seed: u64, artifact_type: &str, subject: Option<&Blob>) -> Image {
    let empty = Blob::new(EMPTY, Bytes::from_static(b"{}"));
    let layer = Blob::new("application/vnd.example.data", content::bytes(seed, 100));
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": empty.descriptor(),
        "layers": [layer.descriptor()],
        "annotations": { "org.example.seed": seed.to_string() },
    });
    if let Some(subject) = subject {
        manifest["subject"] = subject.descriptor();
    }
    Image { blobs: vec![empty, layer], manifest: Blob::new(MANIFEST, manifest.to_string().into()) }
}

/// A tar archive with one file of random bytes.
fn archive(seed: u64, number: usize, length: usize) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(length as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append_data(&mut header, format!("data/file-{number}"), content::bytes(seed, length).as_ref())?;
    Ok(archive.into_inner()?)
}

fn compress(archive: &[u8], compression: Compression) -> Result<Bytes> {
    Ok(match compression {
        Compression::Plain => Bytes::copy_from_slice(archive),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(archive)?;
            encoder.finish()?.into()
        }
        Compression::Zstd => zstd::encode_all(archive, 1)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_recipe_gives_the_same_image() {
        for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
            let recipe = Recipe::new(1).layers(2, 1000).compression(compression);
            assert_eq!(recipe.build().unwrap().manifest.digest, recipe.build().unwrap().manifest.digest);
        }
        assert_ne!(Recipe::new(1).build().unwrap().manifest.digest, Recipe::new(2).build().unwrap().manifest.digest);
    }
}
