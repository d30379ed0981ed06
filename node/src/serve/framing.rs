//! Requests that two servers in a row could understand differently are refused: that is what smuggling lives on.
//!
//! hyper refuses most of it: two different lengths, a transfer coding that is not chunked at its end, folded lines, spaces
//! before a colon. Where both a length and a transfer coding are given it goes by the coding and reads nothing more from
//! that connection, as RFC 9112 §6.3 has it. What it lets pass is looked at here: RFC 9112 §3.2, RFC 9113 §8.3.1.

use http::header::HOST;
use http::{HeaderMap, Request};

use super::proxies;

/// What is wrong with a request's framing, if anything is.
pub(super) fn ambiguity<B>(request: &Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Some("more than one Host");
    }
    if let (Some(authority), Some(host)) = (request.uri().authority(), host)
        && request.version() == http::Version::HTTP_2
        && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Some("Host is not the request's authority");
    }
    None
}

/// The `host[:port]` that a request asks for. An absolute URL goes before the header.
pub(super) fn host<B>(request: &Request<B>) -> Option<String> {
    let of_header = |headers: &HeaderMap| proxies::host(headers.get(HOST)?.to_str().ok()?);
    match request.uri().authority() {
        Some(authority) => proxies::host(authority.as_str()),
        None => of_header(request.headers()),
    }
}
