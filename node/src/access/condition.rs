//! When a rule holds: its condition, read once and asked at each request.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use raft::directory::Condition;
use raft::time::Timestamp;

const MINUTE_MILLISECONDS: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;
/// Bits before the IPv4 address in an IPv6 address that stands for it (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Why a condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    /// The request comes from elsewhere.
    Address,
    /// Its time has not begun.
    NotYet,
    /// Its time is over.
    Over,
    /// It is another time of the day.
    Hour,
    /// It cannot be read, so nobody knows.
    Unreadable,
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Address => "the request comes from none of its networks",
            Self::NotYet => "its time has not begun",
            Self::Over => "its time is over",
            Self::Hour => "it is another time of the day",
            Self::Unreadable => "its condition cannot be read by this version of the program",
        })
    }
}

/// A condition that was read.
#[derive(Debug, Default)]
pub(super) struct When {
    networks: Vec<IpNet>,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    daily: Option<(u16, u16)>,
    unreadable: bool,
}

impl When {
    /// Reads a condition.
    pub(super) fn read(condition: &Condition) -> Self {
        let networks: Option<Vec<IpNet>> = condition.addresses.iter().map(|text| network(text)).collect();
        Self {
            unreadable: networks.is_none(),
            networks: networks.unwrap_or_default(),
            not_before: condition.not_before,
            not_after: condition.not_after,
            daily: condition.daily,
        }
    }

    /// Why it does not hold for a request from there at that time; `None` when it holds.
    pub(super) fn unmet(&self, address: IpAddr, now: Timestamp) -> Option<Unmet> {
        if self.unreadable {
            return Some(Unmet::Unreadable);
        }
        if self.not_before.is_some_and(|begin| now < begin) {
            return Some(Unmet::NotYet);
        }
        if self.not_after.is_some_and(|end| now >= end) {
            return Some(Unmet::Over);
        }
        if self.daily.is_some_and(|window| !is_within(window, now)) {
            return Some(Unmet::Hour);
        }
        let address = address.to_canonical();
        let elsewhere = !self.networks.is_empty() && !self.networks.iter().any(|network| network.contains(&address));
        elsewhere.then_some(Unmet::Address)
    }
}

/// A network, that of IPv4 addresses written as IPv6 ones as what it is: callers' addresses are brought to that form too.
fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = text.parse().ok()?;
    let IpNet::V6(six) = network else { return Some(network) };
    let Some(four) = six.addr().to_ipv4_mapped() else { return Some(network) };
    let Some(length) = six.prefix_len().checked_sub(MAPPED_BITS) else { return Some(network) };
    Ipv4Net::new(four, length).ok().map(IpNet::V4)
}

/// Whether it is a time of the UTC day in `from ≤ t < to`, which may go over midnight.
fn is_within((from, to): (u16, u16), now: Timestamp) -> bool {
    let minute = now.0 / MINUTE_MILLISECONDS % DAY_MINUTES;
    let (from, to) = (u64::from(from), u64::from(to));
    if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(addresses: &[&str]) -> When {
        let addresses = addresses.iter().map(|&text| text.to_owned()).collect();
        When::read(&Condition { addresses, ..Condition::default() })
    }

    #[test]
    fn a_request_must_come_from_one_of_the_networks() {
        let unmet = |when: &When, address: &str| when.unmet(address.parse().unwrap(), Timestamp(0));
        let when = from(&["10.1.0.0/16", "2001:db8::/32"]);
        for address in ["10.1.255.255", "::ffff:10.1.2.3", "2001:db8:ffff::1"] {
            assert_eq!(unmet(&when, address), None, "{address}");
        }
        for address in ["10.2.0.0", "::ffff:10.2.0.0", "2001:db9::1", "::1"] {
            assert_eq!(unmet(&when, address), Some(Unmet::Address), "{address}");
        }
        assert_eq!(unmet(&from(&["::ffff:10.0.0.0/104"]), "10.255.0.1"), None, "an IPv4 network in IPv6 form");
        assert_eq!(unmet(&from(&["::ffff:10.0.0.0/104"]), "11.0.0.1"), Some(Unmet::Address));
        assert_eq!(unmet(&from(&["::/0"]), "::1"), None);
        assert_eq!(unmet(&from(&[]), "203.0.113.9"), None, "no network is said");
    }

    #[test]
    fn a_network_that_cannot_be_read_leaves_the_condition_open() {
        let when = from(&["10.0.0.0/8", "10.0.0.0/33"]);
        assert_eq!(when.unmet("10.0.0.1".parse().unwrap(), Timestamp(0)), Some(Unmet::Unreadable));
    }

    #[test]
    fn a_condition_holds_from_its_begin_until_before_its_end() {
        let (not_before, not_after) = (Some(Timestamp(1000)), Some(Timestamp(2000)));
        let when = When::read(&Condition { not_before, not_after, ..Condition::default() });
        let unmet = |now| when.unmet("::1".parse().unwrap(), Timestamp(now));
        assert_eq!(unmet(999), Some(Unmet::NotYet));
        assert_eq!((unmet(1000), unmet(1999)), (None, None));
        assert_eq!(unmet(2000), Some(Unmet::Over));
    }

    #[test]
    fn a_time_of_the_day_may_go_over_midnight() {
        let day = 19_000 * DAY_MINUTES * MINUTE_MILLISECONDS;
        let at = |hour: u64, minute: u64| Timestamp(day + (hour * 60 + minute) * MINUTE_MILLISECONDS + 59_999);
        let holds = |window, now| {
            let when = When::read(&Condition { daily: Some(window), ..Condition::default() });
            when.unmet("::1".parse().unwrap(), now).is_none()
        };
        let office = (8 * 60, 17 * 60 + 30);
        assert!(!holds(office, at(7, 59)) && holds(office, at(8, 0)));
        assert!(holds(office, at(17, 29)) && !holds(office, at(17, 30)));
        let night = (22 * 60, 6 * 60);
        assert!(!holds(night, at(21, 59)) && holds(night, at(22, 0)) && holds(night, at(23, 59)));
        assert!(holds(night, at(0, 0)) && holds(night, at(5, 59)) && !holds(night, at(6, 0)));
    }
}
