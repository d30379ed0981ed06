//! Every named scenario. More seeds: `regnode-sim scenario --all --seeds 10`.

mod program;

#[test]
fn all_scenarios_end_well() {
    let text = program::kept(&["scenario", "--all", "--seeds", "1", "--jobs", "2"]);
    let (_, names) = program::run(&["scenario", "--list"]);
    for name in names.lines().filter_map(|line| line.split_whitespace().next()) {
        assert_eq!(text.matches(&format!("scenario {name}, seed ")).count(), 1, "{name}: {text}");
    }
}
