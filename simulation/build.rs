//! Tells the simulator the revision that it was built from, for its failure reports. Without git it is "unknown".

#![expect(clippy::disallowed_methods, reason = "asks git before there is a program")]

use std::path::Path;
use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn main() {
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=REGNODE_REVISION={revision}");
    println!("cargo::rerun-if-changed=build.rs");
    // Both change with a commit or a checkout. A path that does not exist would let this run at every build.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}
