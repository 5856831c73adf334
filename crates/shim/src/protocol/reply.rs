//! What a shim answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ErrorReply, Event, PortState};

/// One frame from a shim: a reply (with `id`) or an event.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ServerFrame {
    /// The request that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// How many file descriptors belong to this frame.
    #[serde(default)]
    pub fds: usize,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReply>,
    /// Something that happened by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// An answer; each request names its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// To `Hello`.
    Hello(Box<HelloReply>),
    /// To `Create` and `Exec`.
    Created(Created),
    /// To `Start`.
    Started(StartedReply),
    /// To `Attach`.
    Attached(Attached),
    /// To `Ps`: process ids as the host sees them.
    Pids(Vec<i32>),
    /// To `Ports`.
    Ports(Vec<PortState>),
    /// To `State`.
    State(Box<StateReply>),
    /// To everything else.
    Done,
}

/// Who answers, and in which state it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HelloReply {
    /// The shim's protocol version.
    pub version: u32,
    /// The release the shim belongs to.
    pub release: String,
    /// The shim's own process id.
    pub pid: i32,
    /// What it knows.
    pub state: StateReply,
}

/// A process exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Created {
    /// Its id as the host sees it.
    pub pid: i32,
    /// The attached client's number when the request carried one.
    #[serde(default)]
    pub client: Option<u64>,
}

/// The container's first process runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartedReply {
    /// Since when.
    pub at: Timestamp,
}

/// A client is attached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attached {
    /// The client's number, as in [`Event::Detached`].
    pub client: u64,
    /// Size of the current log file: all output before this offset is in the log, all after it goes to the client.
    #[serde(default)]
    pub log_offset: u64,
}

/// Where in its life the container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing was created yet, or creating failed.
    Empty,
    /// The first process waits to be started.
    Created,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It has ended and its record is on disk.
    Exited,
}

/// Everything a daemon needs to adopt a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateReply {
    /// The container's id; empty before `Create`.
    pub id: String,
    /// Where in its life it is.
    pub status: Status,
    /// The first process's id as the host sees it, while it exists.
    pub pid: Option<i32>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// [`super::CreateRequest::run`].
    #[serde(default)]
    pub run: u64,
    /// How it ended.
    pub exit: Option<ExitRecord>,
    /// The kernel has killed a process of it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Its streams are a terminal.
    #[serde(default)]
    pub terminal: bool,
    /// The exec sessions that run.
    #[serde(default)]
    pub execs: Vec<ExecState>,
}

/// A running exec session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExecState {
    /// Its id.
    pub exec_id: String,
    /// Its process, as the host sees it.
    pub pid: i32,
    /// Its streams are a terminal.
    pub terminal: bool,
}

/// How a container ended: the content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Exit code; 128 + n after signal n.
    pub code: i32,
    /// The signal that killed it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// The kernel has killed a process of it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// When it was started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub at: Timestamp,
    /// [`super::CreateRequest::run`].
    #[serde(default)]
    pub run: u64,
    /// What went wrong on our side.
    #[serde(default)]
    pub error: Option<String>,
}
