//! The port that nodes keep for each other, as somebody sees it who comes with a certificate of his choice.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::certificates::Pair;

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// A call that every node answers to every other one. Nothing is in it, so it is refused as malformed, by whoever lets it
/// come so far.
const CALL: &str = "/regnode.peer.v1.Peer/Heartbeat";
/// What a node says to a call that has come so far.
pub const LET_IN: &str = "invalid";

/// What a node keeps to be known by, copied: enough to speak in its name.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its certificate and its key.
    pub pair: Pair,
}

impl Identity {
    /// Copies that of the node whose data lies in a folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn copy(data: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = data.join("identity").join(name);
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        Ok(Self { pair: Pair { certificate: read("node.crt")?, key: read("node.key")? } })
    }
}

/// A connection to a node's port for nodes.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Opens one, with a certificate or without. Whatever the node shows is taken.
    ///
    /// # Errors
    /// When the node does not want it. It may also say so only at the first call.
    pub async fn open(address: SocketAddr, pair: Option<&Pair>) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let mut config = match pair {
            Some(pair) => config.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?,
            )?,
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let opening = async {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("regnode")?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            let task = tokio::spawn(async move { drop(connection.await) });
            Ok(Self { sender, task })
        };
        timeout(DEADLINE, opening).await?
    }

    /// What a node (the one with this id is meant) says to a call: the name of its refusal, [`LET_IN`] for one that a node
    /// may make.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn call(&mut self, target: u64) -> Result<String> {
        let request = Request::post(format!("http://peer{CALL}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("regnode-target", target)
            // A message of no bytes, in gRPC's frame.
            .body(Full::new(Bytes::from_static(&[0; 5])))?;
        let asking = async {
            let answer = self.sender.send_request(request).await?;
            let said = |headers: &http::HeaderMap| {
                let name = headers.get("regnode-error")?;
                Some(String::from_utf8_lossy(name.as_bytes()).into_owned())
            };
            if let Some(refusal) = said(answer.headers()) {
                return Ok(refusal);
            }
            let status = answer.status();
            let body = answer.into_body().collect().await?;
            body.trailers().and_then(said).ok_or_else(|| anyhow!("an answer without a refusal: {status}"))
        };
        timeout(DEADLINE, asking).await?
    }

    /// Waits until the node has ended it.
    ///
    /// # Errors
    /// When it stands at the deadline.
    pub async fn ended(self, within: Duration) -> Result<()> {
        timeout(within, self.task).await.with_context(|| format!("it stands after {within:?}"))??;
        Ok(())
    }
}

/// Whether a node lets somebody with this certificate make a call; otherwise why not.
///
/// # Errors
/// Never when he is let in.
pub async fn is_let_in(address: SocketAddr, pair: Option<&Pair>, target: u64) -> Result<()> {
    match Connection::open(address, pair).await?.call(target).await?.as_str() {
        LET_IN => Ok(()),
        refusal => bail!("refused: {refusal}"),
    }
}

/// Takes any server for the right one.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
