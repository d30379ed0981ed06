//! Measures registries side by side: the rows of the project's performance targets.
//!
//! Two registries, `--a` the one to compare with and `--b` the one in question, are measured in turns, A, B, A, B,
//! over several rounds; the table shows medians and the median of the rounds' ratios, which is the only figure that
//! means something on a machine whose speed varies. The same client drives both: hyper with one connection per
//! client, bodies from one buffer in memory, digests computed before the clock starts. Every request is checked for
//! its status, every download for its length, and once, before the clock starts, for its digest.
//!
//! ```text
//! cargo run --release -p tests --bin bench -- \
//!     --a distribution=http://127.0.0.1:5100@4711 \
//!     --b regnode=http://127.0.0.1:5000,http://127.0.0.1:5001,http://127.0.0.1:5002@4712,4713,4714
//! ```
//!
//! One registry can be compared with itself, by two ways to log in: what a password with each request costs against a token.
//!
//! ```text
//! cargo run --release -p tests --bin bench -- --rows put-1k \
//!     --a token=http://127.0.0.1:5000 --a-login token:ann:PASSWORD \
//!     --b password=http://127.0.0.1:5000 --b-login basic:ann:PASSWORD
//! ```
//!
//! What is not here: starting the registries. `deploy` and the packages do that; give their process ids, and processor
//! time and peak memory are part of the table.

mod connection;
mod login;
mod measure;
mod options;
mod payload;
mod report;
mod row;
mod skopeo;
mod work;

use anyhow::{Context, Result};
use clap::Parser;

use options::Options;

#[expect(clippy::print_stdout, reason = "what the program is for")]
fn main() -> Result<()> {
    let options = Options::parse();
    // Fails only when it was installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let results = runtime.block_on(measure::run(&options))?;
    println!("{}", report::markdown(&options, &results));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report::json(&options, &results))?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
