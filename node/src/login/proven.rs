//! Own tokens whose signature was found right a moment ago: a client shows the same one with each request of a push.
//!
//! Kept is what a token says, under a keyed hash of all of it, and the key that has signed it. What was found out once is
//! that this key has signed this text, and no more: whether the key still counts, whether the token has expired, whether
//! its account stands and what it may do is asked with each request, of the rules as they are then.

use std::sync::Arc;

use super::Metrics;
use super::token::{Signed, TokenKind};
use super::verified::{Fingerprint, Verified};
use crate::access::Rights;
use crate::environment::Entropy;

/// Tokens at one time.
const ENTRIES_MAX: usize = 8 << 10;
/// Longest token that is kept: one for some repositories has less than a thousand bytes. A longer one is verified each time,
/// or somebody could fill the memory with his own.
const TOKEN_BYTES_MAX: usize = 2 << 10;

/// The tokens.
#[derive(Debug)]
pub(super) struct Proven {
    verified: Verified<Arc<Signed>>,
    metrics: Metrics,
}

impl Proven {
    /// Nothing is known yet.
    pub(super) fn new(entropy: &dyn Entropy, metrics: Metrics) -> Self {
        Self { verified: Verified::new(entropy, ENTRIES_MAX), metrics }
    }

    /// What a token says, if one of the cluster's keys is known to have signed it and still counts as it did.
    pub(super) fn get(&self, kind: TokenKind, text: &str, rights: &Rights) -> Option<Arc<Signed>> {
        let signed = self.verified.get(self.fingerprint(kind, text)?)?;
        let key = rights.signing_keys().get(&signed.key)?;
        (key.public == signed.public).then_some(signed)
    }

    /// A token was asked for: known, or to be verified.
    pub(super) fn count(&self, is_known: bool) {
        self.metrics.verified(if is_known { "known" } else { "signature" });
    }

    /// A token was found to be signed.
    pub(super) fn insert(&self, kind: TokenKind, text: &str, signed: &Arc<Signed>) {
        if let Some(fingerprint) = self.fingerprint(kind, text) {
            self.verified.insert(fingerprint, Arc::clone(signed));
        }
    }

    /// `None` if it is too long to be kept.
    fn fingerprint(&self, kind: TokenKind, text: &str) -> Option<Fingerprint> {
        let parts = [kind.typ().as_bytes(), text.as_bytes()];
        (text.len() <= TOKEN_BYTES_MAX).then(|| self.verified.fingerprint(&parts))
    }
}
