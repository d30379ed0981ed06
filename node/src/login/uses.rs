//! When keys and secrets were last used: noted in memory and told to the directory once a minute.
//!
//! Never a write per login: a secret is noted once an hour at most. What is noted is bounded; beyond that, and in a crash, up
//! to a minute of uses is lost, which makes a secret look unused for that much longer and no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft::directory::{Command, SECRET_USES_MAX, SecretRecord, Subject};
use raft::id::RequestId;
use raft::time::Timestamp;
use tokio::time::sleep;
use tracing::debug;

use crate::deletion::DirectoryRecords;
use crate::environment::Entropy;

/// Time between two writes.
const FLUSH_INTERVAL: Duration = Duration::from_mins(1);
/// Uses of one secret within this time are one.
const COALESCED_MILLISECONDS: u64 = 3600 * 1000;
/// Secrets that are remembered. More are noted when there is room again.
const NOTED_MAX: usize = 64 << 10;

type Used = (Subject, [u8; 8]);

#[derive(Clone, Copy, Debug)]
struct Use {
    at: Timestamp,
    told: bool,
}

/// The uses. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Uses {
    directory: Arc<dyn DirectoryRecords>,
    entropy: Arc<dyn Entropy>,
    noted: Arc<Mutex<BTreeMap<Used, Use>>>,
}

impl Uses {
    pub(super) fn new(directory: Arc<dyn DirectoryRecords>, entropy: Arc<dyn Entropy>) -> Self {
        Self { directory, entropy, noted: Arc::default() }
    }

    /// A secret was used. `record`: as the directory had it a while ago.
    pub(super) fn note(&self, subject: impl FnOnce() -> Subject, record: &SecretRecord, now: Timestamp) {
        let is_late = |last: Timestamp| now.0.saturating_sub(last.0) < COALESCED_MILLISECONDS;
        if record.last_used.is_some_and(is_late) {
            return;
        }
        let used = (subject(), record.id);
        let mut noted = self.noted();
        if noted.get(&used).is_some_and(|last| is_late(last.at)) {
            return;
        }
        if noted.len() < NOTED_MAX || noted.contains_key(&used) {
            noted.insert(used, Use { at: now, told: false });
        }
    }

    /// Tells the directory now and then, for ever.
    pub(super) async fn keep(self) {
        loop {
            sleep(FLUSH_INTERVAL).await;
            self.flush().await;
        }
    }

    async fn flush(&self) {
        loop {
            let untold: Vec<(Used, Use)> = {
                let noted = self.noted();
                let untold = noted.iter().filter(|(_, last)| !last.told);
                untold.take(SECRET_USES_MAX).map(|(used, last)| (used.clone(), *last)).collect()
            };
            let Some(newest) = untold.iter().map(|(_, last)| last.at).max() else { return };
            let uses = untold.iter().map(|((subject, id), last)| (subject.clone(), *id, last.at)).collect();
            let request = RequestId(self.entropy.id());
            if let Err(error) = self.directory.propose(request, Command::NoteSecretUses { uses }).await {
                debug!(%error, "the directory was not told which secrets were used, it is told later");
                return;
            }
            let mut noted = self.noted();
            for (used, last) in untold {
                if let Some(known) = noted.get_mut(&used).filter(|known| known.at == last.at) {
                    known.told = true;
                }
            }
            noted.retain(|_, last| !last.told || newest.0.saturating_sub(last.at.0) < COALESCED_MILLISECONDS);
        }
    }

    fn noted(&self) -> MutexGuard<'_, BTreeMap<Used, Use>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
