//! Every named scenario, each with several seeds.

mod program;

#[test]
fn all_scenarios_end_well() {
    let text = program::kept(&["scenario", "--all", "--seeds", "3", "--jobs", "1"]);
    let (_, names) = program::run(&["scenario", "--list"]);
    for name in names.lines().filter_map(|line| line.split_whitespace().next()) {
        assert_eq!(text.matches(&format!("scenario {name}, seed ")).count(), 3, "{name}: {text}");
    }
}
