//! Reading a manifest: what it refers to, whatever its media type.
//!
//! The bytes are stored as they came; this only finds what the catalog must know of them. Types that are not known are
//! stored without being looked into. What a known type must have is checked (image-spec 1.1, "Image Manifest" and
//! "Image Index"; Docker's "Image Manifest V2, Schema 2"); fields outside it are ignored.

use std::collections::{BTreeMap, BTreeSet};

use raft::catalog::{Digest, InvalidName};
use serde::Deserialize;

/// Media types of manifests that are looked into.
pub mod media_type {
    /// OCI image manifest.
    pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI artifact manifest, from the drafts of image-spec 1.1.
    pub const ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// Docker's manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's manifest, schema 1, of which signed ones carry another suffix.
    pub const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";
}

/// What a manifest says of itself and refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Media type, without parameters.
    pub media_type: String,
    /// Blobs that must exist: config and layers, each once, in order.
    pub blobs: Vec<Digest>,
    /// Blobs that need not exist, but are used when they do: foreign layers, and what an index lists that may be no
    /// manifest (build caches do that).
    pub optional_blobs: Vec<Digest>,
    /// Manifests that it lists, each once, in order.
    pub children: Vec<Digest>,
    /// Manifest that it refers to.
    pub subject: Option<Digest>,
    /// Its artifact type, or the media type of its config.
    pub artifact_type: Option<String>,
    /// Its annotations in key order.
    pub annotations: Vec<(String, String)>,
}

/// Why bytes are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The `Content-Type` is not a media type.
    #[error("Content-Type {0:?} is not a media type such as {IMAGE:?}", IMAGE = media_type::IMAGE)]
    ContentType(String),
    /// Neither the request nor the manifest says what it is.
    #[error("the media type is not given: set Content-Type to that of the manifest")]
    NoMediaType,
    /// Request and manifest contradict each other.
    #[error("mediaType {body:?} in the manifest differs from Content-Type {header:?}")]
    MediaTypesDiffer {
        /// From the request.
        header: String,
        /// From the manifest.
        body: String,
    },
    /// It is a manifest of Docker's schema 1.
    #[error("Docker manifests of schema version 1 are not accepted: push the image again with a present client")]
    SchemaVersion1,
    /// The schema version is another one, or missing.
    #[error("schemaVersion must be 2")]
    SchemaVersion,
    /// It is not JSON, or a field has the wrong type or stands there twice.
    #[error("the manifest is not valid: {0}")]
    Json(String),
    /// A field is missing.
    #[error("the manifest has no {0}")]
    Missing(&'static str),
    /// It could be read as an image and as an index.
    #[error("{0} in a manifest of type {1:?}")]
    Ambiguous(&'static str, String),
    /// A descriptor names its content by something that is not a digest.
    #[error("{place}: {source}")]
    Digest {
        /// Which descriptor.
        place: String,
        /// What is wrong with it.
        source: InvalidName,
    },
}

/// Fields of all known types. Go writes an empty list as `null`, so every list may be one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    /// Read for its type alone: a negative or fractional size is refused.
    #[serde(rename = "size")]
    _size: Option<u64>,
}

impl Descriptor {
    fn digest(&self, place: impl FnOnce() -> String) -> Result<Digest, ManifestError> {
        self.digest.parse().map_err(|source| ManifestError::Digest { place: place(), source })
    }

    fn has_type(&self, known: &[&str]) -> bool {
        self.media_type.as_deref().is_some_and(|own| known.iter().any(|known| own.eq_ignore_ascii_case(known)))
    }

    /// Whether its bytes may rest elsewhere by its type.
    fn is_foreign(&self) -> bool {
        let own = self.media_type.as_deref().unwrap_or_default();
        own.starts_with("application/vnd.oci.image.layer.nondistributable.v1.")
            || own.starts_with("application/vnd.docker.image.rootfs.foreign.diff.")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Index,
    Artifact,
    Other,
}

impl Kind {
    fn of(media_type: &str) -> Result<Self, ManifestError> {
        let is = |known: &str| media_type.eq_ignore_ascii_case(known);
        if is(media_type::IMAGE) || is(media_type::DOCKER_MANIFEST) {
            Ok(Self::Image)
        } else if is(media_type::INDEX) || is(media_type::DOCKER_LIST) {
            Ok(Self::Index)
        } else if is(media_type::ARTIFACT) {
            Ok(Self::Artifact)
        } else if media_type.to_ascii_lowercase().starts_with(media_type::DOCKER_SCHEMA_1) {
            Err(ManifestError::SchemaVersion1)
        } else {
            Ok(Self::Other)
        }
    }
}

const MANIFEST_TYPES: [&str; 5] =
    [media_type::IMAGE, media_type::INDEX, media_type::ARTIFACT, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST];

/// Reads a manifest as it was sent: `content_type` is the request's header, `bytes` the body.
///
/// # Errors
/// [`ManifestError`] when a known type lacks what it must have, or when request and body contradict each other.
pub fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let header = content_type.map(essence).transpose()?;
    let kind = header.map_or(Ok(None), |header| Kind::of(header).map(Some))?;
    if kind == Some(Kind::Other) {
        let header = header.unwrap_or_default();
        check_other(header, bytes)?;
        return Ok(Manifest { media_type: header.to_owned(), ..Manifest::default() });
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| ManifestError::Json(error.to_string()))?;
    let media_type = match (header, document.media_type.as_deref().filter(|text| !text.is_empty())) {
        (Some(header), Some(body)) if !header.eq_ignore_ascii_case(body) => {
            return Err(ManifestError::MediaTypesDiffer { header: header.to_owned(), body: body.to_owned() });
        }
        (Some(header), _) => header.to_owned(),
        (None, Some(body)) => essence(body)?.to_owned(),
        (None, None) => guess(&document)?.to_owned(),
    };
    match Kind::of(&media_type)? {
        Kind::Image => image(media_type, document),
        Kind::Index => index(media_type, document),
        Kind::Artifact => artifact(media_type, document),
        Kind::Other => Ok(Manifest { media_type, ..Manifest::default() }),
    }
}

