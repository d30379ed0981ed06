//! Tokens: our own, and those of issuers outside whose tokens count by themselves.

use super::source::OutsideError;
use super::token::{self, TokenKind};
use super::{Known, Leeway, Login, LoginError};
use crate::access::{Caller, Grant, Way};
use crate::serve::Client;

impl Login {
    /// Whoever shows a token.
    pub(super) async fn bearer(&self, token: &str, client: &Client, leeway: Leeway) -> Result<Caller, LoginError> {
        let (rights, now) = (self.rights()?, self.shared.access.now());
        let late_seconds = match leeway {
            Leeway::None => 0,
            Leeway::Upload => self.shared.options.upload_lifetime_seconds,
        };
        let proven = &self.shared.proven;
        let is_own = || proven.get(TokenKind::Access, token, &rights).is_some() || token::is_own(token, &rights);
        if let Some(outside) = self.shared.outside.as_ref().filter(|_| !is_own()) {
            let caller = outside.caller(token, client.address, late_seconds).await.map_err(OutsideError::told)?;
            if !rights.stands(&caller, now) {
                return Err(LoginError::Untrusted("the token's issuer does not count any more".to_owned()));
            }
            return Ok(caller);
        }
        let kind = (TokenKind::Access, &self.shared.names);
        let (session, grants) = token::verify(kind, token, (now, late_seconds), &rights, proven)?;
        let known = Known { session, way: Way::Token, lasting: false };
        Ok(Caller { grants: Some(grants), ..known.caller(&rights, client) })
    }

    /// Whoever shows a refresh token, and whether it is one to administer with: one that a client keeps for images is not.
    pub(super) fn refresh(&self, token: &str) -> Result<(Known, bool), LoginError> {
        let kind = (TokenKind::Refresh, &self.shared.names);
        let rights = self.rights()?;
        let (session, grants) =
            token::verify(kind, token, (self.shared.access.now(), 0), &rights, &self.shared.proven)?;
        let administers = grants.iter().any(Grant::is_administration);
        Ok((Known { session, way: Way::Token, lasting: false }, administers))
    }
}
