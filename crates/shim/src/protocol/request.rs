//! What the daemon asks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::runtime::{LinuxResources, Process, Spec};
use serde::{Deserialize, Serialize};

use super::{HoldPort, PortKey};

/// One request on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClientFrame {
    /// Chosen by the daemon; the reply carries the same number.
    pub id: u64,
    /// How many file descriptors belong to this frame.
    #[serde(default)]
    pub fds: usize,
    /// The request itself.
    pub request: Request,
}

/// Everything that can be asked of a shim.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// First frame of a connection. Replied to by [`super::Reply::Hello`].
    Hello {
        /// The daemon's protocol version.
        version: u32,
    },
    /// Make the container, up to its first process waiting to be started.
    /// File descriptors: the root file system if `rootfs_fd`, then the network namespace if `netns_fd`, then one
    /// for each of `mounts`.
    Create(Box<CreateRequest>),
    /// Let the container's first process run.
    Start,
    /// Start one more process in the running container.
    /// One file descriptor if `attach` is given: the connection.
    Exec(Box<ExecRequest>),
    /// Join the streams of the container or of an exec session. One file descriptor: the connection,
    /// a stream socket. Allowed before `Create`, so that no byte of output is missed.
    Attach(AttachRequest),
    /// Set a terminal's size.
    Resize(ResizeRequest),
    /// Close the standard input of the container (`None`) or of an exec session.
    CloseStdin {
        /// The exec session.
        exec_id: Option<String>,
    },
    /// Send a signal.
    Kill(KillRequest),
    /// Freeze the container's cgroup.
    Pause,
    /// Thaw it.
    Resume,
    /// Change the container's limits.
    Update(Box<LinuxResources>),
    /// The process ids in the container's cgroup, as the host sees them.
    Ps,
    /// What the shim knows.
    State,
    /// Hand back the container's network namespace as a file descriptor.
    Netns,
    /// Keep this frame's file descriptors, in place of those kept under the same name, for as long as
    /// the shim lives: what must outlive the daemon. Allowed before `Create`.
    Keep {
        /// The daemon's name for them.
        name: String,
    },
    /// Hand copies of the descriptors back that are kept under this name.
    Kept {
        /// The name.
        name: String,
    },
    /// Hold these ports of the host until they are released or the container ends. One file descriptor for each that
    /// says so. Allowed before `Create`. On a refusal those before the one it names are held.
    HoldPorts {
        /// The ports.
        ports: Vec<HoldPort>,
    },
    /// Let go of these ports of the host, and break off what passes through them. One that is not held is fine.
    ReleasePorts {
        /// The ports.
        ports: Vec<PortKey>,
    },
    /// The ports that are held.
    Ports,
    /// Hand back a mount that was kept, and the mount namespace that it is attached in: two file descriptors.
    Mount {
        /// [`MountRequest::keep`] of the mount.
        name: String,
    },
    /// Write the running container's processes to disk.
    Checkpoint(Box<CheckpointRequest>),
    /// Acknowledge the exit record: the shim removes the container's cgroup, answers and ends.
    /// Refused while the container runs.
    Shutdown,
}

/// How the container is to be made.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateRequest {
    /// The container's id.
    pub id: String,
    /// The runtime specification. `process.terminal` decides between a terminal and pipes.
    pub spec: Spec,
    /// The first file descriptor is a detached mount: the container's root.
    #[serde(default)]
    pub rootfs_fd: bool,
    /// The next file descriptor is the network namespace to join; the shim keeps it open.
    #[serde(default)]
    pub netns_fd: bool,
    /// The file descriptors that follow are detached mounts, one for each of these.
    #[serde(default)]
    pub mounts: Vec<MountRequest>,
    /// Keep standard input open (`-i`); otherwise it is `/dev/null`.
    #[serde(default)]
    pub open_stdin: bool,
    /// Close standard input when the first attached client's input ends.
    #[serde(default)]
    pub stdin_once: bool,
    /// Where output is recorded.
    #[serde(default)]
    pub log: LogRequest,
    /// The control group; `None` leaves the container in the shim's.
    #[serde(default)]
    pub cgroup: Option<CgroupRequest>,
    /// Who makes the process.
    #[serde(default)]
    pub runtime: RuntimeRequest,
    /// The container's directory, where `exit.json` is written.
    pub data_dir: PathBuf,
    /// Which of the container's runs this is, from 1: the shim's answers and `exit.json` bear it, so that a daemon
    /// which was killed half-way knows a run that it has not noted from one that it has. 0 = not said.
    #[serde(default)]
    pub run: u64,
    /// Bring these processes back in place of `spec.process`.
    #[serde(default)]
    pub restore: Option<RestoreRequest>,
    /// A compiled seccomp filter, one `u64` an instruction as in `struct sock_filter`
    /// (`code | jt << 16 | jf << 24 | k << 32`), installed without flags; without it the shim compiles `spec.linux.seccomp`.
    #[serde(default)]
    pub seccomp: Option<Vec<u64>>,
    /// First size of the terminal: rows, columns.
    #[serde(default)]
    pub console_size: Option<(u16, u16)>,
    /// Clients get the terminal's output framed, like that of pipes: the terminal is the container's own affair.
    #[serde(default)]
    pub framed: bool,
    /// Kill every process of the container when the connection that this request came over closes, and leave nothing: a
    /// step of a build.
    #[serde(default)]
    pub bound: bool,
}

