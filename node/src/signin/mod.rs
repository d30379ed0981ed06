//! The other side of people's logins: a program of ours that lets somebody log in at an issuer by his browser, as a public
//! client of OpenID Connect (authorization code with PKCE: RFC 6749, RFC 7636, RFC 8252).
//!
//! `provider` finds out where the issuer is asked and exchanges the code, `request` makes what the browser is sent with, and
//! judges what comes back. Who opens the browser, and how the answer gets here, is the caller's. What comes out is an ID token
//! for the registry's token service, which verifies it as any other.
//!
//! Written here rather than taken from a library: those that there are bring a second set of cryptography, or a second HTTP
//! client.

mod provider;
mod request;
#[cfg(test)]
mod tests;

pub use provider::{Provider, SignInError};
pub use request::{AnswerError, Authorization, Request};
