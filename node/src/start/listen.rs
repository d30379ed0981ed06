//! The node's listeners: clients, peers, the local socket, and metrics if they have an address of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;

use super::error::StartError;
use crate::admin::SOCKET;
use crate::config::Settings;
use crate::environment::{Environment, Listener};
use crate::serve::{CertificateFiles, Limits, Protection, Server, check_plaintext};

/// Opened listeners, before anything is served on them.
pub(super) struct Listeners {
    pub(super) api: Box<dyn Listener>,
    pub(super) api_protection: Protection,
    /// To be followed while the node runs.
    pub(super) api_certificate: Option<CertificateFiles>,
    pub(super) api_address: SocketAddr,
    pub(super) peer: Box<dyn Listener>,
    pub(super) local: Option<Box<dyn Listener>>,
    pub(super) metrics: Option<Box<dyn Listener>>,
}

impl Listeners {
    /// Opens all listeners, so that a wrong address is noticed before anything else happens.
    pub(super) async fn open(environment: &Environment, settings: &Settings) -> Result<Self, StartError> {
        let api = &settings.api;
        check_plaintext(&api.listen, api.tls_certificate.is_some(), api.allow_plaintext)?;
        let (api_protection, api_certificate) = match (&api.tls_certificate, &api.tls_key) {
            (Some(certificate), Some(key)) => {
                let (files, certificate, key) = (Arc::clone(&environment.files), certificate.clone(), key.clone());
                let opened = environment.exec.run(move || CertificateFiles::open(files, certificate, key)).await?;
                (Protection::Tls(opened.server_config(&environment.clock)?), Some(opened))
            }
            _ => (Protection::Plaintext, None),
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
        Ok(Self { api, api_protection, api_certificate, api_address, peer, local, metrics })
    }
}

async fn listen(environment: &Environment, key: &'static str, address: &str) -> Result<Box<dyn Listener>, StartError> {
    let listening = environment.network.listen(address).await;
    listening.map_err(|source| StartError::Listen { key, address: address.to_owned(), source })
}

/// A plain server for this machine's own use.
pub(super) fn local_server(name: &'static str, listener: Box<dyn Listener>, router: Router) -> Server {
    Server { name, listener, router, protection: Protection::Plaintext, limits: Limits::local() }
}