/// Where the container's processes are written to, and by what program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRequest {
    /// Absolute path of the program `criu`.
    pub criu: PathBuf,
    /// Absolute path of a directory that exists and is empty.
    pub images: PathBuf,
    /// Let the processes run on; otherwise they are killed once they are written.
    #[serde(default)]
    pub leave_running: bool,
}

/// Processes that a [`CheckpointRequest`] has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// Absolute path of the program `criu`.
    pub criu: PathBuf,
    /// Absolute path of the directory.
    pub images: PathBuf,
}

/// A detached mount in place of a source in the specification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Which of `spec.mounts`.
    pub index: usize,
    /// Keep it under this name for [`Request::Mount`], as long as the shim lives; empty = don't.
    #[serde(default)]
    pub keep: String,
}

/// A control group and who manages it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRequest {
    /// Path beneath each hierarchy's mount (cgroupfs), or `slice:prefix:name` (systemd).
    pub path: PathBuf,
    /// Who creates it.
    #[serde(default)]
    pub driver: CgroupDriver,
}

/// The manager of control groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupDriver {
    /// Directories made by us.
    #[default]
    Cgroupfs,
    /// Scopes asked of systemd over D-Bus.
    Systemd,
}

/// Who turns the specification into a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuntimeRequest {
    /// The runtime linked into the shim.
    #[default]
    BuiltIn,
    /// A program with runc's command line.
    Outside {
        /// Absolute path of the program.
        path: PathBuf,
        /// Arguments put before the verb.
        #[serde(default)]
        args: Vec<String>,
        /// Its state directory (`--root`).
        root: PathBuf,
    },
}

/// Where a container's output is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// `json-file`, `local` or `none`.
    pub driver: String,
    /// The current log file; rotated ones get `.1`, `.2`, … behind it.
    #[serde(default)]
    pub path: PathBuf,
    /// A file that grows beyond this many bytes is rotated; 0 = never.
    #[serde(default)]
    pub max_size: u64,
    /// How many files there may be, the current one included.
    #[serde(default)]
    pub max_file: u32,
    /// Compress rotated files with gzip.
    #[serde(default)]
    pub compress: bool,
    /// Written with each line.
    #[serde(default)]
    pub attrs: BTreeMap<String, String>,
    /// Where output goes beside the file.
    #[serde(default)]
    pub forward: Option<ForwardRequest>,
}

/// A program that output is handed to: see [`crate::log::frame`]. One that dies is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardRequest {
    /// Called as [`crate::log::FORWARD_PROGRAM`], with the socket as standard input.
    pub program: PathBuf,
    /// Its only argument, for people who look at process lists: the container's directory.
    #[serde(default)]
    pub about: PathBuf,
    /// For the program alone.
    pub settings: String,
    /// Messages that may wait for the program, in bytes, before further ones are dropped; without it the container waits.
    #[serde(default)]
    pub buffer: Option<u64>,
}

impl Default for LogRequest {
    /// No log.
    fn default() -> Self {
        Self {
            driver: "none".to_owned(),
            path: PathBuf::new(),
            max_size: 0,
            max_file: 1,
            compress: false,
            attrs: BTreeMap::new(),
            forward: None,
        }
    }
}

/// One more process in a running container.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The session's id, chosen by the daemon.
    pub exec_id: String,
    /// The process; `terminal` decides between a terminal and pipes.
    pub process: Process,
    /// Keep standard input open; otherwise it is `/dev/null`.
    #[serde(default)]
    pub open_stdin: bool,
    /// The client whose connection is this frame's file descriptor. Without it output is thrown away.
    #[serde(default)]
    pub attach: Option<AttachRequest>,
    /// First size of the terminal: rows, columns.
    #[serde(default)]
    pub console_size: Option<(u16, u16)>,
    /// Kill the process when the connection that this request came over closes.
    #[serde(default)]
    pub bound: bool,
}

/// A client joins the streams of the container or of an exec session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AttachRequest {
    /// The exec session; `None` is the container itself.
    #[serde(default)]
    pub exec_id: Option<String>,
    /// The client's bytes go to standard input.
    #[serde(default)]
    pub stdin: bool,
    /// The client gets standard output.
    #[serde(default)]
    pub stdout: bool,
    /// The client gets standard error.
    #[serde(default)]
    pub stderr: bool,
    /// Typing these bytes detaches the client; empty = never. See [`crate::detach::parse`].
    #[serde(default)]
    pub detach_keys: Vec<u8>,
}

/// A terminal's new size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResizeRequest {
    /// The exec session; `None` is the container itself.
    #[serde(default)]
    pub exec_id: Option<String>,
    /// Height in characters.
    pub rows: u16,
    /// Width in characters.
    pub columns: u16,
}

/// A signal to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KillRequest {
    /// The exec session; `None` is the container itself.
    #[serde(default)]
    pub exec_id: Option<String>,
    /// The signal's number.
    pub signal: i32,
    /// To each process in the container's cgroup, instead of the first process alone.
    #[serde(default)]
    pub all: bool,
}
