//! A machine for tests: named values, and a count of the commands that were applied.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::kv::{Column, Engine};

use crate::machine::{ApplyError, Machine, Stamp, State, Transaction};
use crate::versioned;

const VALUES: Column = Column("values");
const COUNT: Column = Column("count");

/// Sets a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Set {
    pub(crate) key: String,
    pub(crate) value: Bytes,
}

/// How many commands were applied, this one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count(pub(crate) u64);

versioned! {
    Set = 1, "toy command";
    Count = 1, "toy response";
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Toy;

impl Machine for Toy {
    type Command = Set;
    type Response = Count;

    const COLUMNS: &'static [Column] = &[VALUES, COUNT];

    fn apply(state: &mut Transaction<'_>, command: Set, _stamp: Stamp) -> Result<Count, ApplyError> {
        let count = number(state.get(COUNT, b"")?) + 1;
        state.put(COUNT, Bytes::new(), count.to_be_bytes().to_vec());
        state.put(VALUES, command.key, command.value);
        Ok(Count(count))
    }
}

fn number(bytes: Option<Bytes>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.as_ref().try_into().unwrap()))
}

/// A value in a state.
pub(crate) fn value(state: &dyn Engine, key: &str) -> Option<Bytes> {
    state.get(VALUES, key.as_bytes()).unwrap()
}

/// The count in a state.
pub(crate) fn count(state: &dyn Engine) -> u64 {
    number(state.get(COUNT, b"").unwrap())
}
