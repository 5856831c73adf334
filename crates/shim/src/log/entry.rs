//! One recorded message.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output; with a terminal, everything.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its name in a log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Its number in the header of an attached stream (1 or 2).
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.number() - 1)
    }
}

/// A line, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it was written to.
    pub stream: Stream,
    /// When it was read from the container.
    pub time: Timestamp,
    /// The bytes, with their newline unless the line goes on in the next entry or never ended.
    pub line: Vec<u8>,
    /// What `--log-opt labels`, `env` and `tag` add.
    pub attrs: BTreeMap<String, String>,
}
