//! What a client may ask a registry, with the request that asks it.
//!
//! The meaning is what the history and the checks need to know of a request; they never look at its path.

use std::ops::Range;
use std::sync::Arc;

use http::Method;

use super::content::{Blob, Manifest};
use super::http::Request;
use crate::history::DigestText;

/// What a request is about.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// A manifest is pushed and tags are set on it.
    PushManifest {
        /// The manifest.
        manifest: Arc<Manifest>,
        /// The tags.
        tags: Vec<Arc<str>>,
    },
    /// A tag is resolved.
    ReadTag {
        /// The tag.
        tag: Arc<str>,
    },
    /// It is asked whether a manifest exists.
    HeadManifest {
        /// Its digest.
        digest: DigestText,
    },
    /// A manifest is read by its digest.
    GetManifest {
        /// The manifest.
        manifest: Arc<Manifest>,
    },
    /// It is asked whether a blob exists.
    HeadBlob {
        /// The blob.
        blob: Arc<Blob>,
    },
    /// A blob is read.
    GetBlob {
        /// The blob.
        blob: Arc<Blob>,
        /// The bytes that are asked for; all of them, if none.
        range: Option<Range<usize>>,
    },
    /// An upload is ended, or made of one request, and published.
    Publish {
        /// The blob.
        blob: Arc<Blob>,
    },
    /// A blob is mounted.
    Mount {
        /// The blob.
        blob: Arc<Blob>,
    },
    /// A tag is deleted.
    DeleteTag {
        /// The tag.
        tag: Arc<str>,
    },
    /// A manifest is deleted by its digest, and with it the tags that point to it.
    DeleteManifest {
        /// Its digest.
        digest: DigestText,
        /// All tags that there may be.
        tags: Vec<Arc<str>>,
    },
    /// A blob is deleted.
    DeleteBlob {
        /// Its digest.
        digest: DigestText,
    },
    /// An upload is begun.
    BeginUpload,
    /// Bytes are added to an upload.
    Append {
        /// Where they begin, if the request says so.
        at: Option<usize>,
        /// How many there are.
        length: usize,
    },
    /// It is asked where an upload stands.
    UploadStatus,
    /// An upload is cancelled.
    CancelUpload,
    /// The tags of a repository are listed, those behind `last`, at most `n`.
    ListTags {
        /// All tags that there may be, in order.
        tags: Vec<Arc<str>>,
        /// Where the page begins.
        last: Option<Arc<str>>,
        /// Its size.
        n: Option<usize>,
    },
    /// The repositories are listed.
    ListRepositories {
        /// All repositories that there may be, in order.
        repositories: Vec<Arc<str>>,
    },
    /// The referrers of a manifest are listed.
    ListReferrers,
}

/// A request with its meaning.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The repository that it is about; empty for the list of repositories.
    pub repository: Arc<str>,
    /// What it means.
    pub meaning: Meaning,
    /// The request.
    pub request: Request,
}

impl Ask {
    fn new(repository: &Arc<str>, meaning: Meaning, method: Method, rest: &str) -> Self {
        let request = Request::new(method, format!("/v2/{repository}/{rest}"));
        Self { repository: Arc::clone(repository), meaning, request }
    }

    /// Pushes a manifest by a tag, if there is just one; otherwise by its digest, with tags as parameters.
    #[must_use]
    pub fn push_manifest(repository: &Arc<str>, manifest: &Arc<Manifest>, tags: &[Arc<str>]) -> Self {
        let path = match tags {
            [tag] => format!("manifests/{tag}"),
            tags => {
                let mut path = format!("manifests/{}", manifest.digest);
                for (position, tag) in tags.iter().enumerate() {
                    path = format!("{path}{}tag={tag}", if position == 0 { '?' } else { '&' });
                }
                path
            }
        };
        let meaning = Meaning::PushManifest { manifest: Arc::clone(manifest), tags: tags.to_vec() };
        let mut ask = Self::new(repository, meaning, Method::PUT, &path);
        ask.request = ask.request.with_header("content-type", manifest.media_type).with_body(manifest.content.clone());
        ask
    }

    /// Resolves a tag, with or without the manifest's bytes.
    #[must_use]
    pub fn read_tag(repository: &Arc<str>, tag: &Arc<str>, with_bytes: bool) -> Self {
        let method = if with_bytes { Method::GET } else { Method::HEAD };
        Self::new(repository, Meaning::ReadTag { tag: Arc::clone(tag) }, method, &format!("manifests/{tag}"))
    }

    /// Asks whether a manifest exists.
    #[must_use]
    pub fn head_manifest(repository: &Arc<str>, digest: &DigestText) -> Self {
        let meaning = Meaning::HeadManifest { digest: Arc::clone(digest) };
        Self::new(repository, meaning, Method::HEAD, &format!("manifests/{digest}"))
    }

    /// Reads a manifest by its digest.
    #[must_use]
    pub fn get_manifest(repository: &Arc<str>, manifest: &Arc<Manifest>) -> Self {
        let path = format!("manifests/{}", manifest.digest);
        Self::new(repository, Meaning::GetManifest { manifest: Arc::clone(manifest) }, Method::GET, &path)
    }

