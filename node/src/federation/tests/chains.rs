//! Tokens that carry certificates, or name a key of the bundle of roots.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sha2::{Digest as _, Sha256};

use super::issuer::{Signer, base64, compact};
use super::*;

const ISSUER: &str = "auth.test";

struct Root {
    signer: Signer,
    certificate: CertifiedIssuer<'static, KeyPair>,
}

fn key_pair(signer: &Signer) -> KeyPair {
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(signer.pkcs8());
    KeyPair::try_from(&key).unwrap()
}

fn parameters(name: &str, days: (i32, i32)) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    (parameters.not_before, parameters.not_after) =
        (rcgen::date_time_ymd(days.0, 1, 1), rcgen::date_time_ymd(days.1, 1, 1));
    parameters
}

impl Root {
    fn new(name: &str) -> Self {
        Self::valid(name, (2020, 2040))
    }

    fn valid(name: &str, years: (i32, i32)) -> Self {
        let signer = Signer::new("root", "ES256");
        let mut parameters = parameters(name, years);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = CertifiedIssuer::self_signed(parameters, key_pair(&signer)).unwrap();
        Self { signer, certificate }
    }

    /// A certificate for a key, valid between these years.
    fn certify(&self, signer: &Signer, days: (i32, i32)) -> Vec<u8> {
        let leaf = parameters("signer.test", days).signed_by(&key_pair(signer), &self.certificate).unwrap();
        leaf.der().to_vec()
    }

    fn federation(&self) -> Federation {
        let record = record(ISSUER, IssuerKeys::Certificates(self.certificate.pem()));
        federation(&environment(), vec![("ci", record)])
    }
}

/// As RFC 7638 has it: the members in the order of their names, without blanks.
fn thumbprint(root: &Root) -> String {
    let jwk = root.signer.jwk();
    let json = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    base64(Sha256::digest(json))
}

fn token(signer: &Signer, chain: &[&[u8]]) -> String {
    let chain: Vec<String> = chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
    let header = json!({"alg": signer.algorithm, "typ": "JWT", "x5c": chain});
    compact(&header, &claims(ISSUER), |message| signer.sign(message))
}

#[tokio::test]
async fn a_chain_to_a_root_counts() {
    let root = Root::new("root");
    let federation = root.federation();
    for algorithm in ["ES256", "ES384", "EdDSA", "RS256", "PS512"] {
        let signer = Signer::new("leaf", algorithm);
        let leaf = root.certify(&signer, (2020, 2040));
        let root = root.certificate.der().to_vec();
        for chain in [vec![&*leaf], vec![&*leaf, &*root]] {
            assert_eq!(federation.robot("ci", &token(&signer, &chain)).await, Ok(()), "{algorithm}");
        }
    }
}

#[tokio::test]
async fn a_root_signs_tokens_itself() {
    let root = Root::new("root");
    let own = token(&root.signer, &[root.certificate.der()]);
    assert_eq!(root.federation().robot("ci", &own).await, Ok(()));
}

#[tokio::test]
async fn a_root_that_is_over_counts_for_nothing() {
    let root = Root::valid("root", (2020, 2021));
    let federation = root.federation();
    let signer = Signer::new("leaf", "ES256");
    let leaf = root.certify(&signer, (2020, 2040));
    let named = json!({"alg": "ES256", "kid": thumbprint(&root)});
    for (token, why) in [
        (token(&root.signer, &[root.certificate.der()]), "lead to no root"),
        (token(&signer, &[&leaf]), "lead to no root"),
        (compact(&named, &claims(ISSUER), |message| root.signer.sign(message)), "no key"),
    ] {
        let reason = reason(federation.robot("ci", &token).await);
        assert!(reason.contains(why), "{reason}");
    }
}

#[tokio::test]
async fn other_chains_do_not_count() {
    let (root, other) = (Root::new("root"), Root::new("root"));
    let federation = root.federation();
    let (signer, thief) = (Signer::new("leaf", "ES256"), Signer::new("leaf", "ES256"));
    let leaf = root.certify(&signer, (2020, 2040));
    let foreign = other.certify(&signer, (2020, 2040));
    for (name, token, why) in [
        ("another root", token(&signer, &[&foreign]), "lead to no root"),
        ("another root, sent along", token(&signer, &[&foreign, other.certificate.der()]), "lead to no root"),
        ("another root itself", token(&other.signer, &[other.certificate.der()]), "lead to no root"),
        ("over", token(&signer, &[&root.certify(&signer, (2020, 2021))]), "lead to no root"),
        ("not yet", token(&signer, &[&root.certify(&signer, (2035, 2040))]), "lead to no root"),
        ("the wrong way round", token(&signer, &[root.certificate.der(), &leaf]), "signature is wrong"),
        ("somebody else's", token(&thief, &[&leaf]), "signature is wrong"),
        ("nonsense", token(&signer, &[b"nonsense"]), "lead to no root"),
        ("nothing", token(&signer, &[]), "no key"),
    ] {
        let reason = reason(federation.robot("ci", &token).await);
        assert!(reason.contains(why), "{name}: {reason}");
    }
    let swapped = json!({"alg": "ES384", "x5c": [STANDARD.encode(&leaf)]});
    let swapped = compact(&swapped, &claims(ISSUER), |message| signer.sign(message));
    assert!(reason(federation.robot("ci", &swapped).await).contains("no key"));
}

#[tokio::test]
async fn a_root_is_named_by_its_thumbprint() {
    let root = Root::new("root");
    let named = |id: &str| {
        let header = json!({"alg": "ES256", "kid": id});
        compact(&header, &claims(ISSUER), |message| root.signer.sign(message))
    };
    let federation = root.federation();
    assert_eq!(federation.robot("ci", &named(&thumbprint(&root))).await, Ok(()));
    let reason = reason(federation.robot("ci", &named("root")).await);
    assert!(reason.contains("no key"), "{reason}");
}

#[test]
fn a_bundle_is_certificates() {
    let root = Root::new("root");
    assert!(super::super::check_roots(&root.certificate.pem()).is_ok());
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(super::super::check_roots(pem).is_err(), "{pem:?}");
    }
}
