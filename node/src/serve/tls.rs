//! The registry's own certificate, from two PEM files that are read again when they change.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use raft::time::Clock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use storage::disk::Files;
use storage::exec::Exec;
use tracing::{info, warn};

/// Time between two looks at the files.
const POLL_INTERVAL: Duration = Duration::from_secs(3);

/// Why certificate files could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFilesError {
    /// A file cannot be read.
    #[error("{key} = {path:?} cannot be read")]
    Unreadable {
        /// Configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds nothing usable.
    #[error("{key} = {path:?} holds no usable {what}: PEM expected")]
    Malformed {
        /// Configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// Certificate and key do not work together.
    #[error("api.tls_certificate and api.tls_key cannot be used together")]
    Unusable(#[from] rustls::Error),
}

/// A certificate that follows its files.
pub struct CertificateFiles {
    files: Arc<dyn Files>,
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
}

struct Current {
    key: ArcSwap<CertifiedKey>,
}

impl fmt::Debug for Current {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Current")
    }
}

impl fmt::Debug for CertificateFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CertificateFiles").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

/// What the files held when they were read.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl CertificateFiles {
    /// Reads both files. Blocks.
    pub fn open(files: Arc<dyn Files>, certificate: PathBuf, key: PathBuf) -> Result<Self, CertificateFilesError> {
        let content = read(files.as_ref(), &certificate, &key)?;
        let certified = certified_key(&content, &certificate, &key)?;
        let current = Arc::new(Current { key: ArcSwap::from_pointee(certified) });
        Ok(Self { files, certificate, key, current })
    }

    /// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, always with the newest certificate.
    pub fn server_config(&self, clock: &Arc<dyn Clock>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let time = Arc::new(crate::identity::TlsClock::new(clock));
        let mut config = ServerConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Follows the files for ever. What cannot be used is reported once and the present certificate stays.
    pub async fn follow(self, exec: Exec) {
        let this = Arc::new(self);
        let mut seen = None;
        let mut complained = None;
        loop {
            let reader = Arc::clone(&this);
            match exec.run(move || read(reader.files.as_ref(), &reader.certificate, &reader.key)).await {
                Ok(content) if seen.as_ref() == Some(&content) => {}
                Ok(content) => {
                    match certified_key(&content, &this.certificate, &this.key) {
                        Ok(certified) => {
                            if seen.is_some() || *certified.cert != this.current.key.load().cert {
                                info!(path = %this.certificate.display(), "certificate read again");
                            }
                            this.current.key.store(Arc::new(certified));
                            complained = None;
                        }
                        Err(error) => complain(&mut complained, &error),
                    }
                    seen = Some(content);
                }
                Err(error) => complain(&mut complained, &error),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

fn complain(last: &mut Option<String>, error: &CertificateFilesError) {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error} {source}");
    if last.as_ref() != Some(&text) {
        warn!(%error, source, "certificate files cannot be used, the present certificate stays");
        *last = Some(text);
    }
}

fn read(files: &dyn Files, certificate: &PathBuf, key: &PathBuf) -> Result<Content, CertificateFilesError> {
    let read = |key: &'static str, path: &PathBuf| {
        files.read(path).map_err(|source| CertificateFilesError::Unreadable { key, path: path.clone(), source })
    };
    Ok(Content { certificate: read("api.tls_certificate", certificate)?, key: read("api.tls_key", key)? })
}

fn certified_key(
    content: &Content,
    certificate: &PathBuf,
    key: &PathBuf,
) -> Result<CertifiedKey, CertificateFilesError> {
    let malformed = |key: &'static str, path: &PathBuf, what: &'static str| CertificateFilesError::Malformed {
        key,
        path: path.clone(),
        what,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&content.certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| malformed("api.tls_certificate", certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(malformed("api.tls_certificate", certificate, "certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&content.key).map_err(|_| malformed("api.tls_key", key, "key"))?;
    Ok(CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())?)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use storage::disk::RealFiles;

    use super::*;

    fn write(directory: &tempfile::TempDir) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        RealFiles.replace(&directory.path().join("a.crt"), certificate.pem().as_bytes()).unwrap();
        RealFiles.replace(&directory.path().join("a.key"), key.serialize_pem().as_bytes()).unwrap();
        certificate.der().clone()
    }

    fn open(directory: &tempfile::TempDir) -> Result<CertificateFiles, CertificateFilesError> {
        let (certificate, key) = (directory.path().join("a.crt"), directory.path().join("a.key"));
        CertificateFiles::open(Arc::new(RealFiles), certificate, key)
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let first = write(&directory);
        let files = open(&directory).unwrap();
        let current = Arc::clone(&files.current);
        let shown = || current.key.load().cert[0].clone();
        let following = tokio::spawn(files.follow(Exec::inline()));
        tokio::time::sleep(2 * POLL_INTERVAL).await;
        assert_eq!(shown(), first);

        let second = write(&directory);
        tokio::time::sleep(2 * POLL_INTERVAL).await;
        assert_eq!(shown(), second);

        RealFiles.replace(&directory.path().join("a.crt"), b"nonsense").unwrap();
        tokio::time::sleep(2 * POLL_INTERVAL).await;
        assert_eq!(shown(), second);

        RealFiles.remove(&directory.path().join("a.key")).unwrap();
        tokio::time::sleep(2 * POLL_INTERVAL).await;
        assert_eq!(shown(), second);

        let third = write(&directory);
        tokio::time::sleep(2 * POLL_INTERVAL).await;
        assert_eq!(shown(), third);
        following.abort();
    }

    #[test]
    fn unusable_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(open(&directory), Err(CertificateFilesError::Unreadable { key: "api.tls_certificate", .. })));
        write(&directory);
        let foreign = KeyPair::generate().unwrap().serialize_pem();
        RealFiles.replace(&directory.path().join("a.key"), foreign.as_bytes()).unwrap();
        assert!(matches!(open(&directory), Err(CertificateFilesError::Unusable(_))));
    }
}
