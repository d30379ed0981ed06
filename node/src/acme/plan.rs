//! What is to be done about a domain's certificate. Pure functions of what the directory says of it and of the time.

use raft::directory::{CertificateRecord, IssuedCertificate};
use raft::time::Timestamp;

/// Greatest part of the time before its end by which a certificate is renewed earlier than others, in thousandths.
pub(super) const SPREAD_PER_MILLE_MAX: u16 = 100;

/// First pause after a failure, in seconds. It doubles with each further one.
const BACKOFF_SECONDS: u64 = 60;
/// Longest pause. Authorities count failures by the hour.
const BACKOFF_SECONDS_MAX: u64 = 6 * 3600;

/// Age at which an order is given up. Authorities forget theirs after a while (RFC 8555 §7.1.3), most after a week, and one
/// that has led to nothing for so long will not.
pub(super) const ORDER_LIFE_SECONDS: u64 = 86_400;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing for now.
    Nothing,
    /// A new order.
    Begin,
    /// The order that there is.
    Continue,
    /// Another order, in place of the one that there is, which is too old.
    GiveUp,
    /// The domain is forgotten: nobody wants it, and its certificate serves nobody.
    Forget,
}

/// What is to be done about a domain.
pub(super) fn step(
    record: Option<&CertificateRecord>,
    wanted: bool,
    authority: &str,
    renew_before_seconds: Option<u64>,
    now: Timestamp,
) -> Step {
    let Some(record) = record else { return if wanted { Step::Begin } else { Step::Nothing } };
    let issued = record.issued.as_ref();
    if !wanted {
        // One that is not wanted any more is shown to its end: nodes may know other settings for a while.
        return if issued.is_none_or(|issued| issued.not_after <= now) { Step::Forget } else { Step::Nothing };
    }
    if record.asked.is_none() && record.failure.as_ref().is_some_and(|failure| failure.retry > now) {
        return Step::Nothing;
    }
    if let Some(order) = record.order.as_ref().filter(|order| order.authority == authority) {
        return if order.begun.plus_seconds(ORDER_LIFE_SECONDS) <= now { Step::GiveUp } else { Step::Continue };
    }
    match issued {
        Some(issued) if record.asked.is_none() && issued.authority == authority => {
            if due(issued, renew_before_seconds) <= now { Step::Begin } else { Step::Nothing }
        }
        _ => Step::Begin,
    }
}

/// When a certificate is to be renewed: so many seconds before its end, or when a third of its life is left; never in the
/// first half of it, and a little earlier by lot.
pub(crate) fn due(issued: &IssuedCertificate, renew_before_seconds: Option<u64>) -> Timestamp {
    let life = issued.not_after.0.saturating_sub(issued.not_before.0);
    let left = lead(life, renew_before_seconds);
    let earlier = left / 1000 * u64::from(issued.spread_per_mille.min(SPREAD_PER_MILLE_MAX));
    let middle = issued.not_before.0.saturating_add(life / 2);
    Timestamp(issued.not_after.0.saturating_sub(left.saturating_add(earlier)).max(middle))
}

/// When an operator is to look at a certificate that could not be renewed: half of the time before its end is over.
pub(crate) fn alarming(issued: &IssuedCertificate, renew_before_seconds: Option<u64>) -> Timestamp {
    let life = issued.not_after.0.saturating_sub(issued.not_before.0);
    Timestamp(issued.not_after.0.saturating_sub(lead(life, renew_before_seconds) / 2))
}

/// Milliseconds before its end.
fn lead(life: u64, renew_before_seconds: Option<u64>) -> u64 {
    renew_before_seconds.map_or(life / 3, |seconds| seconds.saturating_mul(1000).min(life / 2))
}

