//! When the databases are rewritten: as long as that helps. A file that stays as it is must not have everything else
//! compacted again and again.

use std::time::Duration;

use storage::seal::KeyId;
use tokio::time::Instant;
use tracing::warn;

use super::content::{Content, Failed, OlderFile, Trouble};

/// Pause after rewriting has changed nothing for the second time; it doubles.
const PAUSE_MIN: Duration = Duration::from_hours(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_hours(24);
/// Most files that are named.
const NAMED_MAX: usize = 3;

/// What was tried.
#[derive(Debug, Default)]
pub(super) struct Effort {
    /// How often in a row nothing came of it.
    vain: u32,
    /// Not before.
    next: Option<Instant>,
}

impl Effort {
    /// Rewrites what is not under this key, unless that was in vain of late.
    ///
    /// # Errors
    /// What is left, and why.
    pub(super) async fn rewrite(&mut self, content: &dyn Content, under: Option<KeyId>) -> Result<(), Trouble> {
        let before = content.older_files(under).await?;
        if before.is_empty() {
            *self = Self::default();
            return Ok(());
        }
        if self.next.is_some_and(|next| Instant::now() < next) {
            return Err(left(&before));
        }
        let rewritten = content.rewrite_databases(under).await;
        let after = content.older_files(under).await?;
        if after.is_empty() {
            *self = Self::default();
            return Ok(());
        }
        if let Err(Failed::NoRoom(trouble)) = rewritten {
            // That was no work: it is looked for room again soon.
            return Err(trouble);
        }
        if bytes(&after) < bytes(&before) && rewritten.is_ok() {
            *self = Self::default();
        } else {
            self.vain += 1;
            // Once is no reason: a snapshot that was being taken lands under the old key.
            self.next = (self.vain > 1).then(|| Instant::now() + pause(self.vain - 2));
            warn!(times = self.vain, left = left(&after), "rewriting the databases has changed nothing");
        }
        match rewritten {
            Err(Failed::Other(trouble) | Failed::NoRoom(trouble)) => Err(trouble),
            Ok(()) => Err(left(&after)),
        }
    }
}

/// Whether everything lies under this key.
///
/// # Errors
/// What does not.
pub(super) async fn check(content: &dyn Content, under: Option<KeyId>) -> Result<(), Trouble> {
    let older = content.older_files(under).await?;
    if older.is_empty() { Ok(()) } else { Err(left(&older)) }
}

fn bytes(files: &[OlderFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

fn pause(doublings: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << doublings.min(8)).min(PAUSE_MAX)
}

fn left(files: &[OlderFile]) -> String {
    let named: Vec<_> = files.iter().take(NAMED_MAX).map(|file| file.path.display().to_string()).collect();
    let more = if files.len() > NAMED_MAX { ", ..." } else { "" };
    format!("{} bytes of the databases are not rewritten yet: {}{more}", bytes(files), named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_a_day() {
        let hours = [0, 1, 2, 5, 40].map(|doublings| pause(doublings).as_secs() / 3600);
        assert_eq!(hours, [1, 2, 4, 24, 24]);
    }

    #[test]
    fn some_of_what_is_left_is_named() {
        let file = |number: u32| OlderFile { path: format!("/data/log/{number}.sst").into(), bytes: 10 };
        let text = left(&(1..=4).map(file).collect::<Vec<_>>());
        let expected =
            "40 bytes of the databases are not rewritten yet: /data/log/1.sst, /data/log/2.sst, /data/log/3.sst, ...";
        assert_eq!(text, expected);
    }
}
