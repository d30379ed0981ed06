//! An order from its beginning, or from wherever another node has left it, to the certificate (RFC 8555 §7.1.6).
//!
//! The key that is asked for is noted with the order, before the authority hears of it: so any node can go on.

use std::time::Duration;

use bytes::Bytes;
use instant_acme::{
    AuthorizationStatus, ChallengeHandle, ChallengeStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
};
use raft::directory::{CertificateCommand, CertificateOrder, CertificateRecord, IssuedCertificate};
use raft::time::Timestamp;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::Acme;
use super::error::{AcmeError, words};
use super::hook::{Hook, Record};
use super::http::wait_asked;
use super::plan::{ORDER_LIFE_SECONDS, SPREAD_PER_MILLE_MAX};
use crate::config::AcmeChallenge;
use crate::identity::{domain_key, domain_request, validity};
use crate::serve::CertificatePair;

/// Time for the authority to look at a domain and to sign.
const PATIENCE: Duration = Duration::from_mins(5);
/// Time after which a challenge is forgotten, whoever has begun it.
const CHALLENGE_SECONDS: u64 = 15 * 60;
/// First pause between two looks at an order. It grows.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause, also if the authority asks for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is shown to the authority while it looks.
enum Shown {
    /// A challenge of the directory, by its token.
    Token(String),
    /// A record of the DNS.
    Dns(Record),
}

/// An order that the directory knows.
pub(super) struct Begun {
    pub(super) url: String,
    /// PKCS #8 DER.
    pub(super) key: Vec<u8>,
    pub(super) order: Order,
    /// Whether somebody has worked on it before.
    pub(super) resumed: bool,
}

impl Acme {
    /// Begins a new order.
    pub(super) async fn begin(&self, domain: &str) -> Result<Begun, AcmeError> {
        let key = self.environment.exec.run(domain_key).await?;
        let identifiers = [Identifier::Dns(domain.to_owned())];
        let mut known = self.account().await?;
        let order = match known.account.new_order(&NewOrder::new(&identifiers)).await.map_err(AcmeError::from) {
            Err(error) if error.is_no_account() => {
                self.replace_account(&known).await?;
                known = self.account().await?;
                known.account.new_order(&NewOrder::new(&identifiers)).await?
            }
            other => other?,
        };
        let (url, wrapped_key) = (order.url().to_owned(), self.wrapped(domain, &key));
        let authority = self.options.directory.clone();
        let noted = CertificateOrder { url: url.clone(), authority, wrapped_key, begun: Timestamp(0), node: self.node };
        self.note(CertificateCommand::Begin { domain: domain.to_owned(), order: noted }).await?;
        info!(domain, order = url, "certificate ordered");
        Ok(Begun { url, key, order, resumed: false })
    }

    /// Goes on with an order that the directory has.
    pub(super) async fn resume(&self, domain: &str, noted: &CertificateOrder) -> Result<Begun, AcmeError> {
        let key = self.keys.domain(domain, &noted.wrapped_key)?;
        let known = self.account().await?;
        let order = known.account.order(noted.url.clone()).await?;
        info!(domain, order = noted.url, "order of a certificate gone on with");
        Ok(Begun { url: noted.url.clone(), key, order, resumed: true })
    }

    /// Gives up an order that is too old. What an operator has asked for meanwhile stays asked for.
    pub(super) async fn give_up(
        &self,
        domain: &str,
        noted: &CertificateOrder,
        record: &CertificateRecord,
    ) -> Result<(), AcmeError> {
        let hours = ORDER_LIFE_SECONDS / 3600;
        info!(domain, order = noted.url, hours, "order of a certificate given up for its age");
        let last = record.failure.as_ref().map(|failure| format!("; at last: {}", failure.reason)).unwrap_or_default();
        let failed = CertificateCommand::Fail {
            domain: domain.to_owned(),
            reason: format!("the order has come to nothing within {hours} hours, another one is begun{last}"),
            retry_after_seconds: 0,
            order: Some(noted.url.clone()),
            asked: None,
        };
        self.note(failed).await
    }

