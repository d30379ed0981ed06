//! Lists of tags, whole and page by page, and of repositories.

use std::sync::Arc;

use rand::Rng as _;

use super::ask::Ask;
use super::client::Client;
use super::record::names;

impl Client {
    /// Lists the tags of a repository, or the repositories.
    pub(super) async fn list(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let Some(repository) = self.any(&library.repositories) else { return false };
        if self.chance(25) {
            let ask = Ask::list_repositories(&library.repositories);
            return self.insist(&ask).await.is_ok_and(|answer| answer.status == 200);
        }
        let n = self.chance(50).then(|| self.random.random_range(1..=3));
        let mut last: Option<Arc<str>> = None;
        // Each page begins behind the last one: there can be no more pages than tags.
        for _ in 0..=library.tags.len() {
            let reply = self.insist(&Ask::list_tags(&repository, &library.tags, last.as_ref(), n)).await;
            let Ok(answer) = reply else { return false };
            match (answer.status, names(&answer, "tags")) {
                (200, Some(listed)) if !answer.header("link").is_empty() && !listed.is_empty() => {
                    last = listed.last().map(|name| name.as_str().into());
                }
                (200, Some(_)) | (404, _) => return true,
                _ => return false,
            }
        }
        true
    }
}
