//! Takes requests, or says when to come again.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;

use super::account::{Account, UploadPlace};
use super::clock::TokioClock;
use super::metrics::Metrics;
use super::paced::Paced;
use super::table::Table;
use crate::config::LimitSettings;

/// Accounts of one generation of a table.
const ACCOUNTS_MAX: usize = 16_384;

/// When an upload that found no place is to be tried again: nobody knows when another one ends.
const UPLOAD_RETRY: Duration = Duration::from_secs(5);

/// Longest time that anybody is told to wait.
const RETRY_MAX_SECONDS: u64 = 3600;

/// Principal of callers without credentials.
const ANONYMOUS: &str = "anonymous";

/// What one identity or one address may have. 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests in each second, in the long run.
    pub requests_per_second: u32,
    /// Requests at one time that bring bytes of blobs.
    pub uploads: u32,
    /// Bytes of bodies in each second, both ways together.
    pub bytes_per_second: u64,
}

/// All limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleOptions {
    /// Of each identity.
    pub identity: Rates,
    /// Of each address, whoever comes from there. An IPv6 network of 64 bits counts as one address.
    pub address: Rates,
}

impl From<&LimitSettings> for ThrottleOptions {
    fn from(settings: &LimitSettings) -> Self {
        Self {
            identity: Rates {
                requests_per_second: settings.requests_per_second,
                uploads: settings.uploads,
                bytes_per_second: settings.bytes_per_second,
            },
            address: Rates {
                requests_per_second: settings.address_requests_per_second,
                uploads: settings.address_uploads,
                bytes_per_second: settings.address_bytes_per_second,
            },
        }
    }
}

/// A request came too soon, or found no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many {limit} of this {whose}: come again in {seconds} seconds")]
pub struct RetryAfter {
    /// Seconds to wait, at least one; the value of a `Retry-After` header.
    pub seconds: u64,
    /// What there is too much of: `requests` or `uploads`.
    pub limit: &'static str,
    /// Whose limit it was: `identity` or `address`.
    pub whose: &'static str,
}

/// A request that was taken. Its upload, if it is one, counts until this is dropped.
#[derive(Debug)]
pub struct Permit {
    /// Those that count bytes.
    accounts: Vec<Arc<Account>>,
    /// Counted while they are here.
    uploads: Vec<UploadPlace>,
}

/// Takes requests, or refuses them. Cheap to clone.
#[derive(Clone)]
pub struct Throttle {
    shared: Arc<Shared>,
}

struct Shared {
    options: ThrottleOptions,
    clock: TokioClock,
    identities: Mutex<Table<String>>,
    /// Those of anonymous callers, who must not push out anybody who has a name.
    anonymous: Mutex<Table<IpAddr>>,
    addresses: Mutex<Table<IpAddr>>,
    metrics: Metrics,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Throttle").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Throttle {
    /// Nobody is known yet.
    #[must_use]
    pub fn new(options: ThrottleOptions, metrics: Metrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                clock: TokioClock::new(),
                identities: Mutex::new(Table::new(ACCOUNTS_MAX)),
                anonymous: Mutex::new(Table::new(ACCOUNTS_MAX)),
                addresses: Mutex::new(Table::new(ACCOUNTS_MAX)),
                metrics,
            }),
        }
    }

    /// Takes everything.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(ThrottleOptions::default(), Metrics::default())
    }

    /// Takes a request. `principal` is the caller's (`user:NAME`, `robot:NAME`, `token:ISSUER/SUBJECT`, `anonymous`);
    /// `is_upload` says that it brings bytes of a blob.
    ///
    /// # Errors
    /// When to come again. Nothing of the request may be done then.
    pub fn admit(&self, principal: &str, address: IpAddr, is_upload: bool) -> Result<Permit, RetryAfter> {
        let shared = &*self.shared;
        let ThrottleOptions { identity, address: of_address } = &shared.options;
        let mut permit = Permit { accounts: Vec::new(), uploads: Vec::new() };
        let network = network_of(address);
        if *of_address != Rates::default() {
            let account = account(&shared.addresses, &network, of_address, shared.clock);
            self.take(&mut permit, account, is_upload, "address")?;
        }
        if *identity != Rates::default() {
            let account = if principal == ANONYMOUS {
                account(&shared.anonymous, &network, identity, shared.clock)
            } else {
                account(&shared.identities, &principal.to_owned(), identity, shared.clock)
            };
            self.take(&mut permit, account, is_upload, "identity")?;
        }
        Ok(permit)
    }

    fn take(
        &self,
        permit: &mut Permit,
        account: Arc<Account>,
        is_upload: bool,
        whose: &'static str,
    ) -> Result<(), RetryAfter> {
        let refuse = |limit: &'static str, wait: Duration| {
            self.shared.metrics.refused(limit, whose);
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            RetryAfter { seconds: seconds.clamp(1, RETRY_MAX_SECONDS), limit, whose }
        };
        account.request().map_err(|wait| refuse("requests", wait))?;
        if is_upload {
            permit.uploads.push(account.upload().ok_or_else(|| refuse("uploads", UPLOAD_RETRY))?);
        }
        if account.counts_bytes() {
            permit.accounts.push(account);
        }
        Ok(())
    }

    /// How many accounts are kept.
    #[cfg(test)]
    pub(super) fn accounts(&self) -> usize {
        let count = |table: &Mutex<Table<IpAddr>>| table.lock().unwrap_or_else(PoisonError::into_inner).len();
        let named = self.shared.identities.lock().unwrap_or_else(PoisonError::into_inner).len();
        named + count(&self.shared.anonymous) + count(&self.shared.addresses)
    }
}

fn account<K: Ord + Clone>(table: &Mutex<Table<K>>, key: &K, rates: &Rates, clock: TokioClock) -> Arc<Account> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    table.account(key, || Account::new(rates, clock))
}

/// What counts as one address: a subscriber has a whole IPv6 network of 64 bits.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

impl Permit {
    /// A body of the request, or of its answer, that comes no faster than the caller may have it.
    pub fn pace(&self, body: Body) -> Body {
        if self.accounts.is_empty() { body } else { Body::new(Paced::new(body, self.accounts.clone())) }
    }
}
