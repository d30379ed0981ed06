//! The plain HTTP listener beside TLS: it answers challenges and sends everybody else to `https://`.

use axum::Router;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, StatusCode, Uri, header};

use super::Answers;
use crate::config::Settings;
use crate::serve::Client;

/// Port of HTTPS that nobody has to name.
const HTTPS: u16 = 443;

/// The paths. Clients are sent to this port.
pub(crate) fn redirecting(answers: Answers, port: u16) -> Router {
    let elsewhere = Router::new().fallback(redirect).with_state(port);
    answers.router().merge(elsewhere)
}

/// The port at which clients reach the registry: that of `api.public_url`, else the one that is listened on.
pub(crate) fn https_port(settings: &Settings, listened: u16) -> u16 {
    let Ok(url) = settings.api.public_url.parse::<Uri>() else { return listened };
    match url.authority() {
        Some(authority) => authority.port_u16().unwrap_or(HTTPS),
        None => listened,
    }
}

async fn redirect(State(port): State<u16>, Extension(client): Extension<Client>, uri: Uri) -> Response {
    match location(client.host.as_deref(), port, &uri) {
        // The method and the body are the client's own to repeat (RFC 9110 §15.4.9).
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// The same place by TLS; `None` when the request names no host.
fn location(host: Option<&str>, port: u16, uri: &Uri) -> Option<HeaderValue> {
    let authority: Authority = host?.parse().ok()?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let port = if port == HTTPS { String::new() } else { format!(":{port}") };
    HeaderValue::from_str(&format!("https://{host}{port}{path}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_sent_to_the_same_place_by_tls() {
        let to = |host: Option<&str>, port| {
            let uri: Uri = "/v2/acme/app/tags/list?n=5".parse().unwrap();
            location(host, port, &uri).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(to(Some("a.example"), 443).unwrap(), "https://a.example/v2/acme/app/tags/list?n=5");
        assert_eq!(to(Some("a.example:80"), 5000).unwrap(), "https://a.example:5000/v2/acme/app/tags/list?n=5");
        assert_eq!(to(Some("[::1]:80"), 5000).unwrap(), "https://[::1]:5000/v2/acme/app/tags/list?n=5");
        assert_eq!((to(None, 443), to(Some("a@b"), 443), to(Some("a b"), 443)), (None, None, None));
    }

    #[test]
    fn the_port_is_the_one_that_people_know() {
        let mut settings = Settings::default();
        assert_eq!(https_port(&settings, 5000), 5000);
        settings.api.public_url = "https://registry.example.org".to_owned();
        assert_eq!(https_port(&settings, 5000), 443);
        settings.api.public_url = "https://registry.example.org:8443".to_owned();
        assert_eq!(https_port(&settings, 5000), 8443);
    }
}
