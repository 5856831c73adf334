//! Running a graph: only what the targets need, what is independent side by side, what the cache knows not at all.
//!
//! A vertex's key is the digest of its definition and of the *contents* that it uses: the layers of a tree that it
//! changes, and of what it copies or only reads names, bytes, modes, owners, attributes and link targets, never times.
//! What led to the contents does not count.

mod in_flight;
mod key;
mod run;
mod worker;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use jiff::Timestamp;
use oci::Digest;

use crate::cache::{Index, Record};
use crate::graph::{Graph, Output, VertexId};
use crate::progress::{Event, Listener, VertexInfo};
use crate::{Cancel, Error, Result};

use in_flight::InFlight;
pub use worker::{Found, Job, Selection, Tree, Worker};

/// Threads that work on one build.
const MAX_THREADS: usize = 8;

/// What all builds of a daemon share.
#[derive(Debug)]
pub struct Solver {
    index: Index,
    in_flight: InFlight,
}

/// How a graph is to be run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Every vertex is run, whatever the cache knows.
    pub no_cache: bool,
    /// Giving it up.
    pub cancel: Cancel,
}

/// What became of a graph.
#[derive(Debug, Default)]
pub struct Solved {
    outputs: HashMap<Output, Tree>,
    /// When each vertex was made, now or long ago, and whether the cache had it.
    pub made: HashMap<VertexId, Made>,
    /// Keys of the cache's records that were used or made.
    pub keys: Vec<Digest>,
}

/// What is known of a vertex that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// When it was made.
    pub at: Timestamp,
    /// The cache had it.
    pub cached: bool,
    /// Its key in the cache, if it has one.
    pub key: Option<Digest>,
}

impl Solved {
    /// The tree that an output is; `None` if nobody needed it.
    pub fn tree(&self, output: Output) -> Option<&Tree> {
        self.outputs.get(&output)
    }
}

impl Solver {
    /// A solver over an index.
    pub fn new(index: Index) -> Self {
        Self { index, in_flight: InFlight::default() }
    }

    /// The cache's index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Makes `targets` and what they need. Blocks; the worker is called from several threads.
    ///
    /// # Errors
    /// The first vertex's that goes wrong, with its name; the others are cancelled. [`Error::Cancelled`].
    pub fn solve(
        &self,
        graph: &Graph,
        targets: &[Output],
        worker: &dyn Worker,
        listener: &dyn Listener,
        options: &Options,
    ) -> Result<Solved, Failure> {
        let needed = graph.needed(targets);
        let digests = key::definitions(graph);
        for (vertex, info) in graph.vertices().filter(|(vertex, _)| needed[vertex.index()]) {
            let inputs = info.inputs.iter().map(|input| digests[input.vertex.index()].clone()).collect();
            listener.event(Event::Vertex(VertexInfo {
                vertex,
                digest: digests[vertex.index()].clone(),
                inputs,
                name: info.name.clone(),
                group: info.progress_group.clone(),
            }));
        }
        let run = run::Run::new(self, graph, &needed, worker, listener, options);
        let count = needed.iter().filter(|needed| **needed).count();
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for _ in 1..count.min(MAX_THREADS) {
                let thread = std::thread::Builder::new().name("build".into());
                // fewer threads do as well
                threads.extend(thread.spawn_scoped(scope, || run.work()).ok());
            }
            // one that panics has failed its vertex: that is the build's error
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| run.work())));
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        run.finish()
    }
}

/// A build that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Which vertex did, `None` for the build as a whole.
    pub vertex: Option<VertexId>,
    /// Why.
    pub error: Error,
}

/// A record of outputs that are layers; `None` for trees that live only as long as the build.
fn layers(outputs: &[(u32, Tree)]) -> Option<Vec<(u32, Vec<Digest>)>> {
    let layers = |(number, tree): &(u32, Tree)| match tree {
        Tree::Layers(layers) => Some((*number, layers.clone())),
        Tree::Files(_) => None,
    };
    outputs.iter().map(layers).collect()
}

/// The outputs that a record names, if all of them are still here.
fn outputs(record: &Record, worker: &dyn Worker) -> Option<Vec<(u32, Tree)>> {
    let held = record.outputs.iter().all(|(_, layers)| worker.hold(layers));
    held.then(|| {
        record.outputs.iter().map(|(number, layers)| (*number, Tree::Layers(layers.clone()))).collect()
    })
}

#[cfg(test)]
mod tests;
