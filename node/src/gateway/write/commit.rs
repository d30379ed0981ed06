//! The end of one request's writing: everything to stable storage, verified, and one catalog command.

use std::sync::Arc;

use bytes::Bytes;
use raft::catalog::{
    Advance, CodedExtent, Command, Digest, ExtentBody, NewExtent, ReplacedExtent, Response, UPLOAD_EXTENTS_MAX,
};
use storage::shard::ExtentIndex;
use storage::switch;
use tracing::warn;

use super::heal::{Replaced, heal};
use super::leftovers::{discard, discard_unless_current};
use super::object::ObjectWriter;
use super::task::{Outcome, Purpose, Writing};
use crate::gateway::catalog::CatalogError;
use crate::gateway::error::UploadError;
use crate::gateway::read::digest_of;

impl Writing {
    /// Commits what was written and the rest of the body, or removes it all.
    pub(super) async fn conclude(
        self,
        mut writer: ObjectWriter,
        rest: Bytes,
        inline: bool,
    ) -> Result<Outcome, UploadError> {
        if self.purpose == Purpose::Append && inline && rest.is_empty() {
            return Ok(Outcome::Advanced { offset_bytes: self.record.position.offset_bytes });
        }
        let mut replaced = Replaced::new();
        match self.prepare(&mut writer, &mut replaced, rest, inline).await {
            Ok(advance) => self.commit(writer, replaced, advance).await,
            Err(error) => {
                for (index, written) in replaced {
                    discard(&self.core, self.record.object, index, &written.coded);
                }
                writer.abandon().await;
                Err(error)
            }
        }
    }

    /// Brings everything to stable storage and checks it.
    async fn prepare(
        &self,
        writer: &mut ObjectWriter,
        replaced: &mut Replaced,
        rest: Bytes,
        inline: bool,
    ) -> Result<Advance, UploadError> {
        let mut extents = Vec::new();
        if inline {
            writer.end_unwritten(&rest);
            if !rest.is_empty() {
                // A copy, since the catalog must not hold on to the budget's share.
                let body = ExtentBody::Inline(Bytes::copy_from_slice(&rest));
                extents.push(NewExtent { body, shortfall: None });
            }
        } else {
            writer.end(rest).await?;
        }
        let streamed = match self.purpose {
            Purpose::Publish(expected)
                if writer.hash()?.algorithm() == expected.algorithm() && !switch::rare("gateway.write.read_back") =>
            {
                check(expected, writer.hash()?.digest())?;
                true
            }
            _ => false,
        };
        writer.sync().await?;
        let parity = heal(&self.core, writer, self.record.parity, replaced).await?;
        for written in writer.written() {
            extents.push(NewExtent { body: ExtentBody::Coded(written.coded.clone()), shortfall: written.shortfall() });
        }
        if self.extents as usize + extents.len() > UPLOAD_EXTENTS_MAX as usize {
            return Err(UploadError::TooManyChunks { limit: UPLOAD_EXTENTS_MAX });
        }
        if let Purpose::Publish(expected) = self.purpose
            && !streamed
        {
            let new = extents.iter().map(|extent| extent.body.clone());
            let object = self.record.object;
            let actual = digest_of(&self.core, expected.algorithm(), object, self.extents, new).await?;
            check(expected, actual)?;
        }
        Ok(Advance {
            expected: self.record.position,
            hash_state: writer.hash()?.state().into(),
            extents,
            replaced: replaced
                .iter()
                .map(|(index, written)| ReplacedExtent {
                    extent: *index,
                    body: written.coded.clone(),
                    shortfall: written.shortfall(),
                })
                .collect(),
            parity,
            lifetime_seconds: self.core.options.upload_lifetime_seconds,
        })
    }

    async fn commit(self, writer: ObjectWriter, replaced: Replaced, advance: Advance) -> Result<Outcome, UploadError> {
        let session = self.session;
        let command = match self.purpose {
            Purpose::Append => Command::AdvanceUpload { session, advance },
            Purpose::Publish(digest) => Command::FinishUpload { session, advance, digest },
        };
        match self.core.propose(command).await {
            Ok(Response::Uploaded { position }) => Ok(Outcome::Advanced { offset_bytes: position.offset_bytes }),
            Ok(Response::Published { length_bytes, new_object }) => {
                self.core.metrics.uploads.inc();
                if !new_object {
                    // A duplicate, which the catalog discards, or a repetition, of which it knows nothing.
                    let core = Arc::clone(&self.core);
                    let ours = proposed(&writer, replaced);
                    self.core.tasks.spawn(discard_unless_current(core, self.record.object, ours));
                }
                Ok(Outcome::Published { length_bytes })
            }
            Ok(refusal) => {
                let ours = proposed(&writer, replaced);
                discard_unless_current(Arc::clone(&self.core), self.record.object, ours).await;
                self.refused(&refusal).await
            }
            Err(error) if error.is_uncertain() => {
                warn!(%session, %error, "the outcome of an upload's commit is not known, its shards stay");
                Err(error.into())
            }
            Err(error) => {
                for (index, written) in replaced {
                    discard(&self.core, self.record.object, index, &written.coded);
                }
                writer.abandon().await;
                Err(error.into())
            }
        }
    }

    /// Another request, or a copy of this one, came first.
    async fn refused(self, refusal: &Response) -> Result<Outcome, UploadError> {
        if let Purpose::Publish(digest) = self.purpose {
            // Without a barrier it cannot be told whether a copy of this request took effect: "unknown" might be wrong.
            self.core.records.barrier().await?;
            let record = self.core.records.view().upload(self.session).map_err(CatalogError::from)?;
            if let Some(record) = record.filter(|record| record.finished == Some(digest)) {
                return Ok(Outcome::Published { length_bytes: record.position.offset_bytes });
            }
        }
        match refusal {
            Response::UploadMoved { position } => Err(UploadError::Moved { offset_bytes: position.offset_bytes }),
            Response::UploadUnknown => Err(UploadError::Unknown),
            refusal => Err(UploadError::other(refusal)),
        }
    }
}

/// Everything that a proposal named.
fn proposed(writer: &ObjectWriter, replaced: Replaced) -> Vec<(ExtentIndex, CodedExtent)> {
    let new = writer.written().iter().map(|written| (written.index, written.coded.clone()));
    new.chain(replaced.into_iter().map(|(index, written)| (index, written.coded))).collect()
}

fn check(expected: Digest, actual: Digest) -> Result<(), UploadError> {
    if expected == actual {
        Ok(())
    } else {
        Err(UploadError::DigestMismatch { expected: Box::new(expected), actual: Box::new(actual) })
    }
}
