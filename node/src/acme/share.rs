//! The directory's certificates, in use on this node: unwrapped, and handed to the listener whenever they change.

use std::sync::Arc;
use std::time::Duration;

use raft::directory::{CertificateRecord, StateError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::Acme;
use super::error::chain;
use super::keys::Keys;
use super::wanted::wanted_domains;
use crate::serve::CertificatePair;

/// Rest between two looks at the directory.
const REST: Duration = Duration::from_millis(200);
/// Time after which it is looked at without a change: metrics are to be true.
const REREAD_AFTER: Duration = Duration::from_mins(1);

/// Certificates for the listener.
pub(crate) type Issued = watch::Sender<Arc<Vec<CertificatePair>>>;

/// What was read at a moment.
struct Read {
    version: u64,
    records: Vec<(String, CertificateRecord)>,
    wanted: std::collections::BTreeSet<String>,
    /// Those that can be used, the first of the settings first: it is what clients see who name no domain.
    pairs: Vec<CertificatePair>,
    missing: Vec<String>,
}

impl Acme {
    /// Follows the directory, for ever.
    pub(crate) async fn share(self, issued: Issued) {
        let mut changes = self.directory.changes();
        let (mut shown, mut missing) = (None, Vec::new());
        let mut looked: Option<Instant> = None;
        loop {
            changes.mark_unchanged();
            let stale = looked.is_none_or(|looked| looked.elapsed() >= REREAD_AFTER);
            match self.read(shown, stale).await {
                Ok(None) => {}
                Ok(Some(read)) => {
                    looked = Some(Instant::now());
                    self.metrics.show(&read.records, &read.wanted);
                    if missing != read.missing && !read.missing.is_empty() {
                        info!(
                            domains = read.missing.join(", "),
                            authority = self.options.directory,
                            "no certificate yet: TLS handshakes for these domains fail until the authority has issued one"
                        );
                    }
                    missing = read.missing;
                    if shown != Some(read.version) {
                        if shown.is_some() || !read.pairs.is_empty() {
                            info!(certificates = read.pairs.len(), "certificates of the authority in use");
                        }
                        shown = Some(read.version);
                        issued.send_replace(Arc::new(read.pairs));
                    }
                }
                Err(error) => {
                    warn!(%error, "the certificates of the directory cannot be read, those of before are used");
                }
            }
            sleep(REST).await;
            if let Ok(Err(_closed)) = timeout(REREAD_AFTER, changes.changed()).await {
                // The replica has stopped: the process is about to end.
                sleep(REREAD_AFTER).await;
            }
        }
    }

    /// Reads everything, if something has changed since `shown`, or the last look was long ago. Only a change has keys
    /// opened.
    async fn read(&self, shown: Option<u64>, stale: bool) -> Result<Option<Read>, StateError> {
        let (view, options, keys) = (self.directory.view(), self.options.clone(), self.keys.clone());
        let read = move || {
            // First: what changes in between is read once more.
            let version = view.certificate_version()?;
            if shown == Some(version) && !stale {
                return Ok(None);
            }
            let (mut records, wanted) = (view.certificates()?, wanted_domains(&options, &view)?);
            let place = |domain: &String| options.domains.iter().position(|other| other == domain);
            records.sort_by_key(|(domain, _)| place(domain).unwrap_or(usize::MAX));
            let has =
                |domain: &&String| records.iter().any(|(other, record)| other == *domain && record.issued.is_some());
            let missing = wanted.iter().filter(|domain| !has(domain)).cloned().collect();
            let pairs = if shown == Some(version) { Vec::new() } else { pairs(&keys, &records) };
            Ok(Some(Read { version, records, wanted, pairs, missing }))
        };
        self.environment.exec.run(read).await
    }
}

/// Those that can be opened.
fn pairs(keys: &Keys, records: &[(String, CertificateRecord)]) -> Vec<CertificatePair> {
    let issued = records.iter().filter_map(|(domain, record)| Some((domain, record.issued.as_ref()?)));
    let opened = issued.filter_map(|(domain, issued)| {
        let key = keys.domain(domain, &issued.wrapped_key).map_err(|error| chain(&error));
        let pair = key.and_then(|key| CertificatePair::new(&issued.chain, &key).map_err(|error| chain(&error)));
        pair.inspect_err(|error| warn!(domain, error, "a certificate of the directory cannot be used")).ok()
    });
    opened.collect()
}
