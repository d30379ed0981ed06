//! The simulator's program as a test runs it: each seed is a process of its own, whose output is the test's.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "starts the program under test, and shows its output"
)]

use std::process::Command;

/// Runs it with these arguments and demands that every promise was kept. Returns what it wrote.
#[track_caller]
pub(crate) fn kept(arguments: &[&str]) -> String {
    let (code, text) = run(arguments);
    // Shown by the test runner when the test fails: the report and the command that reproduces it.
    println!("{text}");
    assert_eq!(code, Some(0), "regnode-sim {} (the report stands above)", arguments.join(" "));
    text
}

/// Runs it with these arguments. Returns its exit code and what it wrote.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_regnode-sim"))
        .args(arguments)
        .output()
        .expect("the simulator's program was built");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}
