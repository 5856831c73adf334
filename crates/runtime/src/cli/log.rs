//! The log, in the two formats that runc's callers read.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

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
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    file: Option<Arc<File>>,
    format: Format,
    debug: bool,
}

impl Log {
    pub(crate) fn open(&mut self, path: Option<&str>, format: Format, debug: bool) -> Result<()> {
        (self.format, self.debug) = (format, debug);
        if let Some(path) = path {
            let open = std::fs::OpenOptions::new().append(true).create(true).open(path);
            self.file = Some(Arc::new(open.with_context(|| format!("log {path}"))?));
        }
        Ok(())
    }

    /// Writes one error: to the log, and in plain words to stderr when the log is elsewhere.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        let message = format!("{error:#}");
        let line = line(self.format, "error", &message);
        let mut stderr = std::io::stderr();
        // there is no further place to say that these fail
        let _ = match self.file.as_deref() {
            Some(mut file) => file.write_all(line.as_bytes()).and_then(|()| writeln!(stderr, "{message}")),
            None => stderr.write_all(line.as_bytes()),
        };
    }
}

impl Log {
    /// Writes what does not stop the command, to the log only.
    pub(crate) fn warning(&self, message: &str) {
        self.write("warning", message);
    }

    /// Writes what only `--debug` asks for.
    pub(crate) fn debug(&self, message: &str) {
        if self.debug {
            self.write("debug", message);
        }
    }

    fn write(&self, level: &str, message: &str) {
        let line = line(self.format, level, message);
        // a full disk must not keep a container from its start
        let _ = match self.file.as_deref() {
            Some(mut file) => file.write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

fn line(format: Format, level: &str, message: &str) -> String {
    let time = time::rfc3339(time::now(), 0);
    match format {
        Format::Text => format!("time=\"{time}\" level={level} msg={message:?}\n"),
        Format::Json => {
            let value = serde_json::json!({ "level": level, "msg": message, "time": time });
            format!("{value}\n")
        }
    }
}
