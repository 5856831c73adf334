//! What is told of a build: values that map one to one on BuildKit's `StatusResponse` (`api/services/control`) and on
//! the JSON lines of the classic builder.

use jiff::Timestamp;
use oci::Digest;

use crate::graph::{ProgressGroup, VertexId};

/// Which of a process's streams a piece of a log is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A vertex will be needed. Comes before everything else of it.
    Vertex(VertexInfo),
    /// Work on it begins.
    Started {
        /// Which.
        vertex: VertexId,
        /// When.
        at: Timestamp,
    },
    /// It is done.
    Completed {
        /// Which.
        vertex: VertexId,
        /// When.
        at: Timestamp,
        /// The result was there already.
        cached: bool,
    },
    /// It went wrong; whatever needs it is not begun.
    Failed {
        /// Which.
        vertex: VertexId,
        /// When.
        at: Timestamp,
        /// Why, for people.
        error: String,
    },
    /// It was given up because the build was cancelled or another vertex went wrong.
    Cancelled {
        /// Which.
        vertex: VertexId,
        /// When.
        at: Timestamp,
    },
    /// A piece of the output of its process, as it was written.
    Log {
        /// Which.
        vertex: VertexId,
        /// When.
        at: Timestamp,
        /// From where.
        stream: Stream,
        /// At most 32 KiB.
        data: Vec<u8>,
    },
    /// How far one of its parts is: a transfer, a pull's layer.
    Status(Status),
    /// A remark on the Dockerfile.
    Warning(Warning),
}

/// A vertex as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct VertexInfo {
    /// Which.
    pub vertex: VertexId,
    /// Its identity on the wire: of the operation and everything below it.
    pub digest: Digest,
    /// The same of its inputs.
    pub inputs: Vec<Digest>,
    /// What is shown.
    pub name: String,
    /// Shown as a part of this.
    pub group: Option<ProgressGroup>,
}

/// How far a part of a vertex is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Of which vertex.
    pub vertex: VertexId,
    /// Tells its parts apart: `transferring context`, `extracting sha256:…`.
    pub id: String,
    /// How much is done: bytes, or pieces.
    pub current: u64,
    /// Of how much; zero when that is not known.
    pub total: u64,
    /// Since when.
    pub started: Timestamp,
    /// When it was done.
    pub completed: Option<Timestamp>,
    /// When this was so.
    pub at: Timestamp,
}

/// A remark on the Dockerfile.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// On which vertex, `None` for the whole.
    pub vertex: Option<VertexId>,
    /// The rule and what it found.
    pub short: String,
    /// What the rule is about.
    pub detail: Vec<String>,
    /// Where the rule is explained, empty for nowhere.
    pub url: String,
    /// The file's name.
    pub filename: String,
    /// The file's bytes.
    pub source: Vec<u8>,
    /// Lines, counted from one: first and last.
    pub lines: Vec<(u32, u32)>,
}

/// Hears what happens. Called from the threads that work: it must not wait for long.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Listener for F {
    fn event(&self, event: Event) {
        self(event);
    }
}
