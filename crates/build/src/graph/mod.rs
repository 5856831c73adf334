//! The work of a build as values, in the shape of BuildKit's LLB (`solver/pb/ops.proto`).
//!
//! A vertex has an operation and inputs; an operation has outputs, each of which is a tree of files. A graph's vertices
//! stand in an order in which every input comes before its user, so that a cycle can't be written down.

mod exec;
mod file;
mod location;
mod source;

use oci::Platform;

pub use exec::{
    CacheMount, Exec, ExtraHost, Mount, MountKind, NetworkMode, SecretEnv, SecretMount, SecurityMode,
    Sharing, SshMount, Ulimit,
};
pub use file::{
    Action, Chown, Copy, FileAction, FileInput, FileOp, MakeDir, MakeFile, Owner, Remove, Symlink,
};
pub(crate) use location::is_url;
pub use location::redacted;
pub use source::{GitSource, HttpSource, ImageSource, LocalSource, OciLayoutSource, ResolveMode, Source};

/// Most vertices of one graph; a definition with more is refused.
pub const MAX_VERTICES: usize = 16_384;

/// Most inputs of one vertex.
pub const MAX_INPUTS: usize = 1_024;

/// A vertex's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexId(usize);

impl Output {
    /// The same in a graph whose vertices were moved up by so many places.
    #[must_use]
    pub fn moved(self, by: usize) -> Self {
        Self { vertex: VertexId(self.vertex.0 + by), ..self }
    }
}

impl VertexId {
    /// The place, counted from zero.
    pub fn index(self) -> usize {
        self.0
    }
}

/// One output of a vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output {
    /// Whose.
    pub vertex: VertexId,
    /// Which, counted from zero. A file operation's and an execution's mounts and actions name theirs; every other
    /// operation has one.
    pub index: u32,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    /// What is done.
    pub op: Op,
    /// What it is done with. How they are used is the operation's.
    pub inputs: Vec<Output>,
    /// What is shown to the user, `[build 2/5] RUN make` for instance.
    pub name: String,
    /// Groups vertices that are shown as one, `None` for a vertex that is shown by itself.
    pub progress_group: Option<ProgressGroup>,
    /// For which platform, `None` for the daemon's.
    pub platform: Option<Platform>,
    /// Run even if the cache knows the result.
    pub no_cache: bool,
}

/// Several vertices that are shown as one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProgressGroup {
    /// Tells groups apart.
    pub id: String,
    /// What is shown.
    pub name: String,
    /// Whether the group may be told to have come from the cache although only some of its vertices did.
    pub weak: bool,
}

/// What a vertex does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Brings files from outside; no inputs, one output.
    Source(Source),
    /// Runs a process.
    Exec(Box<Exec>),
    /// Changes files without running anything.
    File(FileOp),
    /// Lays the inputs over each other, the first lowest.
    Merge,
    /// What the upper has that the lower doesn't. The vertex's inputs are the two that are not `scratch`, lower first.
    Diff {
        /// The lower is an empty tree and stands not among the inputs.
        lower_is_scratch: bool,
        /// So is the upper.
        upper_is_scratch: bool,
    },
}

/// A graph, its vertices in an order in which inputs come first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    vertices: Vec<Vertex>,
}

