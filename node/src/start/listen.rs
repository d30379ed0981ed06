//! The node's listeners: clients, peers, the local socket, and metrics if they have an address of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;

use super::error::StartError;
use crate::acme::Issued;
use crate::admin::SOCKET;
use crate::config::Settings;
use crate::environment::{Environment, Listener};
use crate::serve::{CertificateFiles, CertificatePaths, Front, Limits, Protection, Server, check_plaintext};

/// Opened listeners, before anything is served on them.
pub(super) struct Listeners {
    pub(super) api: Box<dyn Listener>,
    pub(super) api_protection: Protection,
    /// To be followed while the node runs.
    pub(super) api_certificate: Option<CertificateFiles>,
    /// Takes the certificates that an authority has issued.
    pub(super) issued: Issued,
    /// For the authority's questions over HTTP, if it has an address of its own.
    pub(super) acme: Option<Box<dyn Listener>>,
    pub(super) api_address: SocketAddr,
    pub(super) peer: Box<dyn Listener>,
    pub(super) local: Option<Box<dyn Listener>>,
    pub(super) metrics: Option<Box<dyn Listener>>,
    /// For the administration over the network, if it has an address of its own.
    pub(super) admin: Option<Box<dyn Listener>>,
}

impl Listeners {
    /// Opens all listeners, so that a wrong address is noticed before anything else happens.
    pub(super) async fn open(environment: &Environment, settings: &Settings) -> Result<Self, StartError> {
        let api = &settings.api;
        check_plaintext(&api.listen, settings.api_is_tls(), api.allow_plaintext)?;
        let issued = watch::channel(Arc::default()).0;
        let (api_protection, api_certificate) = if settings.api_is_tls() {
            let paths = CertificatePaths {
                certificate: api.tls_certificate.clone().zip(api.tls_key.clone()),
                directory: api.tls_directory.clone(),
                client_ca: api.client_ca.clone(),
            };
            let (files, clock) = (Arc::clone(&environment.files), Arc::clone(&environment.clock));
            let come = (!settings.acme.directory.is_empty()).then(|| issued.subscribe());
            let opened = environment.exec.run(move || CertificateFiles::open(files, paths, clock, come)).await?;
            (Protection::Tls(opened.config(), None), Some(opened))
        } else {
            (Protection::Plaintext, None)
        };
        let api = listen(environment, "api.listen", &settings.api.listen).await?;
        let api_address = api.local_address().map_err(|source| StartError::Listen {
            key: "api.listen",
            address: settings.api.listen.clone(),
            source,
        })?;
        let peer = listen(environment, "peer.listen", &settings.peer.listen).await?;
        let metrics = match settings.metrics.listen.as_str() {
            "" => None,
            address => Some(listen(environment, "metrics.listen", address).await?),
        };
        let acme = match settings.acme.http_listen.as_str() {
            "" => None,
            address => Some(listen(environment, "acme.http_listen", address).await?),
        };
        let admin = match settings.admin.listen.as_str() {
            address if settings.admin.enabled && !address.is_empty() => {
                Some(listen(environment, "admin.listen", address).await?)
            }
            _ => None,
        };
        let socket = settings.data_dir.join(SOCKET);
        let local = match environment.network.listen_local(&socket).await {
            Ok(listener) => Some(listener),
            // The simulator has no such sockets.
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => None,
            Err(source) => {
                let address = socket.display().to_string();
                return Err(StartError::Listen { key: "data_dir", address, source });
            }
        };
        Ok(Self { api, api_protection, api_certificate, issued, acme, api_address, peer, local, metrics, admin })
    }
}

async fn listen(environment: &Environment, key: &'static str, address: &str) -> Result<Box<dyn Listener>, StartError> {
    let listening = environment.network.listen(address).await;
    listening.map_err(|source| StartError::Listen { key, address: address.to_owned(), source })
}

/// A plain server for this machine's own use.
pub(super) fn local_server(name: &'static str, listener: Box<dyn Listener>, router: Router, front: Front) -> Server {
    Server { name, listener, router, protection: Protection::Plaintext, front, limits: Limits::local() }
}
