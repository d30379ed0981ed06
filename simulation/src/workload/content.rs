//! What is pushed: layers, configurations, images, indexes and artifacts that follow from the seed and a number.
//!
//! Different clients push the same content again and again, so that pushes of the same digest race, are recognised as
//! duplicates, are mounted and deleted under each other's feet. Lengths gather where code has edges: nothing, a byte,
//! what the catalog keeps itself, whole blocks and a byte more or less.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngCore as _};
use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};

use crate::configuration::WorkloadConfiguration;
use crate::history::DigestText;
use crate::seed::Seed;

/// OCI image manifest.
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Artifact type of what refers to a manifest.
pub const ARTIFACT_TYPE: &str = "application/vnd.regnode.signature.v1";

/// The namespace of all repositories.
pub const NAMESPACE: &str = "team";
/// Length up to which a node keeps a blob in its catalog by default.
const INLINE_BYTES: usize = 32 << 10;
/// Share of the layers whose digest is a SHA-512.
const SHA512: f64 = 0.15;
/// Most layers of an image.
const LAYERS_MAX: usize = 4;

/// Some bytes under their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The digest, of either algorithm.
    pub digest: DigestText,
    /// The bytes.
    pub content: Bytes,
}

impl Blob {
    /// Bytes under their SHA-256.
    #[must_use]
    pub fn new(content: Bytes) -> Self {
        Self { digest: digest(&content).into(), content }
    }

    fn sha512(content: Bytes) -> Self {
        Self { digest: format!("sha512:{}", hex::encode(Sha512::digest(&content))).into(), content }
    }

    /// Whether its digest is a SHA-512.
    #[must_use]
    pub fn is_sha512(&self) -> bool {
        self.digest.starts_with("sha512:")
    }
}

/// A manifest with what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its digest.
    pub digest: DigestText,
    /// Its bytes.
    pub content: Bytes,
    /// Its media type.
    pub media_type: &'static str,
    /// The blobs that it names: configuration and layers, each once.
    pub blobs: Vec<Arc<Blob>>,
    /// The manifests that it lists.
    pub children: Vec<Arc<Manifest>>,
}

impl Manifest {
    /// A manifest of which nothing but its bytes is known. What it names is left out.
    #[must_use]
    pub fn bare(digest: &DigestText, content: &Bytes) -> Self {
        let body: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
        let types = [IMAGE, INDEX, DOCKER_MANIFEST];
        let media_type = types.into_iter().find(|known| body["mediaType"] == *known).unwrap_or(IMAGE);
        let (digest, content) = (Arc::clone(digest), content.clone());
        Self { digest, content, media_type, blobs: Vec::new(), children: Vec::new() }
    }
}

/// The digest of some bytes as it stands in URLs, by SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Everything that the clients of a run push, except artifacts.
#[derive(Debug)]
pub struct Library {
    /// Names of the repositories.
    pub repositories: Vec<Arc<str>>,
    /// Names of the tags, the same in each repository.
    pub tags: Vec<Arc<str>>,
    /// The layers.
    pub layers: Vec<Arc<Blob>>,
    /// The images.
    pub images: Vec<Arc<Manifest>>,
    /// The indexes.
    pub indexes: Vec<Arc<Manifest>>,
    /// All manifests by digest.
    manifests: BTreeMap<DigestText, Arc<Manifest>>,
}

impl Library {
    /// What a seed decides. Layers of whole blocks are made for this block size.
    #[must_use]
    pub fn new(seed: Seed, workload: &WorkloadConfiguration, block_size_bytes: u32) -> Self {
        let mut random = seed.stream("content");
        let block = usize::try_from(block_size_bytes).unwrap_or(1 << 16);
        let layers: Vec<Arc<Blob>> = (0..workload.layers.max(1))
            .map(|_| Arc::new(layer(&mut random, workload.layer_bytes_max, block)))
            .collect();
        let images: Vec<Arc<Manifest>> =
            (0..layers.len()).map(|number| Arc::new(image(&mut random, number, &layers))).collect();
        let indexes: Vec<Arc<Manifest>> =
            (0..layers.len().div_ceil(4)).map(|number| Arc::new(index(&mut random, number, &images))).collect();
        let manifests =
            images.iter().chain(&indexes).map(|manifest| (Arc::clone(&manifest.digest), Arc::clone(manifest)));
        Self {
            repositories: (0..workload.repositories.max(1))
                .map(|number| format!("{NAMESPACE}/app-{number}").into())
                .collect(),
            tags: (0..workload.tags.max(1)).map(|number| format!("v{number}").into()).collect(),
            manifests: manifests.collect(),
            layers,
            images,
            indexes,
        }
    }

    /// The manifest of a digest.
    #[must_use]
    pub fn manifest(&self, digest: &str) -> Option<Arc<Manifest>> {
        self.manifests.get(digest).cloned()
    }
}

