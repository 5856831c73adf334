//! Why a build came to nothing, and which lines of the Dockerfile it was about.

use ::build::Error as BuildError;

use crate::error::Error;

/// Lines of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the file is called.
    pub file: String,
    /// All of it.
    pub text: Vec<u8>,
    /// The first and the last of the lines, from 1.
    pub lines: (usize, usize),
}

/// A build that failed.
#[derive(Debug)]
pub struct RemoteFailure {
    /// Why.
    pub error: Error,
    /// Where, if it is an instruction's doing.
    pub place: Option<Place>,
}

impl From<Error> for RemoteFailure {
    fn from(error: Error) -> Self {
        Self { error, place: None }
    }
}

/// The same before the builder's error has become the engine's.
pub(super) struct Placed {
    pub(super) error: BuildError,
    pub(super) place: Option<Place>,
}

impl From<BuildError> for Placed {
    fn from(error: BuildError) -> Self {
        Self { error, place: None }
    }
}

impl From<Placed> for RemoteFailure {
    fn from(Placed { error, place }: Placed) -> Self {
        Self { error: super::failed(error), place }
    }
}

/// A Dockerfile that was read.
pub(super) struct Source {
    pub(super) file: String,
    pub(super) text: Vec<u8>,
}

impl Source {
    /// Says of an error that it is about these lines.
    pub(super) fn placed(&self, error: BuildError, lines: Option<(usize, usize)>) -> Placed {
        let lines = match &error {
            BuildError::At { line, .. } => Some(lines.unwrap_or((*line, *line))),
            _ => lines,
        };
        let place = lines.filter(|(first, _)| *first > 0).map(|lines| Place {
            file: self.file.clone(),
            text: self.text.clone(),
            lines,
        });
        Placed { error, place }
    }
}
