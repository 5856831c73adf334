//! What `berthd` and a shim say to each other, over a `SOCK_STREAM` unix socket.
//!
//! A frame is a little-endian `u32` length followed by that many bytes of JSON; file descriptors ride on a
//! frame's first byte (`SCM_RIGHTS`) and are counted in it. The daemon's first frame is
//! [`Request::Hello`], and its reply says which version the shim speaks. Both sides ignore unknown fields, a
//! shim answers an unknown request with [`ErrorKind::Unsupported`], and a daemon ignores unknown events:
//! a new daemon so adopts the shims of an older release.

mod error;
mod event;
mod frame;
mod ports;
mod reply;
mod request;

pub use error::{ErrorKind, ErrorReply};
pub use event::Event;
pub use frame::{FrameError, FrameReader, MAX_FDS, MAX_FRAME, encode, send, send_some};
pub use ports::{Aim, HoldPort, PortKey, PortState, Transport};
pub use reply::{
    Attached, Created, ExecState, ExitRecord, HelloReply, Reply, ServerFrame, StartedReply, StateReply,
    Status,
};
pub use request::{
    AttachRequest, CgroupDriver, CgroupRequest, CheckpointRequest, ClientFrame, CreateRequest, ExecRequest,
    ForwardRequest, KillRequest, LogRequest, MountRequest, Request, ResizeRequest, RestoreRequest,
    RuntimeRequest,
};

/// The version of this protocol. It grows when a frame changes so that an older peer would misread it.
pub const VERSION: u32 = 1;

/// Name of the socket inside the shim's state directory.
pub const SOCKET: &str = "sock";

/// Written among a checkpoint's images when they are whole.
pub const CHECKPOINT_MARK: &str = "berth.json";

/// Length of the header in front of each chunk on an attached connection without a terminal:
/// stream (1 = stdout, 2 = stderr), three zero bytes, big-endian `u32` length of the payload.
pub const STREAM_HEADER: usize = 8;
