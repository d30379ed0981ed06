//! Which endpoint a request speaks to: the path of the URL, taken apart from its end.
//!
//! A repository's name may hold slashes and the words that endpoints are called by (`a/blobs/uploads` is a name), so
//! the endpoint is found from the right. A path is percent-decoded once, as a whole, before it is taken apart, as
//! every present registry does; what comes out must match the grammar of names, so that nothing can climb out of it.

use std::borrow::Cow;

use raft::catalog::{Digest, InvalidName, RepositoryName, SessionId, Tag};

use crate::registry::Reference;
use crate::tenant::Tenant;

/// An endpoint and what it is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<session>`
    Upload(RepositoryName, SessionId),
    /// `/v2/_regnode/history/<name>/<tag>`
    History(RepositoryName, Tag),
    /// `/v2/_regnode/usage/<prefix>`, without a prefix for the root
    Usage(String),
}

/// A path that is no endpoint, or one about something that cannot exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RouteError {
    /// Nothing is served there.
    #[error("there is no such endpoint")]
    NotFound,
    /// The percent-encoding is broken, or does not stand for text.
    #[error("the path is not valid percent-encoded UTF-8")]
    Encoding,
    /// The repository's name is malformed.
    #[error(transparent)]
    Name(InvalidName),
    /// The digest is malformed, or of an algorithm that is not known.
    #[error(transparent)]
    Digest(InvalidName),
    /// The tag is malformed.
    #[error(transparent)]
    Tag(InvalidName),
    /// The upload session is not one of ours.
    #[error(transparent)]
    Session(InvalidName),
    /// The repository's name is too long behind the namespace of a tenant.
    #[error(
        "the repository's name has {0} characters with the namespace of this domain in front of it: 255 are the most"
    )]
    Long(usize),
}

/// The kind of an endpoint, for metrics and logs. The names are distribution's, but for those of our own endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The ping.
    Base,
    /// The list of repositories.
    Catalog,
    /// The list of tags.
    Tags,
    /// Manifests.
    Manifest,
    /// Referrers.
    Referrers,
    /// Blobs.
    Blob,
    /// The beginning of uploads.
    BlobUpload,
    /// Upload sessions.
    BlobUploadChunk,
    /// Histories of tags.
    History,
    /// What namespaces hold.
    Usage,
    /// No endpoint.
    Unknown,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Base,
        Self::Catalog,
        Self::Tags,
        Self::Manifest,
        Self::Referrers,
        Self::Blob,
        Self::BlobUpload,
        Self::BlobUploadChunk,
        Self::History,
        Self::Usage,
        Self::Unknown,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Referrers => "referrers",
            Self::Blob => "blob",
            Self::BlobUpload => "blob_upload",
            Self::BlobUploadChunk => "blob_upload_chunk",
            Self::History => "history",
            Self::Usage => "usage",
            Self::Unknown => "unknown",
        }
    }
}

