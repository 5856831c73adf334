//! The container's output on disk: drivers, rotation, and reading back.
//!
//! `json-file` keeps Docker's format by the byte, `local` keeps its length-framed protocol buffers, `none`
//! keeps nothing. A full disk costs log lines, never the container's progress.

mod compress;
mod entry;
mod error;
mod file;
mod json;
mod local;
mod options;
mod read;
mod split;
mod write;

pub use compress::{COMPRESS_VERB, compress};
pub use entry::{Entry, Stream};
pub use error::LogError;
pub use options::{LogContext, configure};
pub use read::{ReadOptions, Stopper, read};
pub use write::LogWriter;
