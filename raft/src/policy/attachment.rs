//! How signatures and the like are attached to a manifest: by referrers, and by tags that older tools set,
//! `sha256-<hex>.sig`, `.att` and `.sbom`.
//!
//! Source of the tags: cosign's "tag based discovery". Such a tag lives as long as the manifest that it names.

use crate::catalog::{Digest, Tag};

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentKind {
    /// A signature.
    Signature,
    /// An attestation.
    Attestation,
    /// A bill of materials.
    Sbom,
}

impl AttachmentKind {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Signature, ".sig"), (Self::Attestation, ".att"), (Self::Sbom, ".sbom")];
}

/// What the name of an attaching tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Manifest that something is attached to.
    pub to: Digest,
    /// What it is.
    pub kind: AttachmentKind,
}

impl Attachment {
    /// What a tag attaches; `None` for a tag like any other.
    #[must_use]
    pub fn of(tag: &Tag) -> Option<Self> {
        let (name, kind) = AttachmentKind::ALL
            .iter()
            .find_map(|(kind, ending)| tag.as_str().strip_suffix(ending).map(|name| (name, *kind)))?;
        let (algorithm, digits) = name.split_once('-')?;
        let to = format!("{algorithm}:{digits}").parse().ok()?;
        Some(Self { to, kind })
    }

    /// The tag under which the signature of a manifest stands. `None` for a digest too long to be named in a tag.
    #[must_use]
    pub fn signature_tag(manifest: &Digest) -> Option<Tag> {
        format!("{}.sig", manifest.to_string().replace(':', "-")).parse().ok()
    }
}

/// Artifact types of signatures, by the tools that write them: notation (Notary Project, "OCI signatures"), cosign
/// ("OCI 1.1 referrers", and Sigstore bundles, whatever their version).
const SIGNATURES: [&str; 3] = [
    "application/vnd.cncf.notary.signature",
    "application/vnd.dev.cosign.artifact.sig.",
    "application/vnd.dev.sigstore.bundle",
];

/// Whether a referrer of this artifact type is a signature.
#[must_use]
pub fn is_signature(artifact_type: &str) -> bool {
    SIGNATURES.iter().any(|signature| artifact_type.starts_with(signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Algorithm;

    #[test]
    fn the_name_says_to_which_manifest_something_is_attached() {
        let digest = Digest::from_bytes(Algorithm::Sha256, &[0xab; 32]).unwrap();
        let signature = Attachment::signature_tag(&digest).unwrap();
        assert_eq!(signature.as_str(), format!("sha256-{}.sig", "ab".repeat(32)));
        assert_eq!(Attachment::of(&signature), Some(Attachment { to: digest, kind: AttachmentKind::Signature }));
        let sbom = format!("sha256-{}.sbom", "ab".repeat(32)).parse().unwrap();
        assert_eq!(Attachment::of(&sbom), Some(Attachment { to: digest, kind: AttachmentKind::Sbom }));
        for other in ["latest", "sha256-ab.sig", "v1.sig", ".sig"] {
            let Ok(other) = other.parse() else { continue };
            assert_eq!(Attachment::of(&other), None);
        }
        let long = Digest::from_bytes(Algorithm::Sha512, &[1; 64]).unwrap();
        assert_eq!(Attachment::signature_tag(&long), None);
    }
}