impl Route {
    /// Takes a path apart. The second part is what belongs to the query: some clients append `&digest=…` to an upload
    /// location that has no query.
    pub(super) fn parse(path: &str) -> Result<(Self, Option<String>), RouteError> {
        let path = decode(path)?;
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok((Self::Ping, None)),
            Some(rest) => rest.strip_prefix('/').ok_or(RouteError::NotFound)?,
            None => return Err(RouteError::NotFound),
        };
        if rest == "_catalog" {
            return Ok((Self::Catalog, None));
        }
        if let Some(own) = rest.strip_prefix("_regnode/") {
            return Ok((own_endpoint(own)?, None));
        }
        let (head, last) = rest.rsplit_once('/').ok_or(RouteError::NotFound)?;
        let (name, word) = head.rsplit_once('/').unwrap_or(("", head));
        match (word, last) {
            ("tags", "list") => Ok((Self::Tags(repository(name)?), None)),
            ("manifests", reference) => Ok((Self::Manifest(repository(name)?, parse_reference(reference)?), None)),
            ("referrers", digest) => Ok((Self::Referrers(repository(name)?, parse_digest(digest)?), None)),
            ("blobs", "uploads") => Ok((Self::Uploads(repository(name)?), None)),
            ("blobs", digest) => Ok((Self::Blob(repository(name)?, parse_digest(digest)?), None)),
            ("uploads", session) => {
                let name = name.strip_suffix("/blobs").ok_or(RouteError::NotFound)?;
                let name = repository(name)?;
                if session.is_empty() {
                    return Ok((Self::Uploads(name), None));
                }
                let (session, query) =
                    session.split_once('&').map_or((session, None), |(s, q)| (s, Some(q.to_owned())));
                Ok((Self::Upload(name, session.parse().map_err(RouteError::Session)?), query))
            }
            _ => Err(RouteError::NotFound),
        }
    }

    /// The same in full names, if those in it are a tenant's.
    pub(super) fn within(self, tenant: &Tenant) -> Result<Self, RouteError> {
        let whole = |own: &str| {
            let full = tenant.full(own);
            // It is made of valid components.
            full.parse::<RepositoryName>().map_err(|_too_long| RouteError::Long(full.len()))
        };
        let full = |name: RepositoryName| whole(name.as_str());
        Ok(match self {
            Self::Ping | Self::Catalog => self,
            Self::Tags(name) => Self::Tags(full(name)?),
            Self::Manifest(name, reference) => Self::Manifest(full(name)?, reference),
            Self::Referrers(name, digest) => Self::Referrers(full(name)?, digest),
            Self::Blob(name, digest) => Self::Blob(full(name)?, digest),
            Self::Uploads(name) => Self::Uploads(full(name)?),
            Self::Upload(name, session) => Self::Upload(full(name)?, session),
            Self::History(name, tag) => Self::History(full(name)?, tag),
            Self::Usage(prefix) => Self::Usage(whole(&prefix)?.into()),
        })
    }

    /// The path that leads here.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Ping => "/v2/".to_owned(),
            Self::Catalog => "/v2/_catalog".to_owned(),
            Self::Tags(name) => format!("/v2/{name}/tags/list"),
            Self::Manifest(name, reference) => format!("/v2/{name}/manifests/{reference}"),
            Self::Referrers(name, digest) => format!("/v2/{name}/referrers/{digest}"),
            Self::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
            Self::Uploads(name) => format!("/v2/{name}/blobs/uploads/"),
            Self::Upload(name, session) => format!("/v2/{name}/blobs/uploads/{session}"),
            Self::History(name, tag) => format!("/v2/_regnode/history/{name}/{tag}"),
            Self::Usage(prefix) => format!("/v2/_regnode/usage/{prefix}"),
        }
    }

    /// Its kind.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Ping => Kind::Base,
            Self::Catalog => Kind::Catalog,
            Self::Tags(_) => Kind::Tags,
            Self::Manifest(..) => Kind::Manifest,
            Self::Referrers(..) => Kind::Referrers,
            Self::Blob(..) => Kind::Blob,
            Self::Uploads(_) => Kind::BlobUpload,
            Self::Upload(..) => Kind::BlobUploadChunk,
            Self::History(..) => Kind::History,
            Self::Usage(_) => Kind::Usage,
        }
    }

    /// Methods that it takes, for `Allow`.
    pub(super) const fn allowed(&self) -> &'static str {
        match self {
            Self::Ping | Self::Catalog | Self::Tags(_) | Self::Referrers(..) | Self::History(..) | Self::Usage(_) => {
                "GET, HEAD"
            }
            Self::Manifest(..) => "GET, HEAD, PUT, DELETE",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
        }
    }

    /// Its repository, if it has one.
    pub(super) const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Ping | Self::Catalog | Self::Usage(_) => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Referrers(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::History(name, _) => Some(name),
        }
    }

    /// What within the repository it is about, for logs.
    pub(super) fn target(&self) -> String {
        match self {
            Self::Ping | Self::Catalog | Self::Tags(_) | Self::Uploads(_) => String::new(),
            Self::Manifest(_, reference) => reference.to_string(),
            Self::Referrers(_, digest) | Self::Blob(_, digest) => digest.to_string(),
            Self::Upload(_, session) => session.to_string(),
            Self::History(_, tag) => tag.to_string(),
            Self::Usage(prefix) => prefix.clone(),
        }
    }
}

