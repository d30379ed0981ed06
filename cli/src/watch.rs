//! Watching work that goes on without this program: looked at again and again, until it is done or ctrl-c is pressed.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::progress::{Bar, Counted, Position};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a look has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It goes on.
    Going(Position),
    /// It is over, with this end.
    Done(String),
}

/// How the watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The work is done.
    ToTheEnd,
    /// The person who watched went away; the work goes on.
    Detached,
}

/// How fast something goes that does not say so itself: measured since the first look.
#[derive(Debug)]
pub(crate) struct Rate {
    /// When the first look was, and how much was done by then.
    first: Option<(Instant, u64)>,
}

impl Rate {
    /// Nothing was seen yet.
    pub(crate) const fn begin() -> Self {
        Self { first: None }
    }

    /// How far it has come, with rate and time left.
    pub(crate) fn position(&mut self, counted: Counted, done: u64, total: u64) -> Position {
        self.position_at(Instant::now(), counted, done, total)
    }

    fn position_at(&mut self, now: Instant, counted: Counted, done: u64, total: u64) -> Position {
        let (begin, done_then) = *self.first.get_or_insert((now, done));
        let milliseconds = u64::try_from(now.duration_since(begin).as_millis()).unwrap_or(u64::MAX);
        let per_second = (done.saturating_sub(done_then) * 1000).checked_div(milliseconds).unwrap_or(0);
        let eta_seconds = total.saturating_sub(done).checked_div(per_second);
        Position { counted, done, total, per_second, eta_seconds }
    }
}

/// Looks until it is done. `again` is the command that watches it another time.
pub(crate) async fn watch(title: &str, again: &str, mut look: impl AsyncFnMut() -> Result<Look>) -> Result<Watched> {
    let mut bar = Bar::begin(title);
    loop {
        let seen = tokio::select! {
            seen = look() => seen,
            _ = tokio::signal::ctrl_c() => return Ok(detach(bar, again)),
        };
        match seen {
            Ok(Look::Going(position)) => bar.show(&position),
            Ok(Look::Done(end)) => {
                bar.end(&end);
                return Ok(Watched::ToTheEnd);
            }
            Err(error) => {
                bar.end("it cannot be watched any more; the work goes on where it can");
                return Err(error);
            }
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(detach(bar, again)),
        }
    }
}

fn detach(bar: Bar, again: &str) -> Watched {
    bar.end(&format!("it goes on without this command; watch it again with: {again}"));
    Watched::Detached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_from_the_first_look() {
        let (mut rate, begin) = (Rate::begin(), Instant::now());
        let mut look = |seconds, done| {
            let now = begin + Duration::from_secs(seconds);
            let position = rate.position_at(now, Counted::Things("tags"), done, 1000);
            (position.per_second, position.eta_seconds)
        };
        assert_eq!(look(0, 100), (0, None));
        assert_eq!(look(10, 300), (20, Some(35)));
    }
}