/// `type/subtype` of a media type; parameters are dropped (distribution-spec 1.1, "Pushing Manifests").
fn essence(text: &str) -> Result<&str, ManifestError> {
    let invalid = || ManifestError::ContentType(text.chars().take(200).collect());
    let essence = text.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = essence.split_once('/').ok_or_else(invalid)?;
    // RFC 6838, section 4.2, "restricted-name".
    let restricted = |name: &str| {
        (1..=127).contains(&name.len())
            && name.as_bytes()[0].is_ascii_alphanumeric()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    if restricted(kind) && restricted(subtype) { Ok(essence) } else { Err(invalid()) }
}

/// A body of another type is not looked into, except that its `mediaType`, if it is a JSON object that has one, may
/// not claim to be something else, and that it may not be a manifest of schema 1 in disguise.
fn check_other(header: &str, bytes: &[u8]) -> Result<(), ManifestError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Claim {
        media_type: Option<String>,
        schema_version: Option<serde_json::Number>,
        fs_layers: Option<serde::de::IgnoredAny>,
    }
    let Ok(claim) = serde_json::from_slice::<Claim>(bytes) else { return Ok(()) };
    if claim.fs_layers.is_some() && claim.schema_version.is_some_and(|version| version.as_u64() == Some(1)) {
        return Err(ManifestError::SchemaVersion1);
    }
    match claim.media_type {
        Some(body) if !body.is_empty() && !body.eq_ignore_ascii_case(header) => {
            Err(ManifestError::MediaTypesDiffer { header: header.to_owned(), body })
        }
        _ => Ok(()),
    }
}

fn guess(document: &Document) -> Result<&'static str, ManifestError> {
    match (document.schema_version, &document.config, &document.manifests) {
        (Some(1), ..) => Err(ManifestError::SchemaVersion1),
        (_, Some(_), None) => Ok(media_type::IMAGE),
        (_, None, Some(_)) => Ok(media_type::INDEX),
        _ => Err(ManifestError::NoMediaType),
    }
}

fn check_schema_version(document: &Document) -> Result<(), ManifestError> {
    match document.schema_version {
        Some(2) => Ok(()),
        Some(1) => Err(ManifestError::SchemaVersion1),
        _ => Err(ManifestError::SchemaVersion),
    }
}

fn image(media_type: String, document: Document) -> Result<Manifest, ManifestError> {
    check_schema_version(&document)?;
    if document.manifests.is_some() {
        return Err(ManifestError::Ambiguous("manifests", media_type));
    }
    let config = document.config.as_ref().ok_or(ManifestError::Missing("config"))?;
    let mut blobs = Distinct::default();
    let mut optional = Distinct::default();
    blobs.add(config.digest(|| "config".to_owned())?);
    for (position, layer) in document.layers.iter().flatten().enumerate() {
        let digest = layer.digest(|| format!("layers[{position}]"))?;
        if layer.is_foreign() { optional.add(digest) } else { blobs.add(digest) }
    }
    let config_type = config.media_type.clone();
    let manifest = Manifest { blobs: blobs.order, ..common(media_type, document)? };
    Ok(Manifest {
        optional_blobs: optional.order.into_iter().filter(|digest| !blobs.seen.contains(digest)).collect(),
        artifact_type: manifest.artifact_type.or(config_type).filter(|text| !text.is_empty()),
        ..manifest
    })
}

fn index(media_type: String, document: Document) -> Result<Manifest, ManifestError> {
    check_schema_version(&document)?;
    if document.config.is_some() || document.layers.is_some() {
        let field = if document.config.is_some() { "config" } else { "layers" };
        return Err(ManifestError::Ambiguous(field, media_type));
    }
    let mut children = Distinct::default();
    let mut optional = Distinct::default();
    for (position, child) in document.manifests.iter().flatten().enumerate() {
        let digest = child.digest(|| format!("manifests[{position}]"))?;
        children.add(digest);
        if !child.has_type(&MANIFEST_TYPES) {
            optional.add(digest);
        }
    }
    Ok(Manifest { children: children.order, optional_blobs: optional.order, ..common(media_type, document)? })
}

fn artifact(media_type: String, document: Document) -> Result<Manifest, ManifestError> {
    let mut blobs = Distinct::default();
    for (position, blob) in document.blobs.iter().flatten().enumerate() {
        blobs.add(blob.digest(|| format!("blobs[{position}]"))?);
    }
    Ok(Manifest { blobs: blobs.order, ..common(media_type, document)? })
}

fn common(media_type: String, document: Document) -> Result<Manifest, ManifestError> {
    let subject = document.subject.map(|subject| subject.digest(|| "subject".to_owned())).transpose()?;
    Ok(Manifest {
        media_type,
        subject,
        artifact_type: document.artifact_type.filter(|text| !text.is_empty()),
        annotations: document.annotations.unwrap_or_default().into_iter().collect(),
        ..Manifest::default()
    })
}

/// Digests in their first order, each once.
#[derive(Default)]
struct Distinct {
    order: Vec<Digest>,
    seen: BTreeSet<Digest>,
}

impl Distinct {
    fn add(&mut self, digest: Digest) {
        if self.seen.insert(digest) {
            self.order.push(digest);
        }
    }
}

#[cfg(test)]
mod tests;