/// Why a vertex does not fit into its graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// [`MAX_VERTICES`].
    #[error("a build of more than {MAX_VERTICES} vertices is refused")]
    TooManyVertices,
    /// [`MAX_INPUTS`].
    #[error("vertex {0:?} has more than {MAX_INPUTS} inputs")]
    TooManyInputs(String),
    /// An input is not in the graph (yet).
    #[error("vertex {name:?} uses an input that is not defined before it (number {input})")]
    NoSuchInput {
        /// Whose input.
        name: String,
        /// Its place among the vertex's inputs.
        input: usize,
    },
    /// An input has no such output.
    #[error("vertex {name:?} uses output {index} of {of:?}, which has none of that number")]
    NoSuchOutput {
        /// Whose input.
        name: String,
        /// The output's number.
        index: u32,
        /// Whose output.
        of: String,
    },
    /// The operation names inputs that the vertex doesn't have, or too few.
    #[error("vertex {name:?}: {reason}")]
    Malformed {
        /// Which vertex.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vertex above those that are there.
    ///
    /// # Errors
    /// It uses what isn't there, or a limit is passed. The graph is as before.
    pub fn add(&mut self, vertex: Vertex) -> Result<VertexId, GraphError> {
        if self.vertices.len() >= MAX_VERTICES {
            return Err(GraphError::TooManyVertices);
        }
        if vertex.inputs.len() > MAX_INPUTS {
            return Err(GraphError::TooManyInputs(vertex.name));
        }
        for (input, output) in vertex.inputs.iter().enumerate() {
            let Some(of) = self.vertices.get(output.vertex.0) else {
                return Err(GraphError::NoSuchInput { name: vertex.name, input });
            };
            if !of.op.has_output(output.index) {
                return Err(GraphError::NoSuchOutput {
                    name: vertex.name,
                    index: output.index,
                    of: of.name.clone(),
                });
            }
        }
        if let Err(reason) = vertex.op.check(vertex.inputs.len()) {
            return Err(GraphError::Malformed { name: vertex.name, reason });
        }
        self.vertices.push(vertex);
        Ok(VertexId(self.vertices.len() - 1))
    }

    /// Puts another graph's vertices above those that are there; they keep their order. Says by how much their places
    /// grow.
    ///
    /// # Errors
    /// [`GraphError::TooManyVertices`]. The graph is as before.
    pub fn join(&mut self, other: Self) -> Result<usize, GraphError> {
        let by = self.vertices.len();
        if by + other.vertices.len() > MAX_VERTICES {
            return Err(GraphError::TooManyVertices);
        }
        let moved = other.vertices.into_iter().map(|mut vertex| {
            vertex.inputs.iter_mut().for_each(|input| *input = input.moved(by));
            vertex
        });
        self.vertices.extend(moved);
        Ok(by)
    }

    /// The vertices, inputs first.
    pub fn vertices(&self) -> impl ExactSizeIterator<Item = (VertexId, &Vertex)> + DoubleEndedIterator {
        self.vertices.iter().enumerate().map(|(index, vertex)| (VertexId(index), vertex))
    }

    /// One of them, `None` for an id of another graph.
    pub fn get(&self, id: VertexId) -> Option<&Vertex> {
        self.vertices.get(id.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// Which vertices `targets` need, themselves included.
    pub fn needed(&self, targets: &[Output]) -> Vec<bool> {
        let mut needed = vec![false; self.vertices.len()];
        for target in targets {
            if let Some(slot) = needed.get_mut(target.vertex.0) {
                *slot = true;
            }
        }
        for (index, vertex) in self.vertices.iter().enumerate().rev() {
            if needed[index] {
                vertex.inputs.iter().for_each(|input| needed[input.vertex.0] = true);
            }
        }
        needed
    }
}

impl Op {
    /// The numbers of its outputs, in order.
    pub fn outputs(&self) -> Vec<u32> {
        let mut all: Vec<u32> = match self {
            Self::Exec(exec) => exec.mounts.iter().filter_map(|mount| mount.output).collect(),
            Self::File(file) => file.actions.iter().filter_map(|action| action.output).collect(),
            Self::Source(_) | Self::Merge | Self::Diff { .. } => vec![0],
        };
        all.sort_unstable();
        all.dedup();
        all
    }

    fn has_output(&self, index: u32) -> bool {
        match self {
            Self::Exec(exec) => exec.mounts.iter().any(|mount| mount.output == Some(index)),
            Self::File(file) => file.actions.iter().any(|action| action.output == Some(index)),
            Self::Source(_) | Self::Merge | Self::Diff { .. } => index == 0,
        }
    }

    fn check(&self, inputs: usize) -> Result<(), String> {
        match self {
            Self::Source(_) if inputs > 0 => Err("a source has no inputs".into()),
            Self::Merge if inputs == 0 => Err("a merge needs an input".into()),
            Self::Diff { lower_is_scratch, upper_is_scratch } => {
                let wanted = usize::from(!lower_is_scratch) + usize::from(!upper_is_scratch);
                if inputs == wanted {
                    Ok(())
                } else {
                    Err(format!("a diff needs {wanted} inputs, not {inputs}"))
                }
            }
            Self::Exec(exec) => exec.check(inputs),
            Self::File(file) => file.check(inputs),
            Self::Source(_) | Self::Merge => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
