//! A real LDAP server: Debian's `slapd` at loopback, with people and groups of a test. It speaks to nobody without TLS.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::certificates::Pair;
use crate::ports::{self, Port};
use crate::process::{self, Process};
use crate::tools;
use crate::wait::eventually;

/// Everything is below it.
pub const BASE: &str = "dc=example,dc=org";
/// The account that the nodes have there, and its password.
pub const NODE: (&str, &str) = ("cn=regnode,ou=services,dc=example,dc=org", "the node's own");
/// How long it may take to start.
const START: Duration = Duration::from_secs(20);
/// How long filling it may take.
const FILL: Duration = Duration::from_secs(20);

/// Who is in it.
#[derive(Clone, Copy, Debug)]
pub struct People {
    /// Names and passwords, below `ou=people`.
    pub people: &'static [(&'static str, &'static str)],
    /// Names of groups, below `ou=groups`, and their members: people or groups.
    pub groups: &'static [(&'static str, &'static [&'static str])],
}

impl People {
    /// Their entries (LDIF, RFC 2849).
    fn entries(&self) -> String {
        let mut text =
            format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n");
        for unit in ["people", "groups", "services"] {
            let _ = write!(text, "dn: ou={unit},{BASE}\nobjectClass: organizationalUnit\nou: {unit}\n\n");
        }
        let (node, password) = NODE;
        let _ = write!(
            text,
            "dn: {node}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: regnode\n\
             userPassword:: {}\n\n",
            STANDARD.encode(password)
        );
        for (name, password) in self.people {
            let _ = write!(
                text,
                "dn: {}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: The person {name}\nsn: {name}\n\
                 userPassword:: {}\n\n",
                self.dn(name),
                STANDARD.encode(password)
            );
        }
        for (name, members) in self.groups {
            let _ = write!(text, "dn: {}\nobjectClass: groupOfNames\ncn: {name}\n", self.dn(name));
            for member in *members {
                let _ = writeln!(text, "member: {}", self.dn(member));
            }
            text.push('\n');
        }
        text
    }

    fn dn(&self, name: &str) -> String {
        if self.groups.iter().any(|(group, _)| *group == name) {
            format!("cn={name},ou=groups,{BASE}")
        } else {
            format!("uid={name},ou=people,{BASE}")
        }
    }
}

/// A server. Ended when dropped.
#[derive(Debug)]
pub struct Slapd {
    folder: PathBuf,
    ports: [Port; 2],
    process: Option<Process>,
}

impl Slapd {
    /// A server with these people, which does not run yet; `None` after saying so when `slapd` is not installed. Its files
    /// lie in a folder of its own.
    ///
    /// # Errors
    /// When it is missing and must not be, or cannot be filled.
    pub async fn new(folder: &Path, people: People) -> Result<Option<Self>> {
        if tools::server("slapd")?.is_none() {
            return Ok(None);
        }
        std::fs::create_dir_all(folder.join("data"))?;
        let slapd = Self { folder: folder.to_owned(), ports: [ports::reserve()?, ports::reserve()?], process: None };
        slapd.configure()?;
        let entries = folder.join("people.ldif");
        std::fs::write(&entries, people.entries())?;
        let mut fill = tools::server("slapadd")?.context("slapd without slapadd")?;
        fill.arg("-f").arg(slapd.configuration()).arg("-l").arg(entries);
        process::output(fill, FILL).await?;
        Ok(Some(slapd))
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("slapd.conf")
    }

    fn configure(&self) -> Result<()> {
        let folder = self.folder.display();
        let (node, _) = NODE;
        let text = format!(
            "include /etc/ldap/schema/core.schema\n\
             include /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\n\
             modulepath /usr/lib/ldap\n\
             moduleload back_mdb\n\
             pidfile {folder}/slapd.pid\n\
             TLSCertificateFile {folder}/server.crt\n\
             TLSCertificateKeyFile {folder}/server.key\n\
             security ssf=128\n\
             database mdb\n\
             suffix {BASE}\n\
             directory {folder}/data\n\
             maxsize 16777216\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by dn.exact={node} read by * none\n"
        );
        Ok(std::fs::write(self.configuration(), text)?)
    }

    /// Its URL for connections that are upgraded by StartTLS.
    #[must_use]
    pub fn plain_url(&self) -> String {
        format!("ldap://{}", self.ports[0].address())
    }

    /// Its URL for connections that begin with TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("ldaps://{}", self.ports[1].address())
    }

    /// Starts it with a certificate and waits until it listens.
    ///
    /// # Errors
    /// When it runs already or does not start.
    pub async fn start(&mut self, pair: &Pair) -> Result<()> {
        ensure!(self.process.is_none(), "slapd runs already");
        pair.write(&self.folder, "server")?;
        let mut command: Command = tools::server("slapd")?.context("slapd went away")?;
        command.arg("-f").arg(self.configuration());
        // With a level of debugging it stays in the foreground.
        command.args(["-h", &format!("{}/ {}/", self.plain_url(), self.tls_url()), "-d", "256"]);
        let log = self.folder.join("slapd.log");
        let process = self.process.insert(Process::start(command, &log)?);
        let addresses: [SocketAddr; 2] = [self.ports[0].address(), self.ports[1].address()];
        eventually("slapd listens", START, async || {
            let ended = process.ended()?;
            for address in addresses {
                let connected = TcpStream::connect(address).await;
                ensure!(connected.is_ok(), "slapd ({ended:?}): {}", process.log_tail(2000));
            }
            Ok(Some(()))
        })
        .await
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("slapd does not run")?.kill()
    }

    /// Stops it where it stands: it takes connections and does not answer. It may be killed in this state.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.process.as_ref().context("slapd does not run")?.signal(Signal::STOP)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        process::log_tail(&self.folder.join("slapd.log"), u64::MAX)
    }
}
