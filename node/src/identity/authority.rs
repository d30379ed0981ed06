//! The cluster's certificate authority: made once, its key wrapped with the cluster key, unwrapped only to sign.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use raft::id::{NodeId, RegionId};
use raft::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};

use super::ClusterId;
use super::certificate::{region_name, server_name};
use crate::environment::Entropy;

const YEAR_HOURS: u64 = 365 * 24;
/// Certificates begin a little in the past, for machines whose clocks are behind.
const BACKDATED: Duration = Duration::from_hours(1);
const NODE_VALIDITY: Duration = Duration::from_hours(YEAR_HOURS);
const AUTHORITY_VALIDITY: Duration = Duration::from_hours(30 * YEAR_HOURS);
/// Version byte of a wrapped key.
const WRAPPED_VERSION: u8 = 1;

/// Why the authority could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key, request or certificate was refused.
    #[error("certificate work failed")]
    Certificate(#[from] rcgen::Error),
    /// A wrapped key does not open: wrong cluster key, or damage.
    #[error("a key of the directory cannot be unwrapped with this node's cluster key (identity/cluster.key)")]
    Unwrap,
}

/// The key that wraps the CA's key and the keys that sign tokens. Every node has it in its data directory; it is never stored in the directory.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey(pub [u8; 32]);

impl fmt::Debug for ClusterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClusterKey(..)")
    }
}

impl ClusterKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self(key)
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).expect("the key has the algorithm's length"))
    }

    /// `[version][nonce][ciphertext and tag]`, bound to a context: what was wrapped as one thing opens as no other. The CA's
    /// key has the cluster's id alone, everything else the id and more.
    pub(crate) fn wrap(&self, entropy: &dyn Entropy, context: &[u8], secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = secret.to_vec();
        self.cipher()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .expect("a key of some hundred bytes is below the cipher's limit");
        [&[WRAPPED_VERSION], nonce.as_slice(), &sealed].concat()
    }

    /// Opens what was wrapped in this context.
    pub(crate) fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        let (version, rest) = wrapped.split_first().ok_or(AuthorityError::Unwrap)?;
        if *version != WRAPPED_VERSION || rest.len() < NONCE_LEN {
            return Err(AuthorityError::Unwrap);
        }
        let (nonce, sealed) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| AuthorityError::Unwrap)?;
        let mut sealed = sealed.to_vec();
        let secret =
            self.cipher().open_in_place(nonce, Aad::from(context), &mut sealed).map_err(|_| AuthorityError::Unwrap)?;
        Ok(secret.to_vec())
    }
}

/// A fresh private key of a node, as PEM.
pub fn generate_key() -> Result<String, AuthorityError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem())
}

/// The public half of a node's key, signed with the private half: what a machine sends to be admitted.
#[derive(Clone, Debug)]
pub struct CertificateRequest(pub Vec<u8>);

impl CertificateRequest {
    /// The request of a key (PEM). It names nothing: the authority decides what the certificate says.
    pub fn new(key: &str) -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(Self(params.serialize_request(&KeyPair::from_pem(key)?)?.der().to_vec()))
    }
}

/// The certificate authority with its key in the open. Lives only as long as it signs.
pub struct Authority {
    cluster: ClusterId,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Authority({})", self.cluster)
    }
}

