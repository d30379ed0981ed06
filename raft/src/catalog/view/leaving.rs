//! Repositories that leave this region: it is foreign to them, and still has something of theirs.

use super::View;
use crate::catalog::apply;
use crate::catalog::name::RepositoryName;
use crate::catalog::table::{Policies, Repositories, RepositoryUploads, TagHistory, Tombstones, behind, first_named};
use crate::machine::State;
use crate::policy::Role;
use crate::table::{StateError, Table};

impl<S: State> View<S> {
    /// Repositories to which this region is foreign and of which it still has anything: content, open uploads, histories,
    /// tombstones. In lexical order, behind `after`. What is not foreign is jumped over: this costs what it finds, and the
    /// namespaces of which something is said.
    pub fn evictable(&self, after: Option<&RepositoryName>, limit: usize) -> Result<Vec<RepositoryName>, StateError> {
        let foreign = self.foreign_prefixes()?;
        let mut found = Vec::new();
        let mut from = after.map(|after| behind(after.as_str())).unwrap_or_default();
        while found.len() < limit && !foreign.is_empty() {
            let Some(name) = self.first_held(&from)? else { break };
            let (role, prefix) = apply::role(&self.state, name.as_str())?;
            if role == Role::Foreign {
                from = behind(name.as_str());
                found.push(name);
                continue;
            }
            match behind_others(name.as_str(), &prefix, &foreign) {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(found)
    }

    /// Prefixes to which this region is foreign, in order.
    fn foreign_prefixes(&self) -> Result<Vec<String>, StateError> {
        let said = Policies::scan::<()>(&self.state, (), None, usize::MAX)?;
        let foreign = said.into_iter().filter(|(_, copy)| copy.role == Some(Role::Foreign));
        Ok(foreign.map(|(prefix, _)| prefix).collect())
    }

    /// The first repository from a text on of which anything is here.
    fn first_held(&self, from: &[u8]) -> Result<Option<RepositoryName>, StateError> {
        let firsts = [
            first_named::<Repositories>(&self.state, from)?,
            first_named::<RepositoryUploads>(&self.state, from)?,
            first_named::<TagHistory>(&self.state, from)?,
            first_named::<Tombstones>(&self.state, from)?,
        ];
        Ok(firsts.into_iter().flatten().min())
    }
}

/// Where the next foreign repository can be behind one that is not, of which `prefix` says so; `None` if there is none.
fn behind_others(name: &str, prefix: &str, foreign: &[String]) -> Option<Vec<u8>> {
    if name == prefix {
        return Some(behind(name));
    }
    // Names below the prefix end where a slash's follower begins.
    let end = (!prefix.is_empty()).then(|| [prefix.as_bytes(), b"0"].concat());
    let next = foreign.get(foreign.partition_point(|other| other.as_str() <= name));
    let next = next.map(|other| other.as_bytes().to_vec());
    // What is below `a` sorts behind `a-x`.
    let begun = name.match_indices(['-', '.']).map(|(at, _)| &name[..at]);
    let begun = begun.filter(|other| foreign.binary_search_by(|known| known.as_str().cmp(other)).is_ok());
    let inner = begun.map(|other| [other.as_bytes(), b"/"].concat());
    inner.chain(next).chain(end).filter(|next| next.as_slice() > name.as_bytes()).min()
}
