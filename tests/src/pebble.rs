//! A real ACME authority: `pebble`, which rejects some nonces and sees domains through a DNS of the test's own
//! (`pebble-challtestsrv`). Both at loopback.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::certificates::Authority;
use crate::ports::{self, Port};
use crate::process::{self, Process};
use crate::tools;
use crate::wait::eventually;

/// How long both may take to start.
const START: Duration = Duration::from_secs(20);
/// How long one question to them may take.
const ASK: Duration = Duration::from_secs(10);

/// An authority. Ended when dropped.
#[derive(Debug)]
pub struct Pebble {
    folder: PathBuf,
    directory: Port,
    management: Port,
    dns: Port,
    dns_management: Port,
    authority: PathBuf,
    customer: Option<(String, String)>,
    processes: Vec<Process>,
}

impl Pebble {
    /// An authority that does not run yet; `None` after saying so when it is not installed. Its files lie in a folder of its
    /// own.
    ///
    /// # Errors
    /// When it is missing and must not be.
    pub fn new(folder: &Path) -> Result<Option<Self>> {
        if tools::server("pebble")?.is_none() || tools::server("pebble-challtestsrv")?.is_none() {
            return Ok(None);
        }
        std::fs::create_dir_all(folder)?;
        let authority = Authority::new("what signs the authority's own certificate")?;
        authority.issue(&["127.0.0.1"])?.write(folder, "server")?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            directory: ports::reserve()?,
            management: ports::reserve()?,
            dns: ports::reserve()?,
            dns_management: ports::reserve()?,
            authority: authority.write(folder.join("authority.pem"))?,
            customer: None,
            processes: Vec::new(),
        }))
    }

    /// What a node is told of it: `acme.directory`, and `acme.authority`, agreed to.
    #[must_use]
    pub fn keys(&self) -> Vec<(String, String)> {
        let directory = format!("https://{}/dir", self.directory.address());
        [
            ("acme.directory", directory),
            ("acme.authority", self.authority.display().to_string()),
            ("acme.terms_agreed", "true".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
    }

    /// Has it take accounts of this customer alone: the name that it has for him, and the key that it has given him, in
    /// base64url.
    pub fn require_customer(&mut self, name: &str, key: &str) {
        self.customer = Some((name.to_owned(), key.to_owned()));
    }

    /// Starts it: it asks over HTTP and by TLS at these ports, whatever the address. Every domain is 127.0.0.1.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self, http: u16, tls: u16) -> Result<()> {
        let mut dns = tools::server("pebble-challtestsrv")?.context("pebble-challtestsrv went away")?;
        dns.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &self.dns.address().to_string()])
            .args(["-management", &self.dns_management.address().to_string()]);
        self.launch(dns, "dns", self.dns_management.address()).await?;
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut configuration = json!({ "pebble": {
            "listenAddress": self.directory.address().to_string(),
            "managementListenAddress": self.management.address().to_string(),
            "certificate": path("server.crt"),
            "privateKey": path("server.key"),
            "httpPort": http,
            "tlsPort": tls,
        }});
        if let Some((name, key)) = &self.customer {
            configuration["pebble"]["externalAccountBindingRequired"] = json!(true);
            configuration["pebble"]["externalAccountMACKeys"] = json!({ name: key });
        }
        let file = self.folder.join("pebble.json");
        std::fs::write(&file, configuration.to_string())?;
        let mut pebble = tools::server("pebble")?.context("pebble went away")?;
        pebble.arg("-config").arg(file).args(["-dnsserver", &self.dns.address().to_string()]);
        // It sleeps for seconds otherwise, and takes half of what was proved before for granted.
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0").env("PEBBLE_VA_ALWAYS_VALID", "0");
        // More would be rejected three times in a row now and then, and the library gives up after that.
        pebble.env("PEBBLE_WFE_NONCEREJECT", "5");
        self.launch(pebble, "pebble", self.directory.address()).await
    }

    async fn launch(&mut self, command: Command, name: &str, address: SocketAddr) -> Result<()> {
        let mut process = Process::start(command, &self.folder.join(format!("{name}.log")))?;
        eventually(&format!("{name} listens"), START, async || {
            let ended = process.ended()?;
            let connected = TcpStream::connect(address).await;
            ensure!(connected.is_ok(), "{name} ({ended:?}): {}", process.log_tail(2000));
            Ok(Some(()))
        })
        .await?;
        self.processes.push(process);
        Ok(())
    }

    /// What signs the certificates that it issues, PEM.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn root(&self) -> Result<String> {
        let url = format!("https://{}/roots/0", self.management.address());
        let mut curl = tools::client("curl", &self.folder)?.context("curl is needed")?;
        curl.args(["--silent", "--show-error", "--fail", "--cacert"]).arg(&self.authority).arg(url);
        process::output(curl, ASK).await
    }

    /// Says where a domain is.
    ///
    /// # Errors
    /// When the DNS does not answer.
    pub async fn locate(&self, domain: &str, address: IpAddr) -> Result<()> {
        self.tell("add-a", &json!({ "host": format!("{domain}."), "addresses": [address.to_string()] })).await
    }

    async fn tell(&self, what: &str, said: &Value) -> Result<()> {
        let mut curl = tools::client("curl", &self.folder)?.context("curl is needed")?;
        curl.args(["--silent", "--show-error", "--fail", "--data", &said.to_string()]).arg(self.dns_url(what));
        process::output(curl, ASK).await.map(drop)
    }

    /// Where the DNS is told something.
    #[must_use]
    pub fn dns_url(&self, what: &str) -> String {
        format!("http://{}/{what}", self.dns_management.address())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        process::log_tail(&self.folder.join("pebble.log"), u64::MAX)
    }
}