impl Authority {
    /// A fresh authority for a cluster.
    pub fn generate(cluster: ClusterId, now: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = dated(now, AUTHORITY_VALIDITY);
        params.distinguished_name.push(DnType::CommonName, format!("Regnode cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { cluster, key, certificate })
    }

    /// The authority whose key was wrapped.
    pub fn unwrap(
        cluster: ClusterId,
        cluster_key: &ClusterKey,
        certificate: &[u8],
        wrapped: &[u8],
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::try_from(cluster_key.unwrap(&cluster.0, wrapped)?)?;
        Ok(Self { cluster, key, certificate: CertificateDer::from(certificate.to_vec()) })
    }

    /// Its key, wrapped.
    #[must_use]
    pub fn wrap(&self, entropy: &dyn Entropy, cluster_key: &ClusterKey) -> Vec<u8> {
        cluster_key.wrap(entropy, &self.cluster.0, self.key.serialized_der())
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Signs a certificate for a node that asked for one. Node and region are the directory's.
    pub fn sign(
        &self,
        (node, region): (NodeId, RegionId),
        request: &[u8],
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))?;
        self.sign_key((node, region), &request.public_key, now)
    }

    /// Signs a new certificate for a node's own key (PEM).
    pub fn renew(
        &self,
        node: (NodeId, RegionId),
        key: &str,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        self.sign_key(node, &KeyPair::from_pem(key)?, now)
    }

    fn sign_key(
        &self,
        (node, region): (NodeId, RegionId),
        key: &impl PublicKeyData,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = dated(now, NODE_VALIDITY);
        params.distinguished_name.push(DnType::CommonName, format!("Regnode node {node}"));
        let names = [server_name(node, self.cluster), region_name(region, self.cluster)];
        for name in names {
            params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &self.key)?;
        Ok(params.signed_by(key, &issuer)?.der().clone())
    }
}

fn dated(now: Timestamp, validity: Duration) -> CertificateParams {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(now.0);
    let mut params = CertificateParams::default();
    params.not_before = now - BACKDATED;
    params.not_after = now + validity;
    params.distinguished_name = DistinguishedName::new();
    params
}

#[cfg(test)]
mod tests {
    use super::super::certificate::NodeCertificate;
    use super::*;

    #[derive(Debug)]
    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(3);
        }
    }

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const CLUSTER: ClusterId = ClusterId([5; 16]);

    #[test]
    fn a_wrapped_authority_signs_like_the_first_one() {
        let key = ClusterKey::generate(&Fixed);
        let authority = Authority::generate(CLUSTER, NOW).unwrap();
        let wrapped = authority.wrap(&Fixed, &key);
        let unwrapped = Authority::unwrap(CLUSTER, &key, authority.certificate(), &wrapped).unwrap();
        let request = CertificateRequest::new(&generate_key().unwrap()).unwrap();
        let certificate = unwrapped.sign((NodeId(4), RegionId(2)), &request.0, NOW).unwrap();
        let read = NodeCertificate::read(&certificate).unwrap();
        assert_eq!((read.node, read.region, read.cluster), (NodeId(4), RegionId(2), CLUSTER));
        assert_eq!(read.not_before.0, NOW.0 - 3_600_000);
        assert!(!read.is_due(NOW));
        assert!(read.is_due(NOW.plus_seconds(300 * 24 * 3600)));
    }

    #[test]
    fn the_key_opens_for_its_cluster_only() {
        let key = ClusterKey::generate(&Fixed);
        let authority = Authority::generate(CLUSTER, NOW).unwrap();
        let mut wrapped = authority.wrap(&Fixed, &key);
        let unwrap = |cluster, key: &ClusterKey, wrapped: &[u8]| {
            Authority::unwrap(cluster, key, authority.certificate(), wrapped).map(|_| ())
        };
        assert!(matches!(unwrap(ClusterId([6; 16]), &key, &wrapped), Err(AuthorityError::Unwrap)));
        assert!(matches!(unwrap(CLUSTER, &ClusterKey([1; 32]), &wrapped), Err(AuthorityError::Unwrap)));
        assert!(matches!(unwrap(CLUSTER, &key, &wrapped[..8]), Err(AuthorityError::Unwrap)));
        *wrapped.last_mut().unwrap() ^= 1;
        assert!(matches!(unwrap(CLUSTER, &key, &wrapped), Err(AuthorityError::Unwrap)));
    }

    #[test]
    fn a_request_with_a_broken_signature_is_refused() {
        let authority = Authority::generate(CLUSTER, NOW).unwrap();
        let mut request = CertificateRequest::new(&generate_key().unwrap()).unwrap().0;
        *request.last_mut().unwrap() ^= 1;
        assert!(authority.sign((NodeId(4), RegionId(1)), &request, NOW).is_err());
        assert!(authority.sign((NodeId(4), RegionId(1)), b"", NOW).is_err());
    }
}
