//! The side of an issuer that people's browsers see (OpenID Connect, authorization code): it gives codes to whoever asks
//! rightly, and an ID token for a code to whoever has begun the login (PKCE), once.

use std::collections::BTreeMap;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What this registry is called there.
pub const CLIENT: &str = "regnode";

/// A login that has got its code.
#[derive(Clone, Debug)]
struct Begun {
    redirect_uri: String,
    challenge: String,
    nonce: String,
}

/// Logins by the browser. Whoever opens the page is logged in at once, as whom a test says.
#[derive(Debug)]
pub struct SignIn {
    /// What tokens say of the person.
    pub person: Value,
    /// Whether tokens are of another login than the one that asks.
    pub confused: bool,
    begun: BTreeMap<String, Begun>,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { person: json!({ "sub": "4711", "preferred_username": "ann" }), confused: false, begun: BTreeMap::new() }
    }
}

/// Fields of a query or a form.
#[must_use]
pub fn fields(text: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://form/?{text}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

fn status(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response
}

fn refused(error: &str) -> Response<Full<Bytes>> {
    status(StatusCode::BAD_REQUEST, &json!({ "error": error, "error_description": "refused by the test's issuer" }))
}

impl SignIn {
    /// The page that the browser opens; it is sent back with a code.
    pub(crate) fn authorize(&mut self, issuer: &str, query: &str) -> Response<Full<Bytes>> {
        let asked = fields(query);
        let is = |name: &str, value: &str| asked.get(name).is_some_and(|found| found == value);
        let at_home = asked.get("redirect_uri").is_some_and(|uri| uri.starts_with("http://127.0.0.1:"));
        let long = |name: &str| asked.get(name).is_some_and(|text| text.len() >= 43);
        let good = is("response_type", "code")
            && is("client_id", CLIENT)
            && is("code_challenge_method", "S256")
            && at_home
            && ["code_challenge", "state", "nonce"].into_iter().all(long)
            && asked.get("scope").is_some_and(|scope| scope.split(' ').any(|word| word == "openid"));
        if !good {
            return refused("invalid_request");
        }
        let mut random = [0; 16];
        if SystemRandom::new().fill(&mut random).is_err() {
            return refused("server_error");
        }
        let code = URL_SAFE_NO_PAD.encode(random);
        let text = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let begun =
            Begun { redirect_uri: text("redirect_uri"), challenge: text("code_challenge"), nonce: text("nonce") };
        let Ok(mut back) = reqwest::Url::parse(&begun.redirect_uri) else { return refused("invalid_request") };
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &text("state"))
            .append_pair("iss", issuer);
        self.begun.insert(code, begun);
        let mut response = status(StatusCode::FOUND, &Value::Null);
        if let Ok(location) = back.as_str().parse() {
            response.headers_mut().insert(http::header::LOCATION, location);
        }
        response
    }

    /// The claims of the ID token for a code, if whoever shows it has begun the login. A code is good for one question.
    fn claims(&mut self, form: &str) -> Option<Value> {
        let asked = fields(form);
        let begun = self.begun.remove(asked.get("code")?)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(asked.get("code_verifier")?.as_bytes()));
        let good = asked.get("grant_type")? == "authorization_code"
            && asked.get("client_id")? == CLIENT
            && *asked.get("redirect_uri")? == begun.redirect_uri
            && challenge == begun.challenge;
        let mut claims = self.person.clone();
        claims["aud"] = json!(CLIENT);
        claims["nonce"] = if self.confused { json!("of another login") } else { json!(begun.nonce) };
        good.then_some(claims)
    }

    /// The answer to a code; `sign` makes a token of claims.
    pub(crate) fn token(&mut self, form: &str, sign: impl FnOnce(&Value) -> Option<String>) -> Response<Full<Bytes>> {
        let token = self.claims(form).and_then(|claims| sign(&claims));
        token.map_or_else(
            || refused("invalid_grant"),
            |token| status(StatusCode::OK, &json!({ "token_type": "Bearer", "access_token": "x", "id_token": token })),
        )
    }
}
