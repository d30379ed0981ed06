//! The same questions over the network, with the login that `regnode login` has left: a token for administration is had for it,
//! and renewed when it ends, so that a command may take as long as it likes.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::body::Bytes;
use node::admin::{PREFIX, SCOPE};
use node::environment::Environment;
use node::web::{Plaintext, WebClient, WebLimits, WebRequest, WebResponse};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::exit::{Code, Exit};
use crate::logins::{self, Login};
use crate::server::Server;
use crate::settings;

/// Most bytes of an answer.
const ANSWER_MAX_BYTES: usize = 16 << 20;
/// Bound on an answer of the token service.
const TOKEN_DEADLINE: Duration = Duration::from_secs(20);

/// The token of this run.
static TOKEN: Mutex<Option<Session>> = Mutex::const_new(None);

#[derive(Clone)]
struct Session {
    web: WebClient,
    login: Login,
    token: String,
}

/// What the token service answers.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    /// To ask with, for some minutes.
    pub(crate) access_token: String,
    /// To have others with.
    pub(crate) refresh_token: Option<String>,
    /// What they are good for.
    #[serde(default)]
    pub(crate) scope: String,
}

/// Sends one request; the answer, whatever its status.
pub(super) async fn request(
    server: &Server,
    method: Method,
    path: &str,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<(StatusCode, Bytes)> {
    // Held meanwhile: commands that ask for several things at once have one token.
    let mut held = TOKEN.lock().await;
    let session = match held.clone() {
        Some(session) => session,
        None => begin(server).await?,
    };
    *held = Some(session.clone());
    drop(held);
    let answer = ask(server, &session, (&method, path), body.clone(), deadline).await?;
    if answer.status != StatusCode::UNAUTHORIZED {
        return Ok((answer.status, answer.body));
    }
    let token = renew(server, &session.web, &session.login).await?;
    let session = Session { token, ..session };
    *TOKEN.lock().await = Some(session.clone());
    let answer = ask(server, &session, (&method, path), body, deadline).await?;
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err(again(&server.url).into());
    }
    Ok((answer.status, answer.body))
}

async fn begin(server: &Server) -> Result<Session> {
    let environment = settings::environment();
    let login = logins::find(&environment, &settings::logins_path()?, &server.url).await?;
    let login = login
        .ok_or_else(|| Exit::new(Code::Failed, format!("nobody is logged in at {}: regnode login {0}", server.url)))?;
    let authority = match &server.ca {
        Some(path) => Some(settings::read_text(&environment, path).await?),
        None => login.authority.clone(),
    };
    let web = web(&environment, authority.as_deref())?;
    let token = renew(server, &web, &login).await?;
    Ok(Session { web, login, token })
}

/// A client that trusts these authorities, or the system's.
pub(crate) fn web(environment: &Environment, authority: Option<&str>) -> Result<WebClient> {
    let web = WebClient::new(environment);
    Ok(match authority {
        Some(pem) => web.with_authorities(pem).context("the authorities of the registry's certificate")?,
        None => web,
    })
}

fn again(url: &str) -> Exit {
    Exit::new(
        Code::Failed,
        format!("the login at {url} is over, or does not count any more: log in again: regnode login {url}"),
    )
}

async fn renew(server: &Server, web: &WebClient, login: &Login) -> Result<String> {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &login.refresh_token),
        ("service", &login.service),
        ("scope", SCOPE),
    ];
    let answer = tokens(web, &login.token_url, &form).await?;
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err(again(&server.url).into());
    }
    let tokens = understood(&login.token_url, &answer)?;
    if tokens.scope != SCOPE {
        return Err(again(&server.url).into());
    }
    Ok(tokens.access_token)
}

