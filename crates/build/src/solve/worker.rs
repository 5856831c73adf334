//! What a solver asks of those who have a store, registries and a runtime.

use jiff::Timestamp;
use oci::{Digest, Platform};

use crate::graph::{Copy, Exec, FileOp, Source, VertexId};
use crate::progress::{Event, Listener, Status, Stream};
use crate::{Cancel, Result};

/// A tree of files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// Layers in the store, lowest first; none is an empty tree.
    Layers(Vec<Digest>),
    /// Files that the worker has for this build alone, by the worker's number.
    Files(u64),
}

/// A part of a tree whose contents count.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// What is at a path and beneath it; `/` or empty for everything.
    Path(&'a str),
    /// What a copy would take.
    Copy(&'a Copy),
}

/// One vertex at work.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Which.
    pub vertex: VertexId,
    /// As it is shown.
    pub name: &'a str,
    /// Giving it up.
    pub cancel: &'a Cancel,
    pub(super) listener: &'a dyn Listener,
}

impl Job<'_> {
    /// Tells a piece of its process's output.
    pub fn log(&self, stream: Stream, data: &[u8]) {
        let (vertex, at, data) = (self.vertex, Timestamp::now(), data.to_vec());
        self.listener.event(Event::Log { vertex, at, stream, data });
    }

    /// Tells how far one of its parts is.
    pub fn status(&self, id: &str, (current, total): (u64, u64), started: Timestamp, done: bool) {
        let (vertex, id, at) = (self.vertex, id.to_owned(), Timestamp::now());
        let completed = done.then_some(at);
        self.listener.event(Event::Status(Status { vertex, id, current, total, started, completed, at }));
    }
}

/// A result from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Layers of each output, lowest first.
    pub outputs: Vec<(u32, Vec<Digest>)>,
    /// When it was made.
    pub created: Timestamp,
}

/// Does the work. Everything blocks, and is called from several threads at once.
pub trait Worker: Sync {
    /// Brings files from outside.
    ///
    /// # Errors
    /// They can't be had.
    fn source(&self, job: &Job<'_>, source: &Source, platform: Option<&Platform>) -> Result<Tree>;

    /// The digest of a part's contents: names, bytes, modes, owners, attributes and link targets, and never times.
    ///
    /// # Errors
    /// The part is not there or can't be read.
    fn digest(&self, tree: &Tree, part: Selection<'_>) -> Result<Digest>;

    /// Runs a process; gives the outputs that its mounts name.
    ///
    /// # Errors
    /// It can't be run, or ends with a code that is no success.
    fn exec(&self, job: &Job<'_>, exec: &Exec, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>>;

    /// Changes files; gives the outputs that its actions name.
    ///
    /// # Errors
    /// A path is not there, or leads outside.
    fn file(&self, job: &Job<'_>, op: &FileOp, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>>;

    /// Lays trees over each other, the first lowest.
    ///
    /// # Errors
    /// One of them is not made of layers.
    fn merge(&self, job: &Job<'_>, inputs: &[Tree]) -> Result<Tree>;

    /// What the upper has that the lower doesn't.
    ///
    /// # Errors
    /// One of them is not made of layers.
    fn diff(&self, job: &Job<'_>, lower: Option<&Tree>, upper: Option<&Tree>) -> Result<Tree>;

    /// Keeps layers until the build is over; whether they are here.
    fn hold(&self, layers: &[Digest]) -> bool;

    /// A result that the cache of this daemon doesn't have, of those that the build was told to look at; its layers are
    /// held when it comes back.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`]. A source that can't be read has no result.
    fn find(
        &self,
        _vertex: VertexId,
        _key: &Digest,
        _inputs: &[Tree],
        _outputs: &[u32],
    ) -> Result<Option<Found>> {
        Ok(None)
    }

    /// The cache's record of this key names these layers from now on: they must stay as long as it does.
    fn keep(&self, key: &Digest, outputs: &[(u32, Vec<Digest>)]);

    /// Bytes of the files of the uppermost layer.
    fn size(&self, layers: &[Digest]) -> u64;
}
