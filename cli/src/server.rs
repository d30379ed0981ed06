//! Which node commands speak to: the one on this machine through its socket, or, with `--server`, one over the network. Said
//! once, at the beginning, for the whole run.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use http::Uri;

use crate::arguments::{Command, Remote};
use crate::exit::{Code, Exit};

/// A registry that is spoken to over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its URL, without a slash at the end.
    pub(crate) url: String,
    /// File with authorities that its certificate may come from, instead of the system's.
    pub(crate) ca: Option<PathBuf>,
    /// Whether the command line names it, not only a variable.
    pub(crate) explicit: bool,
}

static CHOSEN: OnceLock<Server> = OnceLock::new();
/// Set when a command names this machine's own node although a variable names a server.
static LOCAL: AtomicBool = AtomicBool::new(false);

/// The server that commands speak to; `None`: the node on this machine.
pub(crate) fn chosen() -> Option<&'static Server> {
    CHOSEN.get().filter(|_| !LOCAL.load(Ordering::Relaxed))
}

/// Has commands speak to the node on this machine after all.
pub(crate) fn stay_local() {
    LOCAL.store(true, Ordering::Relaxed);
}

/// Reads the options. A server that only a variable names is passed over by commands that have nothing to ask one.
pub(crate) fn choose(remote: Remote, variables: (Option<String>, Option<PathBuf>), command: &Command) -> Result<()> {
    let usage = |message: String| Exit::new(Code::Usage, message);
    let local = is_local(command);
    if let (Some(name), Some(_)) = (local, &remote.server) {
        return Err(usage(format!("regnode {name} is about this machine: --server has no meaning for it")).into());
    }
    let explicit = remote.server.is_some();
    let named = remote.server.or(variables.0).filter(|text| !text.is_empty());
    let (None, Some(named)) = (local, named) else { return Ok(()) };
    let server = Server { url: normal(&named)?, ca: remote.ca.or(variables.1), explicit };
    CHOSEN.set(server).map_err(|_| usage("the server was chosen already".to_owned()))?;
    Ok(())
}

/// The name of a command that asks no running node, or not the one that `--server` names: it sets up or runs this machine's
/// own, only prints something, or names its registry itself.
fn is_local(command: &Command) -> Option<&'static str> {
    match command {
        Command::Dev(_) => Some("dev"),
        Command::Init(_) => Some("init"),
        Command::Join(_) => Some("join"),
        Command::Serve(_) => Some("serve"),
        Command::Config(_) => Some("config"),
        Command::Completions(_) => Some("completions"),
        Command::Login(_) => Some("login"),
        Command::Logout(_) => Some("logout"),
        _ => None,
    }
}

/// A URL in the form in which logins are kept: `https://host[:port]`, or `http://` on this machine.
pub(crate) fn normal(text: &str) -> Result<String> {
    let bad = |why: &str| Exit::new(Code::Usage, format!("{text:?} is no registry's URL: {why}"));
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let uri: Uri = whole.parse().map_err(|_| bad("https://HOST[:PORT] is expected"))?;
    let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(|| bad("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(bad("a name or a password stands in no URL: regnode login asks for them").into());
    }
    if uri.query().is_some() || !matches!(uri.path(), "" | "/") {
        return Err(bad("only a host and a port stand in it").into());
    }
    let host = authority.host().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => {}
        "http" if is_here => {}
        "http" => return Err(bad("the administration is asked over https:// alone").into()),
        _ => return Err(bad("https:// is expected").into()),
    }
    Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_in_one_way() {
        for (text, url) in [
            ("https://Registry.example.org/", "https://registry.example.org"),
            ("registry.example.org:5000", "https://registry.example.org:5000"),
            ("https://[::1]:5000", "https://[::1]:5000"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://localhost:5000/", "http://localhost:5000"),
        ] {
            assert_eq!(normal(text).unwrap(), url);
        }
        for text in
            ["", "http://registry.example.org", "ftp://a", "https://", "https://a/b", "https://u:p@a", "https://a?b"]
        {
            assert_eq!(normal(text).unwrap_err().downcast::<Exit>().unwrap().code, Code::Usage, "{text}");
        }
    }
}