    /// Asks whether a blob exists.
    #[must_use]
    pub fn head_blob(repository: &Arc<str>, blob: &Arc<Blob>) -> Self {
        let path = format!("blobs/{}", blob.digest);
        Self::new(repository, Meaning::HeadBlob { blob: Arc::clone(blob) }, Method::HEAD, &path)
    }

    /// Reads a blob, or a part of it, which must not be empty.
    #[must_use]
    pub fn get_blob(repository: &Arc<str>, blob: &Arc<Blob>, range: Option<Range<usize>>) -> Self {
        let path = format!("blobs/{}", blob.digest);
        let header = range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let mut ask = Self::new(repository, Meaning::GetBlob { blob: Arc::clone(blob), range }, Method::GET, &path);
        if let Some(header) = header {
            ask.request = ask.request.with_header("range", header);
        }
        ask
    }

    /// Deletes a tag.
    #[must_use]
    pub fn delete_tag(repository: &Arc<str>, tag: &Arc<str>) -> Self {
        let meaning = Meaning::DeleteTag { tag: Arc::clone(tag) };
        Self::new(repository, meaning, Method::DELETE, &format!("manifests/{tag}"))
    }

    /// Deletes a manifest. `tags` are all that may point to it.
    #[must_use]
    pub fn delete_manifest(repository: &Arc<str>, digest: &DigestText, tags: &[Arc<str>]) -> Self {
        let meaning = Meaning::DeleteManifest { digest: Arc::clone(digest), tags: tags.to_vec() };
        Self::new(repository, meaning, Method::DELETE, &format!("manifests/{digest}"))
    }

    /// Deletes a blob.
    #[must_use]
    pub fn delete_blob(repository: &Arc<str>, digest: &DigestText) -> Self {
        let meaning = Meaning::DeleteBlob { digest: Arc::clone(digest) };
        Self::new(repository, meaning, Method::DELETE, &format!("blobs/{digest}"))
    }

    /// Mounts a blob from a repository, or from any.
    #[must_use]
    pub fn mount(repository: &Arc<str>, blob: &Arc<Blob>, from: Option<&str>) -> Self {
        let from = from.map_or_else(String::new, |from| format!("&from={}", from.replace('/', "%2F")));
        let path = format!("blobs/uploads/?mount={}{from}", blob.digest);
        Self::new(repository, Meaning::Mount { blob: Arc::clone(blob) }, Method::POST, &path)
    }

    /// Begins an upload; a SHA-512 may be announced.
    #[must_use]
    pub fn begin_upload(repository: &Arc<str>, announced: bool) -> Self {
        let path = if announced { "blobs/uploads/?digest-algorithm=sha512" } else { "blobs/uploads/" };
        Self::new(repository, Meaning::BeginUpload, Method::POST, path)
    }

    /// Pushes a blob with one request.
    #[must_use]
    pub fn push_at_once(repository: &Arc<str>, blob: &Arc<Blob>) -> Self {
        let path = format!("blobs/uploads/?digest={}", blob.digest);
        let mut ask = Self::new(repository, Meaning::Publish { blob: Arc::clone(blob) }, Method::POST, &path);
        ask.request =
            ask.request.with_header("content-type", "application/octet-stream").with_body(blob.content.clone());
        ask
    }

    /// A request to the `Location` of an upload.
    #[must_use]
    pub fn upload(repository: &Arc<str>, meaning: Meaning, method: Method, location: &str) -> Self {
        Self { repository: Arc::clone(repository), meaning, request: Request::new(method, location) }
    }

    /// Lists tags: those behind `last`, at most `n`. `tags` are all that there may be.
    #[must_use]
    pub fn list_tags(repository: &Arc<str>, tags: &[Arc<str>], last: Option<&Arc<str>>, n: Option<usize>) -> Self {
        let mut parameters = Vec::new();
        parameters.extend(n.map(|n| format!("n={n}")));
        parameters.extend(last.map(|last| format!("last={last}")));
        let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        let mut tags = tags.to_vec();
        tags.sort();
        let meaning = Meaning::ListTags { tags, last: last.cloned(), n };
        Self::new(repository, meaning, Method::GET, &format!("tags/list{query}"))
    }

    /// Lists repositories. `repositories` are all that there may be.
    #[must_use]
    pub fn list_repositories(repositories: &[Arc<str>]) -> Self {
        let mut repositories = repositories.to_vec();
        repositories.sort();
        Self {
            repository: "".into(),
            meaning: Meaning::ListRepositories { repositories },
            request: Request::new(Method::GET, "/v2/_catalog"),
        }
    }

    /// Lists what refers to a manifest.
    #[must_use]
    pub fn list_referrers(repository: &Arc<str>, subject: &DigestText) -> Self {
        Self::new(repository, Meaning::ListReferrers, Method::GET, &format!("referrers/{subject}"))
    }

    /// Whether a client that repeats it, although it was answered, does no harm to its own work.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        !matches!(self.meaning, Meaning::Append { at: None, .. } | Meaning::BeginUpload)
    }
}
