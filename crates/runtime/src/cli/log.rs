//! The log, in the two formats that runc's callers read.

use std::fs::File;
use std::io::Write;

use anyhow::{Context as _, Result};

use super::time;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// `time="…" level=error msg="…"`.
    #[default]
    Text,
    /// `{"level":"error","msg":"…","time":"…"}`.
    Json,
}

/// Where errors go. Before the flags are read: to stderr.
#[derive(Debug, Default)]
pub(crate) struct Log {
    file: Option<File>,
    format: Format,
}

impl Log {
    pub(crate) fn open(&mut self, path: Option<&str>, format: Format) -> Result<()> {
        self.format = format;
        if let Some(path) = path {
            let open = std::fs::OpenOptions::new().append(true).create(true).open(path);
            self.file = Some(open.with_context(|| format!("log {path}"))?);
        }
        Ok(())
    }

    /// Writes one error: to the log, and in plain words to stderr when the log is elsewhere.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        let message = format!("{error:#}");
        let line = line(self.format, &message);
        let mut stderr = std::io::stderr();
        // there is no further place to say that these fail
        let _ = match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()).and_then(|()| writeln!(stderr, "{message}")),
            None => stderr.write_all(line.as_bytes()),
        };
    }
}

fn line(format: Format, message: &str) -> String {
    let time = time::rfc3339(time::now(), 0);
    match format {
        Format::Text => format!("time=\"{time}\" level=error msg={message:?}\n"),
        Format::Json => {
            let value = serde_json::json!({ "level": "error", "msg": message, "time": time });
            format!("{value}\n")
        }
    }
}
