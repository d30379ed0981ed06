//! The registry's certificates: orders come and lead to certificates or to failures, one order for a domain at a time.
//!
//! The nodes that work on them may change in between, and an old leader may still be at it: whoever ends an order names
//! it. What comes too late changes nothing.

use super::{Context, Outcome};
use crate::directory::certificate::{
    AcmeAccountRecord, CertificateCommand, CertificateFailure, CertificateOrder, CertificateRecord, CertificateRefusal,
    ChallengeRecord, IssuedCertificate, is_certificate_domain,
};
use crate::directory::command::Response;
use crate::directory::limit::{
    CERTIFICATE_BYTES_MAX, CERTIFICATE_REASON_BYTES_MAX, CERTIFICATE_TEXT_LENGTH_MAX, CERTIFICATES_MAX, CHALLENGES_MAX,
};
use crate::directory::refusal::Refusal;
use crate::directory::table::{AcmeAccounts, CertificateState, Certificates, Challenges, Cluster};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};
use crate::time::Timestamp;

/// Carries one of these commands out.
pub(super) fn apply(context: &mut Context<'_, '_>, command: CertificateCommand) -> Outcome {
    if !Cluster::contains(context.state, ())? {
        return Ok(Err(Refusal::NotFounded));
    }
    let outcome = match command {
        CertificateCommand::SetAccount { authority, credentials, replaces } => {
            set_account(context, &authority, credentials, replaces.as_ref())
        }
        CertificateCommand::Begin { domain, order } => begin(context, domain, order),
        CertificateCommand::Finish { domain, order, certificate } => finish(context, domain, &order, certificate),
        CertificateCommand::Fail { domain, reason, retry_after_seconds, order, asked } => {
            fail(context, &domain, reason, retry_after_seconds, (order.as_deref(), asked))
        }
        CertificateCommand::Ask { domain } => ask(context, domain),
        CertificateCommand::Remove { domain } => remove(context, &domain),
        CertificateCommand::AddChallenge { token, domain, key_authorization, lifetime_seconds } => {
            let expires = context.now.plus_seconds(lifetime_seconds);
            add_challenge(context, &token, ChallengeRecord { domain, key_authorization, expires })
        }
        CertificateCommand::RemoveChallenge { token } => {
            Challenges::delete(context.state, &token);
            Ok(Ok(()))
        }
    };
    Ok(outcome?.map(|()| Response::Done).map_err(Refusal::Certificate))
}

/// Done, or a refusal before the first write, or a stop of the replica.
type Done = Result<Result<(), CertificateRefusal>, ApplyError>;

fn set_account(
    context: &mut Context<'_, '_>,
    authority: &String,
    credentials: storage::kv::Bytes,
    replaces: Option<&storage::kv::Bytes>,
) -> Done {
    let checked = fits("authority", authority.len(), CERTIFICATE_TEXT_LENGTH_MAX)
        .and_then(|()| fits("account", credentials.len(), CERTIFICATE_BYTES_MAX));
    if let Err(refusal) = checked {
        return Ok(Err(refusal));
    }
    let present = AcmeAccounts::get(context.state, authority)?;
    if present.as_ref().map(|present| &present.credentials) == replaces {
        let record = AcmeAccountRecord { credentials, created: context.now };
        AcmeAccounts::put(context.state, authority, &record);
    }
    Ok(Ok(()))
}

