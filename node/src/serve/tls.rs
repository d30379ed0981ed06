//! TLS for clients from PEM files that are read again when they change.
//!
//! What cannot be used is said once, and what was there before stays. A change concerns new connections only.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use raft::time::Clock;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use storage::disk::Files;
use storage::exec::Exec;
use tokio::sync::watch;
use tracing::{info, warn};

use super::certificates::{Certificates, Pair, PairError};

/// Time between two looks at the files.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(3);

/// Most pairs of a directory that are used.
const PAIRS_MAX: usize = 4096;

/// The configuration for new connections, always the newest.
pub type TlsConfig = Arc<ArcSwap<ServerConfig>>;

/// Why certificate files could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFilesError {
    /// A file or directory cannot be read.
    #[error("{key} = {path:?} cannot be read")]
    Unreadable {
        /// Configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate and its key cannot be used.
    #[error("{key} = {path:?} cannot be used with its key")]
    Unusable {
        /// Configuration key that names it.
        key: &'static str,
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        source: PairError,
    },
    /// There is no certificate at all.
    #[error(
        "api.tls_directory = {0:?} holds no usable pair NAME.crt and NAME.key, and there is no api.tls_certificate"
    )]
    None(PathBuf),
    /// The authorities for clients' certificates cannot be used.
    #[error("api.client_ca = {0:?} holds no usable certificate: PEM expected")]
    Authorities(PathBuf),
    /// TLS cannot be set up.
    #[error("TLS for clients cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct CertificatePaths {
    /// The default certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Directory of pairs `NAME.crt` and `NAME.key`.
    pub directory: Option<PathBuf>,
    /// Authorities of clients' certificates.
    pub client_ca: Option<PathBuf>,
}

/// The files of the registry's TLS, and what was made of them.
pub struct CertificateFiles {
    files: Arc<dyn Files>,
    paths: CertificatePaths,
    clock: Arc<dyn Clock>,
    /// Certificates that come from elsewhere while the node runs; `None` where there are only files.
    issued: Option<watch::Receiver<Arc<Vec<Pair>>>>,
    /// What was read last and could be used.
    state: State,
    config: TlsConfig,
}

impl fmt::Debug for CertificateFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CertificateFiles").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// Bytes of a certificate's and its key's file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

#[derive(Clone, Default)]
struct State {
    /// By the certificate's file; the default one apart, since it goes first.
    main: Option<Kept>,
    others: BTreeMap<PathBuf, Kept>,
    authorities: Option<(Vec<u8>, Arc<RootCertStore>)>,
    /// What could not be used when it was looked at last, and was said.
    complaints: BTreeMap<PathBuf, String>,
    /// Whether others may come from elsewhere: then there may be no file.
    has_others: bool,
}

impl State {
    fn new(has_others: bool) -> Self {
        Self { has_others, ..Self::default() }
    }
}

#[derive(Clone)]
struct Kept {
    content: Content,
    pair: Pair,
}

/// A look at all files: what changed in them, with its complaints.
struct Look {
    state: State,
    /// Whether a new configuration is needed.
    changed: bool,
    /// What went wrong first.
    error: Option<CertificateFilesError>,
}

impl CertificateFiles {
    /// Reads all files. Blocks. With `issued`, others may come while the node runs: those of the files go before them where
    /// both are for the same domain, and there may be none at first.
    ///
    /// # Errors
    /// The default certificate, or the authorities, cannot be used; or there is no usable certificate. A pair of the
    /// directory that cannot be used is left out and said in the log.
    pub fn open(
        files: Arc<dyn Files>,
        paths: CertificatePaths,
        clock: Arc<dyn Clock>,
        issued: Option<watch::Receiver<Arc<Vec<Pair>>>>,
    ) -> Result<Self, CertificateFilesError> {
        let look = look(files.as_ref(), &paths, State::new(issued.is_some()));
        if let Some(error) = look.error {
            return Err(error);
        }
        let config = Arc::new(ArcSwap::new(server_config(&look.state, &others(issued.as_ref()), &paths, &clock)?));
        Ok(Self { files, paths, clock, issued, state: look.state, config })
    }

    /// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, always with the newest certificates.
    #[must_use]
    pub fn config(&self) -> TlsConfig {
        Arc::clone(&self.config)
    }

    /// Follows the files for ever.
    pub async fn follow(mut self, exec: Exec) {
        loop {
            let changed = tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => false,
                () = changed(self.issued.as_mut()) => true,
            };
            let (files, paths, state) = (Arc::clone(&self.files), self.paths.clone(), self.state.clone());
            let look = exec.run(move || look(files.as_ref(), &paths, state)).await;
            if look.changed || changed {
                match server_config(&look.state, &others(self.issued.as_ref()), &self.paths, &self.clock) {
                    Ok(config) => self.config.store(config),
                    Err(error) => warn!(%error, "the present certificates stay"),
                }
            }
            self.state = look.state;
        }
    }
}

/// Those that have come from elsewhere.
fn others(issued: Option<&watch::Receiver<Arc<Vec<Pair>>>>) -> Arc<Vec<Pair>> {
    issued.map(|issued| Arc::clone(&issued.borrow())).unwrap_or_default()
}

/// Waits until others come.
async fn changed(issued: Option<&mut watch::Receiver<Arc<Vec<Pair>>>>) {
    if let Some(issued) = issued
        && issued.changed().await.is_ok()
    {
        return;
    }
    // None will come any more.
    std::future::pending::<()>().await;
}

