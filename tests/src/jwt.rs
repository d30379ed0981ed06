//! Tokens, taken apart and put together by hand: what a client may look into, and what an attacker sends.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The three parts of a token: header, payload, signature, as they stand there.
///
/// # Errors
/// When there are others.
pub fn parts(token: &str) -> Result<[&str; 3]> {
    let parts: Vec<&str> = token.split('.').collect();
    ensure!(parts.len() == 3, "a token has three parts: {token}");
    Ok([parts[0], parts[1], parts[2]])
}

/// What a token says, unverified.
///
/// # Errors
/// When it is no token.
pub fn claims(token: &str) -> Result<Value> {
    read(parts(token)?[1])
}

/// What a token's header says.
///
/// # Errors
/// When it is no token.
pub fn header(token: &str) -> Result<Value> {
    read(parts(token)?[0])
}

fn read(part: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).context("base64url")?)?)
}

/// JSON as a part of a token.
#[must_use]
pub fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token of these parts, with a signature made of what stands before it.
#[must_use]
pub fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}
