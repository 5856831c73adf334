//! The threads of one build: each takes a vertex whose inputs are done, until none is left.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use oci::Digest;

use super::worker::{Job, Tree, Worker};
use super::{Failure, Made, Options, Solved, Solver, key};
use crate::cache::{Kind, Record};
use crate::graph::{Graph, Op, Output, Vertex, VertexId};
use crate::progress::{Event, Listener};
use crate::{Error, Result};

/// A build at work.
pub(super) struct Run<'a> {
    solver: &'a Solver,
    graph: &'a Graph,
    worker: &'a dyn Worker,
    listener: &'a dyn Listener,
    options: &'a Options,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Inputs that are not done, of each vertex that is needed and not begun.
    waiting: HashMap<usize, usize>,
    ready: VecDeque<VertexId>,
    /// How many are not done.
    left: usize,
    solved: Solved,
    failure: Option<Failure>,
}

/// What has come of a vertex.
struct Done {
    outputs: Vec<(u32, Tree)>,
    made: Made,
}

/// A worker or a listener that panics fails the vertex, so that nobody waits for it for ever.
struct Guard<'a>(&'a Run<'a>, VertexId);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.failed(Some(self.1), Error::Invalid("the builder has failed: see the daemon's log".into()));
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(
        solver: &'a Solver,
        graph: &'a Graph,
        needed: &[bool],
        worker: &'a dyn Worker,
        listener: &'a dyn Listener,
        options: &'a Options,
    ) -> Self {
        let mut state = State::default();
        for (id, vertex) in graph.vertices().filter(|(id, _)| needed[id.index()]) {
            state.left += 1;
            if vertex.inputs.is_empty() {
                state.ready.push_back(id);
            } else {
                state.waiting.insert(id.index(), vertex.inputs.len());
            }
        }
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { solver, graph, worker, listener, options, state, changed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until everything is done, or something went wrong.
    pub(super) fn work(&self) {
        while let Some((id, inputs)) = self.next() {
            let Some(vertex) = self.graph.get(id) else { continue };
            let guard = Guard(self, id);
            self.listener.event(Event::Started { vertex: id, at: Timestamp::now() });
            let done = self.vertex(id, vertex, &inputs);
            let at = Timestamp::now();
            match done {
                Ok(done) => {
                    let cached = done.made.cached;
                    self.listener.event(Event::Completed { vertex: id, at, cached });
                    self.done(id, done);
                }
                Err(Error::Cancelled) => {
                    self.listener.event(Event::Cancelled { vertex: id, at });
                    self.failed(None, Error::Cancelled);
                }
                Err(error) => {
                    self.listener.event(Event::Failed { vertex: id, at, error: error.to_string() });
                    self.failed(Some(id), error);
                }
            }
            std::mem::forget(guard);
        }
    }

    /// The next vertex and its inputs; waits for one.
    fn next(&self) -> Option<(VertexId, Vec<Tree>)> {
        let mut state = self.lock();
        loop {
            if state.left == 0 || state.failure.is_some() {
                return None;
            }
            if let Some(id) = state.ready.pop_front() {
                let inputs = self.graph.get(id).map(|vertex| vertex.inputs.as_slice()).unwrap_or_default();
                let trees = inputs.iter().filter_map(|input| state.solved.outputs.get(input).cloned());
                return Some((id, trees.collect()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, id: VertexId, done: Done) {
        let mut state = self.lock();
        for (index, tree) in done.outputs {
            state.solved.outputs.insert(Output { vertex: id, index }, tree);
        }
        if let Some(key) = &done.made.key {
            state.solved.keys.push(key.clone());
        }
        state.solved.made.insert(id, done.made);
        state.left -= 1;
        for (user, vertex) in self.graph.vertices().skip(id.index() + 1) {
            let uses = vertex.inputs.iter().filter(|input| input.vertex == id).count();
            let Some(left) = state.waiting.get_mut(&user.index()).filter(|_| uses > 0) else { continue };
            *left -= uses;
            if *left == 0 {
                state.waiting.remove(&user.index());
                state.ready.push_back(user);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The first failure is the build's; the others stop.
    fn failed(&self, vertex: Option<VertexId>, error: Error) {
        let mut state = self.lock();
        // what another's failure has cancelled tells nothing
        if state.failure.is_none() {
            state.failure = Some(Failure { vertex, error });
        }
        drop(state);
        self.changed.notify_all();
        self.options.cancel.cancel();
    }

    fn vertex(&self, id: VertexId, vertex: &Vertex, inputs: &[Tree]) -> Result<Done> {
        self.options.cancel.check()?;
        let Some(key) = key::of(vertex, inputs, self.worker)? else {
            let outputs = self.perform(id, vertex, inputs)?;
            let cached = matches!(vertex.op, Op::Merge | Op::Diff { .. });
            return Ok(Done { outputs, made: Made { at: Timestamp::now(), cached, key: None } });
        };
        let _turn = self.solver.in_flight.take(&key, &self.options.cancel)?;
        if !self.options.no_cache
            && !vertex.no_cache
            && let Some(record) = self.solver.index.get(&key)
            && let Some(outputs) = super::outputs(&record, self.worker)
        {
            self.solver.index.touch(&key, Timestamp::now());
            let made = Made { at: record.created, cached: true, key: Some(key) };
            return Ok(Done { outputs, made });
        }
        if !self.options.no_cache
            && !vertex.no_cache
            && let Some(found) = self.worker.find(id, &key, inputs, &vertex.op.outputs())?
        {
            let at = found.created;
            let outputs = found.outputs.into_iter().map(|(number, layers)| (number, Tree::Layers(layers)));
            let outputs: Vec<_> = outputs.collect();
            self.note(&key, vertex, inputs, &outputs, at)?;
            self.solver.index.touch(&key, Timestamp::now());
            return Ok(Done { outputs, made: Made { at, cached: true, key: Some(key) } });
        }
        let outputs = self.perform(id, vertex, inputs)?;
        let at = Timestamp::now();
        self.note(&key, vertex, inputs, &outputs, at)?;
        Ok(Done { outputs, made: Made { at, cached: false, key: Some(key) } })
    }

    /// Puts what came of a vertex into the cache, if it is made of layers.
    fn note(
        &self,
        key: &Digest,
        vertex: &Vertex,
        inputs: &[Tree],
        outputs: &[(u32, Tree)],
        at: Timestamp,
    ) -> Result<()> {
        let Some(layers) = super::layers(outputs) else { return Ok(()) };
        // above the input that an output stands on
        let below = |layers: &[Digest]| {
            let stands = inputs.iter().filter_map(|tree| match tree {
                Tree::Layers(all) if layers.starts_with(all) => Some(all.len()),
                _ => None,
            });
            stands.max().unwrap_or(0)
        };
        let mut added: Vec<Digest> =
            layers.iter().flat_map(|(_, layers)| &layers[below(layers)..]).cloned().collect();
        added.sort();
        added.dedup();
        let size = layers
            .iter()
            .filter(|(_, layers)| layers.last().is_some_and(|layer| added.contains(layer)))
            .map(|(_, layers)| self.worker.size(layers))
            .sum();
        // those that an output stands on: what was only looked at or copied from may go before
        let stands_on = |tree: &Tree| match tree {
            Tree::Layers(all) => layers.iter().any(|(_, layers)| layers.starts_with(all)),
            Tree::Files(_) => false,
        };
        let state = self.lock();
        let mut parents: Vec<String> = vertex
            .inputs
            .iter()
            .zip(inputs)
            .filter(|(_, tree)| stands_on(tree))
            .filter_map(|(input, _)| {
                Some(state.solved.made.get(&input.vertex)?.key.as_ref()?.hex().to_owned())
            })
            .collect();
        drop(state);
        parents.sort();
        parents.dedup();
        let record = Record {
            description: vertex.name.clone(),
            kind: Kind::Regular,
            outputs: layers,
            created: at,
            used: None,
            uses: 0,
            size,
            added: Some(added),
            parents,
            note: None,
        };
        self.worker.keep(key, &record.outputs);
        self.solver.index.put(key, record)
    }

    fn perform(&self, id: VertexId, vertex: &Vertex, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>> {
        let job =
            Job { vertex: id, name: &vertex.name, cancel: &self.options.cancel, listener: self.listener };
        let only = |tree: Result<Tree>| tree.map(|tree| vec![(0, tree)]);
        match &vertex.op {
            Op::Source(source) => only(self.worker.source(&job, source, vertex.platform.as_ref())),
            Op::Exec(exec) => self.worker.exec(&job, exec, inputs),
            Op::File(file) => self.worker.file(&job, file, inputs),
            Op::Merge => only(self.worker.merge(&job, inputs)),
            Op::Diff { lower_is_scratch, upper_is_scratch } => {
                let mut inputs = inputs.iter();
                let lower = if *lower_is_scratch { None } else { inputs.next() };
                let upper = if *upper_is_scratch { None } else { inputs.next() };
                only(self.worker.diff(&job, lower, upper))
            }
        }
    }

    /// What came of it all.
    pub(super) fn finish(self) -> Result<Solved, Failure> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failure {
            Some(failure) => Err(failure),
            None => Ok(state.solved),
        }
    }
}
