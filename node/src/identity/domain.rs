//! Keys, requests and challenge certificates of the registry's domains, as an ACME authority wants them. What becomes of
//! them is for `acme`.

use raft::time::Timestamp;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};

use super::AuthorityError;

/// A fresh key for a domain's certificate: ECDSA on P-256, PKCS #8 DER.
pub(crate) fn domain_key() -> Result<Vec<u8>, AuthorityError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_der())
}

/// The request for a certificate of this domain and this key (PKCS #8 DER): PKCS #10, DER.
pub(crate) fn domain_request(domain: &str, key: &[u8]) -> Result<Vec<u8>, AuthorityError> {
    let key = KeyPair::try_from(key)?;
    Ok(params(domain)?.serialize_request(&key)?.der().to_vec())
}

/// What is shown to an authority that asks by `acme-tls/1` whether a domain is ours (RFC 8737 §3): a certificate for the
/// domain, signed by itself, with the digest of the key authorization; and its key, PKCS #8. Both DER.
pub(crate) fn challenge_certificate(domain: &str, digest: &[u8; 32]) -> Result<(Vec<u8>, Vec<u8>), AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = params(domain)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    Ok((params.self_signed(&key)?.der().to_vec(), key.serialize_der()))
}

/// Nothing but the domain's name.
fn params(domain: &str) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::DnsName(domain.try_into()?)];
    Ok(params)
}

/// From when to when a certificate (DER) is valid; `None` when it cannot be read.
pub(crate) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let time = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
    let validity = read.validity();
    Some((time(validity.not_before.timestamp()), time(validity.not_after.timestamp())))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateSigningRequestParams, PublicKeyData as _};
    use rustls_pki_types::CertificateSigningRequestDer;

    use super::*;

    #[test]
    fn a_request_names_the_domain_and_nothing_else_and_is_of_its_key() {
        let key = domain_key().unwrap();
        let request = domain_request("*.example.org", &key).unwrap();
        let read = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request)).unwrap();
        assert_eq!(read.params.subject_alt_names, [SanType::DnsName("*.example.org".try_into().unwrap())]);
        assert_eq!(read.params.distinguished_name, DistinguishedName::new());
        let own = KeyPair::try_from(key.as_slice()).unwrap();
        assert_eq!(read.public_key.subject_public_key_info(), own.subject_public_key_info());
        assert!(domain_request("a.example", b"no key").is_err());
    }

    #[test]
    fn a_challenge_certificate_carries_the_digest_in_a_critical_extension() {
        let (certificate, key) = challenge_certificate("a.example", &[7; 32]).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(&certificate).unwrap();
        // id-pe-acmeIdentifier, RFC 8737 §6.1.
        let found = read.extensions().iter().find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31");
        let found = found.unwrap();
        assert!(found.critical);
        assert_eq!(found.value, [&[4, 32], [7; 32].as_slice()].concat());
        let names = read.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
        assert!(KeyPair::try_from(key).is_ok());
        assert!(validity(&certificate).is_some() && validity(b"none").is_none());
    }
}
