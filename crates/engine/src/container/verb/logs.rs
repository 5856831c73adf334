//! `logs`: what a container has written, and goes on writing.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::attach::Source;
use crate::error::{Error, Result};
use crate::{Engine, Stream};

/// How many of the last lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tail {
    /// All.
    #[default]
    All,
    /// The last so many.
    Lines(u64),
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogsOptions {
    /// Stay for what comes.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Up to this moment.
    pub until: Option<Timestamp>,
    /// The last so many.
    pub tail: Tail,
}

/// One line (or part of a long one), its newline included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it comes from.
    pub source: Source,
    /// When it was written.
    pub time: Timestamp,
    /// The bytes.
    pub data: Bytes,
    /// `--log-opt labels/env/tag`, for `details`.
    pub attributes: BTreeMap<String, String>,
}

/// A container's log.
pub struct Logs {
    /// It has a terminal: entries go raw to the client.
    pub tty: bool,
    /// Its entries.
    pub entries: Stream<LogEntry>,
}

impl Engine {
    /// Reads a log.
    ///
    /// # Errors
    /// No such container; neither stream is wanted; its log driver can't be read.
    pub async fn container_logs(&self, name: &str, _options: LogsOptions) -> Result<Logs> {
        Err(Error::no_such_container(name))
    }
}