fn layer(random: &mut StdRng, longest: usize, block: usize) -> Blob {
    let length = match random.random_range(0..10) {
        0 => random.random_range(0..=1),
        1 | 2 => random.random_range(100..=900),
        3 => INLINE_BYTES + random.random_range(0..=2) - 1,
        4 => {
            // Whole blocks, and a byte on either side.
            let blocks = random.random_range(1..=(longest / block).max(1));
            blocks * block + random.random_range(0..=2) - 1
        }
        _ => random.random_range(2..=longest.max(2)),
    };
    let mut bytes = vec![0; length.min(longest.max(1))];
    random.fill_bytes(&mut bytes);
    if random.random_bool(SHA512) { Blob::sha512(bytes.into()) } else { Blob::new(bytes.into()) }
}

fn descriptor(media_type: &str, digest: &str, length: usize) -> serde_json::Value {
    json!({ "mediaType": media_type, "digest": digest, "size": length })
}

fn image(random: &mut StdRng, number: usize, layers: &[Arc<Blob>]) -> Manifest {
    let configuration = json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { "number": number } } });
    let configuration = Arc::new(Blob::new(configuration.to_string().into()));
    let count = random.random_range(1..=LAYERS_MAX.min(layers.len()));
    let chosen: Vec<Arc<Blob>> = layers.choose_multiple(random, count).cloned().collect();
    let (media_type, configuration_type, layer_type) = if number % 3 == 2 {
        (
            DOCKER_MANIFEST,
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        )
    } else {
        (IMAGE, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar")
    };
    let descriptors: Vec<_> =
        chosen.iter().map(|layer| descriptor(layer_type, &layer.digest, layer.content.len())).collect();
    let content = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(configuration_type, &configuration.digest, configuration.content.len()),
        "layers": descriptors,
    });
    let mut blobs = vec![configuration];
    for layer in chosen {
        if !blobs.iter().any(|blob| blob.digest == layer.digest) {
            blobs.push(layer);
        }
    }
    manifest(media_type, &content, blobs, Vec::new())
}

fn index(random: &mut StdRng, number: usize, images: &[Arc<Manifest>]) -> Manifest {
    let children: Vec<Arc<Manifest>> = images.choose_multiple(random, 2.min(images.len())).cloned().collect();
    let descriptors: Vec<_> =
        children.iter().map(|child| descriptor(child.media_type, &child.digest, child.content.len())).collect();
    let content = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": descriptors,
        "annotations": { "number": number.to_string() },
    });
    manifest(INDEX, &content, Vec::new(), children)
}

/// An artifact that refers to `subject` and is like no other one: `mark` makes it so.
#[must_use]
pub fn artifact(subject: &Manifest, mark: &str) -> Manifest {
    let configuration = Arc::new(Blob::new(Bytes::from_static(b"{}")));
    let signature = Arc::new(Blob::new(format!("signed by {mark}").into()));
    let content = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": ARTIFACT_TYPE,
        "config": descriptor("application/vnd.oci.empty.v1+json", &configuration.digest, configuration.content.len()),
        "layers": [descriptor("application/octet-stream", &signature.digest, signature.content.len())],
        "subject": descriptor(subject.media_type, &subject.digest, subject.content.len()),
        "annotations": { "mark": mark },
    });
    manifest(IMAGE, &content, vec![configuration, signature], Vec::new())
}

fn manifest(
    media_type: &'static str,
    content: &serde_json::Value,
    blobs: Vec<Arc<Blob>>,
    children: Vec<Arc<Manifest>>,
) -> Manifest {
    let content = Bytes::from(content.to_string());
    Manifest { digest: digest(&content).into(), content, media_type, blobs, children }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::configuration::Configuration;

    fn library(seed: u64) -> Library {
        let configuration = Configuration::from_seed(Seed(seed));
        Library::new(Seed(seed), &configuration.workload, configuration.settings.block_size_bytes)
    }

    #[test]
    fn the_same_seed_makes_the_same_content() {
        let digests = |seed| library(seed).images.iter().map(|image| Arc::clone(&image.digest)).collect::<Vec<_>>();
        assert_eq!(digests(3), digests(3));
        assert_ne!(digests(3), digests(4));
    }

    #[test]
    fn lengths_gather_at_the_edges_and_both_algorithms_occur() {
        let mut lengths = BTreeSet::new();
        let (mut wide, mut longest) = (0, true);
        for seed in 0..60 {
            let configuration = Configuration::from_seed(Seed(seed));
            for layer in library(seed).layers {
                lengths.insert(layer.content.len());
                wide += usize::from(layer.is_sha512());
                longest &= layer.content.len() <= configuration.workload.layer_bytes_max;
            }
        }
        for edge in [0, 1, INLINE_BYTES - 1, INLINE_BYTES + 1, (64 << 10) + 1] {
            assert!(lengths.contains(&edge), "no layer of {edge} bytes");
        }
        assert!(wide > 10 && longest, "{wide}");
    }

    #[test]
    fn manifests_name_blobs_once_and_artifacts_differ() {
        let library = library(5);
        for image in &library.images {
            let names: BTreeSet<_> = image.blobs.iter().map(|blob| &blob.digest).collect();
            assert_eq!(names.len(), image.blobs.len());
            let text = std::str::from_utf8(&image.content).unwrap();
            assert!(image.blobs.iter().all(|blob| text.contains(&*blob.digest)));
            assert_eq!(library.manifest(&image.digest).unwrap().digest, image.digest);
        }
        let subject = &library.images[0];
        assert_ne!(artifact(subject, "a").digest, artifact(subject, "b").digest);
    }
}
