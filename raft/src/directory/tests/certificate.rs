//! The registry's certificates from an ACME authority.

use storage::kv::Bytes;

use super::store::*;
use crate::directory::*;
use crate::id::NodeId;
use crate::time::Timestamp;

const DOMAIN: &str = "registry.example.org";

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn order(url: &str) -> CertificateOrder {
    let authority = "https://acme.example/directory".to_owned();
    CertificateOrder { url: url.to_owned(), authority, wrapped_key: bytes("key"), begun: Timestamp(0), node: NodeId(1) }
}

fn issued(chain: &str) -> IssuedCertificate {
    IssuedCertificate {
        chain: bytes(chain),
        wrapped_key: bytes("key"),
        not_before: Timestamp(1),
        not_after: Timestamp(2),
        issued: Timestamp(0),
        authority: "https://acme.example/directory".to_owned(),
        node: NodeId(1),
        spread_per_mille: 0,
    }
}

impl Store {
    fn certify(&mut self, command: CertificateCommand) -> Result<(), CertificateRefusal> {
        match self.apply(Command::Certificate(command)) {
            Response::Done => Ok(()),
            Response::Refused(Refusal::Certificate(refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self, domain: &str, url: &str) -> Result<(), CertificateRefusal> {
        self.certify(CertificateCommand::Begin { domain: domain.to_owned(), order: order(url) })
    }

    fn finish(&mut self, url: &str, chain: &str) -> Result<(), CertificateRefusal> {
        let (domain, order) = (DOMAIN.to_owned(), url.to_owned());
        self.certify(CertificateCommand::Finish { domain, order, certificate: issued(chain) })
    }

    fn fail(&mut self, reason: &str, url: Option<&str>) -> Result<(), CertificateRefusal> {
        let (domain, reason, order) = (DOMAIN.to_owned(), reason.to_owned(), url.map(str::to_owned));
        let asked = self.view().certificate(DOMAIN).unwrap().and_then(|known| known.asked);
        self.certify(CertificateCommand::Fail { domain, reason, retry_after_seconds: 60, order, asked })
    }

    fn known(&self) -> CertificateRecord {
        self.view().certificate(DOMAIN).unwrap().unwrap()
    }

    fn certificate_version(&self) -> u64 {
        self.view().certificate_version().unwrap()
    }
}

#[test]
fn an_order_leads_to_a_certificate_that_is_counted_once() {
    let mut store = Store::founded();
    assert_eq!(store.begin(DOMAIN, "o1"), Ok(()));
    assert_eq!(store.begin(DOMAIN, "o1"), Ok(()), "a repetition");
    assert_eq!(store.known().order.unwrap().begun, store.now);
    assert_eq!(store.begin(DOMAIN, "o2"), Err(CertificateRefusal::OtherOrder(DOMAIN.to_owned())));
    assert_eq!(store.certificate_version(), 0, "nothing is shown yet");
    assert_eq!(store.finish("o2", "b"), Err(CertificateRefusal::OtherOrder(DOMAIN.to_owned())));
    assert_eq!(store.finish("o1", "a"), Ok(()));
    assert_eq!(store.finish("o1", "a"), Ok(()), "a repetition");
    assert_eq!(store.certificate_version(), 1);
    let known = store.known();
    assert_eq!((known.order, known.issued.unwrap().issued), (None, store.now));
    assert_eq!(store.finish("o1", "b"), Err(CertificateRefusal::OtherOrder(DOMAIN.to_owned())), "an old leader");
}

#[test]
fn a_failure_ends_its_own_order_only_and_is_forgotten_by_a_success() {
    let mut store = Store::founded();
    store.begin(DOMAIN, "o1").unwrap();
    store.fail("line is down", None).unwrap();
    assert_eq!(store.known().order.unwrap().url, "o1", "it goes on later");
    store.fail("an old leader", Some("o0")).unwrap();
    assert!(store.known().order.is_some());
    store.fail(&"\u{e9}".repeat(3000), Some("o1")).unwrap();
    let known = store.known();
    let failure = known.failure.unwrap();
    assert_eq!((known.order, failure.count, failure.retry), (None, 3, store.now.plus_seconds(60)));
    assert_eq!(failure.reason.len(), CERTIFICATE_REASON_BYTES_MAX);
    store.begin(DOMAIN, "o2").unwrap();
    store.finish("o2", "a").unwrap();
    assert_eq!(store.known().failure, None);
}

#[test]
fn an_operator_asks_once_for_a_certificate_that_there_is() {
    let mut store = Store::founded();
    let ask = || CertificateCommand::Ask { domain: DOMAIN.to_owned() };
    assert_eq!(store.certify(ask()), Err(CertificateRefusal::Unknown(DOMAIN.to_owned())));
    store.begin(DOMAIN, "o1").unwrap();
    store.finish("o1", "a").unwrap();
    store.certify(ask()).unwrap();
    assert_eq!(store.known().asked, Some(store.now));
    store.begin(DOMAIN, "o2").unwrap();
    store.fail("refused", Some("o2")).unwrap();
    let known = store.known();
    assert_eq!(
        (known.asked, known.issued.map(|issued| issued.chain)),
        (None, Some(bytes("a"))),
        "what there was stays"
    );
}

#[test]
fn what_an_operator_asks_for_during_an_attempt_outlives_its_failure() {
    let mut store = Store::founded();
    store.begin(DOMAIN, "o1").unwrap();
    store.certify(CertificateCommand::Ask { domain: DOMAIN.to_owned() }).unwrap();
    let (before, now) = (store.now, store.now.plus_seconds(1));
    store.now = now;
    store.certify(CertificateCommand::Ask { domain: DOMAIN.to_owned() }).unwrap();
    for (asked, left) in [(None, Some(now)), (Some(before), Some(now)), (Some(now), None)] {
        let (domain, reason, order) = (DOMAIN.to_owned(), "refused".to_owned(), None);
        let failed = CertificateCommand::Fail { domain, reason, retry_after_seconds: 60, order, asked };
        store.certify(failed).unwrap();
        assert_eq!(store.known().asked, left, "{asked:?}");
    }
}

#[test]
fn domains_are_names_and_no_more_than_may_be() {
    let mut store = Store::founded();
    assert_eq!(store.begin("No Domain", "o"), Err(CertificateRefusal::DomainInvalid("No Domain".to_owned())));
    for number in 0..CERTIFICATES_MAX {
        store.begin(&format!("d{number}.example"), "o").unwrap();
    }
    assert_eq!(store.begin(DOMAIN, "o"), Err(CertificateRefusal::TooMany(CERTIFICATES_MAX as u64)));
    assert_eq!(store.fail("refused", None), Err(CertificateRefusal::TooMany(CERTIFICATES_MAX as u64)));
    let remove = || CertificateCommand::Remove { domain: "d7.example".to_owned() };
    store.certify(remove()).unwrap();
    store.certify(remove()).unwrap();
    store.begin(DOMAIN, "o").unwrap();
    assert_eq!(store.view().certificates().unwrap().len(), CERTIFICATES_MAX);
    assert!(store.begin("one.more.example", "o").is_err(), "a removal counts once");
}

#[test]
fn of_two_accounts_made_at_the_same_time_the_first_one_stays() {
    let mut store = Store::founded();
    let set = |credentials: &str, replaces: Option<&str>| CertificateCommand::SetAccount {
        authority: "https://acme.example/directory".to_owned(),
        credentials: bytes(credentials),
        replaces: replaces.map(bytes),
    };
    let kept =
        |store: &Store| store.view().acme_account("https://acme.example/directory").unwrap().unwrap().credentials;
    store.certify(set("a", None)).unwrap();
    store.certify(set("b", None)).unwrap();
    assert_eq!(kept(&store), bytes("a"));
    store.certify(set("c", Some("a"))).unwrap();
    store.certify(set("d", Some("a"))).unwrap();
    assert_eq!(kept(&store), bytes("c"), "one that the authority has forgotten is replaced");
}

#[test]
fn challenges_expire_and_make_room() {
    let mut store = Store::founded();
    let add = |token: String| CertificateCommand::AddChallenge {
        token,
        domain: DOMAIN.to_owned(),
        key_authorization: "answer".to_owned(),
        lifetime_seconds: 60,
    };
    for number in 0..CHALLENGES_MAX {
        store.certify(add(format!("t{number}"))).unwrap();
    }
    let full = Err(CertificateRefusal::TooManyChallenges(CHALLENGES_MAX as u64));
    assert_eq!(store.certify(add("more".to_owned())), full);
    store.certify(add("t1".to_owned())).unwrap();
    store.certify(CertificateCommand::RemoveChallenge { token: "t0".to_owned() }).unwrap();
    store.certify(add("more".to_owned())).unwrap();
    assert_eq!(store.view().challenge("more").unwrap().unwrap().expires, store.now.plus_seconds(60));
    assert!(store.view().challenge("t0").unwrap().is_none());
    store.now = store.now.plus_seconds(60);
    store.certify(add("last".to_owned())).unwrap();
    assert_eq!(store.view().challenges().unwrap().len(), 1);
}

#[test]
fn what_has_no_usable_length_is_refused() {
    let mut store = Store::founded();
    let length = |outcome: Result<(), CertificateRefusal>| matches!(outcome, Err(CertificateRefusal::Length { .. }));
    assert!(length(store.begin(DOMAIN, "")));
    assert!(length(store.begin(DOMAIN, &"u".repeat(CERTIFICATE_TEXT_LENGTH_MAX + 1))));
    store.begin(DOMAIN, "o").unwrap();
    assert!(length(store.finish("o", &"c".repeat(CERTIFICATE_BYTES_MAX + 1))));
}
