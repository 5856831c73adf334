//! Recording output: one `write` for each chunk that was read from the container.

use std::path::Path;

use jiff::Timestamp;

use super::entry::Stream;
use super::error::LogError;
use super::file::RotatingFile;
use super::split::{Message, Splitter};
use super::{json, local};
use crate::protocol::LogRequest;

/// Above this capacity the encoding buffer is given back after use.
const KEEP: usize = 16 * 1024;

/// A container's log.
#[derive(Debug)]
pub struct LogWriter {
    /// `None` is the driver `none`.
    sink: Option<Sink>,
    splitters: [Splitter; 2],
}

#[derive(Debug)]
struct Sink {
    file: RotatingFile,
    format: Format,
    /// Messages that are not written yet.
    out: Vec<u8>,
}

#[derive(Debug)]
enum Format {
    /// With the attributes, ready as JSON.
    Json(String),
    Local,
}

impl LogWriter {
    /// The log that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { sink: None, splitters: Default::default() }
    }

    /// Open the log; what a power loss has cut short is put right.
    ///
    /// # Errors
    /// An unknown driver; a file that can't be opened.
    pub fn open(request: &LogRequest) -> Result<Self, LogError> {
        let format = match request.driver.as_str() {
            "none" => return Ok(Self::none()),
            "json-file" if request.attrs.is_empty() => Format::Json(String::new()),
            "json-file" => Format::Json(attributes(request)),
            "local" => Format::Local,
            other => return Err(LogError::NoDriver(other.to_owned())),
        };
        let (path, size, files) = (Path::new(&request.path), request.max_size, request.max_file);
        let file = RotatingFile::open(path, size, files, request.compress)?;
        let mut sink = Sink { file, format, out: Vec::new() };
        sink.repair();
        Ok(Self { sink: Some(sink), splitters: Default::default() })
    }

    /// Record a chunk of output. All lines of a chunk carry the time at which it was read.
    pub fn write(&mut self, stream: Stream, chunk: &[u8]) {
        let Some(sink) = &mut self.sink else { return };
        let now = Now::new();
        self.splitters[stream.index()].feed(chunk, |message| sink.add(stream, &message, &now));
        sink.flush();
    }

    /// A stream has ended: record its last line even without a newline.
    pub fn finish(&mut self, stream: Stream) {
        let Some(sink) = &mut self.sink else { return };
        let now = Now::new();
        self.splitters[stream.index()].finish(|message| sink.add(stream, &message, &now));
        sink.flush();
    }

    /// Bytes in the current file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.sink.as_ref().map_or(0, |sink| sink.file.size())
    }

    /// A child process has been reaped.
    pub fn child_ended(&mut self, pid: sys::Pid) {
        if let Some(sink) = &mut self.sink {
            sink.file.child_ended(pid);
        }
    }
}

fn attributes(request: &LogRequest) -> String {
    let mut out = Vec::new();
    for (key, value) in &request.attrs {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.push(b'"');
        json::escape(&mut out, key.as_bytes());
        out.extend_from_slice(b"\":\"");
        json::escape(&mut out, value.as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// One moment, and its text.
struct Now {
    time: Timestamp,
    text: String,
}

impl Now {
    fn new() -> Self {
        let time = Timestamp::now();
        Self { time, text: time.to_string() }
    }
}

impl Sink {
    fn add(&mut self, stream: Stream, message: &Message<'_>, now: &Now) {
        // as in Docker a file may exceed its size by one message, but never by two
        if self.file.is_full(self.out.len()) {
            self.flush();
            self.file.rotate();
        }
        match &self.format {
            Format::Json(attrs) => json::write(&mut self.out, stream, message, attrs, &now.text),
            Format::Local => local::write(&mut self.out, stream, message, now.time),
        }
    }

    fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        self.file.append(&self.out);
        if self.out.capacity() > KEEP {
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
    }

    /// What was cut short must not spoil what follows it.
    fn repair(&mut self) {
        match self.format {
            Format::Json(_) => {
                if self.file.last_byte().is_some_and(|byte| byte != b'\n') {
                    self.file.append(b"\n");
                }
            }
            Format::Local => {
                if let Ok(sound) = super::read::sound_length(self.file.file())
                    && sound < self.file.size()
                {
                    self.file.truncate(sound);
                }
            }
        }
    }
}
