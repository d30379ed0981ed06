//! Places by address, of connections and of others, so that one client cannot take the places of all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limit::network_of;

/// Counts places by address; an IPv6 network of 64 bits counts as one, as with requests. As many entries as there are
/// places taken, at most.
#[derive(Debug)]
pub(crate) struct Crowd {
    limit: u32,
    counts: Mutex<BTreeMap<IpAddr, u32>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct CrowdPlace {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    /// At most so many from one address; 0: no limit.
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self { limit, counts: Mutex::default() })
    }

    /// Takes a place; `None` when the address has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<CrowdPlace> {
        let address = network_of(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if self.limit > 0 && *count >= self.limit {
            return None;
        }
        *count = count.saturating_add(1);
        Some(CrowdPlace { crowd: Arc::clone(self), address })
    }
}

impl Drop for CrowdPlace {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_so_many_places_and_nothing_is_kept_of_those_who_left() {
        let crowd = Crowd::new(2);
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = crowd.enter(one);
        let second = crowd.enter("::ffff:10.0.0.1".parse().unwrap());
        assert!(first.is_some() && second.is_some() && crowd.enter(one).is_none() && crowd.enter(other).is_some());
        drop(first);
        let third = crowd.enter(one);
        assert!(third.is_some());
        drop((second, third));
        let neighbours = ["2001:db8::1", "2001:db8::2:0:0:1"].map(|text| crowd.enter(text.parse().unwrap()));
        assert!(neighbours.iter().all(Option::is_some), "a network has as many places as an address");
        assert!(crowd.enter("2001:db8::3".parse().unwrap()).is_none());
        assert!(crowd.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
        drop(neighbours);
        assert!(crowd.counts.lock().unwrap().is_empty());
        let unlimited = Crowd::new(0);
        let held: Vec<_> = (0..5000).map(|_| unlimited.enter(one)).collect();
        assert!(held.iter().all(Option::is_some));
    }
}
