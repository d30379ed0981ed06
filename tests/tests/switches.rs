//! The program under test holds no switch of the simulator: neither a rare path nor a planted fault. It would if it had
//! been built together with the simulator, see `tests/run`.

use simulation::mutation::MUTATIONS;
use simulation::rare::RARE;
use tests::command;

/// Which of some texts are in the program. Each has a dot, which is rare there.
fn held<'a>(program: &[u8], texts: &[&'a str]) -> Vec<&'a str> {
    let dots: Vec<usize> = (0..program.len()).filter(|position| program[*position] == b'.').collect();
    let is_held = |text: &&str| {
        let before = text.find('.').expect("a text with a dot");
        let is_at = |start: usize| program.get(start..start + text.len()) == Some(text.as_bytes());
        dots.iter().any(|dot| dot.checked_sub(before).is_some_and(is_at))
    };
    texts.iter().copied().filter(is_held).collect()
}

#[test]
fn the_program_has_no_switch_that_a_simulator_could_turn_on() {
    let program = std::fs::read(command::binary().unwrap()).unwrap();
    let key = "raft.heartbeat_milliseconds";
    assert_eq!(held(&program, &[key]), [key], "what is in the program is found");
    let names = RARE.iter().map(|path| path.name).chain(MUTATIONS.iter().map(|mutation| mutation.name));
    assert_eq!(held(&program, &names.collect::<Vec<_>>()), Vec::<&str>::new());
}
