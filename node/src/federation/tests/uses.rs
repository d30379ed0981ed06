//! What tokens are good for: robots, people, rights; and client certificates.

use raft::directory::BY_CERTIFICATE;

use super::issuer::Signer;
use super::*;
use crate::serve::ClientCertificate;

const ISSUER: &str = "https://gitlab.test";

fn of_use(signer: &Signer, purpose: IssuerUse) -> IssuerRecord {
    let keys = json!({"keys": [signer.jwk()]}).to_string();
    IssuerRecord { purpose, ..record(ISSUER, IssuerKeys::Jwks(keys)) }
}

fn people() -> IssuerUse {
    IssuerUse::People {
        client_id: "regnode-cli".to_owned(),
        user_claim: "preferred_username".to_owned(),
        groups_claim: Some("groups".to_owned()),
        groups: vec![("/devs".to_owned(), "developers".to_owned())],
    }
}

#[tokio::test]
async fn one_issuer_may_stand_for_people_jobs_and_rights() {
    let environment = environment();
    let signer = Signer::new("one", "RS256");
    let issuers = vec![
        ("ci", of_use(&signer, IssuerUse::Workload)),
        ("sso", of_use(&signer, people())),
        ("tokens", of_use(&signer, IssuerUse::Tokens)),
    ];
    let federation = federation(&environment, issuers);
    assert_eq!(federation.robot("ci", &signer.token(&claims(ISSUER))).await, Ok(()));

    let ann = but(claims(ISSUER), "aud", json!("regnode-cli"));
    let ann = but(but(ann, "preferred_username", json!("ann")), "groups", json!(["/devs", "/other"]));
    let person = federation.person(&signer.token(&ann)).await.unwrap();
    assert_eq!((person.name.as_str(), person.issuer.as_str()), ("ann", "sso"));
    assert_eq!(person.outsider.groups, Some(vec!["developers".to_owned()]));
    // What was made for another client of the issuer does not count here.
    let other = but(ann.clone(), "aud", json!("other-client"));
    assert!(matches!(federation.person(&signer.token(&other)).await, Err(OutsideError::Refused(_))));

    let access = json!([{"type": "repository", "name": "acme/app", "actions": ["pull"]}]);
    let token = signer.token(&but(claims(ISSUER), "access", access));
    let caller = federation.caller(&token, ADDRESS, 0).await.unwrap();
    assert_eq!(caller.principal.to_string(), "token:tokens/repo:acme/app:ref:refs/heads/main");
    assert!(caller.grants.unwrap()[0].allows("pull"));
}

#[tokio::test]
async fn a_workload_of_kubernetes_is_known_by_its_nested_claims() {
    let environment = environment();
    let signer = Signer::new("one", "RS256");
    let trusts = TrustRule {
        issuer: "k8s".to_owned(),
        claims: vec![
            ("kubernetes.io.namespace".to_owned(), "apps".to_owned()),
            ("kubernetes.io.serviceaccount.name".to_owned(), "builder".to_owned()),
        ],
    };
    let robots = BTreeMap::from([("cluster".to_owned(), robot(vec![trusts]))]);
    let federation = with_robots(&environment, vec![("k8s", of_use(&signer, IssuerUse::Workload))], robots);
    let pod = |name: &str| {
        let nested = json!({"namespace": "apps", "serviceaccount": {"name": name, "uid": "1"}});
        signer.token(&but(claims(ISSUER), "kubernetes.io", nested))
    };
    assert_eq!(federation.robot("cluster", &pod("builder")).await, Ok(()));
    assert!(reason(federation.robot("cluster", &pod("default")).await).contains("no rule"));
}

#[test]
fn a_certificate_is_the_one_robot_that_trusts_it() {
    let environment = environment();
    let by = |pattern: &str| robot(vec![rule(BY_CERTIFICATE, "san", pattern)]);
    let robots = BTreeMap::from([
        ("builder".to_owned(), by("dns:builder.test")),
        ("any-a".to_owned(), by("uri:spiffe://test/a*")),
        ("any-b".to_owned(), by("uri:spiffe://test/*")),
        ("ci".to_owned(), robot(vec![rule("ci", "san", "*")])),
    ]);
    let federation = with_robots(&environment, Vec::new(), robots);
    let robot = |san: &str| federation.certificate(&ClientCertificate { sans: vec![san.to_owned()] });
    assert_eq!(robot("dns:builder.test").as_deref(), Some("builder"));
    assert_eq!(robot("uri:spiffe://test/b").as_deref(), Some("any-b"));
    assert_eq!(robot("uri:spiffe://test/a"), None, "two fit");
    assert_eq!(robot("dns:other.test"), None);
    assert_eq!(federation.certificate(&ClientCertificate::default()), None);
}

#[tokio::test]
async fn before_the_directory_is_read_nothing_is_refused() {
    let environment = environment();
    let access = Access::fixed(Rights::default(), Arc::clone(&environment.clock));
    let federation = Federation::new(access, &environment, crate::federation::Metrics::default());
    assert!(matches!(federation.robot("ci", "a.b.c").await, Err(OutsideError::Unavailable(_))));
}
