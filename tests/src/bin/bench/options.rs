//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::connection::Endpoint;
use crate::login::Login;

/// Compares two registries.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
pub(crate) struct Options {
    /// The registry to compare with: `NAME=URL[,URL…][@PID,…]`. Children of the processes are counted in.
    #[arg(long, value_name = "REGISTRY")]
    pub(crate) a: Target,
    /// The registry in question. Without it only A is measured.
    #[arg(long, value_name = "REGISTRY")]
    pub(crate) b: Option<Target>,
    /// How requests to A say who asks: `basic:NAME:PASSWORD` with each of them, or `token:NAME:PASSWORD` by a token that is
    /// fetched before each measurement. Not for the rows of skopeo.
    #[arg(long, value_name = "LOGIN")]
    pub(crate) a_login: Option<Login>,
    /// The same for B.
    #[arg(long, value_name = "LOGIN", requires = "b")]
    pub(crate) b_login: Option<Login>,
    /// Only rows whose name holds one of these texts.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    pub(crate) rows: Vec<String>,
    /// Rounds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds for each rate of small requests.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// One short round: shows that everything works, and no figure to rely on.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write all single results to this file, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// Rounds to measure.
    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// Seconds for a rate.
    pub(crate) fn seconds(&self) -> f64 {
        if self.quick { 0.5 } else { self.seconds }
    }

    /// Whether a row is asked for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|text| row.contains(text.as_str()))
    }

    /// The registries in the order of their turns.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let with = |target: &Target, login: &Option<Login>| Target { login: login.clone(), ..target.clone() };
        let a = with(&self.a, &self.a_login);
        std::iter::once(a).chain(self.b.as_ref().map(|b| with(b, &self.b_login))).collect()
    }
}

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name in the table.
    pub(crate) name: String,
    /// Where it listens; clients spread over the endpoints.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Its processes.
    pub(crate) processes: Vec<u32>,
    /// Who asks.
    pub(crate) login: Option<Login>,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text.split_once('=').context("NAME=URL[,URL…][@PID,…] is expected")?;
        let (urls, processes) = rest.split_once('@').unwrap_or((rest, ""));
        let endpoints = urls.split(',').map(str::parse).collect::<Result<Vec<Endpoint>>>()?;
        ensure!(!endpoints.is_empty(), "a URL is expected");
        let processes = processes.split(',').filter(|text| !text.is_empty());
        let processes =
            processes.map(|text| text.parse().context("a process id is expected")).collect::<Result<_>>()?;
        Ok(Self { name: name.to_owned(), endpoints, processes, login: None })
    }
}
