//! What happens in a build, as BuildKit tells it: a vertex is told whole each time something of it changes.

use std::collections::HashMap;

use build::graph::VertexId;
use build::progress::{Event, Status, Stream, Warning};
use buildkit::proto::{Timestamp, control, pb};

/// Most bytes of one vertex's output that are passed on, as BuildKit has it.
const MAX_LOG: usize = 2 << 20;

/// A time on the wire.
pub(crate) fn timestamp(at: jiff::Timestamp) -> Timestamp {
    Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// Turns events into messages.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    vertices: HashMap<VertexId, Told>,
}

#[derive(Debug, Default)]
struct Told {
    vertex: control::Vertex,
    logged: usize,
}

/// How many vertices there were, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All.
    pub(crate) total: i32,
    /// Those that are done.
    pub(crate) completed: i32,
    /// Those that the cache had.
    pub(crate) cached: i32,
}

impl Teller {
    /// The message for an event; `None` if it says nothing new.
    pub(crate) fn tell(&mut self, event: Event) -> Option<control::StatusResponse> {
        match event {
            Event::Vertex(info) => {
                let vertex = control::Vertex {
                    digest: info.digest.as_str().to_owned(),
                    inputs: info.inputs.iter().map(|input| input.as_str().to_owned()).collect(),
                    name: info.name,
                    progress_group: info.group.map(|group| pb::ProgressGroup {
                        id: group.id,
                        name: group.name,
                        weak: group.weak,
                    }),
                    ..Default::default()
                };
                self.vertices.insert(info.vertex, Told { vertex: vertex.clone(), logged: 0 });
                Some(of_vertex(vertex))
            }
            Event::Started { vertex, at } => self.change(vertex, |told| {
                told.started = Some(timestamp(at));
                told.completed = None;
            }),
            Event::Completed { vertex, at, cached } => self.change(vertex, |told| {
                told.started.get_or_insert_with(|| timestamp(at));
                told.completed = Some(timestamp(at));
                told.cached = cached;
            }),
            Event::Failed { vertex, at, error } => self.change(vertex, |told| {
                told.started.get_or_insert_with(|| timestamp(at));
                told.completed = Some(timestamp(at));
                told.error = error;
            }),
            Event::Cancelled { vertex, at } => self.change(vertex, |told| {
                if told.started.is_some() {
                    told.completed = Some(timestamp(at));
                    told.error = "context canceled".to_owned();
                }
            }),
            Event::Log { vertex, at, stream, data } => self.log(vertex, at, stream, data),
            Event::Status(status) => self.status(status),
            Event::Warning(warning) => Some(self.warning(warning)),
        }
    }

    /// How it stands.
    pub(crate) fn counts(&self) -> Counts {
        let count = |is: fn(&control::Vertex) -> bool| {
            i32::try_from(self.vertices.values().filter(|told| is(&told.vertex)).count()).unwrap_or(i32::MAX)
        };
        Counts {
            total: count(|_| true),
            completed: count(|vertex| vertex.completed.is_some()),
            cached: count(|vertex| vertex.cached),
        }
    }

    fn change(
        &mut self,
        vertex: VertexId,
        change: impl FnOnce(&mut control::Vertex),
    ) -> Option<control::StatusResponse> {
        let told = self.vertices.get_mut(&vertex)?;
        change(&mut told.vertex);
        Some(of_vertex(told.vertex.clone()))
    }

    fn log(
        &mut self,
        vertex: VertexId,
        at: jiff::Timestamp,
        stream: Stream,
        mut data: Vec<u8>,
    ) -> Option<control::StatusResponse> {
        let told = self.vertices.get_mut(&vertex)?;
        if told.logged >= MAX_LOG {
            return None;
        }
        told.logged += data.len();
        if told.logged >= MAX_LOG {
            data.extend_from_slice(
                format!("\n[output clipped, log limit {}MiB reached]\n", MAX_LOG >> 20).as_bytes(),
            );
        }
        let log = control::VertexLog {
            vertex: told.vertex.digest.clone(),
            timestamp: Some(timestamp(at)),
            stream: match stream {
                Stream::Stdout => 1,
                Stream::Stderr => 2,
            },
            msg: data,
        };
        Some(control::StatusResponse { logs: vec![log], ..Default::default() })
    }

    fn status(&self, status: Status) -> Option<control::StatusResponse> {
        let told = self.vertices.get(&status.vertex)?;
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let status = control::VertexStatus {
            name: status.id.clone(),
            id: status.id,
            vertex: told.vertex.digest.clone(),
            current: number(status.current),
            total: number(status.total),
            timestamp: Some(timestamp(status.at)),
            started: Some(timestamp(status.started)),
            completed: status.completed.map(timestamp),
        };
        Some(control::StatusResponse { statuses: vec![status], ..Default::default() })
    }

    fn warning(&self, warning: Warning) -> control::StatusResponse {
        let vertex = warning.vertex.and_then(|vertex| self.vertices.get(&vertex));
        let line =
            |line: u32| Some(pb::Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 });
        let info = pb::SourceInfo { filename: warning.filename, data: warning.source, ..Default::default() };
        let warning = control::VertexWarning {
            vertex: vertex.map(|told| told.vertex.digest.clone()).unwrap_or_default(),
            level: 1,
            short: warning.short.into_bytes(),
            detail: warning.detail.into_iter().map(String::into_bytes).collect(),
            url: warning.url,
            info: Some(info),
            ranges: warning
                .lines
                .iter()
                .map(|(from, to)| pb::Range { start: line(*from), end: line(*to) })
                .collect(),
        };
        control::StatusResponse { warnings: vec![warning], ..Default::default() }
    }
}

fn of_vertex(vertex: control::Vertex) -> control::StatusResponse {
    control::StatusResponse { vertexes: vec![vertex], ..Default::default() }
}
