//! Generators of domains.

use proptest::prelude::*;

use super::{text, timestamp};
use crate::directory::DomainRecord;

pub(crate) fn any_domain() -> impl Strategy<Value = DomainRecord> {
    (text(), timestamp()).prop_map(|(namespace, created)| DomainRecord { namespace, created })
}
