//! What registries refuse, in Docker's words.

use oci::Reference;
use registry::client::Error as Remote;

use crate::error::{Error, Kind};

/// What was being done, for the sentence.
#[derive(Clone, Copy)]
pub(crate) enum Doing<'a> {
    /// Making the client.
    Opening,
    /// Reading a repository or an image of it.
    Pulling(&'a Reference),
    /// Writing to a repository.
    Pushing,
    /// Anything else.
    Asking,
}

/// The engine's error for a registry's.
pub(crate) fn failed(error: Remote, doing: Doing<'_>) -> Error {
    let text = error.to_string();
    let denied = error.is_denied() || error.has_code("DENIED") || error.has_code("UNAUTHORIZED");
    let (kind, sentence) = match doing {
        Doing::Opening => (Kind::BadParameter, text),
        Doing::Pulling(reference) if denied => (
            Kind::NotFound,
            format!(
                "pull access denied for {}, repository does not exist or may require 'docker login': {text}",
                reference.familiar_name()
            ),
        ),
        Doing::Pulling(reference) if error.has_code("NAME_UNKNOWN") => {
            (Kind::NotFound, format!("repository {} not found: {text}", reference.familiar_name()))
        }
        Doing::Pulling(reference) if error.is_not_found() => {
            (Kind::NotFound, format!("manifest for {} not found: {text}", reference.familiar()))
        }
        Doing::Pushing | Doing::Asking if denied => (Kind::Unauthorized, text),
        Doing::Asking if error.is_not_found() => (Kind::NotFound, text),
        _ => (Kind::System, text),
    };
    Error::system(sentence).of_kind(kind).with_source(error)
}
