//! Directories over a stream of packets, as BuildKit's `fsutil` does it.
//!
//! The sender tells every file in order (a directory before what is in it, siblings by their bytes), each with its
//! attributes; the end of the list is a packet without any. The n-th file has the number n, counted from 0. The
//! receiver asks for the contents that it doesn't have by number, in any order, gets each in pieces of which the
//! last is empty, and says `FIN` when it has all, which the sender repeats. Either may say why it gives up.
//!
//! Both ends block: they are for threads that may, and are joined to a gRPC stream by [`pump`].

mod error;
mod order;
mod pump;
mod receive;
mod send;
mod stat;
mod tree;

pub use error::{Error, Result};
pub use pump::{Ends, Pipe, pump, pump_answer, refuse, stream};
pub use receive::{Progress, Receive, receive};
pub use send::{Filter, Send, Verdict, send};

/// Most files of one directory tree.
pub const MAX_FILES: u32 = 2_000_000;
/// Longest path, in bytes.
pub const MAX_PATH: usize = 4096;
/// Most bytes that names and attributes of one tree may have.
pub const MAX_NAMES: usize = 256 << 20;
/// Most files whose contents come at the same time.
const MAX_OPEN: usize = 256;
/// Bytes of one piece of a file.
const PIECE: usize = 32 << 10;
/// What waits between a thread and its stream, each time one packet or several.
const QUEUE: usize = 128;

/// Whose the files are that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whose the sender says; the receiver must be allowed to give files away.
    Sender,
    /// Who receives them.
    Caller,
}
