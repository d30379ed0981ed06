//! Reads for those who prove what a catalog holds: what stands in no list that clients or operators ask for.

use super::View;
use crate::catalog::name::SessionId;
use crate::catalog::record::UploadRecord;
use crate::catalog::table::Uploads;
use crate::machine::State;
use crate::table::{StateError, Table};

impl<S: State> View<S> {
    /// Upload sessions by id, behind `after`, finished ones included until they expire.
    pub fn uploads(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, UploadRecord)>, StateError> {
        Uploads::scan::<()>(&self.state, (), after.as_ref(), limit)
    }
}
