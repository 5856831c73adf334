//! The container's output on disk: drivers, rotation, and reading back.
//!
//! `json-file` keeps Docker's format by the byte, `local` keeps its length-framed protocol buffers, `none`
//! keeps nothing. Output may go to a program that forwards it as well ([`frame`]). A full disk costs log lines, never
//! the container's progress.

mod compress;
mod entry;
mod error;
mod file;
mod forward;
pub mod frame;
mod json;
mod local;
mod read;
mod split;
mod write;

pub use compress::{COMPRESS_VERB, compress};
pub use entry::{Entry, Stream};
pub use error::LogError;
pub use forward::PROGRAM as FORWARD_PROGRAM;
pub use read::{ReadOptions, Receive, Stopper, read};
pub use write::LogWriter;