    fn wrapped(&self, domain: &str, key: &[u8]) -> Bytes {
        self.keys.wrap_domain(self.environment.entropy.as_ref(), domain, key)
    }

    /// Brings an order to its end and notes the certificate.
    pub(super) async fn complete(&self, domain: &str, mut begun: Begun) -> Result<IssuedCertificate, AcmeError> {
        let mut shown = Vec::new();
        let followed = self.follow(domain, &mut begun, &mut shown).await;
        // Whoever goes on with it shows the same. What has led to a certificate is needed by nobody any more.
        let followed = match followed {
            Err(error) => Err(self.leading().err().unwrap_or(error)),
            followed => followed,
        };
        if !matches!(followed, Err(AcmeError::Interrupted(_))) {
            self.withdraw(shown).await;
        }
        let certificate = self.issued(domain, &followed?, &begun.key)?;
        let (domain, order) = (domain.to_owned(), begun.url);
        self.note(CertificateCommand::Finish { domain, order, certificate: certificate.clone() }).await?;
        Ok(certificate)
    }

    /// Does what the order's state asks for, until there is a chain.
    async fn follow(&self, domain: &str, begun: &mut Begun, shown: &mut Vec<Shown>) -> Result<String, AcmeError> {
        let deadline = Instant::now() + PATIENCE;
        let (mut answered, mut finalized, mut pause) = (false, false, PAUSE);
        loop {
            self.leading()?;
            let status = begun.order.state().status;
            if !answered && (status == OrderStatus::Pending || begun.resumed) {
                answered = true;
                self.answer(&mut begun.order, begun.resumed, shown).await?;
                self.leading()?;
            }
            match status {
                OrderStatus::Ready if !finalized => {
                    finalized = true;
                    begun.order.finalize_csr(&domain_request(domain, &begun.key)?).await?;
                    continue;
                }
                OrderStatus::Valid => {
                    let chain = begun.order.certificate().await?;
                    return chain.ok_or_else(|| AcmeError::Line("the authority has sent no certificate".to_owned()));
                }
                OrderStatus::Invalid => return Err(AcmeError::Invalid(reason(&mut begun.order).await)),
                _ => {}
            }
            if Instant::now() >= deadline {
                return Err(AcmeError::Late {
                    seconds: PATIENCE.as_secs(),
                    state: format!("{status:?}").to_lowercase(),
                });
            }
            let wait = wait_asked().map_or(pause, Duration::from_secs);
            sleep(wait.clamp(PAUSE, PAUSE_MAX)).await;
            pause = (pause * 3 / 2).min(PAUSE_MAX);
            begun.order.refresh().await?;
        }
    }

    /// Ends an attempt when another node may have gone on with it: what is still done would harm its order.
    pub(super) fn leading(&self) -> Result<(), AcmeError> {
        if (self.leads.0)() { Ok(()) } else { Err(AcmeError::Interrupted("this node leads no more".to_owned())) }
    }

