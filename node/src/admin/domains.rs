//! The paths of the local socket for domains that stand for namespaces: `GET /domains`, `POST /domain/add`,
//! `/domain/remove`.
//!
//! A node that has not heard of a domain takes requests for it for those of the whole registry. So a domain is added only
//! while all nodes answer, unless it is forced: the name is pointed here after that.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use raft::directory::Command;

use super::access_changes::AccessError;
use super::access_refusal::answered;
use super::audited::{Recorded, recorded};
use super::domain_types::{AddDomainRequest, DomainAnswer, DomainEntry, DomainRequest, DomainsAnswer};
use super::router::{Admin, refuse};
use super::types::VERSION;
use crate::members::Members;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/domains", get(domains)).route("/domain/add", post(add)).route("/domain/remove", post(remove))
}

async fn domains(State(admin): State<Admin>) -> Response {
    let (view, reading) = admin.access_changes.confirmed_view().await;
    let read = admin.access_changes.exec.run(move || {
        let domains = view.domains()?.into_iter().map(|(domain, record)| DomainEntry {
            domain,
            namespace: record.namespace,
            created_milliseconds: record.created.0,
        });
        Ok::<_, AccessError>(DomainsAnswer { version: VERSION, reading, domains: domains.collect() })
    });
    answered(read.await)
}

async fn add(State(admin): State<Admin>, Json(request): Json<AddDomainRequest>) -> Response {
    let AddDomainRequest { domain, namespace, force } = request;
    let record = Recorded::new("domain", domain.clone()).namespace(&namespace).change(None, Some("added".to_owned()));
    let silent = silent(&admin.members);
    if !silent.is_empty() && !force {
        let message = format!(
            "{} cannot be told of it now: whoever asks there by {domain:?} would be answered as if he meant the whole registry, \
             until they hear of it. Wait until regnode status has them back, or, if nobody reaches them by that name, repeat it \
             with --force",
            silent.join(", ")
        );
        return recorded(refuse(StatusCode::CONFLICT, message), record);
    }
    let command = Command::SetDomain { domain: domain.clone(), namespace: namespace.clone() };
    let outcome = admin.access_changes.propose(command).await;
    recorded(answered(outcome.map(|_| DomainAnswer { version: VERSION, domain, namespace, silent })), record)
}

async fn remove(State(admin): State<Admin>, Json(DomainRequest { domain }): Json<DomainRequest>) -> Response {
    let outcome = async {
        let present = admin.access_changes.current().await?.domains()?;
        let present = present.into_iter().find(|(name, _)| *name == domain);
        let unknown = || AccessError::Unknown(format!("there is no domain {domain:?}: regnode domain list tells them"));
        let (_, record) = present.ok_or_else(unknown)?;
        admin.access_changes.propose(Command::RemoveDomain { domain: domain.clone() }).await?;
        Ok::<_, AccessError>(record.namespace)
    };
    let outcome = outcome.await;
    let record = Recorded::new("domain", domain.clone());
    let record = match &outcome {
        Ok(namespace) => record.namespace(namespace).change(Some("there".to_owned()), Some("removed".to_owned())),
        Err(_) => record,
    };
    let answer = outcome.map(|namespace| DomainAnswer { version: VERSION, domain, namespace, silent: Vec::new() });
    recorded(answered(answer), record)
}

/// Names of the nodes of all regions that do not answer.
fn silent(members: &Members) -> Vec<String> {
    let own = members.all().into_iter().filter(|member| !member.live).map(|member| member.name);
    let others = members.remotes().into_iter().filter(|remote| !remote.live).map(|remote| remote.name);
    own.chain(others).collect()
}
