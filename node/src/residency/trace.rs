//! Objects that were found in another region: whether this one knows them, and whose they are.

use std::sync::Arc;

use raft::catalog::{RepositoryName, SessionId, StateError};
use raft::id::RegionId;
use storage::shard::ObjectId;

use super::answer::{AnswerError, Answerer, Catalog, KnownObject, Owners};
use super::judge::{Known, Standing};
use super::question::{ITEMS_MAX, TraceAnswer, TraceQuestion, TracedObject, TracedOwner};

/// Sessions looked through at a time.
const UPLOADS_AT_ONCE: usize = 1024;
/// Most sessions that are looked through for whose an upload's object is.
const UPLOADS_MAX: usize = 262_144;

impl Answerer {
    /// Answers with those of the objects that this region knows.
    pub(crate) async fn trace(&self, question: TraceQuestion) -> Result<TraceAnswer, AnswerError> {
        if question.objects.len() > ITEMS_MAX {
            return Err(AnswerError::Invalid(format!("more than {ITEMS_MAX} objects are asked for at once")));
        }
        let objects: Result<Vec<ObjectId>, _> = question.objects.iter().map(|object| object.parse()).collect();
        let objects = objects.map_err(|error| AnswerError::Invalid(error.to_string()))?;
        let places = self.places(question.policy_version).await?;
        let owners = Owners { places, region: RegionId(question.found_in), namespace: question.namespace };
        let (view, owners) = (self.catalog().await?, Arc::new(owners));
        let looked = move || {
            let mut known = Vec::new();
            for object in objects {
                if let Some(traced) = traced(&view, &owners, object)? {
                    known.push(traced);
                }
            }
            Ok::<_, AnswerError>(TraceAnswer { known })
        };
        self.parts.exec.run(looked).await
    }
}

fn traced(view: &Catalog, owners: &Owners, object: ObjectId) -> Result<Option<TracedObject>, StateError> {
    let KnownObject { known, asked, .. } = owners.known(view, object)?;
    let (owner, asked) = match known {
        Known::Not => return Ok(None),
        Known::Unlinked => (None, asked),
        Known::Uploading => match uploader(view, object)? {
            None => (None, asked),
            Some(repository) => {
                let owner = owners.of(repository.as_str());
                let owner = owner.map(|(prefix, owner)| (prefix.to_owned(), owner));
                (owner, owners.is_asked(repository.as_str()))
            }
        },
        Known::Linked(linked) => {
            // Whoever may rest there answers for the others. Of those who may not, the pinned ones matter most.
            let matters =
                |(_, owner): &(String, super::judge::Owner)| (owner.standing == Standing::Foreign, !owner.pinned);
            (linked.into_iter().min_by_key(matters), asked)
        }
    };
    let owner =
        owner.map(|(namespace, owner)| TracedOwner { namespace, standing: owner.standing, pinned: owner.pinned });
    Ok(Some(TracedObject { object: object.to_string(), owner, asked }))
}

/// The repository that an object is uploaded to. Sessions are looked through: this is asked of what was found astray.
fn uploader(view: &Catalog, object: ObjectId) -> Result<Option<RepositoryName>, StateError> {
    let mut after: Option<SessionId> = None;
    for _ in 0..UPLOADS_MAX / UPLOADS_AT_ONCE {
        let page = view.uploads(after, UPLOADS_AT_ONCE)?;
        let full = page.len() == UPLOADS_AT_ONCE;
        after = page.last().map(|(session, _)| *session);
        if let Some((_, upload)) = page.into_iter().find(|(_, upload)| upload.object == object) {
            return Ok(Some(upload.repository));
        }
        if !full {
            break;
        }
    }
    Ok(None)
}