/// Looks at all files and takes over what changed and can be used.
fn look(files: &dyn Files, paths: &CertificatePaths, before: State) -> Look {
    let mut look = Look { state: before, changed: false, error: None };
    if let Some((certificate, key)) = &paths.certificate {
        let kept = look.state.main.take();
        let (kept, failed) = look.pair(files, "api.tls_certificate", certificate, ("api.tls_key", key), kept);
        look.state.main = kept;
        look.error = failed;
    }
    if let Some(directory) = &paths.directory {
        look.directory(files, directory);
    }
    if let Some(path) = &paths.client_ca
        && let Err(error) = look.authorities(files, path)
    {
        look.complain(path, &error);
        look.error = look.error.take().or(Some(error));
    }
    look
}

impl Look {
    /// Reads one pair again: what is to be kept of it, and what is wrong with it now.
    fn pair(
        &mut self,
        files: &dyn Files,
        name: &'static str,
        certificate: &Path,
        (key_name, key): (&'static str, &Path),
        kept: Option<Kept>,
    ) -> (Option<Kept>, Option<CertificateFilesError>) {
        let read = |name: &'static str, path: &Path| {
            let unreadable = |source| CertificateFilesError::Unreadable { key: name, path: path.to_owned(), source };
            files.read(path).map_err(unreadable)
        };
        let content =
            read(name, certificate).and_then(|bytes| Ok(Content { certificate: bytes, key: read(key_name, key)? }));
        let fresh = match content {
            Ok(content) => {
                if let Some(kept) = kept.as_ref().filter(|kept| kept.content == content) {
                    self.state.complaints.remove(certificate);
                    return (Some(kept.clone()), None);
                }
                let unusable =
                    |source| CertificateFilesError::Unusable { key: name, path: certificate.to_owned(), source };
                Pair::read(&content.certificate, &content.key).map_err(unusable).map(|pair| Kept { content, pair })
            }
            Err(error) => Err(error),
        };
        match fresh {
            Ok(fresh) => {
                info!(path = %certificate.display(), "certificate read");
                self.state.complaints.remove(certificate);
                self.changed = true;
                (Some(fresh), None)
            }
            Err(error) => {
                self.complain(certificate, &error);
                (kept, Some(error))
            }
        }
    }

    /// Reads the pairs of the directory again.
    fn directory(&mut self, files: &dyn Files, directory: &Path) {
        let entries = match files.list(directory) {
            Ok(entries) => entries,
            Err(source) => {
                let (key, path) = ("api.tls_directory", directory.to_owned());
                let error = CertificateFilesError::Unreadable { key, path, source };
                self.complain(directory, &error);
                self.error = self.error.take().or(Some(error));
                return;
            }
        };
        self.state.complaints.remove(directory);
        let mut before = std::mem::take(&mut self.state.others);
        let names = entries.iter().filter(|entry| !entry.is_directory);
        for name in names.filter_map(|entry| entry.name.strip_suffix(".crt")).take(PAIRS_MAX) {
            let (certificate, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
            let of = "api.tls_directory";
            if let (Some(kept), _) = self.pair(files, of, &certificate, (of, &key), before.remove(&certificate)) {
                self.state.others.insert(certificate, kept);
            }
        }
        if self.state.main.is_none() && self.state.others.is_empty() && !self.state.has_others {
            // Nobody could be served at all.
            let error = CertificateFilesError::None(directory.to_owned());
            self.complain(directory, &error);
            self.state.others = before;
            self.error = self.error.take().or(Some(error));
            return;
        }
        for path in before.into_keys() {
            info!(path = %path.display(), "certificate is gone");
            self.state.complaints.remove(&path);
            self.changed = true;
        }
    }

    /// Reads the authorities again.
    fn authorities(&mut self, files: &dyn Files, path: &Path) -> Result<(), CertificateFilesError> {
        let unreadable =
            |source| CertificateFilesError::Unreadable { key: "api.client_ca", path: path.to_owned(), source };
        let bytes = files.read(path).map_err(unreadable)?;
        if self.state.authorities.as_ref().is_none_or(|(before, _)| *before != bytes) {
            let unusable = || CertificateFilesError::Authorities(path.to_owned());
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&bytes) {
                let certificate = certificate.map_err(|_malformed| unusable())?;
                roots.add(certificate).map_err(|_malformed| unusable())?;
            }
            if roots.is_empty() {
                return Err(unusable());
            }
            info!(path = %path.display(), authorities = roots.len(), "authorities of clients' certificates read");
            self.state.authorities = Some((bytes, Arc::new(roots)));
            self.changed = true;
        }
        self.state.complaints.remove(path);
        Ok(())
    }

    /// Says once what is wrong.
    fn complain(&mut self, path: &Path, error: &CertificateFilesError) {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let text = format!("{error} {source}");
        if self.state.complaints.get(path) != Some(&text) {
            warn!(%error, source, "certificate files cannot be used, what was there before stays");
            self.state.complaints.insert(path.to_owned(), text);
        }
    }
}

fn server_config(
    state: &State,
    issued: &[Pair],
    paths: &CertificatePaths,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, CertificateFilesError> {
    if state.main.is_none() && state.others.is_empty() && !state.has_others {
        return Err(CertificateFilesError::None(paths.directory.clone().unwrap_or_default()));
    }
    let pairs = state.main.iter().chain(state.others.values()).map(|kept| &kept.pair);
    let certificates = Certificates::new(pairs.chain(issued));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let time = Arc::new(crate::identity::TlsClock::new(clock));
    let builder =
        ServerConfig::builder_with_details(Arc::clone(&provider), time).with_safe_default_protocol_versions()?;
    let mut config = match &state.authorities {
        None => builder.with_no_client_auth(),
        Some((_, roots)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
            let verifier = verifier
                .allow_unauthenticated()
                .build()
                .map_err(|error: VerifierBuilderError| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    }
    .with_cert_resolver(Arc::new(certificates));
    if state.authorities.is_some() {
        // A session that is taken up again is not verified again: a certificate would outlive its end.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