/// An endpoint of our own, below `/v2/_regnode/`: no repository's name begins with `_`.
fn own_endpoint(path: &str) -> Result<Route, RouteError> {
    let (word, rest) = path.split_once('/').unwrap_or((path, ""));
    match word {
        "history" => {
            let (name, tag) = rest.rsplit_once('/').ok_or(RouteError::NotFound)?;
            Ok(Route::History(repository(name)?, tag.parse().map_err(RouteError::Tag)?))
        }
        "usage" if rest.is_empty() => Ok(Route::Usage(String::new())),
        "usage" => Ok(Route::Usage(repository(rest)?.into())),
        _ => Err(RouteError::NotFound),
    }
}

fn repository(name: &str) -> Result<RepositoryName, RouteError> {
    name.parse().map_err(RouteError::Name)
}

fn parse_digest(text: &str) -> Result<Digest, RouteError> {
    text.parse().map_err(RouteError::Digest)
}

/// No tag holds a colon and every digest does.
fn parse_reference(text: &str) -> Result<Reference, RouteError> {
    if text.contains(':') {
        parse_digest(text).map(Reference::Digest)
    } else {
        text.parse().map(Reference::Tag).map_err(RouteError::Tag)
    }
}

/// Percent-decodes text.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, RouteError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                return Err(RouteError::Encoding);
            };
            decoded.push(u8::try_from(high * 16 + low).map_err(|_| RouteError::Encoding)?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| RouteError::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(path: &str) -> Result<Route, RouteError> {
        Route::parse(path).map(|(route, _)| route)
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    fn digest() -> Digest {
        format!("sha256:{HEX}").parse().unwrap()
    }

    #[test]
    fn every_endpoint_is_found() {
        let session = SessionId([7; 16]);
        let cases = [
            ("/v2".to_owned(), Route::Ping),
            ("/v2/".to_owned(), Route::Ping),
            ("/v2/_catalog".to_owned(), Route::Catalog),
            ("/v2/a/b/c/tags/list".to_owned(), Route::Tags(name("a/b/c"))),
            ("/v2/a/manifests/v1.0".to_owned(), Route::Manifest(name("a"), Reference::Tag("v1.0".parse().unwrap()))),
            (format!("/v2/a/manifests/sha256:{HEX}"), Route::Manifest(name("a"), Reference::Digest(digest()))),
            (format!("/v2/a/manifests/sha256%3a{HEX}"), Route::Manifest(name("a"), Reference::Digest(digest()))),
            (format!("/v2/a%2Fb/blobs/sha256:{HEX}"), Route::Blob(name("a/b"), digest())),
            (format!("/v2/a/referrers/sha256:{HEX}"), Route::Referrers(name("a"), digest())),
            ("/v2/a/b/blobs/uploads".to_owned(), Route::Uploads(name("a/b"))),
            ("/v2/a/b/blobs/uploads/".to_owned(), Route::Uploads(name("a/b"))),
            (format!("/v2/a/b/blobs/uploads/{session}"), Route::Upload(name("a/b"), session)),
            ("/v2/_regnode/history/a/b/v1".to_owned(), Route::History(name("a/b"), "v1".parse().unwrap())),
            ("/v2/_regnode/history/tags/list".to_owned(), Route::History(name("tags"), "list".parse().unwrap())),
            ("/v2/_regnode/usage".to_owned(), Route::Usage(String::new())),
            ("/v2/_regnode/usage/".to_owned(), Route::Usage(String::new())),
            ("/v2/_regnode/usage/tags/list".to_owned(), Route::Usage("tags/list".to_owned())),
        ];
        for (path, route) in cases {
            assert_eq!(parse(&path), Ok(route), "{path}");
        }
    }

    #[test]
    fn names_may_hold_the_words_of_endpoints() {
        assert_eq!(parse("/v2/blobs/uploads/tags/list"), Ok(Route::Tags(name("blobs/uploads"))));
        assert_eq!(parse("/v2/a/blobs/uploads/blobs/uploads/"), Ok(Route::Uploads(name("a/blobs/uploads"))));
        let tag = Reference::Tag("list".parse().unwrap());
        assert_eq!(parse("/v2/tags/manifests/list"), Ok(Route::Manifest(name("tags"), tag)));
        assert_eq!(parse("/v2/manifests/tags/list"), Ok(Route::Tags(name("manifests"))));
    }

    #[test]
    fn what_follows_an_ampersand_is_query() {
        let session = SessionId([7; 16]);
        let (route, query) = Route::parse(&format!("/v2/a/blobs/uploads/{session}&digest=sha256:{HEX}")).unwrap();
        assert_eq!(route, Route::Upload(name("a"), session));
        assert_eq!(query, Some(format!("digest=sha256:{HEX}")));
    }

    #[test]
    fn what_is_malformed_is_named() {
        let is = |path: &str, matches: fn(&RouteError) -> bool| {
            let error = parse(path).unwrap_err();
            assert!(matches(&error), "{path}: {error:?}");
        };
        for path in ["", "/", "/v1/", "/v2x", "/v2/a", "/v2/a/b", "/v2/a/tags", "/v2/a/tags/lists", "/v2/a/uploads/x"] {
            is(path, |error| *error == RouteError::NotFound);
        }
        for path in
            ["/v2/_regnode", "/v2/_regnode/", "/v2/_regnode/history", "/v2/_regnode/history/v1", "/v2/_regnode/x/y"]
        {
            is(path, |error| *error == RouteError::NotFound);
        }
        for path in
            ["/v2/_regnode/history/A/v1", "/v2/_regnode/history//v1", "/v2/_regnode/usage/a/", "/v2/_x/tags/list"]
        {
            is(path, |error| matches!(error, RouteError::Name(_)));
        }
        is("/v2/_regnode/history/a/.x", |error| matches!(error, RouteError::Tag(_)));
        for path in ["/v2/tags/list", "/v2/A/tags/list", "/v2//a/tags/list", "/v2/a//tags/list", "/v2/../tags/list"] {
            is(path, |error| matches!(error, RouteError::Name(_)));
        }
        for path in ["/v2/a%2f..%2fb/manifests/x", "/v2/a%252fb/manifests/x", "/v2/manifests/x"] {
            is(path, |error| matches!(error, RouteError::Name(_)));
        }
        for path in ["/v2/a/blobs/x", "/v2/a/manifests/sha256:abc", "/v2/a/referrers/md5:00", "/v2/a/blobs/"] {
            is(path, |error| matches!(error, RouteError::Digest(_)));
        }
        for path in ["/v2/a/manifests/", "/v2/a/manifests/.x", "/v2/a/manifests/%20"] {
            is(path, |error| matches!(error, RouteError::Tag(_)));
        }
        for path in ["/v2/a/tags/list%", "/v2/a%zz/tags/list", "/v2/%ff/tags/list", "/v2/a%+1/tags/list"] {
            is(path, |error| *error == RouteError::Encoding);
        }
        is("/v2/a/blobs/uploads/x", |error| matches!(error, RouteError::Session(_)));
    }

    proptest! {
        #[test]
        fn arbitrary_paths_never_panic(path in ".{0,200}", tail in "[a-z0-9/%:.&]{0,80}") {
            let _ = Route::parse(&path);
            let _ = Route::parse(&format!("/v2/{tail}"));
        }
    }
}
