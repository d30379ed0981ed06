//! The first line in which two traces differ. Traces are long: neither is ever in memory as a whole.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead};

/// Lines shown before and after the difference.
const CONTEXT: usize = 5;

/// Where two traces part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Number of the line, from 1.
    number: u64,
    /// The lines before it, which are the same in both.
    before: Vec<String>,
    /// From there on in the first trace; empty if it ended.
    first: Vec<String>,
    /// From there on in the second trace.
    second: Vec<String>,
}

impl Difference {
    /// Finds it, if there is one.
    ///
    /// # Errors
    /// When a trace cannot be read.
    pub(crate) fn find(first: impl BufRead, second: impl BufRead) -> io::Result<Option<Self>> {
        let (mut first, mut second) = (first.lines(), second.lines());
        let mut before = VecDeque::with_capacity(CONTEXT);
        for number in 1.. {
            let (left, right) = (first.next().transpose()?, second.next().transpose()?);
            if left != right {
                let rest = |line: Option<String>, others: &mut dyn Iterator<Item = io::Result<String>>| {
                    line.into_iter().map(Ok).chain(others.take(CONTEXT)).collect::<io::Result<Vec<_>>>()
                };
                let (first, second) = (rest(left, &mut first)?, rest(right, &mut second)?);
                return Ok(Some(Self { number, before: before.into(), first, second }));
            }
            let Some(line) = left else { break };
            if before.len() == CONTEXT {
                before.pop_front();
            }
            before.push_back(line);
        }
        Ok(None)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "the first line that differs is {}", simulation::report::Grouped(self.number))?;
        for line in &self.before {
            writeln!(formatter, "  {line}")?;
        }
        for (name, lines) in [("first", &self.first), ("second", &self.second)] {
            writeln!(formatter, "in the {name} process:")?;
            if lines.is_empty() {
                writeln!(formatter, "  (the trace has ended)")?;
            }
            for line in lines {
                writeln!(formatter, "  {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(first: &str, second: &str) -> Option<Difference> {
        Difference::find(first.as_bytes(), second.as_bytes()).unwrap()
    }

    #[test]
    fn equal_traces_do_not_differ() {
        assert_eq!(find("a\nb\n", "a\nb\n"), None);
        assert_eq!(find("", ""), None);
    }

    #[test]
    fn the_first_line_that_differs_is_shown_with_its_context() {
        let difference = find("1\n2\n3\n4\n5\n6\n7\na\n8\n", "1\n2\n3\n4\n5\n6\n7\nb\n9\n").unwrap();
        assert_eq!(difference.number, 8);
        assert_eq!(difference.before, ["3", "4", "5", "6", "7"]);
        assert_eq!(difference.first, ["a", "8"]);
        assert_eq!(difference.second, ["b", "9"]);
    }

    #[test]
    fn a_trace_that_ends_early_differs() {
        let difference = find("1\n2\n", "1\n").unwrap();
        assert_eq!((difference.number, difference.second.len()), (2, 0));
        assert!(difference.to_string().contains("(the trace has ended)"), "{difference}");
    }
}
