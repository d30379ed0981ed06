//! A login by the browser: it is sent to the issuer, which sends it back to this program, to an address of this machine that is
//! open for as long as the login takes (RFC 8252).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::header::{CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use node::environment::{BoxStream, Environment, Listener};
use node::login::{Issuer, Ways};
use node::signin::{AnswerError, Authorization, Provider, Request as SignIn};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::admin_client;
use crate::exit::{Code, Exit};

/// How long somebody has to log in.
const PATIENCE: Duration = Duration::from_mins(5);
/// Bound on a connection of the browser, or of whoever else comes.
const CONNECTION_WITHIN: Duration = Duration::from_secs(10);
/// Path that the issuer sends the browser back to.
const CALLBACK: &str = "/callback";
/// Programs that open an address in the browser, in the order in which they are tried.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// The issuer to log in at.
pub(super) fn choose<'w>(ways: &'w Ways, named: Option<&str>) -> Result<&'w Issuer> {
    let names = || ways.issuers.iter().map(|issuer| issuer.name.as_str()).collect::<Vec<_>>().join(", ");
    let usage = |message: String| Err(Exit::new(Code::Usage, message).into());
    match (named, ways.issuers.as_slice()) {
        (_, []) => {
            usage("nobody logs in at this registry by a browser: it has no issuer of people; use --username".to_owned())
        }
        (None, [only]) => Ok(only),
        (None, _) => usage(format!("the registry has several issuers of people: name one with --issuer: {}", names())),
        (Some(name), issuers) => match issuers.iter().find(|issuer| issuer.name == name) {
            Some(issuer) => Ok(issuer),
            None => usage(format!("the registry has no issuer of people {name:?}, but {}", names())),
        },
    }
}

/// An ID token, and what shows for which login it was made.
pub(super) struct Signed {
    pub(super) token: String,
    pub(super) nonce: String,
    pub(super) nonce_secret: String,
}

/// The ID token of whoever logs in at a registry.
#[expect(clippy::print_stderr, reason = "what is to be done stands apart from the command's output")]
pub(super) async fn id_token(
    environment: &Environment,
    (registry, issuer): (&str, &Issuer),
    scopes: &str,
    open: bool,
) -> Result<Signed> {
    let web = admin_client::web(environment, issuer.authority.as_deref())?;
    let provider = Provider::discover(&web, &issuer.issuer).await?;
    let listener = environment.network.listen("127.0.0.1:0").await.context("listening for the browser")?;
    let redirect_uri = format!("http://{}{CALLBACK}", listener.local_address()?);
    let entropy = environment.entropy.as_ref();
    let request = SignIn::new(&provider, (registry, &issuer.client_id), &redirect_uri, scopes, entropy);
    eprintln!(
        "The registry {registry} has people log in at {}: if that is not what you expect, stop here.",
        issuer.issuer
    );
    eprintln!("Log in at {} with your browser:\n\n  {}\n", issuer.issuer, request.url());
    if open {
        let (commands, url) = (&environment.commands, request.url().to_owned());
        // None there: the address is shown.
        let _ = OPENERS.iter().any(|opener| commands.start(opener, std::slice::from_ref(&url)).is_ok());
    }
    let request = Arc::new(request);
    let authorization = tokio::select! {
        answered = timeout(PATIENCE, answer(listener.as_ref(), &request)) => match answered {
            Ok(answered) => answered?,
            Err(_late) => bail!("nobody has logged in within {} minutes", PATIENCE.as_secs() / 60),
        },
        _ = tokio::signal::ctrl_c() => bail!("interrupted: nobody is logged in"),
    };
    let token = provider.id_token(&web, &request, authorization).await?;
    let (nonce, nonce_secret) = (request.nonce().to_owned(), request.nonce_secret().to_owned());
    Ok(Signed { token, nonce, nonce_secret })
}

type Answered = Result<Authorization, AnswerError>;

/// Waits for the browser. Others who come are sent away, and keep nobody waiting.
async fn answer(listener: &dyn Listener, request: &Arc<SignIn>) -> Result<Authorization> {
    let (told, mut answers) = mpsc::channel(1);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                tokio::spawn(timeout(CONNECTION_WITHIN, serve(stream, Arc::clone(request), told.clone())));
            }
            Some(answer) = answers.recv() => return Ok(answer?),
        }
    }
}

async fn serve(stream: BoxStream, request: Arc<SignIn>, told: mpsc::Sender<Answered>) {
    let service = service_fn(move |asked: Request<Incoming>| {
        let (page, answer) = page(&request, asked.method(), asked.uri());
        if let Some(answer) = answer {
            // Only the first counts: the login ends with it.
            let _ = told.try_send(answer);
        }
        async move { Ok::<_, Infallible>(page) }
    });
    let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
}

/// What the browser shows, and what it has brought, if that is an answer.
fn page(request: &SignIn, method: &Method, uri: &http::Uri) -> (Response<Full<Bytes>>, Option<Answered>) {
    let answered = if method == Method::GET && uri.path() == CALLBACK {
        request.answered(uri.query().unwrap_or_default())
    } else {
        Err(AnswerError::Foreign)
    };
    let (status, text, answer) = match answered {
        Err(AnswerError::Foreign) => (StatusCode::BAD_REQUEST, AnswerError::Foreign.to_string(), None),
        Err(error) => (StatusCode::OK, format!("You are not logged in: {error}."), Some(Err(error))),
        Ok(found) => (StatusCode::OK, "Go back to the terminal: the login goes on there.".to_owned(), Some(Ok(found))),
    };
    let mut page = Response::new(Full::from(format!("{text}\n")));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    // Plain text: nothing that came in the address is ever a page.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    (page, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(names: &[&str]) -> Ways {
        let issuer = |name: &&str| Issuer {
            name: (*name).to_owned(),
            issuer: format!("https://{name}"),
            client_id: "regnode".to_owned(),
            authority: None,
        };
        let (service, token_url) = ("regnode:1".to_owned(), "https://a/token".to_owned());
        Ways { version: 1, service, token_url, issuers: names.iter().map(issuer).collect() }
    }

    #[test]
    fn the_issuer_is_named_where_there_are_several() {
        assert_eq!(choose(&ways(&["one"]), None).unwrap().name, "one");
        assert_eq!(choose(&ways(&["one", "two"]), Some("two")).unwrap().name, "two");
        for (names, named, told) in
            [(&[][..], None, "no issuer"), (&["one", "two"], None, "one, two"), (&["one"], Some("two"), "but one")]
        {
            let error = choose(&ways(names), named).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
