//! All rules, in the order in which they are looked for: a tree of namespaces, and in each node the rules by subject. What
//! is decided about a repository costs a few look-ups in each namespace above it, however many rules there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::directory::Subject;

use super::caller::{Caller, Principal};
use super::rule::Rule;

/// Rules by whom they are about.
#[derive(Debug, Default)]
pub(super) struct BySubject {
    anonymous: Vec<Arc<Rule>>,
    authenticated: Vec<Arc<Rule>>,
    users: BTreeMap<String, Vec<Arc<Rule>>>,
    robots: BTreeMap<String, Vec<Arc<Rule>>>,
    groups: BTreeMap<String, Vec<Arc<Rule>>>,
}

impl BySubject {
    fn add(&mut self, rule: Arc<Rule>) {
        let list = match &rule.record.subject {
            Subject::Anonymous => &mut self.anonymous,
            Subject::Authenticated => &mut self.authenticated,
            Subject::User(name) => list_of(&mut self.users, name),
            Subject::Robot(name) => list_of(&mut self.robots, name),
            Subject::Group(name) => list_of(&mut self.groups, name),
        };
        list.push(rule);
    }

    /// The lists of rules that are about a caller.
    pub(super) fn of<'a>(&'a self, caller: &Caller) -> impl Iterator<Item = &'a [Arc<Rule>]> {
        let known = (caller.principal != Principal::Anonymous).then_some(&self.authenticated);
        let own = match &caller.principal {
            Principal::User(name) => self.users.get(name),
            Principal::Robot(name) => self.robots.get(name),
            Principal::Anonymous | Principal::External { .. } | Principal::Operator => None,
        };
        let everybody = [Some(&self.anonymous), known, own].into_iter().flatten();
        everybody.chain(self.of_groups(caller)).map(Vec::as_slice)
    }

    /// Looks up the fewer in the more: whoever is in hundreds of groups costs no more than the groups that have rules.
    fn of_groups<'a>(&'a self, caller: &Caller) -> impl Iterator<Item = &'a Vec<Arc<Rule>>> {
        let few = caller.groups.len() <= self.groups.len();
        let (his, ours) = if few { (Some(&caller.groups), None) } else { (None, Some(&self.groups)) };
        let looked_up = his.into_iter().flatten().filter_map(|name| self.groups.get(name));
        let ours = ours.into_iter().flatten();
        looked_up.chain(ours.filter(|(name, _)| caller.groups.contains(*name)).map(|(_, list)| list))
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Rule>> {
        let named = [&self.users, &self.robots, &self.groups].into_iter().flat_map(BTreeMap::values).flatten();
        self.anonymous.iter().chain(&self.authenticated).chain(named)
    }
}

fn list_of<'a>(lists: &'a mut BTreeMap<String, Vec<Arc<Rule>>>, name: &str) -> &'a mut Vec<Arc<Rule>> {
    lists.entry(name.to_owned()).or_default()
}

/// What is set at a namespace and below it.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Rules of the namespace itself.
    pub(super) rules: BySubject,
    below: BTreeMap<String, Self>,
}

/// All rules.
#[derive(Debug, Default)]
pub(super) struct Rules {
    root: Place,
    /// All of them again, each list by namespace.
    by_subject: BySubject,
}

impl Rules {
    /// Puts rules in order.
    pub(super) fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut rules: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
        rules.sort_by(|one, other| (&one.record.namespace, one.id).cmp(&(&other.record.namespace, other.id)));
        let mut this = Self::default();
        for rule in rules {
            this.by_subject.add(Arc::clone(&rule));
            let mut place = &mut this.root;
            for part in parts(&rule.record.namespace) {
                place = place.below.entry(part.to_owned()).or_default();
            }
            place.rules.add(Arc::clone(&rule));
        }
        this
    }

    /// The namespaces that cover a repository or a prefix and are in the tree, the root first.
    pub(super) fn covering<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Place> {
        let mut parts = parts(name);
        std::iter::successors(Some(&self.root), move |place| place.below.get(parts.next()?))
    }

    /// All rules that are about a caller, wherever they hold.
    pub(super) fn of<'a>(&'a self, caller: &Caller) -> impl Iterator<Item = &'a Arc<Rule>> {
        self.by_subject.of(caller).flatten()
    }

    /// Those of them whose namespace is below a prefix, but not the prefix itself.
    pub(super) fn of_below<'a>(&'a self, caller: &Caller, prefix: &str) -> impl Iterator<Item = &'a Arc<Rule>> {
        let inner = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        self.by_subject.of(caller).flat_map(move |list| {
            let begin = list.partition_point(|rule| rule.record.namespace < inner);
            let end = inner.clone();
            list[begin..].iter().take_while(move |rule| rule.record.namespace.starts_with(end.as_str()))
        })
    }

    /// All rules, whoever they are about.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.by_subject.all()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_subject.all().count()
    }
}

/// The components of a name; of the root none.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    (!name.is_empty()).then(|| name.split('/')).into_iter().flatten()
}

/// Whether a namespace covers a repository or a prefix.
pub(super) fn covers(namespace: &str, name: &str) -> bool {
    let rest = name.strip_prefix(namespace);
    namespace.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
