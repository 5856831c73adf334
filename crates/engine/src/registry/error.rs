//! What registries refuse, in Docker's words.

use oci::{Digest, Reference};
use registry::client::Error as Remote;

use crate::error::{Error, Kind};

/// What was being done, for the sentence.
#[derive(Clone, Copy)]
pub(crate) enum Doing<'a> {
    /// Making the client.
    Opening,
    /// Reading a repository or an image of it.
    Pulling(&'a Reference),
    /// Reading a blob of an image.
    Fetching(&'a Reference, &'a Digest),
    /// Writing to a repository.
    Pushing,
    /// Anything else.
    Asking,
}

/// What Docker says when somebody is known and not allowed; many programs look for it.
const DENIED: &str = "denied: requested access to the resource is denied";

/// The engine's error for a registry's.
pub(crate) fn failed(error: Remote, doing: Doing<'_>) -> Error {
    let text = error.to_string();
    let denied = error.is_denied() || error.has_code("DENIED") || error.has_code("UNAUTHORIZED");
    let (kind, sentence) = match doing {
        Doing::Opening => (Kind::BadParameter, text),
        Doing::Fetching(reference, digest) if error.is_not_found() => {
            (Kind::NotFound, format!("blob {digest} of {} not found: {text}", reference.familiar()))
        }
        Doing::Pulling(reference) | Doing::Fetching(reference, _) if denied => (
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
        Doing::Pushing if error.status() == Some(403) && !text.contains(DENIED) => {
            (Kind::Unauthorized, format!("{DENIED}: {text}"))
        }
        Doing::Pushing | Doing::Asking if denied => (Kind::Unauthorized, text),
        Doing::Asking if error.is_not_found() => (Kind::NotFound, text),
        _ => (Kind::System, text),
    };
    Error::system(sentence).of_kind(kind).with_source(error)
}
