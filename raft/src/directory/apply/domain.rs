//! Domains, and what they stand for. There are few: a command may look at all of them. They are counted with who may do
//! what, so that a node takes up both together.

use super::{Context, Outcome, access};
use crate::directory::command::Response;
use crate::directory::domain::{DomainRecord, DomainRefusal, is_domain};
use crate::directory::limit::DOMAINS_MAX;
use crate::directory::record::NodeState;
use crate::directory::refusal::Refusal;
use crate::directory::table::{Cluster, Domains, Nodes, Regions};
use crate::machine::ApplyError;
use crate::policy::is_prefix;
use crate::table::Table;

/// Lets a domain stand for a namespace.
pub(super) fn set(context: &mut Context<'_, '_>, domain: String, namespace: String) -> Outcome {
    if !Cluster::contains(context.state, ())? {
        return Ok(Err(Refusal::NotFounded));
    }
    if !is_domain(&domain) {
        return Ok(Err(DomainRefusal::Invalid(domain).into()));
    }
    if !is_prefix(&namespace) {
        return Ok(Err(Refusal::NamespaceInvalid(namespace)));
    }
    if let Some(present) = Domains::get(context.state, &domain)? {
        return Ok(if present.namespace == namespace {
            Ok(Response::Done)
        } else {
            // Whoever asks by it now must not find himself among other names from one moment to the next.
            Err(DomainRefusal::Taken { domain, namespace: present.namespace }.into())
        });
    }
    if !namespace.is_empty()
        && let Some(whom) = called(context, &domain)?
    {
        return Ok(Err(DomainRefusal::Own { domain, namespace, whom }.into()));
    }
    if Domains::scan::<()>(context.state, (), None, DOMAINS_MAX)?.len() == DOMAINS_MAX {
        return Ok(Err(DomainRefusal::TooMany(DOMAINS_MAX as u64).into()));
    }
    Domains::put(context.state, &domain, &DomainRecord { namespace, created: context.now });
    access::changed(context, |_| {})?;
    Ok(Ok(Response::Done))
}

/// Forgets a domain. Done also if there is none.
pub(super) fn remove(context: &mut Context<'_, '_>, domain: &str) -> Outcome {
    let domain = domain.to_owned();
    if Domains::contains(context.state, &domain)? {
        Domains::delete(context.state, &domain);
        access::changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// Why a namespace is not removed: a domain stands for it.
pub(super) fn refuse_named(context: &Context<'_, '_>, namespace: &str) -> Result<Option<Refusal>, ApplyError> {
    let all = Domains::scan::<()>(context.state, (), None, DOMAINS_MAX)?;
    let named = all.into_iter().find(|(_, record)| record.namespace == namespace);
    Ok(named.map(|(domain, _)| DomainRefusal::Named { namespace: namespace.to_owned(), domain }.into()))
}

/// The node or the region that clients reach by this name.
fn called(context: &Context<'_, '_>, domain: &str) -> Result<Option<String>, ApplyError> {
    for (_, node) in Nodes::scan::<()>(context.state, (), None, usize::MAX)? {
        if node.state != NodeState::Removed && host(&node.info.api_url) == domain {
            return Ok(Some(format!("node {}", node.info.name)));
        }
    }
    for (_, region) in Regions::scan::<()>(context.state, (), None, usize::MAX)? {
        if region.public_url.as_deref().is_some_and(|url| host(url) == domain) {
            return Ok(Some(format!("region {}", region.name)));
        }
    }
    Ok(None)
}

/// The name in a URL, without the port. Of an address in brackets something that is no domain.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = authority.split(':').next().unwrap_or_default();
    name.trim_end_matches('.').to_ascii_lowercase()
}