/// Seconds until the next attempt: as long as the authority asks for, and longer after each failure. `lot` is random, so
/// that domains which failed together are not tried together.
pub(super) fn retry_after_seconds(failures: u32, asked_for: Option<u64>, lot: u64) -> u64 {
    let backoff = BACKOFF_SECONDS.saturating_mul(1 << failures.min(16)).min(BACKOFF_SECONDS_MAX);
    let pause = backoff + lot % (backoff / 4);
    asked_for.map_or(pause, |asked| asked.max(pause))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::directory::{CertificateFailure, CertificateOrder};
    use raft::id::NodeId;

    use super::*;

    const HERE: &str = "https://acme.example/directory";
    const DAY: u64 = 86_400_000;

    fn issued(days: u64) -> IssuedCertificate {
        IssuedCertificate {
            chain: Bytes::new(),
            wrapped_key: Bytes::new(),
            not_before: Timestamp(0),
            not_after: Timestamp(days * DAY),
            issued: Timestamp(0),
            authority: HERE.to_owned(),
            node: NodeId(1),
            spread_per_mille: 0,
        }
    }

    fn record() -> CertificateRecord {
        CertificateRecord { issued: Some(issued(90)), ..CertificateRecord::default() }
    }

    fn order(authority: &str) -> CertificateOrder {
        let (url, authority) = ("o".to_owned(), authority.to_owned());
        CertificateOrder { url, authority, wrapped_key: Bytes::new(), begun: Timestamp(0), node: NodeId(1) }
    }

    fn failure(retry: u64) -> CertificateFailure {
        CertificateFailure { time: Timestamp(0), reason: String::new(), count: 1, retry: Timestamp(retry) }
    }

    fn at(record: &CertificateRecord, day: u64) -> Step {
        step(Some(record), true, HERE, None, Timestamp(day * DAY))
    }

    #[test]
    fn a_domain_without_a_certificate_gets_one_and_one_that_ends_a_new_one() {
        assert_eq!(step(None, true, HERE, None, Timestamp(0)), Step::Begin);
        assert_eq!(at(&CertificateRecord::default(), 0), Step::Begin);
        assert_eq!(
            (at(&record(), 59), at(&record(), 60), at(&record(), 99)),
            (Step::Nothing, Step::Begin, Step::Begin)
        );
        let days = |days: u64, day| step(Some(&record()), true, HERE, Some(days * 86_400), Timestamp(day * DAY));
        assert_eq!((days(10, 79), days(10, 80)), (Step::Nothing, Step::Begin));
        assert_eq!((days(365, 44), days(365, 45)), (Step::Nothing, Step::Begin), "never in the first half of its life");
        let early = IssuedCertificate { spread_per_mille: 100, ..issued(90) };
        assert_eq!(due(&early, None), Timestamp(57 * DAY));
    }

    #[test]
    fn an_order_goes_on_and_a_failure_makes_it_wait() {
        let begun = |day: u64| CertificateOrder { begun: Timestamp(day * DAY), ..order(HERE) };
        let ordered = CertificateRecord { order: Some(begun(3)), ..record() };
        assert_eq!(at(&ordered, 1), Step::Continue, "its clock may be another node's");
        assert_eq!([3, 4, 9].map(|day| at(&ordered, day)), [Step::Continue, Step::GiveUp, Step::GiveUp]);
        assert_eq!(
            at(&CertificateRecord { order: Some(order("elsewhere")), issued: None, ..record() }, 1),
            Step::Begin
        );
        let failed = CertificateRecord { failure: Some(failure(3 * DAY)), ..ordered };
        assert_eq!((at(&failed, 2), at(&failed, 3)), (Step::Nothing, Step::Continue));
        let asked = CertificateRecord { asked: Some(Timestamp(0)), ..failed };
        assert_eq!(at(&asked, 2), Step::Continue, "an operator does not wait");
    }

    #[test]
    fn an_operator_and_another_authority_make_a_new_one() {
        assert_eq!(at(&CertificateRecord { asked: Some(Timestamp(0)), ..record() }, 1), Step::Begin);
        assert_eq!(step(Some(&record()), true, "https://other.example/", None, Timestamp(0)), Step::Begin);
    }

    #[test]
    fn what_nobody_wants_is_shown_to_its_end_and_then_forgotten() {
        let at = |day: u64| step(Some(&record()), false, HERE, None, Timestamp(day * DAY));
        assert_eq!((at(89), at(90)), (Step::Nothing, Step::Forget));
        let never = CertificateRecord { failure: Some(failure(9)), ..CertificateRecord::default() };
        assert_eq!(step(Some(&never), false, HERE, None, Timestamp(0)), Step::Forget);
        assert_eq!(step(None, false, HERE, None, Timestamp(0)), Step::Nothing);
    }

    #[test]
    fn pauses_grow_and_are_never_shorter_than_asked_for() {
        assert_eq!([0, 1, 2, 9, 40].map(|count| retry_after_seconds(count, None, 0)), [60, 120, 240, 21_600, 21_600]);
        assert_eq!(retry_after_seconds(0, None, 14), 74);
        assert_eq!((retry_after_seconds(0, Some(3600), 0), retry_after_seconds(0, Some(5), 0)), (3600, 60));
    }

    #[test]
    fn an_operator_is_called_when_half_of_the_last_third_is_over() {
        assert_eq!(alarming(&issued(90), None), Timestamp(75 * DAY));
        assert_eq!(alarming(&issued(90), Some(10 * 86_400)), Timestamp(85 * DAY));
    }
}