/// Asks a token service.
pub(crate) async fn tokens(web: &WebClient, url: &str, form: &[(&str, &str)]) -> Result<WebResponse> {
    let body = form_of(form);
    let request = WebRequest::post(url, "application/x-www-form-urlencoded", body);
    let limits = WebLimits { deadline: TOKEN_DEADLINE, body_bytes_max: 1 << 20, plaintext: Plaintext::Loopback };
    sent(web, url, request, limits).await
}

/// The tokens of an answer.
pub(crate) fn understood(url: &str, answer: &WebResponse) -> Result<Tokens> {
    #[derive(Deserialize)]
    struct Refusal {
        error_description: String,
    }
    if answer.status != StatusCode::OK {
        let told = serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.error_description);
        bail!("{}", told.unwrap_or_else(|_| format!("{url} answered {}", answer.status)));
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("what {url} answered is no token"))
}

/// Asks with a token, which counts whatever is kept.
pub(crate) async fn get_with(web: &WebClient, url: &str, path: &str, token: Option<&str>) -> Result<WebResponse> {
    let mut request = WebRequest::get(format!("{url}{PREFIX}{path}"));
    if let Some(token) = token {
        bear(&mut request.headers, token)?;
    }
    let limits =
        WebLimits { deadline: TOKEN_DEADLINE, body_bytes_max: ANSWER_MAX_BYTES, plaintext: Plaintext::Loopback };
    sent(web, url, request, limits).await
}

async fn ask(
    server: &Server,
    session: &Session,
    (method, path): (&Method, &str),
    body: Vec<u8>,
    deadline: Duration,
) -> Result<WebResponse> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    bear(&mut headers, &session.token)?;
    // A body says that something is asked for, which is not so of what is only looked at.
    let body = if *method == Method::GET { Bytes::new() } else { Bytes::from(body) };
    let request = WebRequest { method: method.clone(), url: format!("{}{PREFIX}{path}", server.url), headers, body };
    let limits = WebLimits { deadline, body_bytes_max: ANSWER_MAX_BYTES, plaintext: Plaintext::Loopback };
    sent(&session.web, &server.url, request, limits).await
}

fn bear(headers: &mut HeaderMap, token: &str) -> Result<()> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).context("the token")?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

async fn sent(web: &WebClient, url: &str, request: WebRequest, limits: WebLimits) -> Result<WebResponse> {
    web.send(request, limits).await.map_err(|error| {
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            text = format!("{text}: {cause}");
        }
        Exit::new(Code::NoNode, format!("{url} does not answer: {text}")).into()
    })
}

/// A form, with whatever is no letter or digit as its number.
fn form_of(fields: &[(&str, &str)]) -> String {
    use std::fmt::Write as _;
    let mut form = String::new();
    for (name, value) in fields {
        let join = if form.is_empty() { "" } else { "&" };
        write!(form, "{join}{name}=").expect("a string takes any text");
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                form.push(char::from(byte));
            } else {
                write!(form, "%{byte:02X}").expect("a string takes any text");
            }
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_forms_are() {
        assert_eq!(
            form_of(&[("scope", "registry:admin:*"), ("password", "a b&c=ü")]),
            "scope=registry%3Aadmin%3A%2A&password=a%20b%26c%3D%C3%BC"
        );
    }

    #[test]
    fn a_refusal_is_told_in_the_registrys_words() {
        let answer = |status, body: &'static str| WebResponse { status, headers: HeaderMap::new(), body: body.into() };
        let refused = understood("u", &answer(StatusCode::UNAUTHORIZED, r#"{"error_description":"wrong"}"#));
        assert_eq!(refused.err().unwrap().to_string(), "wrong");
        assert_eq!(
            understood("u", &answer(StatusCode::BAD_GATEWAY, "x")).err().unwrap().to_string(),
            "u answered 502 Bad Gateway"
        );
        let tokens = understood("u", &answer(StatusCode::OK, r#"{"access_token":"a","scope":"s"}"#)).unwrap();
        assert_eq!((tokens.access_token.as_str(), tokens.refresh_token, tokens.scope.as_str()), ("a", None, "s"));
    }
}
