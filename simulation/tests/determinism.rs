//! The meta-test: the same seed gives the same trace in separate processes, another seed another one.

#![expect(clippy::disallowed_methods, reason = "reads what another process wrote, outside the simulation")]

mod program;

#[test]
fn the_same_seed_gives_the_same_trace() {
    let text = program::kept(&["meta", "--seed", "7", "--seed", "8"]);
    assert_eq!(text.matches("in two processes").count(), 2, "{text}");
}

#[test]
fn a_run_says_what_it_is_and_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    // Whether it keeps its promises is another test's matter.
    let (_, text) = program::run(&["run", "--seed", "7", "--trace", &path.to_string_lossy()]);
    assert!(text.starts_with("seed 7\ncluster: "), "{text}");
    let trace = std::fs::read_to_string(path).expect("the program writes its trace");
    let lines = simulation::report::Grouped(trace.lines().count() as u64);
    assert!(text.contains(&format!("seed 7: {lines} lines, digest ")), "{text}");
}

#[test]
fn what_cannot_be_carried_out_is_told_from_a_broken_promise() {
    assert_eq!(program::run(&["run", "--seed", "seven"]).0, Some(2));
    assert_eq!(program::run(&["run", "--seed", "7", "--trace", "/no/such/folder/trace"]).0, Some(2));
}
