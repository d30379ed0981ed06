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

    /// Repositories with content behind `last` that are shown, at most `limit`. `shown` says of a text which is the smallest
    /// one, itself or behind it, from which on names may be shown: a name that it says of itself is. So what is hidden
    /// costs as little as there are gaps, whatever they hold.
    ///
    /// # Errors
    /// That the catalog cannot be reached.
    pub async fn repositories<F>(
        &self,
        last: Option<String>,
        limit: usize,
        shown: F,
    ) -> Result<Page<RepositoryName>, RegistryError>
    where
        F: Fn(&str) -> Option<String> + Send + 'static,
    {
        self.barrier().await?;
        self.scan(move |view| {
            let read = |place: &Place, most: usize| match place {
                Place::Behind(last) => view.repositories(last.as_deref(), most),
                Place::From(first) => view.repositories_from(first, most),
            };
            shown_page(last, limit, read, shown).map_err(RegistryError::state)
        })
        .await
    }
}

/// Names that are read at once behind what is hidden; twice as many each time as long as nothing more is.
const AFTER_GAP: usize = 16;

/// Where a list goes on.
enum Place {
    Behind(Option<String>),
    From(String),
}

/// A page of the names that are shown. `read` gives names in order, as many as it is asked for as long as there are so
/// many. Behind a gap little is read at first: where what is shown and what is hidden take turns, no more is read than is
/// passed.
fn shown_page<E>(
    last: Option<String>,
    limit: usize,
    read: impl Fn(&Place, usize) -> Result<Vec<RepositoryName>, E>,
    shown: impl Fn(&str) -> Option<String>,
) -> Result<Page<RepositoryName>, E> {
    let most = limit.saturating_add(1);
    let mut items: Vec<RepositoryName> = Vec::new();
    let (mut place, mut chunk) = (Place::Behind(last), most);
    while items.len() < most {
        let wanted = chunk.min(most - items.len());
        let names = read(&place, wanted)?;
        let is_end = names.len() < wanted;
        let mut names = names.into_iter().peekable();
        let mut from = None;
        while let Some(name) = names.next() {
            place = Place::Behind(Some(name.to_string()));
            match shown(name.as_str()) {
                Some(next) if next == name.as_str() => items.push(name),
                // It leads on in any case.
                Some(next) if next.as_str() > name.as_str() => {
                    // What was read already and is hidden.
                    while names.next_if(|name| name.as_str() < next.as_str()).is_some() {}
                    from = names.peek().is_none().then_some(next);
                }
                _ => return Ok(Page::cut(items, limit)),
            }
        }
        if is_end {
            break;
        }
        (place, chunk) = match from {
            Some(next) => (Place::From(next), AFTER_GAP),
            None => (place, chunk.saturating_mul(2)),
        };
    }
    Ok(Page::cut(items, limit))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// A page of these names, of which those below `hidden` prefixes are not shown, and how many names were read.
    fn page(names: &[String], hidden: &[String], last: Option<&str>, limit: usize) -> (Page<RepositoryName>, usize) {
        let rows = Cell::new(0);
        let read = |place: &Place, most: usize| {
            let behind = |name: &&String| match place {
                Place::Behind(last) => last.as_deref().is_none_or(|last| name.as_str() > last),
                Place::From(first) => name.as_str() >= first.as_str(),
            };
            let read: Vec<_> = names.iter().filter(behind).take(most).map(|name| name.parse().unwrap()).collect();
            rows.set(rows.get() + read.len());
            Ok::<_, Infallible>(read)
        };
        let shown = |text: &str| {
            let covering = hidden.iter().find(|prefix| text.starts_with(&format!("{prefix}/")));
            Some(covering.map_or_else(|| text.to_owned(), |prefix| format!("{prefix}0")))
        };
        let page = shown_page(last.map(ToOwned::to_owned), limit, read, shown).unwrap_or_else(|never| match never {});
        (page, rows.get())
    }

    #[test]
    fn what_is_hidden_is_jumped_over_whatever_it_holds() {
        let mut names: Vec<String> = (0..1000).map(|number| format!("b/x{number}")).collect();
        names.extend(["a/1", "c/1", "c/2"].map(ToOwned::to_owned));
        names.sort();
        let (found, rows) = page(&names, &["b".to_owned()], None, 2);
        assert_eq!((found.items.len(), found.more), (2, true));
        assert_eq!(found.items[1].as_str(), "c/1");
        assert!(rows <= 3 + AFTER_GAP, "{rows}");
    }

    #[test]
    fn gaps_between_what_is_shown_are_not_read_again_and_again() {
        let names: Vec<String> = (0..2000).map(|number| format!("n{number:04}/x")).collect();
        let hidden: Vec<String> = (0..2000).step_by(2).map(|number| format!("n{number:04}")).collect();
        let (found, rows) = page(&names, &hidden, None, 900);
        assert_eq!((found.items.len(), found.more), (900, true));
        assert!(rows <= 2 * 1802, "{rows}: each name once, or nearly");
    }

    proptest! {
        #[test]
        fn pages_join_to_all_that_is_shown(
            names in prop::collection::btree_set("[abc](/[abc]){0,2}", 0..30),
            hidden in prop::collection::vec("[abc](/[abc]){0,1}", 0..4),
            limit in 1_usize..6,
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let is_shown = |name: &&String| !hidden.iter().any(|prefix| name.starts_with(&format!("{prefix}/")));
            let expected: Vec<&String> = names.iter().filter(is_shown).collect();
            let mut found: Vec<String> = Vec::new();
            loop {
                let (next, _) = page(&names, &hidden, found.last().map(String::as_str), limit);
                found.extend(next.items.iter().map(ToString::to_string));
                prop_assert_eq!(next.more, found.len() < expected.len());
                if !next.more {
                    break;
                }
                prop_assert_eq!(next.items.len(), limit);
            }
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_page_knows_whether_more_follows() {
        assert_eq!(Page::cut(vec![1, 2, 3], 2), Page { items: vec![1, 2], more: true });
        assert_eq!(Page::cut(vec![1, 2], 2), Page { items: vec![1, 2], more: false });
        assert_eq!(Page::<u8>::cut(vec![], 0), Page { items: vec![], more: false });
    }
}