    /// Answers all challenges of an order, and tells the authority.
    async fn answer(&self, order: &mut Order, resumed: bool, shown: &mut Vec<Shown>) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            let status = authorization.status;
            let challenge = authorization.challenge(self.kind());
            let Some(mut challenge) = challenge else {
                // What is ours already needs no challenge.
                if status == AuthorizationStatus::Pending {
                    return Err(AcmeError::NoChallenge(self.options.challenge.word()));
                }
                continue;
            };
            if status == AuthorizationStatus::Pending {
                shown.push(self.show(&challenge).await?);
                // A hook takes minutes.
                self.leading()?;
                if challenge.status == ChallengeStatus::Pending {
                    challenge.set_ready().await?;
                }
            } else if resumed && self.options.challenge == AcmeChallenge::Dns01 {
                // Whoever began it may have left it there.
                shown.push(Shown::Dns(record(&challenge)));
            }
        }
        Ok(())
    }

    fn kind(&self) -> ChallengeType {
        match self.options.challenge {
            AcmeChallenge::Http01 => ChallengeType::Http01,
            AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
            AcmeChallenge::Dns01 => ChallengeType::Dns01,
        }
    }

    /// Shows what a challenge asks for.
    async fn show(&self, challenge: &ChallengeHandle<'_>) -> Result<Shown, AcmeError> {
        if let Some(hook) = self.hook() {
            let record = record(challenge);
            hook.present(&record).await?;
            return Ok(Shown::Dns(record));
        }
        let token = challenge.token.clone();
        self.note(CertificateCommand::AddChallenge {
            token: token.clone(),
            domain: challenge.identifier().to_string(),
            key_authorization: challenge.key_authorization().as_str().to_owned(),
            lifetime_seconds: CHALLENGE_SECONDS,
        })
        .await?;
        Ok(Shown::Token(token))
    }

    /// Shows it no more. What cannot be taken back is said, and forgotten or overwritten later.
    async fn withdraw(&self, shown: Vec<Shown>) {
        for shown in shown {
            let outcome = match (shown, self.hook()) {
                (Shown::Token(token), _) => self.note(CertificateCommand::RemoveChallenge { token }).await,
                (Shown::Dns(record), Some(hook)) => hook.clean_up(&record).await,
                (Shown::Dns(_), None) => Ok(()),
            };
            if let Err(error) = outcome {
                warn!(%error, "the answer to a challenge could not be taken back");
            }
        }
    }

    fn hook(&self) -> Option<Hook> {
        let program = self.options.dns_hook.clone().filter(|_| self.options.challenge == AcmeChallenge::Dns01)?;
        Some(Hook { commands: std::sync::Arc::clone(&self.environment.commands), program })
    }

    /// What the authority has sent, if it is a certificate of the domain and the key.
    fn issued(&self, domain: &str, chain: &str, key: &[u8]) -> Result<IssuedCertificate, AcmeError> {
        let pair = CertificatePair::new(chain.as_bytes(), key)?;
        if !pair.is_for(domain) {
            return Err(AcmeError::Chain(format!("it is not for {domain}")));
        }
        let (not_before, not_after) =
            validity(pair.certificate()).ok_or_else(|| AcmeError::Chain("it cannot be read".to_owned()))?;
        if not_after <= self.environment.clock.now() {
            return Err(AcmeError::Chain("it is over already, by the clock of this node".to_owned()));
        }
        let spread = self.environment.entropy.number() % u64::from(SPREAD_PER_MILLE_MAX + 1);
        Ok(IssuedCertificate {
            chain: Bytes::copy_from_slice(chain.as_bytes()),
            wrapped_key: self.wrapped(domain, key),
            not_before,
            not_after,
            issued: Timestamp(0),
            authority: self.options.directory.clone(),
            node: self.node,
            spread_per_mille: u16::try_from(spread).unwrap_or(0),
        })
    }
}

/// The record that answers a challenge. A wildcard's stands at the name below the star.
fn record(challenge: &ChallengeHandle<'_>) -> Record {
    let domain = challenge.identifier().to_string();
    let domain = domain.strip_prefix("*.").unwrap_or(&domain).to_owned();
    Record { domain, value: challenge.key_authorization().dns_value() }
}

/// Why an order is over, as far as the authority tells it.
async fn reason(order: &mut Order) -> String {
    let mut said: Vec<String> = order.state().error.as_ref().map(words).into_iter().collect();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            continue;
        }
        let errors = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        said.extend(errors.map(words));
    }
    if said.is_empty() {
        said.push("the authority has ended the order and gives no reason".to_owned());
    }
    said.dedup();
    said.join("; ")
}
