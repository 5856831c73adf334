//! All that a build looks at beside the daemon's own cache.

use ::build::graph::{Graph, MountKind, Op, VertexId};
use ::build::lower::Lowered;
use ::build::solve::{Found, Tree};
use ::build::{Cancel, Error, Result};
use jiff::Timestamp;
use oci::{Digest, ImageConfig};
use store::{Hold, Store};

use super::Imported;
use crate::build::trees::Trees;

/// Caches, and images of which the history tells what has made them.
#[derive(Default)]
pub(in crate::build) struct Elsewhere {
    /// Caches that have come in.
    pub(in crate::build) imports: Vec<Imported>,
    /// For the classic builder: what is built, and the images.
    pub(in crate::build) images: Option<(Lowered, Vec<ImageConfig>)>,
}

impl Elsewhere {
    /// A result that none of the daemon's own records has. What can't be used is no result, and told in the log.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(in crate::build) fn find(
        &self,
        store: &Store,
        trees: &Trees,
        cancel: &Cancel,
        (vertex, key): (VertexId, &Digest),
        (inputs, outputs): (&[Tree], &[u32]),
    ) -> Result<Option<Found>> {
        for import in &self.imports {
            match import.fetch(store, key, outputs, cancel) {
                Ok(Some((holds, created))) => return Ok(Some(taken(trees, holds, created))),
                Ok(None) => {}
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => tracing::warn!(%error, "an imported result can't be used"),
            }
        }
        let Some((lowered, images)) = &self.images else { return Ok(None) };
        let (Some(Tree::Layers(below)), [output]) = (inputs.first(), outputs) else { return Ok(None) };
        let told = |image: &ImageConfig| told(lowered, image, vertex, key, below);
        let Some((layers, created)) = images.iter().find_map(told) else { return Ok(None) };
        match store.restack(&layers) {
            Ok(hold) => Ok(Some(taken(trees, vec![(*output, hold)], created))),
            Err(error) => {
                tracing::warn!(%error, "an image's layers can't be used as a cache");
                Ok(None)
            }
        }
    }
}

fn taken(trees: &Trees, holds: Vec<(u32, Hold)>, created: Timestamp) -> Found {
    let outputs = holds.into_iter().map(|(output, hold)| {
        let layers = hold.layers().to_vec();
        trees.take(hold);
        (output, layers)
    });
    Found { outputs: outputs.collect(), created }
}

/// The layers that an image has behind a step, if everything up to there is told alike and stands on the same layers.
fn told(
    lowered: &Lowered,
    image: &ImageConfig,
    vertex: VertexId,
    key: &Digest,
    below: &[Digest],
) -> Option<(Vec<Digest>, Timestamp)> {
    // a history doesn't tell of other files that a process sees
    if !is_told_whole(&lowered.graph, vertex) {
        return None;
    }
    let lines = lowered.history_until(vertex, key)?;
    let own = image.history.get(..lines.len())?;
    let alike =
        lines.iter().zip(own).all(|(line, own)| line.is(own.created_by.as_deref().unwrap_or_default()));
    let height = own.iter().filter(|entry| !entry.empty_layer).count();
    let layers = image.rootfs.diff_ids.get(..height)?;
    if !alike || !layers.starts_with(below) || layers.len() > below.len() + 1 {
        return None;
    }
    let created = own.last().and_then(|entry| entry.created.as_ref()).and_then(|at| at.parse().ok());
    Some((layers.to_vec(), created.unwrap_or(Timestamp::UNIX_EPOCH)))
}

fn is_told_whole(graph: &Graph, vertex: VertexId) -> bool {
    match graph.get(vertex).map(|vertex| &vertex.op) {
        Some(Op::Exec(exec)) => {
            matches!(exec.mounts.as_slice(), [root] if root.target == "/" && matches!(root.kind, MountKind::Bind))
                && exec.secret_env.is_empty()
        }
        // its key is in its line
        Some(Op::File(_)) => true,
        _ => false,
    }
}
