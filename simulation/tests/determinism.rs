//! The meta-test: the same seed gives the same trace, in separate processes; another seed gives another one.

#![expect(clippy::disallowed_methods, reason = "reads what another process wrote, outside the simulation")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn trace(folder: &Path, seed: u64, name: &str) -> Vec<String> {
    let path: PathBuf = folder.join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_regnode-sim"))
        .args(["smoke", "--seed", &seed.to_string(), "--trace"])
        .arg(&path)
        .output()
        .expect("the simulator's program was built");
    let lines: Vec<String> =
        fs::read_to_string(&path).expect("the program writes its trace").lines().map(str::to_owned).collect();
    let end = lines[lines.len().saturating_sub(30)..].join("\n");
    assert!(output.status.success(), "{}\nthe trace ends with\n{end}", String::from_utf8_lossy(&output.stderr));
    lines
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let folder = tempfile::tempdir().unwrap();
    let first = trace(folder.path(), 7, "first");
    let second = trace(folder.path(), 7, "second");
    for (number, (left, right)) in first.iter().zip(&second).enumerate() {
        assert_eq!(left, right, "the first line that differs is {}", number + 1);
    }
    assert_eq!(first.len(), second.len());
    assert!(first.len() > 100, "the trace has {} lines only", first.len());
}

#[test]
fn the_smoke_scenario_holds_for_several_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let mut traces: Vec<Vec<String>> = (1..=4).map(|seed| trace(folder.path(), seed, &seed.to_string())).collect();
    traces.dedup();
    assert_eq!(traces.len(), 4, "different seeds gave the same trace");
}
