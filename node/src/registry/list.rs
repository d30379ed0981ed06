//! Lists of tags and repositories, page by page. A page costs what it holds, whatever lies around it.

use raft::catalog::{RepositoryName, Tag};

use super::{Registry, RegistryError};

/// A page of a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its items, in byte order.
    pub items: Vec<T>,
    /// Whether more follow behind the last one.
    pub more: bool,
}

impl<T> Page<T> {
    /// Cuts what was read, one item more than the page takes, to a page.
    fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

impl Registry {
    /// Tags of a repository behind `last`, at most `limit`.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryUnknown`], or that the catalog cannot be reached.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<String>,
        limit: usize,
    ) -> Result<Page<Tag>, RegistryError> {
        self.barrier().await?;
        let name = repository.clone();
        self.scan(move |view| {
            if view.repository(&name).map_err(RegistryError::state)?.is_none() {
                return Err(RegistryError::RepositoryUnknown(name));
            }
            let tags = view.tags(&name, last.as_deref(), limit.saturating_add(1)).map_err(RegistryError::state)?;
            Ok(Page::cut(tags, limit))
        })
        .await
    }

    /// Repositories with content behind `last`, at most `limit`.
    ///
    /// # Errors
    /// That the catalog cannot be reached.
    pub async fn repositories(
        &self,
        last: Option<String>,
        limit: usize,
    ) -> Result<Page<RepositoryName>, RegistryError> {
        self.barrier().await?;
        self.scan(move |view| {
            let names = view.repositories(last.as_deref(), limit.saturating_add(1)).map_err(RegistryError::state)?;
            Ok(Page::cut(names, limit))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn a_page_knows_whether_more_follows() {
        assert_eq!(Page::cut(vec![1, 2, 3], 2), Page { items: vec![1, 2], more: true });
        assert_eq!(Page::cut(vec![1, 2], 2), Page { items: vec![1, 2], more: false });
        assert_eq!(Page::<u8>::cut(vec![], 0), Page { items: vec![], more: false });
    }
}
