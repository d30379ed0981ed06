//! Tokens: our own, and those of issuers outside whose tokens count by themselves.

use std::sync::Arc;

use super::source::OutsideError;
use super::token::{self, TokenKind};
use super::{Known, Leeway, Login, LoginError};
use crate::access::{Caller, Way};
use crate::serve::Client;

impl Login {
    /// Whoever shows a token.
    pub(super) async fn bearer(&self, token: &str, client: &Client, leeway: Leeway) -> Result<Caller, LoginError> {
        let (rights, now) = (self.rights()?, self.shared.access.now());
        if let Some(outside) = self.shared.outside.as_ref().filter(|_| !token::is_own(token, &rights)) {
            let caller = outside.caller(token, client.address).await.map_err(|error| match error {
                OutsideError::Refused(message) => LoginError::Malformed(message),
                OutsideError::Unavailable(message) => LoginError::Unavailable(message),
            })?;
            if !rights.stands(&caller, now) {
                return Err(LoginError::Malformed("the token's issuer does not count any more".to_owned()));
            }
            return Ok(caller);
        }
        let late_seconds = match leeway {
            Leeway::None => 0,
            Leeway::Upload => self.shared.options.upload_lifetime_seconds,
        };
        let kind = (TokenKind::Access, &self.shared.names);
        let (session, grants) = token::verify(kind, token, (now, late_seconds), &rights)?;
        let known = Known { session, way: Way::Token, lasting: false };
        Ok(Caller { grants: Some(Arc::from(grants)), ..known.caller(&rights, client) })
    }

    /// Whoever shows a refresh token.
    pub(super) fn refresh(&self, token: &str) -> Result<Known, LoginError> {
        let kind = (TokenKind::Refresh, &self.shared.names);
        let rights = self.rights()?;
        let (session, _) = token::verify(kind, token, (self.shared.access.now(), 0), &rights)?;
        Ok(Known { session, way: Way::Token, lasting: false })
    }
}
