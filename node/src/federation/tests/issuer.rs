//! An issuer with keys of its own, and a server that publishes them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::environment::Environment;

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of these parts.
pub(super) fn compact(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", base64(signature))
}

/// A private key with its id.
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) algorithm: &'static str,
    key: Private,
}

enum Private {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    pub(super) fn new(id: &str, algorithm: &'static str) -> Self {
        let key = match algorithm {
            "ES256" => Private::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "ES384" => Private::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            "EdDSA" => Private::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => Private::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        };
        Self { id: id.to_owned(), algorithm, key }
    }

    /// The same key under another algorithm.
    pub(super) fn with(self, algorithm: &'static str) -> Self {
        Self { algorithm, ..self }
    }

    pub(super) fn jwk(&self) -> Value {
        match &self.key {
            Private::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "kid": self.id, "x": base64(x), "y": base64(y), "use": "sig"})
            }
            Private::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": base64(pair.public_key())})
            }
            Private::Rsa(pair) => {
                let public = pair.public_key();
                let (modulus, exponent) = (public.modulus(), public.exponent());
                json!({
                    "kty": "RSA", "kid": self.id,
                    "n": base64(modulus.big_endian_without_leading_zero()),
                    "e": base64(exponent.big_endian_without_leading_zero()),
                })
            }
        }
    }

    /// The public key as everybody has it, to be misused as a secret.
    pub(super) fn public_bytes(&self) -> Vec<u8> {
        match &self.key {
            Private::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Private::Ed(pair) => pair.public_key().as_ref().to_vec(),
            Private::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The key for certificates.
    pub(super) fn pkcs8(&self) -> Vec<u8> {
        match &self.key {
            Private::Ec(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Private::Ed(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).unwrap().as_ref().to_vec(),
            Private::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).unwrap().as_ref().to_vec(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "an issuer outside of any environment")]
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Private::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Private::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match self.algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm, "typ": "JWT", "kid": self.id});
        compact(&header, claims, |message| self.sign(message))
    }
}

/// A server on loopback that publishes keys.
pub(super) struct Issuer {
    /// `https://localhost:PORT`, which is its `iss` as well.
    pub(super) url: String,
    /// Its own authority, PEM.
    pub(super) authority: String,
    published: Arc<Published>,
}

struct Published {
    /// What it answers to the question for its keys: status and body.
    keys: Mutex<(u16, String)>,
    /// What its discovery document says that its issuer is.
    issuer: Mutex<String>,
    asked: AtomicUsize,
}

impl Issuer {
    pub(super) async fn start(environment: &Environment) -> Self {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = environment.network.listen("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_address().unwrap().port());
        let published = Arc::new(Published {
            keys: Mutex::new((500, String::new())),
            issuer: Mutex::new(url.clone()),
            asked: AtomicUsize::new(0),
        });
        let served = (Arc::clone(&published), url.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let (status, body) = served.0.answer(&String::from_utf8(head).unwrap(), &served.1);
                let head = format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\n\r\n", body.len());
                // The client may have heard enough.
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { url, authority: own.cert.pem(), published }
    }

    /// Publishes the keys of these signers from now on, and no others.
    pub(super) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.answers(200, json!({ "keys": keys }).to_string());
    }

    pub(super) fn answers(&self, status: u16, body: String) {
        *self.published.keys.lock().unwrap() = (status, body);
    }

    pub(super) fn claims_to_be(&self, issuer: &str) {
        issuer.clone_into(&mut self.published.issuer.lock().unwrap());
    }

    /// How often it was asked for its keys.
    pub(super) fn asked(&self) -> usize {
        self.published.asked.load(Ordering::Relaxed)
    }
}

impl Published {
    fn answer(&self, head: &str, url: &str) -> (u16, String) {
        if head.starts_with("GET /.well-known/openid-configuration HTTP/1.1\r\n") {
            let issuer = self.issuer.lock().unwrap().clone();
            return (200, json!({"issuer": issuer, "jwks_uri": format!("{url}/keys")}).to_string());
        }
        assert!(head.starts_with("GET /keys HTTP/1.1\r\n"), "{head}");
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.keys.lock().unwrap().clone()
    }
}
