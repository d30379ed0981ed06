//! Watching work that goes on without this program: looked at again and again, until it is done or ctrl-c is pressed.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::progress::{Bar, Position};

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
