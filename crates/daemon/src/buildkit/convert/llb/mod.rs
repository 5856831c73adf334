//! A definition that a client sends (`solver/pb/ops.proto`) as a graph. Whatever of it can't be done is refused by
//! its name.

mod exec;
mod file;
mod source;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use build::graph::{Graph, MAX_INPUTS, MAX_VERTICES, Op, Output, ProgressGroup, Source, Vertex, VertexId};
use buildkit::Status;
use buildkit::proto::pb;
use oci::{Digest, Platform};
use prost::Message as _;

type Result<T> = std::result::Result<T, Status>;

/// The graph of a definition and the output that it is about; `None` for an empty tree.
pub(crate) fn graph(definition: &pb::Definition) -> Result<(Graph, Option<Output>)> {
    if definition.def.len() > MAX_VERTICES {
        return Err(refused(format!("a definition of more than {MAX_VERTICES} vertices")));
    }
    let mut ops = HashMap::new();
    let mut last = None;
    for bytes in &definition.def {
        let op = pb::Op::decode(bytes.as_slice())
            .map_err(|error| refused(format!("a vertex of the definition can't be read: {error}")))?;
        let digest = Digest::sha256(bytes).as_str().to_owned();
        last = Some(digest.clone());
        ops.insert(digest, op);
    }
    let Some(last) = last else { return Ok((Graph::new(), None)) };
    let target = ops.get(&last).and_then(|op| op.inputs.first()).cloned();
    let Some(target) = target.filter(|_| ops[&last].op.is_none()) else {
        return Err(refused("the definition's last vertex does not name its result".to_owned()));
    };
    let mut reader = Reader { ops, definition, graph: Graph::new(), known: HashMap::new() };
    reader.all(&target.digest)?;
    let output = reader.output(&target)?;
    Ok((reader.graph, Some(output)))
}

/// A context that has a name, as the Dockerfile frontend is told of it.
pub(crate) fn context(value: &str) -> Result<Source> {
    if let Some(remote) = Source::remote(value).map_err(refused)? {
        return Ok(remote);
    }
    if let Some(layout) = value.strip_prefix("oci-layout:") {
        return source::named_layout(layout.trim_start_matches('/')).map(Source::OciLayout);
    }
    let identifier = match value.strip_prefix("local:") {
        Some(name) => format!("local://{name}"),
        None => value.to_owned(),
    };
    source::source(&pb::SourceOp { identifier, ..Default::default() })
}

/// A client's mistake, or what is not done here.
fn refused(what: String) -> Status {
    Status::invalid_argument(what)
}

struct Reader<'a> {
    ops: HashMap<String, pb::Op>,
    definition: &'a pb::Definition,
    graph: Graph,
    known: HashMap<String, VertexId>,
}

impl Reader<'_> {
    /// Adds what a vertex needs, and then itself: without recursion, since a definition may be deep.
    fn all(&mut self, digest: &str) -> Result<()> {
        let mut stack = vec![(digest.to_owned(), false)];
        let mut entered = HashMap::new();
        while let Some((digest, ready)) = stack.pop() {
            if self.known.contains_key(&digest) {
                continue;
            }
            if ready {
                let id = self.vertex(&digest)?;
                self.known.insert(digest, id);
                continue;
            }
            if entered.insert(digest.clone(), ()).is_some() {
                return Err(refused(format!("vertex {digest} needs itself")));
            }
            let inputs = &self.op(&digest)?.inputs;
            if inputs.len() > MAX_INPUTS {
                return Err(refused(format!("vertex {digest} has more than {MAX_INPUTS} inputs")));
            }
            let inputs: Vec<_> = inputs.iter().map(|input| (input.digest.clone(), false)).collect();
            stack.push((digest, true));
            stack.extend(inputs.into_iter().filter(|(input, _)| !self.known.contains_key(input)).rev());
        }
        Ok(())
    }

    fn op(&self, digest: &str) -> Result<&pb::Op> {
        let missing = || refused(format!("the definition refers to vertex {digest}, which it does not have"));
        self.ops.get(digest).ok_or_else(missing)
    }

    fn output(&self, input: &pb::Input) -> Result<Output> {
        let vertex = self.known.get(&input.digest).copied();
        let index = u32::try_from(input.index).ok();
        let (Some(vertex), Some(index)) = (vertex, index) else {
            return Err(refused(format!("output {} of vertex {} can't be used", input.index, input.digest)));
        };
        Ok(Output { vertex, index })
    }

    fn vertex(&mut self, digest: &str) -> Result<VertexId> {
        let op = self.op(digest)?;
        let inputs = op.inputs.iter().map(|input| self.output(input)).collect::<Result<Vec<_>>>()?;
        let platform = op.platform.as_ref().map(platform);
        let (kind, shown) = convert(op)?;
        let metadata = self.definition.metadata.get(digest);
        let name = metadata.and_then(|metadata| metadata.description.get("llb.customname")).cloned();
        let vertex = Vertex {
            op: kind,
            inputs,
            name: name.unwrap_or(shown),
            progress_group: metadata.and_then(|metadata| metadata.progress_group.as_ref()).map(|group| {
                ProgressGroup { id: group.id.clone(), name: group.name.clone(), weak: group.weak }
            }),
            platform,
            no_cache: metadata.is_some_and(|metadata| metadata.ignore_cache),
        };
        self.graph.add(vertex).map_err(|error| refused(error.to_string()))
    }
}

/// The operation, and what is shown of one that has no name.
fn convert(op: &pb::Op) -> Result<(Op, String)> {
    let inputs = op.inputs.len();
    match &op.op {
        Some(pb::op::Op::Source(source)) => {
            Ok((Op::Source(source::source(source)?), source.identifier.clone()))
        }
        Some(pb::op::Op::Exec(exec)) => {
            let exec = exec::exec(exec)?;
            let shown = exec.args.join(" ");
            Ok((Op::Exec(Box::new(exec)), shown))
        }
        Some(pb::op::Op::File(file)) => {
            let (op, shown) = file::file(file, inputs)?;
            Ok((Op::File(op), shown))
        }
        Some(pb::op::Op::Merge(_)) => Ok((Op::Merge, "merge".to_owned())),
        Some(pb::op::Op::Diff(diff)) => {
            let scratch = |input: Option<i64>| input.is_none_or(|input| input < 0);
            let op = Op::Diff {
                lower_is_scratch: scratch(diff.lower.map(|lower| lower.input)),
                upper_is_scratch: scratch(diff.upper.map(|upper| upper.input)),
            };
            Ok((op, "diff".to_owned()))
        }
        Some(pb::op::Op::Build(_)) => Err(Status::unimplemented(
            "a build within a build (BuildOp) is not supported by this version of Berth",
        )),
        None => Err(refused("a vertex has no operation that this version of Berth knows".to_owned())),
    }
}

/// A platform as it travels.
pub(super) fn platform(platform: &pb::Platform) -> Platform {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        os_version: some(&platform.os_version),
        os_features: platform.os_features.clone(),
        variant: some(&platform.variant),
    }
}

/// A place among inputs, where -1 is none.
fn place(number: i64) -> Result<Option<usize>> {
    match number {
        -1 => Ok(None),
        number => usize::try_from(number)
            .map(Some)
            .map_err(|_negative| refused(format!("there is no input {number}"))),
    }
}

/// A number among outputs, where -1 is none.
fn number(number: i64) -> Result<Option<u32>> {
    match number {
        -1 => Ok(None),
        number => u32::try_from(number)
            .map(Some)
            .map_err(|_out_of_range| refused(format!("there is no output {number}"))),
    }
}