fn begin(context: &mut Context<'_, '_>, domain: String, order: CertificateOrder) -> Done {
    let checked = fits("order", order.url.len(), CERTIFICATE_TEXT_LENGTH_MAX)
        .and_then(|()| fits("authority", order.authority.len(), CERTIFICATE_TEXT_LENGTH_MAX))
        .and_then(|()| fits("key", order.wrapped_key.len(), CERTIFICATE_BYTES_MAX));
    if let Err(refusal) = checked {
        return Ok(Err(refusal));
    }
    let mut record = match known_or_new(context, &domain)? {
        Ok(record) => record,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match &record.order {
        Some(present) if present.url == order.url => {}
        // One at an authority that is not asked any more holds up nobody.
        Some(present) if present.authority == order.authority => {
            return Ok(Err(CertificateRefusal::OtherOrder(domain)));
        }
        _ => {
            record.order = Some(CertificateOrder { begun: context.now, ..order });
            store(context, &domain, &record)?;
        }
    }
    Ok(Ok(()))
}

fn finish(context: &mut Context<'_, '_>, domain: String, order: &str, certificate: IssuedCertificate) -> Done {
    let checked = fits("chain", certificate.chain.len(), CERTIFICATE_BYTES_MAX)
        .and_then(|()| fits("authority", certificate.authority.len(), CERTIFICATE_TEXT_LENGTH_MAX))
        .and_then(|()| fits("key", certificate.wrapped_key.len(), CERTIFICATE_BYTES_MAX));
    if let Err(refusal) = checked {
        return Ok(Err(refusal));
    }
    let Some(mut record) = Certificates::get(context.state, &domain)? else {
        return Ok(Err(CertificateRefusal::Unknown(domain)));
    };
    if record.order.as_ref().is_none_or(|present| present.url != order) {
        let repeated = record.issued.as_ref().is_some_and(|issued| issued.chain == certificate.chain);
        return Ok(if repeated { Ok(()) } else { Err(CertificateRefusal::OtherOrder(domain)) });
    }
    record = CertificateRecord {
        issued: Some(IssuedCertificate { issued: context.now, ..certificate }),
        ..CertificateRecord::default()
    };
    store(context, &domain, &record)?;
    changed(context)?;
    Ok(Ok(()))
}

fn fail(
    context: &mut Context<'_, '_>,
    domain: &String,
    mut reason: String,
    retry_after_seconds: u64,
    (order, asked): (Option<&str>, Option<Timestamp>),
) -> Done {
    let mut record = match known_or_new(context, domain)? {
        Ok(record) => record,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if record.order.as_ref().is_some_and(|present| Some(present.url.as_str()) == order) {
        record.order = None;
    }
    reason.truncate(reason.floor_char_boundary(CERTIFICATE_REASON_BYTES_MAX));
    let count = record.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
    let retry = context.now.plus_seconds(retry_after_seconds);
    record.failure = Some(CertificateFailure { time: context.now, reason, count, retry });
    if record.asked == asked {
        record.asked = None;
    }
    store(context, domain, &record)?;
    Ok(Ok(()))
}

fn ask(context: &mut Context<'_, '_>, domain: String) -> Done {
    let Some(mut record) = Certificates::get(context.state, &domain)? else {
        return Ok(Err(CertificateRefusal::Unknown(domain)));
    };
    record.asked = Some(context.now);
    store(context, &domain, &record)?;
    Ok(Ok(()))
}

fn remove(context: &mut Context<'_, '_>, domain: &String) -> Done {
    if Certificates::contains(context.state, domain)? {
        Certificates::delete(context.state, domain);
        let mut state = CertificateState::get(context.state, ())?.unwrap_or_default();
        state.domains = state.domains.saturating_sub(1);
        state.version += 1;
        CertificateState::put(context.state, (), &state);
    }
    Ok(Ok(()))
}

fn add_challenge(context: &mut Context<'_, '_>, token: &String, challenge: ChallengeRecord) -> Done {
    if !is_certificate_domain(&challenge.domain) {
        return Ok(Err(CertificateRefusal::DomainInvalid(challenge.domain)));
    }
    let checked = fits("token", token.len(), CERTIFICATE_TEXT_LENGTH_MAX)
        .and_then(|()| fits("key authorization", challenge.key_authorization.len(), CERTIFICATE_TEXT_LENGTH_MAX));
    if let Err(refusal) = checked {
        return Ok(Err(refusal));
    }
    let now = context.now;
    let (ended, waiting): (Vec<_>, Vec<_>) = Challenges::scan::<()>(context.state, (), None, usize::MAX)?
        .into_iter()
        .partition(|(_, challenge)| challenge.expires <= now);
    if waiting.len() >= CHALLENGES_MAX && !waiting.iter().any(|(other, _)| other == token) {
        return Ok(Err(CertificateRefusal::TooManyChallenges(CHALLENGES_MAX as u64)));
    }
    for (token, _) in ended {
        Challenges::delete(context.state, &token);
    }
    Challenges::put(context.state, token, &challenge);
    Ok(Ok(()))
}

/// What there is of a domain, if there is, or may be, anything.
fn known_or_new(
    context: &Context<'_, '_>,
    domain: &String,
) -> Result<Result<CertificateRecord, CertificateRefusal>, ApplyError> {
    if let Some(record) = Certificates::get(context.state, domain)? {
        return Ok(Ok(record));
    }
    if !is_certificate_domain(domain) {
        return Ok(Err(CertificateRefusal::DomainInvalid(domain.clone())));
    }
    let state = CertificateState::get(context.state, ())?.unwrap_or_default();
    let room = state.domains < CERTIFICATES_MAX as u64;
    Ok(if room { Ok(CertificateRecord::default()) } else { Err(CertificateRefusal::TooMany(CERTIFICATES_MAX as u64)) })
}

/// Stores a domain's record, and counts the domain if it is new.
fn store(context: &mut Context<'_, '_>, domain: &String, record: &CertificateRecord) -> Result<(), ApplyError> {
    if !Certificates::contains(context.state, domain)? {
        let mut state = CertificateState::get(context.state, ())?.unwrap_or_default();
        state.domains += 1;
        CertificateState::put(context.state, (), &state);
    }
    Certificates::put(context.state, domain, record);
    Ok(())
}

/// Counts a change of what the nodes show.
fn changed(context: &mut Context<'_, '_>) -> Result<(), ApplyError> {
    let mut state = CertificateState::get(context.state, ())?.unwrap_or_default();
    state.version += 1;
    CertificateState::put(context.state, (), &state);
    Ok(())
}

/// Passes over versions that a lost majority may have counted: none of them stands for two states.
pub(super) fn pass_over(context: &mut Context<'_, '_>, versions: u64) -> Result<(), ApplyError> {
    let mut state = CertificateState::get(context.state, ())?.unwrap_or_default();
    let exhausted = || inconsistent("certificate state", "no version is left");
    state.version = state.version.checked_add(versions).ok_or_else(exhausted)?;
    CertificateState::put(context.state, (), &state);
    Ok(())
}

/// Refuses a part without a usable length.
fn fits(part: &str, bytes: usize, most: usize) -> Result<(), CertificateRefusal> {
    if (1..=most).contains(&bytes) {
        return Ok(());
    }
    Err(CertificateRefusal::Length { part: part.to_owned(), bytes: bytes as u64, most: most as u64 })
}
