//! Why a question about a copy was not answered.

/// Why the home, or who was taken for it, did not answer. Nothing was done; every one of these may pass with time.
/// `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// It makes no sense.
    #[error("the question cannot be answered: {0}")]
    Invalid(String),
    /// The asking region is not to have it, as far as the asked one knows.
    #[error("{0}")]
    Refused(String),
    /// One of the two has not heard of a change yet that the other one goes by.
    #[error("{0}")]
    Behind(String),
    /// The region or its catalog does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// A record is damaged, or the answer makes no sense.
    #[error("{0}")]
    Internal(String),
}
