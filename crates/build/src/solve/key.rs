//! Keys: what a vertex's result depends on, as one digest.

use oci::Digest;
use serde::Serialize;

use super::worker::{Selection, Tree, Worker};
use crate::graph::{Action, Exec, FileInput, FileOp, Graph, Mount, MountKind, Op, Vertex};
use crate::{Error, Result};

/// Goes into every key; another number makes all that was cached unknown.
const FORMAT: &str = "1";

/// Gathers what a key is made of. Each part is written with its length, so that no two lists of parts are alike.
#[derive(Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|error| Error::because("encode a vertex", error))?;
        self.text(&text);
        Ok(())
    }

    fn tree(&mut self, tree: Option<&Tree>, worker: &dyn Worker) -> Result<()> {
        match tree {
            None => self.text("scratch"),
            Some(Tree::Layers(layers)) => self.json(layers)?,
            Some(files @ Tree::Files(_)) => self.text(worker.digest(files, Selection::Path("/"))?.as_str()),
        }
        Ok(())
    }

    fn digest(&self) -> Digest {
        Digest::sha256(&self.0)
    }
}

/// Each vertex's identity on the wire: of its operation and everything below it.
pub(super) fn definitions(graph: &Graph) -> Vec<Digest> {
    let mut digests: Vec<Digest> = Vec::with_capacity(graph.len());
    for (id, vertex) in graph.vertices() {
        let mut parts = Parts::default();
        parts.text(&format!("{:?}", vertex.op));
        parts.text(&format!("{:?}", vertex.platform));
        for input in &vertex.inputs {
            parts.text(digests[input.vertex.index()].as_str());
            parts.text(&input.index.to_string());
        }
        let digest = parts.digest();
        // the same work named twice is two vertices
        let digest = if digests.contains(&digest) {
            parts.text(&id.index().to_string());
            parts.digest()
        } else {
            digest
        };
        digests.push(digest);
    }
    digests
}

/// The key of a vertex whose inputs are done; `None` for one that is always looked at anew.
///
/// # Errors
/// What it copies can't be read.
pub(super) fn of(vertex: &Vertex, inputs: &[Tree], worker: &dyn Worker) -> Result<Option<Digest>> {
    let mut parts = Parts::default();
    parts.text(FORMAT);
    parts.json(&vertex.platform)?;
    match &vertex.op {
        Op::Source(_) | Op::Merge | Op::Diff { .. } => return Ok(None),
        Op::Exec(exec) => execution(&mut parts, exec, inputs, worker)?,
        Op::File(file) => files(&mut parts, file, inputs, worker)?,
    }
    Ok(Some(parts.digest()))
}

fn execution(parts: &mut Parts, exec: &Exec, inputs: &[Tree], worker: &dyn Worker) -> Result<()> {
    parts.text("exec");
    // whether a proxy stands between us and the world makes no other result
    parts.json(&Exec { proxy_env: Vec::new(), ..exec.clone() })?;
    for mount in &exec.mounts {
        match mount.input.and_then(|input| inputs.get(input)) {
            Some(tree) if is_only_read(mount) => {
                parts.text(worker.digest(tree, Selection::Path(&mount.selector))?.as_str());
            }
            // what a cache begins as is no part of what comes of it
            Some(_) if matches!(mount.kind, MountKind::Cache(_)) => {}
            tree => parts.tree(tree, worker)?,
        }
    }
    Ok(())
}

fn is_only_read(mount: &Mount) -> bool {
    matches!(mount.kind, MountKind::Bind) && mount.output.is_none() && mount.target != "/"
}

fn files(parts: &mut Parts, op: &FileOp, inputs: &[Tree], worker: &dyn Worker) -> Result<()> {
    parts.text("file");
    for action in &op.actions {
        let tree = |place: Option<FileInput>| match place {
            Some(FileInput::Input(input)) => inputs.get(input),
            _ => None,
        };
        parts.json(action)?;
        parts.tree(tree(action.input), worker)?;
        match (&action.action, tree(action.secondary)) {
            (Action::Copy(copy), Some(source)) => {
                parts.text(worker.digest(source, Selection::Copy(copy))?.as_str());
            }
            (_, source) => parts.tree(source, worker)?,
        }
    }
    Ok(())
}
