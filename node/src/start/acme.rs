//! Certificates from an ACME authority, put together: who asks for them, who answers the authority, who shows them.

use std::sync::Arc;

use axum::Router;
use raft::directory::Directory;
use raft::group::Group;
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::keeper::Keeper;
use super::listen::Listeners;
use crate::acme::{self, Acme, AcmeOptions, AcmeParts, Leads, https_port, redirecting};
use crate::audit::Audit;
use crate::config::AcmeChallenge;
use crate::identity::ClusterKey;
use crate::limit::Throttle;
use crate::serve::Protection;
use crate::telemetry::Metrics;

/// What answers the authority.
#[derive(Default)]
pub(super) struct AcmeRouters {
    /// Beside the API.
    pub(super) beside: Router,
    /// On a plain HTTP listener of its own, if there is one.
    pub(super) apart: Option<Router>,
}

impl Keeper {
    /// Begins, if the settings name an authority.
    pub(super) fn start_acme(
        &self,
        cluster_key: Option<ClusterKey>,
        audit: &Audit,
        throttle: Throttle,
        metrics: &Metrics,
        listeners: &mut Listeners,
        tasks: &mut JoinSet<()>,
    ) -> AcmeRouters {
        let options = match AcmeOptions::new(&self.settings.acme) {
            Ok(Some(options)) => options,
            Ok(None) => return AcmeRouters::default(),
            // Settings that were loaded have passed this check.
            Err(invalid) => {
                error!(key = invalid.key, expected = invalid.expected, "no authority is asked for certificates");
                return AcmeRouters::default();
            }
        };
        let Some(cluster_key) = cluster_key else {
            warn!("this node has no cluster key: no authority is asked for certificates");
            return AcmeRouters::default();
        };
        let directory = Arc::clone(&self.groups.directory);
        let leader = Arc::clone(&directory);
        let acme = Acme::new(AcmeParts {
            options,
            directory: Arc::<Group<Directory>>::clone(&directory),
            leads: Leads(Arc::new(move || leader.is_leader())),
            environment: self.environment.clone(),
            cluster: self.identity.cluster,
            cluster_key,
            node: self.identity.node,
            audit: audit.clone(),
            metrics: metrics.register(acme::Metrics::register),
            throttle,
        });
        let answers = acme.answers();
        if self.settings.acme.challenge == AcmeChallenge::TlsAlpn01
            && let Protection::Tls(_, of_handshakes) = &mut listeners.api_protection
        {
            *of_handshakes = Some(answers.clone().of_handshakes(Arc::clone(&self.environment.clock)));
        }
        tasks.spawn(acme.clone().share(listeners.issued.clone()));
        tasks.spawn(acme.lead());
        let port = https_port(&self.settings, listeners.api_address.port());
        let apart = listeners.acme.is_some().then(|| redirecting(answers.clone(), port));
        AcmeRouters { beside: answers.router(), apart }
    }
}
