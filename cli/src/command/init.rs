//! `regnode init`: the first node of a new cluster.

use anyhow::Result;
use node::cluster::{self, Certificates, InitAccess};
use node::config::Settings;

use super::run::{run, set_up_log};
use super::token::join_command;
use crate::arguments::Init;
use crate::progress::Step;
use crate::{password, settings};

/// Seconds that the first join command is good for.
const TOKEN_LIFETIME_SECONDS: u64 = 3600;

/// Founds a cluster, serves, and prints how others join. The operator's password stands on standard output and nowhere else:
/// the log goes to standard error.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn init(init: Init) -> Result<()> {
    let environment = settings::environment();
    let settings = settings::of_node(&environment, &init.node).await?.settings;
    set_up_log(&settings)?;
    let generated = init.operator_password_file.is_none();
    let password = match &init.operator_password_file {
        Some(path) => password::read(&environment, path).await?,
        None => password::generate(environment.entropy.as_ref()),
    };
    let access =
        InitAccess { operator: Some((init.operator.clone(), password.clone())), anonymous: init.anonymous.clone() };
    let step = Step::begin("preparing the data directory");
    let outcome = cluster::init(&environment, &settings, &init.region, Certificates::Issued, access).await?;
    step.done(&format!("cluster {} with its first node {}", outcome.cluster, outcome.name));
    // At once: whatever happens to the node while it starts, the account is the cluster's.
    let shown = generated.then_some(password.as_str());
    println!("{}", operator_text(&init.operator, shown, init.anonymous.as_deref(), &host(&settings)));
    run(environment, settings, init.exit, async |node| {
        let answer = node.create_token(TOKEN_LIFETIME_SECONDS).await?;
        println!("{}", join_command(&answer));
        Ok(())
    })
    .await
}

/// Host, and port, at which clients log in to this node.
fn host(settings: &Settings) -> String {
    let api = &settings.api;
    if let Some((_, host)) = api.public_url.split_once("://") {
        return host.trim_end_matches('/').to_owned();
    }
    let (host, port) = api.listen.rsplit_once(':').unwrap_or((&api.listen, "5000"));
    if ["0.0.0.0", "[::]"].contains(&host) {
        // Peers reach this machine by that host, clients most likely too.
        let peer = settings.peer_address().rsplit_once(':').map_or("localhost", |(host, _)| host);
        return format!("{peer}:{port}");
    }
    format!("{host}:{port}")
}

/// Who may do what from the beginning, and how to log in.
fn operator_text(operator: &str, password: Option<&str>, anonymous: Option<&str>, host: &str) -> String {
    let shown = match password {
        Some(password) => {
            format!("\n  password  {password}\n\nThe password is not shown again, and is written nowhere. ")
        }
        None => "\n  password  the one in the file\n\n".to_owned(),
    };
    let others = match anonymous {
        Some(role) => {
            format!("mind: everybody who reaches it has the role {role} everywhere, without a login (--anonymous).")
        }
        None => "Nobody else may anything yet: regnode user add, regnode access grant.".to_owned(),
    };
    format!(
        "The operator's account, which may everything:\n\n  user      {operator}{shown}Once the node serves, log in with:\n\n  \
         docker login {host} -u {operator}\n\n{others}\n"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parsed(options: &[&str]) -> Result<Init, clap::Error> {
        match Arguments::try_parse_from(["regnode", "init"].iter().chain(options))?.command {
            Command::Init(init) => Ok(init),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cluster_is_closed_unless_it_is_said() {
        let init = parsed(&[]).unwrap();
        assert_eq!((init.operator.as_str(), init.anonymous), ("admin", None));
        let open = parsed(&["--anonymous", "reader", "--operator", "carol@example.com"]).unwrap();
        assert_eq!((open.operator.as_str(), open.anonymous.as_deref()), ("carol@example.com", Some("reader")));
        for bad in [&["--anonymous", "everything"][..], &["--operator", "Carol"], &["--operator-password", "secret"]] {
            assert_eq!(parsed(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn how_to_log_in_reads_well() {
        let texts = [
            operator_text("admin", Some("abcd2345efgh6789jkmnpqrs"), None, "registry.example.com"),
            operator_text("carol", None, Some("reader"), "10.0.0.1:5000"),
        ];
        insta::assert_snapshot!(texts.join("----\n"));
    }

    #[test]
    fn clients_log_in_where_they_reach_the_node() {
        let mut settings = Settings::default();
        settings.api.listen = "10.0.0.1:5000".to_owned();
        assert_eq!(host(&settings), "10.0.0.1:5000");
        settings.api.listen = "0.0.0.0:5000".to_owned();
        settings.peer.advertise = "node1.example.com:7000".to_owned();
        assert_eq!(host(&settings), "node1.example.com:5000");
        settings.api.public_url = "https://registry.example.com/".to_owned();
        assert_eq!(host(&settings), "registry.example.com");
    }
}
